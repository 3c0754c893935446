"""`appliance copy`: an installation moves, with its journal where it is, and goes on."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from appliance.clock import DAY, now
from tests import postgresql as servers
from tests.process import Server


def run(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "appliance", "copy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, **options)


def send(server: Server, key: str, *ids: str, days_ago: float = 0) -> dict[str, Any]:
    timestamp = (now() - round(days_ago * DAY)) / 1_000_000
    events = [
        {"event": "pageview", "url": "https://example.com/", "user_id": f"user {name}", "event_id": name,
         "timestamp": timestamp}
        for name in ids
    ]  # fmt: skip
    status, answer = server.ingest(key, {"events": events})
    assert status == 202
    return dict(answer)


def test_an_installation_moves_and_goes_on_with_its_journal(tmp_path: Path, timescaledb: servers.Server) -> None:
    there, back = timescaledb.new_database(), f"sqlite:///{tmp_path}/new/appliance.db"
    with Server(tmp_path / "data") as server:
        made = server.project()
        send(server, made["public_key"], *(f"old {n}" for n in range(20)), days_ago=20)
        send(server, made["public_key"], *(f"new {n}" for n in range(30)))
        assert server.wait_until_stored(50) == 50
        assert server.cli("seal", "--json")["events"] == 20
        # Beside a running server too, but what comes after is for the journal alone.
        done = run("--from", f"{tmp_path}/data/appliance.db", "--to", there, "--json")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        said = json.loads(done.stdout)
        assert (said["equal"], said["events"]) == (True, 50)
        figures = {(figure["project"], figure["name"]): figure for figure in said["figures"]}
        assert figures[1, "events"] == {"project": 1, "name": "events", "source": 50, "target": 50, "equal": True}
        assert figures[None, "api_key"]["target"] == 2
        send(server, made["public_key"], "after the copy")
        assert server.wait_until_stored(51) == 51
    done = run("--from", there, "--to", back)
    assert done.returncode == 0, done.stderr
    assert "ok   project 1 events: 50 copied 50" in done.stdout
    assert done.stderr == ""
    with Server(tmp_path / "data", database_url=back) as server:  # the journal of before, another database
        assert server.wait_until_stored(51) == 51
        answer = send(server, made["public_key"], "new 3", "after the copy", "another")
        assert (answer["accepted"], answer["duplicates"]) in {(3, 0), (1, 2)}
        assert server.wait_until_stored(52) == 52
        time.sleep(0.5)
        question = {"metrics": ["visitors", "events"], "date_range": "all"}
        assert server.query(made["private_key"], **question)["results"][0]["metrics"] == [52, 52]
        assert server.cli("verify", "example.com", "--date-range", "30d", "--json")["equal"]
    refused = run("--from", there, "--to", back)
    assert refused.returncode == 1
    assert "has projects, accounts or events already" in refused.stderr


def test_a_terminal_sees_how_far_it_is(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        send(server, server.project()["public_key"], *map(str, range(40)))
        server.wait_until_stored(40)
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "appliance", "copy", "--from", f"sqlite:{tmp_path}/data/appliance.db"]
    done = subprocess.Popen([*command, "--to", f"{tmp_path}/new.db"], stdout=subprocess.PIPE, stderr=follower)
    os.close(follower)
    shown = b""
    try:
        while piece := os.read(leader, 4096):
            shown += piece
    except OSError:  # the end of a terminal
        pass
    os.close(leader)
    assert done.stdout is not None
    assert b"ok   project 1 events: 40 copied 40" in done.stdout.read()
    assert done.wait() == 0
    for word in (b"copying", b"settings and texts", b"counting", b"100%", b"events/s"):
        assert word in shown, shown


def test_killed_and_run_again(tmp_path: Path, postgresql: servers.Server) -> None:
    with Server(tmp_path / "data") as server:
        send(server, server.project()["public_key"], *map(str, range(500)))
        server.wait_until_stored(500)
    arguments = ("--from", f"{tmp_path}/data/appliance.db", "--to", postgresql.new_database())
    for seconds in (0.9, 1.0, 1.1, 1.2):
        process = subprocess.Popen([sys.executable, "-m", "appliance", "copy", *arguments], stdout=subprocess.DEVNULL)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break  # it was done before
    done = run(*arguments)
    assert "ok   project 1 events: 500 copied 500" in done.stdout or "already" in done.stderr


@pytest.mark.parametrize("target", ["postgresql://ann:secret@127.0.0.1:1/nowhere", "nothing://here", "text.db"])
def test_what_cannot_be_used_is_one_line(tmp_path: Path, target: str) -> None:
    (tmp_path / "text.db").write_text("no database\n" * 1000)
    assert run("--from", "a.db", "--to", "b.db", cwd=tmp_path).stderr == "appliance: there is no database a.db\n"
    made = subprocess.run(
        [sys.executable, "-m", "appliance", "--data-dir", tmp_path, "project", "create", "Site"], capture_output=True
    )
    assert made.returncode == 0
    done = run("--from", "appliance.db", "--to", target, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("appliance: ")
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("arguments", [("--from", "a.db"), ("--to", "a.db")])
def test_both_ends_have_to_be_named(arguments: tuple[str, ...]) -> None:
    assert "Missing option" in run(*arguments).stderr
