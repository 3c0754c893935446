"""What a project takes and keeps, set from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from appliance.cli import cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run(tmp_path, "project", "create", "Site", "--domain", "example.com").exit_code == 0
    return tmp_path


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--data-dir", str(folder), *arguments])


def change(folder: Path, *arguments: str) -> Any:
    done = run(folder, "project", "set", "example.com", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_only_what_is_named_changes(folder: Path) -> None:
    assert change(folder, "--quota", "1000", "--rate-limit", "0") == {"rate_limit": 0, "quota_events_month": 1000}
    assert change(folder, "--sampling", "visitor", "--sampling-percent", "2.5") == {
        "sampling": {"strategy": "visitor", "percent": "2.5"}
    }
    assert change(folder, "--rate-limit", "-1", "--raw-retention-days", "0") == {
        "raw_retention_days": 0,
        "rate_limit": None,
    }
    assert change(folder, "--sampling", "none") == {"sampling": {"strategy": "none", "percent": "100"}}
    said = run(folder, "project", "set", "example.com", "--quota", "5").output
    assert said.split() == ["quota_events_month", "5"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what to change"),
        (["--sampling", "random"], "go together"),
        (["--sampling-percent", "5"], "go together"),
        (["--sampling", "none", "--sampling-percent", "5"], "go together"),
        (["--sampling", "random", "--sampling-percent", "0"], "above 0 and up to 100"),
        (["--sampling", "dice", "--sampling-percent", "5"], "dice"),
        (["--quota", "-1"], "Use a number from 0"),
        (["--rate-limit", "-2"], "Use a number from 0"),
    ],
)
def test_what_cannot_be_is_said(folder: Path, arguments: list[str], said: str) -> None:
    done = run(folder, "project", "set", "example.com", *arguments)
    assert done.exit_code != 0
    assert said in f"{done.output} {done.exception}"
