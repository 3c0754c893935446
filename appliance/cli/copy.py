"""`appliance copy`: move an installation from one database to another."""

import sys
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.common import as_json, show
from appliance.cli.progress import Progress

if TYPE_CHECKING:
    from appliance.storage.copying.job import Copied


@click.command()
@click.option("--from", "source", required=True, help="sqlite:///path, a path, or postgresql://…")
@click.option("--to", "target", required=True, help="The same; a new database, or one that this copy was begun in.")
@click.option("--restart", is_flag=True, help="Begin an unfinished copy anew.")
@as_json
def copy(source: str, target: str, restart: bool, as_json: bool) -> None:
    """Copy everything into another database. Exit code 1 where the two differ in the end."""
    from appliance.storage.copying.between import copy_between  # heavy, and only this command needs it

    with Progress("events", shown=sys.stderr.isatty() and not as_json) as progress:

        def tell(doing: str, events: int, total: int) -> None:
            progress.tell(doing, events, total, events)

        copied = copy_between(source, target, restart=restart, tell=tell)
    show(_json(copied), as_json, lambda: _lines(copied))
    if not copied.equal:
        sys.exit(1)


def _json(copied: "Copied") -> dict[str, Any]:
    return {
        "equal": copied.equal,
        "events": copied.events,
        "figures": [figure._asdict() | {"equal": figure.equal} for figure in copied.figures],
    }


def _lines(copied: "Copied") -> list[str]:
    lines = [
        f"{'ok  ' if figure.equal else 'WRONG'} {_of(figure.project)}{figure.name}: {figure.source:,}"
        f" copied {figure.target:,}"
        for figure in copied.figures
    ]
    if not copied.equal:
        lines.append("the copy differs and is not served; run this again, or with --restart")
    return lines


def _of(project: int | None) -> str:
    return "" if project is None else f"project {project} "
