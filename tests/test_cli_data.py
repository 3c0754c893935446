"""Sealing, purging and erasing from the command line, beside a running server."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from appliance.clock import DAY, now
from tests.process import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data") as started:
        yield started


def send(server: Server, key: str, *users: str, days_ago: float = 0) -> None:
    timestamp = (now() - round(days_ago * DAY)) / 1_000_000
    events = [
        {"event": "pageview", "url": "https://example.com/", "user_id": user, "timestamp": timestamp} for user in users
    ]
    status, answer = server.ingest(key, {"events": events})
    assert (status, answer["accepted"]) == (202, len(users))


def failing(server: Server, *arguments: str) -> str:
    """What a command that fails says."""
    command = [sys.executable, "-m", "appliance", *arguments]
    done = subprocess.run(command, env=server.environment, capture_output=True, text=True)
    assert done.returncode != 0
    return done.stderr


def export(server: Server, key: str) -> list[dict[str, Any]]:
    path = "/api/v1/export?dataset=events&format=ndjson&date_range=all"
    status, body = server.get(path, authorization=f"Bearer {key}")
    assert status == 200
    return [json.loads(line) for line in body.splitlines()]


def test_people_are_erased_beside_a_running_server(server: Server) -> None:
    made = server.project()
    send(server, made["public_key"], "ann", "bob", "cat", "ann")
    # Nothing is waited for: what was answered before is in the journal at least.
    done = server.cli("erase", "--project", "example.com", "--user", "ann", "--json")
    assert (done["visits"], done["events"]) == (1, 2)
    assert done["erased_at"] and done["wiped_at"]
    left = export(server, made["private_key"])
    assert [event["user_id"] for event in left] == ["bob", "cat"]
    done = server.cli("erase", "--project", made["id"], "--visitor", left[0]["visitor"], "--json")
    assert (done["visits"], done["events"]) == (1, 1)
    send(server, made["public_key"], "ann", "cat")
    assert server.wait_until_stored(3) == 3
    assert [event["user_id"] for event in export(server, made["private_key"])] == ["cat", "ann", "cat"]
    answer = server.query(made["private_key"], metrics=["visitors", "events"], date_range="day")
    assert answer["results"][0]["metrics"] == [2, 3]
    with closing(sqlite3.connect(server.folder / "appliance.db")) as database:
        actions = database.execute(
            "SELECT actor, action, subject, detail FROM audit WHERE action LIKE '%erase'"
        ).fetchall()
    assert actions == [("cli", f"{what}.erase", "Site", made["id"]) for what in ("user", "visitor")]


def test_people_are_erased_without_a_server(server: Server) -> None:
    made = server.project()
    send(server, made["public_key"], "ann", "bob")
    server.kill()  # with something in the journal, most likely
    assert "erased 1 visits with 1 events" in server.cli("erase", "--project", "example.com", "--user", "bob")
    server.start()
    assert [event["user_id"] for event in export(server, made["private_key"])] == ["ann"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--user or --visitor"),
        (("--user", "ann", "--visitor", "0" * 16), "--user or --visitor"),
        (("--visitor", "xyz"), "16 hexadecimal digits"),
        (("--user", ""), "Give the user's id"),
    ],
)
def test_whom_to_erase_must_be_said(server: Server, arguments: tuple[str, ...], said: str) -> None:
    server.project()
    assert said in failing(server, "erase", "--project", "example.com", *arguments)


def test_days_are_sealed_and_purged_beside_a_running_server(server: Server) -> None:
    made = server.project()
    for days in (40, 20, 0):
        send(server, made["public_key"], "ann", days_ago=days)
    assert server.wait_until_stored(3) == 3
    assert server.cli("seal", "--json") == {"events": 2, "waiting": 1}
    assert server.cli("purge", "--json") == {"projects": 0, "visits": 0, "events": 0}
    assert server.cli("project", "set", "example.com", "--raw-retention-days", "30", "--json") == {
        "raw_retention_days": 30
    }
    assert server.cli("project", "show", "example.com", "--json")["raw_retention_days"] == 30
    assert server.cli("purge", "--json") == {"projects": 0, "visits": 1, "events": 1}
    assert len(export(server, made["private_key"])) == 2
    assert "from 7 to" in failing(server, "project", "set", "example.com", "--raw-retention-days", "3")


def test_what_a_server_sends_from_before_the_days_that_are_kept_gets_the_time_of_its_receipt(server: Server) -> None:
    made = server.project()
    server.cli("project", "set", "example.com", "--raw-retention-days", "30")
    server.stop()
    server.start()  # so that nothing is left to when it hears of it
    for days in (40, 29):
        send(server, made["public_key"], f"{days} days", days_ago=days)
    assert server.wait_until_stored(2) == 2
    ages = {
        event["user_id"]: event["timestamp"][:10] == event["received_at"][:10]
        for event in export(server, made["private_key"])
    }
    assert ages == {"40 days": True, "29 days": False}


def test_what_is_sent_from_purged_days_gets_the_time_of_its_receipt_also_when_more_are_kept(server: Server) -> None:
    made = server.project()
    send(server, made["public_key"], "early", days_ago=40)
    assert server.wait_until_stored(1) == 1
    server.cli("seal")
    server.cli("project", "set", "example.com", "--raw-retention-days", "30")
    assert server.cli("purge", "--json")["visits"] == 1
    server.cli("project", "set", "example.com", "--raw-retention-days", "0")
    server.stop()
    server.start()  # so that nothing is left to when it hears of it
    for days in (41, 29):
        send(server, made["public_key"], f"{days} days", days_ago=days)
    assert server.wait_until_stored(2) == 2
    ages = {
        event["user_id"]: event["timestamp"][:10] == event["received_at"][:10]
        for event in export(server, made["private_key"])
    }
    assert ages == {"41 days": True, "29 days": False}


def test_rollups_are_made_beside_a_running_server(server: Server) -> None:
    made = server.project()
    for days_ago in (70, 40, 39, 10):
        send(server, made["public_key"], "ann", "bob", days_ago=days_ago)
    assert server.wait_until_stored(8) == 8
    assert server.cli("seal", "--json")["events"] == 8
    units = server.cli("rollups", "refresh", "--json")["made"]
    assert units >= 4 + 2  # four days, and the months that are over
    assert server.cli("rollups", "refresh", "--json") == {"made": 0}
    assert server.cli("rollups", "rebuild", "--json") == {"made": units}
