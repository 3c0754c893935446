"""A bar on standard error, for commands that take minutes."""

import sys
import time
from typing import Any, Self

import click


class Progress:
    """What is being done, how much of it, and how fast: so many of `unit` a second."""

    def __init__(self, unit: str, *, shown: bool) -> None:
        self._unit = unit
        self._shown = shown
        self._bar: Any = None
        self._doing = ""
        self._counted = 0
        self._since = (0.0, 0)  # clock and count when what is being done began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def tell(self, doing: str, done: int, total: int, counted: int) -> None:
        """`done` of `total` is how far the bar goes; `counted` is what the speed is about."""
        if not self._shown:
            return
        self._counted = counted
        if doing != self._doing:
            self._end()
            self._doing, self._since = doing, (time.monotonic(), counted)
            self._bar = click.progressbar(
                length=max(total, 1), label=f"{doing:18}", file=sys.stderr, item_show_func=self._rate
            )
            self._bar.__enter__()
        self._bar.update(done - self._bar.pos, done)

    def _rate(self, _: int | None) -> str:
        seconds = time.monotonic() - self._since[0]
        done = self._counted - self._since[1]
        return f"{done / seconds:,.0f} {self._unit}/s" if done > 0 and seconds > 0 else ""

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
