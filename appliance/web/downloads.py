"""A page's figures as a CSV file: what its cells hold, how the file is called."""

from collections.abc import AsyncIterator, Iterable, Sequence

from starlette.responses import Response, StreamingResponse

from appliance.currencies import units
from appliance.queries.metrics import Money, Value
from appliance.queries.tabular import Cell, csv_bytes
from appliance.web import shell
from appliance.web.dashboard_state import State


def download(body: AsyncIterator[bytes], state: State, what: str, *, sampled: bool) -> Response:
    """A file that is made while it is sent; `what` and the state's days name it. A header says that it rests on
    `sampled` data: columns and rows are the same as without."""
    there = state.range
    name = f"{_plain(shell.label(state.project))}-{_plain(what)}-{there.first_day}-{there.last_day}.csv"
    return StreamingResponse(
        body,
        media_type="text/csv; charset=utf-8",
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "cache-control": "private, no-store",
            "x-accel-buffering": "no",
            **({"x-sampled": "true"} if sampled else {}),
        },
    )


def table_of(rows: Iterable[Sequence[Cell]], state: State, what: str, *, sampled: bool) -> Response:
    """A file of rows that are all there, the header row first."""

    async def whole() -> AsyncIterator[bytes]:
        yield csv_bytes(rows)

    return download(whole(), state, what, sampled=sampled)


def cell(value: Value) -> Cell:
    """A figure; money in units of its currency."""
    return units(*value) if isinstance(value, Money) else value


def _plain(text: str) -> str:
    """A text as a part of a file's name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in text)
