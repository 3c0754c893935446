"""Files that are made while they are sent; and a page's figures as one: what its cells hold, how it is called."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import structlog
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from appliance.currencies import units
from appliance.queries.metrics import Money, Value
from appliance.queries.tabular import Cell, csv_bytes
from appliance.web import shell
from appliance.web.dashboard_state import State

log = structlog.get_logger(__name__)

# Who takes nothing for so long has left without a word, or wants to keep what is read for it from going on.
TAKEN_SECONDS: Final = 60.0


class _NotTaken(Exception):
    """The client took nothing for too long."""


class Download(StreamingResponse):
    """A file that is made while it is sent, under a name of which what is no plain character is left out.

    It ends, unfinished, when nobody takes it: what is read for it holds a snapshot of the database. `turn` is taken
    already, and given back at the end.
    """

    def __init__(
        self,
        body: AsyncGenerator[bytes, None],
        media_type: str,
        name: str,
        headers: Mapping[str, str] = {},
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        super().__init__(
            body,
            media_type=media_type,
            headers={
                "content-disposition": f'attachment; filename="{_plain(name)}"',
                "cache-control": "private, no-store",
                "x-accel-buffering": "no",
                **headers,
            },
        )
        self._body = body
        self._turn = turn or nullcontext()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._turn:
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(TAKEN_SECONDS):
                    await send(message)
            except TimeoutError:
                raise _NotTaken from None

        try:
            await super().stream_response(send_in_time)
        except _NotTaken:
            log.warning("a download was not taken and is cut off", seconds=TAKEN_SECONDS)
        finally:
            await self._body.aclose()


def download(body: AsyncGenerator[bytes, None], state: State, what: str, *, sampled: bool) -> Response:
    """A file that is made while it is sent; `what` and the state's days name it. A header says that it rests on
    `sampled` data: columns and rows are the same as without."""
    there = state.range
    name = f"{shell.label(state.project)}-{what}-{there.first_day}-{there.last_day}.csv"
    return Download(body, "text/csv; charset=utf-8", name, {"x-sampled": "true"} if sampled else {})


def table_of(rows: Iterable[Sequence[Cell]], state: State, what: str, *, sampled: bool) -> Response:
    """A file of rows that are all there, the header row first."""

    async def whole() -> AsyncGenerator[bytes, None]:
        yield csv_bytes(rows)

    return download(whole(), state, what, sampled=sampled)


def cell(value: Value) -> Cell:
    """A figure; money in units of its currency."""
    return units(*value) if isinstance(value, Money) else value


def _plain(text: str) -> str:
    """A text as the name of a file, or a part of one."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in text)
