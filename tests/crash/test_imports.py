"""kill -9 of importers and of the server in the midst of imports: each line is stored exactly once."""

import json
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.imports.importing import combined
from tests.process import Server


def log_of(lines: int, *, seed: int) -> str:
    """Each line has a page of its own; visitors come again, some after midnight."""
    chance = random.Random(seed)
    return "".join(
        combined(
            chance.randrange(200),
            f"/{seed}/{number}",
            time=_time(number * 240 // lines, chance.randrange(60)),
        )
        for number in range(lines)
    )


def _time(hour: int, minute: int) -> str:
    return f"{1 + hour // 24:02}/Mar/2026:{hour % 24:02}:{minute:02}:00 +0000"


def check(folder: Path, lines: int, seeds: int) -> None:
    """Every page once, and visits that agree with their events."""
    database = sqlite3.connect(folder / "appliance.db")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    stored = database.execute(
        "SELECT count(*), count(DISTINCT e.path), (SELECT count(*) FROM dead_letter) FROM event e"
    ).fetchone()
    assert stored == (lines * seeds, lines * seeds, 0)
    wrong = database.execute(
        """
        SELECT v.id FROM visit v LEFT JOIN (
            SELECT visit_id, count(*) AS events, min(time) AS first, max(time) AS last FROM event GROUP BY visit_id
        ) e ON e.visit_id = v.id
        WHERE (v.events, v.pageviews, v.start, v."end") IS NOT (e.events, e.events, e.first, e.last)
        """
    ).fetchall()
    assert wrong == []
    together = database.execute(
        "SELECT count(*) FROM visit a JOIN visit b ON a.visitor = b.visitor AND a.id < b.id"
        ' AND a.start <= b."end" AND b.start <= a."end"'
    ).fetchone()
    assert together == (0,), "one visitor in two visits at once"
    database.close()


def importer(server: Server, *files: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "appliance", "import", *map(str, files), "--project", "example.com", "--json"]
    return subprocess.Popen(command, env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def kill_again_and_again(folder: Path, rounds: int, lines: int) -> None:
    chance = random.Random(rounds)
    log = folder.parent / "access.log"
    log.write_text(log_of(lines, seed=0))
    upload = log_of(lines, seed=1).encode()
    server = Server(folder)
    with server:
        key = server.project()["private_key"]
        authorization = f"Bearer {key}"
        status, sent = server.post("/api/v1/upload", upload, authorization=authorization)
        assert status == 202
        for number in range(rounds):
            running = importer(server, log)
            time.sleep(chance.uniform(0.3, 1.2))
            if number % 3 != 1:
                running.kill()
            if number % 3 != 0:
                server.kill()  # without it the importer stores by itself
                if number % 3 == 1:
                    time.sleep(chance.uniform(0.3, 0.8))
                    running.kill()
                running.wait()
                server.start()
            running.wait()
            assert running.stdout is not None and running.stderr is not None
            running.stdout.close()
            running.stderr.close()
        (done,) = server.cli("import", str(log), "--project", "example.com", "--json")
        assert (done["state"], done["rows"], done["refused"]) == ("done", lines, 0)
        found = followed(server, sent["id"], authorization)
        assert (found["state"], found["rows"], found["progress"]) == ("done", lines, 1.0)
        while list((folder / "imports").glob("*.upload")):
            time.sleep(0.05)
        assert server.stop() == 0
    check(folder, lines, 2)


def followed(server: Server, import_id: str, authorization: str) -> dict[str, Any]:
    """An import, once it has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status, body = server.get(f"/api/v1/imports/{import_id}", authorization=authorization)
        assert status == 200
        found: dict[str, Any] = json.loads(body)
        if found["state"] not in ("waiting", "running"):
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def test_killed_a_few_times_in_the_midst_of_imports(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "data", rounds=4, lines=12_000)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_many_times_in_the_midst_of_imports(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "data", rounds=40, lines=200_000)
