"""Accounts, made from the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.cli import cli


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--data-dir", str(folder), "user", *arguments])


@pytest.mark.parametrize("role", ["owner", "admin", "viewer", "member"])
def test_an_account_of_each_role(tmp_path: Path, role: str) -> None:
    made = run(tmp_path, "create", "Ada@example.com", "--role", role, "--password", "correct horse battery", "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.output) == {"id": 1, "email": "ada@example.com", "role": role}
    assert run(tmp_path, "list").output == f"ada@example.com  {role}\n"


def test_no_other_role(tmp_path: Path) -> None:
    made = run(tmp_path, "create", "ada@example.com", "--role", "emperor", "--password", "correct horse battery")
    assert made.exit_code == 2
    assert "'owner', 'admin', 'viewer', 'member'" in made.output
    assert run(tmp_path, "list").output == "no accounts yet\n"
