"""Accounts, made from the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.cli import cli
from appliance.errors import ConfigurationError, StorageUnavailable


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--data-dir", str(folder), "user", *arguments])


@pytest.mark.parametrize("role", ["owner", "admin", "viewer", "member"])
def test_an_account_of_each_role(tmp_path: Path, role: str) -> None:
    made = run(tmp_path, "create", "Ada@example.com", "--role", role, "--password", "correct horse battery", "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.output) == {"id": 1, "email": "ada@example.com", "role": role}
    assert run(tmp_path, "list").output == f"ada@example.com  {role}\n"


def test_a_folder_that_a_command_makes_is_for_the_owners_eyes(tmp_path: Path) -> None:
    made = run(tmp_path / "data", "create", "ada@example.com", "--role", "owner", "--password", "correct horse battery")
    assert made.exit_code == 0, made.output
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_no_other_role(tmp_path: Path) -> None:
    made = run(tmp_path, "create", "ada@example.com", "--role", "emperor", "--password", "correct horse battery")
    assert made.exit_code == 2
    assert "'owner', 'admin', 'viewer', 'member'" in made.output
    assert not (tmp_path / "appliance.db").exists()


@pytest.mark.parametrize("arguments", [("list",), ("passwd", "ada@example.com", "--password", "correct horse battery")])
def test_what_is_not_there_is_not_made_by_those_who_only_read_or_change_it(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    folder = tmp_path / "typo"
    done = run(folder, *arguments)
    assert isinstance(done.exception, ConfigurationError)
    there = folder / "appliance.db"
    assert str(done.exception) == f"there is no database {there}: name the data folder with --data-dir"
    assert not folder.exists()


def test_a_folder_that_cannot_be_looked_into_is_a_line(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 300)  # longer than names may be: root may look into every other one
    done = CliRunner().invoke(cli, ["user", "list"], env={"APPLIANCE_DATA_DIR": str(folder)})
    assert isinstance(done.exception, StorageUnavailable)
    assert str(done.exception).startswith(f"cannot use {folder}")
