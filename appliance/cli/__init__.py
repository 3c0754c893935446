"""The command line: parse, call, print. Every command but `serve` works beside a running server."""

import sys
from pathlib import Path

import click

from appliance import __version__
from appliance.cli.copy import copy
from appliance.cli.data import erase, purge, seal
from appliance.cli.dead_letters import dead_letters
from appliance.cli.imports import import_files
from appliance.cli.key import key
from appliance.cli.operation import drain, migrate, serve, status, verify
from appliance.cli.project import project
from appliance.cli.rollups import rollups
from appliance.cli.user import user
from appliance.demo.command import demo
from appliance.errors import ApplianceError


def main() -> None:
    """Entry point: an error of ours is one line on standard error and exit code 1."""
    try:
        cli(prog_name="appliance")
    except ApplianceError as error:
        click.echo(f"appliance: {error}", err=True)
        sys.exit(1)


@click.group(context_settings={"max_content_width": 100})
@click.version_option(__version__)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Data folder (APPLIANCE_DATA_DIR).")
@click.pass_context
def cli(context: click.Context, data_dir: Path | None) -> None:
    """Self-hosted analytics in one process."""
    context.obj = data_dir


COMMANDS = (
    serve, project, key, user, import_files, status, verify, migrate, drain, dead_letters, seal, rollups, purge, erase,
    copy, demo,
)  # fmt: skip
for command in COMMANDS:
    cli.add_command(command)
