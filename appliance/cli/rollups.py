"""`appliance rollups`: what closed days and months are counted by beforehand."""

import click

from appliance.cli.common import as_json, show, with_database
from appliance.rollups import refresh as job


@click.group()
def rollups() -> None:
    """Counts of closed days and months, from which long ranges are answered."""


@rollups.command()
@as_json
def refresh(as_json: bool) -> None:
    """Make what is missing or out of date; a running server does it every hour."""
    _make(as_json, rebuild=False)


@rollups.command()
@as_json
def rebuild(as_json: bool) -> None:
    """Make all of them anew from the stored visits, with the same result."""
    _make(as_json, rebuild=True)


def _make(as_json: bool, *, rebuild: bool) -> None:
    made = with_database(lambda database: job.refresh(database, rebuild=rebuild))
    show({"made": made}, as_json, lambda: [f"made the rollups of {made:,} days and months"])
