"""Limits over a real socket, on both ways of a request; and a quota that outlives its process."""

import json
import time
from pathlib import Path

from tests.ingest.test_protocol import Wire, chunked, request
from tests.process import Server

LIMIT = 8
BATCH = json.dumps({"events": [{"event": "click"}] * 3}).encode()


def test_both_ways_count_towards_one_limit_and_refuse_alike(tmp_path: Path) -> None:
    with Server(tmp_path / "data", rate_limit_address=LIMIT) as server:
        key = server.project()["public_key"]
        wire = Wire(server)
        # The third and the sixth are looked for in the database, and count once all the same.
        sent = [request(key), chunked(request(key)), request("sa_nobody"), request(key, b"{")]
        statuses = []
        for data in (*sent, *sent):
            wire.send(data)
            statuses.append(wire.answer()[0])
        assert statuses == [202, 202, 401, 400] * 2
        answers = []
        for data in (request(key), chunked(request(key))):
            wire.send(data)
            status, headers, body = wire.answer()
            answers.append((status, json.loads(body)["code"], headers["x-ratelimit-limit"], headers["content-type"]))
            assert 1 <= int(headers["retry-after"]) == int(headers["x-ratelimit-reset"]) <= 10
            assert headers["x-ratelimit-remaining"] == "0"
        assert answers == [(429, "rate_limited", str(LIMIT), "application/problem+json")] * 2
        assert server.get("/healthz")[0] == 200  # only ingestion is limited
        wire.send(request(key) * 2)  # the connection goes on
        assert [wire.answer()[0] for _ in range(2)] == [429, 429]
        assert b'appliance_events_refused_total{reason="rate_limited"} 4.0' in server.get("/metrics")[1]
        wire.socket.close()


def test_a_quota_is_kept_over_kill_and_restart(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        key = server.project()["public_key"]
        server.cli("project", "set", "example.com", "--quota", "10", "--json")
        accepted = server.ingest(key, BATCH)[1]["accepted"]
        for _ in range(2):
            server.kill()
            server.start()
            accepted += server.ingest(key, BATCH)[1]["accepted"]
        deadline = time.monotonic() + 20
        while (answer := server.ingest(key, BATCH))[0] == 202 and time.monotonic() < deadline:
            accepted += answer[1]["accepted"]
        assert (answer[0], answer[1]["code"]) == (429, "quota")
        assert server.wait_until_stored(accepted) == accepted == 10
