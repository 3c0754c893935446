"""The process as operators and balancers meet it."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from appliance.app import Appliance
from appliance.config import Settings
from appliance.storage.data_folder import lock_data_folder
from tests.process import Server

PAGE = {"event": "pageview", "url": "https://example.com/a", "user_id": "ann"}


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "data")


def test_it_says_where_it_listens_and_how_to_begin(server: Server) -> None:
    with server:
        said = server.log.read_text()
        assert f"listens at {server.url}" in said
        assert re.search(rf"{server.url}/setup\?token=[\w-]{{20,}}", said)


def test_a_second_server_on_the_same_folder_refuses_and_the_first_goes_on(server: Server) -> None:
    with server:
        command = [sys.executable, "-m", "appliance", "serve", "--port", "0"]
        done = subprocess.run(command, env=server.environment, capture_output=True, text=True, timeout=30)
        assert done.returncode == 1
        assert "is served by another process" in done.stderr
        assert "Traceback" not in done.stderr
        assert server.get("/healthz")[0] == 200


def test_a_start_that_fails_says_why_and_ends(server: Server) -> None:
    command = [
        sys.executable,
        "-m",
        "appliance",
        "serve",
        "--admin-email",
        "ann@example.com",
        "--admin-password",
        "short",
    ]
    done = subprocess.run(command, env=server.environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "APPLIANCE_ADMIN_PASSWORD" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_start_that_fails_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "journal").touch()  # where a folder should be
    before = threading.enumerate()
    with pytest.raises(FileExistsError):
        await Appliance(Settings(data_dir=tmp_path)).start()
    lock_data_folder(tmp_path).close()
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    assert [name for name in left if not name.startswith("asyncio_")] == []  # those of the loop end with it


def test_a_killed_server_leaves_no_lock_behind(server: Server) -> None:
    with server:
        server.kill()
        server.start()
        assert server.get("/readyz")[0] == 200


def test_asked_to_stop_it_stores_what_it_took_and_exits_with_0(server: Server) -> None:
    with server:
        key = server.project()["public_key"]
        for number in range(50):
            assert server.ingest(key, {**PAGE, "event_id": f"e{number}"})[0] == 202
        assert server.stop() == 0
        status = server.cli("status", "--json")
        assert status["journal_backlog_bytes"] == 0
        assert status["projects"][0]["events"] == 50
        assert status["projects"][0]["visitors"] == 1


def test_open_streams_do_not_hold_up_the_end(server: Server) -> None:
    with server:
        silent = socket.create_connection(("127.0.0.1", server.port))
        silent.sendall(b"POST /api/v1/events/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12")
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 15
        silent.close()


def test_health(server: Server) -> None:
    with server:
        assert server.get("/healthz") == (200, b"ok\n")
        status, body = server.get("/readyz")
        assert (status, json.loads(body)) == (200, {"ready": True, "problems": []})
        assert json.loads(server.get("/health")[1])["status"] == "healthy"
        status, body = server.get("/api/health")
        assert (status, json.loads(body)) == (200, {"postgres": "ok", "clickhouse": "ok", "sites_cache": "ok"})
        metrics = server.get("/metrics")[1].decode()
        assert "appliance_ready 1.0" in metrics
        assert server.get("/metrics", x_forwarded_for="203.0.113.1")[0] == 401


def test_a_key_made_by_the_command_line_works_at_once_and_a_revoked_one_ends_within_two_seconds(server: Server) -> None:
    with server:
        project = server.project()
        made = server.cli("key", "create", project["id"], "--kind", "public", "--json")
        assert server.ingest(made["key"], PAGE)[0] == 202
        server.cli("key", "revoke", project["id"], str(made["id"]))
        deadline = time.monotonic() + 2
        while server.ingest(made["key"], PAGE)[0] == 202:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_drain_is_started_again_when_it_dies_and_nothing_is_lost(server: Server) -> None:
    with server:
        project = server.project()
        sent = 0
        stop = threading.Event()

        def send() -> None:
            nonlocal sent
            while not stop.is_set():
                assert server.ingest(project["public_key"], PAGE)[0] == 202
                sent += 1

        sender = threading.Thread(target=send)
        sender.start()
        killed = 0
        for _ in range(8):
            time.sleep(0.5)
            done = subprocess.run(["pkill", "-9", "-f", f"drain_worker {server.folder}"], check=False)
            killed += done.returncode == 0
        stop.set()
        sender.join()
        assert killed >= 2
        assert sent > 50
        assert server.wait_until_stored(sent) == sent
        assert server.get("/readyz")[0] == 200


def test_a_full_journal_refuses_before_anything_is_taken(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", journal_bytes_max=1 << 20)
    with server:
        key = server.project()["public_key"]
        big = {"events": [{**PAGE, "properties": {"text": "x" * 60_000}} for _ in range(20)]}
        status, answer = server.ingest(key, big)
        assert (status, answer["code"]) == (503, "journal_full")
        assert server.ingest(key, PAGE)[0] == 202
        assert server.wait_until_stored(1) == 1


def test_a_query_answers_over_the_api(server: Server) -> None:
    with server:
        project = server.project()
        for user in ("ann", "ann", "bob"):
            server.ingest(project["public_key"], {**PAGE, "user_id": user})
        server.wait_until_stored(3)
        metrics = ["visitors", "visits", "pageviews", "events"]
        answer = server.query(project["private_key"], metrics=metrics, date_range="day")
        assert answer["results"] == [{"dimensions": [], "metrics": [2, 2, 3, 3]}]
        status, fault = server.post(
            "/api/v2/query", {"metrics": ["joy"], "date_range": "day"}, authorization=f"Bearer {project['private_key']}"
        )
        assert status == 400
        assert fault["pointer"] == "#/metrics/0"
        assert "#/metrics/0" in fault["error"]


def test_an_export_is_what_was_sent(server: Server) -> None:
    with server:
        project = server.project()
        event = {**PAGE, "event_id": "the-id", "title": "=cmd()", "properties": {"plan": "pro", "n": -1}}
        server.ingest(project["public_key"], event)
        server.wait_until_stored(1)
        authorized = {"authorization": f"Bearer {project['private_key']}"}
        status, body = server.get("/api/v1/export?dataset=events&format=csv", **authorized)
        header, row, *rest = body.decode().split("\r\n")
        assert status == 200
        assert header.startswith("event_id,event,timestamp,")
        assert row.startswith("the-id,pageview,")
        assert ",'=cmd()," in row
        assert rest == [""]
        line = json.loads(server.get("/api/v1/export?format=ndjson", **authorized)[1])
        assert (line["event_id"], line["title"], line["properties"]) == ("the-id", "=cmd()", {"plan": "pro", "n": -1})
        assert server.get("/api/v1/export", authorization=f"Bearer {project['public_key']}")[0] == 403
        assert server.get("/api/v1/export?dataset=secrets", **authorized)[0] == 422
        assert server.get("/api/v1/export?date_range=2020-01-01,2020-01-02", **authorized)[1].count(b"\n") == 1
