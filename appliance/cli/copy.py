"""`appliance copy`: move an installation from one database to another."""

import sys
import time
from typing import TYPE_CHECKING, Any, Self

import click

from appliance.cli.common import as_json, show

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

    with _Progress(shown=sys.stderr.isatty() and not as_json) as progress:
        copied = copy_between(source, target, restart=restart, tell=progress.tell)
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


class _Progress:
    """A bar on standard error: what is being done, how much of it, how fast."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None
        self._doing = ""
        self._since = (0.0, 0)  # clock and events when what is being done began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def tell(self, doing: str, events: int, total: int) -> None:
        """Implements `Tell`."""
        if not self._shown:
            return
        if doing != self._doing:
            self._end()
            self._doing, self._since = doing, (time.monotonic(), events)
            self._bar = click.progressbar(
                length=max(total, 1), label=f"{doing:18}", file=sys.stderr, item_show_func=self._rate
            )
            self._bar.__enter__()
        self._bar.update(events - self._bar.pos, events)

    def _rate(self, events: int | None) -> str:
        seconds = time.monotonic() - self._since[0]
        done = (events or 0) - self._since[1]
        return f"{done / seconds:,.0f} events/s" if done > 0 and seconds > 0 else ""

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
