"""What every SSE stream does: bring notices at a bearable pace, and end when it may."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import HTTPConnection, Request

from appliance.broadcast import Subscription
from appliance.errors import Forbidden, Invalid
from appliance.web.access import Viewer, public_origin, viewer_of
from appliance.web.parts import parts_of

T = TypeVar("T")
R = TypeVar("R")
MayStill = Callable[[], Awaitable[bool]]  # whether who reads may see what is shown, asked anew

EVENTS_PER_SECOND_MAX = 4
WAIT_SECONDS = 1.0  # for notices; then there are none
NOTICES_AT_ONCE_MAX = 200
CHECK_SECONDS = 3.0  # how soon a stream notices that its viewer was logged out or lost what is shown
PING_SECONDS = 15


def check_origin(connection: HTTPConnection) -> None:
    """Raises Forbidden for a stream that another site's page asks for."""
    origin = connection.headers.get("origin")
    if origin is not None and origin != public_origin(connection):
        raise Forbidden("a stream is read by our own pages only", code="origin_not_allowed")


def after(request: Request) -> int | None:
    """The position that the reader has read up to; None: from now on. Raises Invalid."""
    position = request.headers.get("last-event-id") or request.query_params.get("after")
    if position is None:
        return None
    if not (position.isascii() and position.isdigit() and len(position) < 20):
        raise Invalid("after: not a position in this stream", field="after", status=400)
    return int(position)


def answer(events: AsyncIterator[ServerSentEvent | bytes]) -> EventSourceResponse:
    return EventSourceResponse(
        events, ping=PING_SECONDS, headers={"cache-control": "no-store", "x-accel-buffering": "no"}
    )


def while_viewer(connection: HTTPConnection, may_see: Callable[[Viewer], bool]) -> MayStill:
    """For `batches`: as long as the connection's login session is in force, and its account may see what is shown."""

    async def may_still() -> bool:
        return may_see(await viewer_of(connection, fresh=True))

    return may_still


async def batches(connection: HTTPConnection, notices: Subscription[T], may_still: MayStill) -> AsyncIterator[list[T]]:
    """The notices that came, at most so many at once and, unless more wait, four times a second; none when a second
    brings none.

    Ends when who reads may not see them any more, and at once when the process is asked to end.
    """
    closing, checked = parts_of(connection).closing, time.monotonic()
    while not closing.is_set():
        if time.monotonic() - checked > CHECK_SECONDS:
            checked = time.monotonic()
            if not await may_still():
                return
        taken = await _unless(closing, notices.take(WAIT_SECONDS, NOTICES_AT_ONCE_MAX)) or []
        yield taken
        if taken and not notices.more:
            await _unless(closing, asyncio.sleep(1 / EVENTS_PER_SECOND_MAX))


async def _unless(closing: asyncio.Event, wait: Coroutine[Any, Any, R]) -> R | None:
    """What is waited for; None as soon as the process is asked to end."""
    waiting, closed = asyncio.create_task(wait), asyncio.create_task(closing.wait())
    try:
        await asyncio.wait((waiting, closed), return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
        closed.cancel()
