"""Running it: serve, and what an operator asks or does beside a server."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import click

from appliance import config
from appliance.cli.common import as_json, find_project, load_settings, show, with_database
from appliance.errors import ApplianceError
from appliance.storage.interface import Database


def _setting_options(command: Callable[..., None]) -> Callable[..., None]:
    for info in reversed(config.table()):
        if info.name == "data_dir":
            continue
        flag = "--" + info.name.replace("_", "-")
        command = click.option(flag, info.name, help=f"{info.help} [{info.variable}]")(command)
    return command


@click.command()
@_setting_options
def serve(**flags: Any) -> None:
    """Serve until asked to stop."""
    from appliance.serve import serve as run  # heavy, and only this command needs it

    run(load_settings(**{name: value for name, value in flags.items() if value is not None}))


@click.command()
@as_json
def status(as_json: bool) -> None:
    """What is stored, and how far the journal is drained."""

    from appliance import offline

    value = asyncio.run(offline.status(load_settings()))

    def lines() -> list[str]:
        shown = [
            f"database  {value['database']}  {value['database_bytes']:,} bytes  {value['database_software']}",
            *(f"          {remark}" for remark in value["database_remarks"]),
            *(f"          {name}: {what}" for name, what in value["database_aggregates"].items()),
            f"journal   {value['journal_backlog_bytes']:,} bytes not drained yet",
        ]
        return shown + [
            f"{p['name']}: {p['events']:,} events, {p['pageviews']:,} pageviews, {p['visits']:,} visits, "
            f"{p['visitors']:,} visitors"
            for p in value["projects"]
        ]

    show(value, as_json, lines)


@click.command()
@click.argument("which")
@click.option("--metrics", default="", help="With commas between; those of the overview unless given.")
@click.option("--dimensions", default="", help="With commas between.")
@click.option("--date-range", default="30d", show_default=True, help="A name, or two dates with a comma.")
@click.option("--filters", default="", help="JSON, as in a query.")
@as_json
def verify(which: str, as_json: bool, **wanted: str) -> None:
    """Count figures again over the stored events, and show both. Exit code 1 where they differ."""
    from appliance import offline

    async def work(database: Database) -> dict[str, Any]:
        return await offline.verify(load_settings(), database, await find_project(database, which), wanted)

    value = with_database(work)

    def lines() -> list[str]:
        bounds = f"; at least: {', '.join(value['lower_bounds'])}" if value["lower_bounds"] else ""
        return [f"estimated from sampled data{bounds}"] * value["sampled"] + [
            f"{'ok  ' if row['equal'] else 'WRONG'} {' | '.join(row['dimensions'])} {name}: {answer} counted {count}"
            for row in value["results"]
            for name, answer, count in zip(
                value["metrics"],
                row["metrics"] or [None] * len(value["metrics"]),
                row["recounted"] or [None] * len(value["metrics"]),
                strict=True,
            )
        ]

    show(value, as_json, lines)
    if not value["equal"]:
        sys.exit(1)


@click.command()
def migrate() -> None:
    """Bring the database to this version's schema; of a SQLite file a copy is made before."""

    async def work(database: Database) -> tuple[str, int]:
        return database.location, (await database.condition()).schema

    location, version = with_database(work, may_make=True)
    click.echo(f"{location} has schema version {version}")


@click.command()
@click.option("--timeout", "timeout_seconds", type=float, default=300.0, show_default=True)
def drain(timeout_seconds: float) -> None:
    """Empty the journal into the database: by oneself, or by waiting for the server that runs."""
    from appliance.offline import drain_journal

    remaining = asyncio.run(drain_journal(load_settings(), timeout_seconds))
    if remaining:
        raise ApplianceError(f"{remaining:,} bytes of the journal are left after {timeout_seconds:g} seconds")
    click.echo("the journal is empty")
