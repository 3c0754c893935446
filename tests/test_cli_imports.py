"""`appliance import` without a server; beside one it is tried in tests/crash/test_imports.py."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from appliance.cli import cli
from appliance.cli.common import find_project
from appliance.cli.imports import _Import
from appliance.cli.progress import Progress
from appliance.config import load
from appliance.storage.open import opened
from tests.ingest.imports.importing import GOOGLEBOT, combined

LOG = combined(1, "/a") + combined(2, "/b", agent=GOOGLEBOT) + "rubbish\n" + combined(3, "/c.css")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a project."""
    run(tmp_path, "project", "create", "Site", "--domain", "example.com")
    return tmp_path


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    """What a command prints."""
    environment = {"APPLIANCE_DATA_DIR": str(folder / "data")}
    done = CliRunner().invoke(cli, arguments, env=environment, prog_name="appliance")
    assert done.exit_code == code, done.output
    return done.output


def events(folder: Path) -> int:
    database = sqlite3.connect(folder / "data" / "appliance.db")
    ((number,),) = database.execute("SELECT count(*) FROM event").fetchall()
    database.close()
    return int(number)


def test_a_dry_run_says_what_would_be_imported_and_changes_nothing(folder: Path) -> None:
    (folder / "access.log").write_text(LOG)
    said = run(folder, "import", str(folder / "access.log"), "--project", "example.com", "--dry-run")
    assert said.splitlines() == [
        f"{folder / 'access.log'}: combined, 4 new lines, 1 events",
        "  from 2026-03-02T12:00:00+00:00 to 2026-03-02T12:00:00+00:00",
        "  1 left out: asset",
        "  1 left out: bot",
        "  1 refused",
        "  line 3: no line of an access log",
    ]
    assert events(folder) == 0
    found = json.loads(
        run(folder, "import", str(folder / "access.log"), "--project", "example.com", "--json", "--dry-run")
    )
    assert (found[0]["rows"], found[0]["faults"][0]["line"]) == (1, 3)
    run(folder, "import", str(folder / "access.log"), "--project", "example.com")
    said = run(folder, "import", str(folder / "access.log"), "--project", "example.com", "--dry-run")
    assert "0 new lines, 0 events" in said
    with (folder / "access.log").open("a") as file:
        file.write(combined(5, "/e"))
    said = run(folder, "import", str(folder / "access.log"), "--project", "example.com", "--dry-run")
    assert "1 new lines, 1 events" in said


def test_files_are_imported_and_what_is_known_adds_nothing(folder: Path) -> None:
    files = [str(folder / name) for name in ("a.log", "b.ndjson", "c.txt")]
    (folder / "a.log").write_text(LOG)
    (folder / "b.ndjson").write_text('{"event":"x","user_id":"u"}\n' * 3)
    (folder / "c.txt").write_text("some words\n")
    said = run(folder, "import", *files, "--project", "example.com", "--source", "old", code=1)
    assert f"{files[0]}: combined, done, 1 events added" in said
    assert f"{files[1]}: ndjson, done, 3 events added" in said
    assert f"{files[2]}: The file is in no format that is understood. Understood are: " in said
    found: list[dict[str, Any]] = json.loads(run(folder, "import", *files[:2], "--project", "example.com", "--json"))
    assert [(each["added"], each["rows"], each["state"]) for each in found] == [(0, 1, "done"), (0, 3, "done")]
    assert events(folder) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--follow", "--dry-run"], "do not go together"),
        (["--project", "other.example"], "there is no project"),
        (["--format", "w3c"], "There is no format 'w3c'"),
        (["--follow", "--format", "csv"], "cannot be followed"),
    ],
)
def test_what_is_asked_wrongly(folder: Path, options: list[str], words: str) -> None:
    (folder / "a.log").write_text(LOG)
    arguments = ["import", str(folder / "a.log"), *options]
    if "--project" not in options:
        arguments += ["--project", "example.com"]
    environment = {"APPLIANCE_DATA_DIR": str(folder / "data")}
    done = CliRunner().invoke(cli, arguments, env=environment, prog_name="appliance")
    assert done.exit_code != 0
    assert words in done.output + str(done.exception)


def test_a_followed_log_ends_when_it_is_asked_to(folder: Path) -> None:
    log = folder / "access.log"
    log.write_text(combined(1, "/a"))
    command = [sys.executable, "-m", "appliance", "import", str(log), "--project", "example.com", "--follow", "--json"]
    environment = os.environ | {"APPLIANCE_DATA_DIR": str(folder / "data")}
    # Whoever runs these tests in the background may have it ignored, and so would what they start.
    running = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (it starts no thread)
    )  # fmt: skip
    wait_for(folder, 1)
    with log.open("a") as file:
        file.write(combined(2, "/b"))
    wait_for(folder, 2)
    # Replaced by another one, it goes on with that.
    log.rename(folder / "access.log.1")
    log.write_text(combined(3, "/c"))
    wait_for(folder, 3)
    running.send_signal(signal.SIGINT)
    said, wrong = running.communicate(timeout=20)
    assert running.returncode == 0, wrong
    assert [(each["state"], each["rows"]) for each in json.loads(said)] == [("done", 2), ("stopped", 1)]


async def test_a_log_that_is_empty_yet_is_waited_for(folder: Path) -> None:
    log = folder / "access.log"
    log.touch()
    settings = load({"APPLIANCE_DATA_DIR": str(folder / "data")})
    wanted: dict[str, Any] = {"file_format": None, "source": "", "follow": True, "dry_run": False}
    async with opened(settings) as database:
        project = await find_project(database, "example.com")
        importing = _Import(settings, database, project, log, Progress("lines", shown=False), **wanted)
        following = asyncio.create_task(importing.work([]))
        await asyncio.wait([following], timeout=0.1)
        assert not following.done()
        log.write_text(LOG)
        deadline = time.monotonic() + 20
        while events(folder) < 1:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        following.cancel()
        await asyncio.wait([following])


def wait_for(folder: Path, number: int) -> None:
    deadline = time.monotonic() + 20
    while events(folder) < number:
        assert time.monotonic() < deadline
        time.sleep(0.05)
