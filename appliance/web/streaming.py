"""What every SSE stream does: bring notices at a bearable pace, and end when it may."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request

from appliance.broadcast import Subscription
from appliance.errors import Forbidden, Invalid
from appliance.web.access import Viewer, public_origin, viewer_of
from appliance.web.parts import parts_of

T = TypeVar("T")

EVENTS_PER_SECOND_MAX = 4
WAIT_SECONDS = 1.0  # for notices; then there are none
CHECK_SECONDS = 4.0  # how soon a stream notices that its viewer was logged out or lost what is shown
PING_SECONDS = 15


def check_origin(request: Request) -> None:
    """Raises Forbidden for a stream that another site's page asks for."""
    origin = request.headers.get("origin")
    if origin is not None and origin != public_origin(request):
        raise Forbidden("a stream is read by our own pages only", code="origin_not_allowed")


def after(request: Request) -> int | None:
    """The position that the reader has read up to; None: from now on. Raises Invalid."""
    position = request.headers.get("last-event-id") or request.query_params.get("after")
    if position is None:
        return None
    if not (position.isascii() and position.isdigit() and len(position) < 20):
        raise Invalid("after: not a position in this stream", field="after", status=400)
    return int(position)


def answer(events: AsyncIterator[ServerSentEvent]) -> EventSourceResponse:
    return EventSourceResponse(
        events, ping=PING_SECONDS, headers={"cache-control": "no-store", "x-accel-buffering": "no"}
    )


async def batches(
    request: Request, notices: Subscription[T], may_see: Callable[[Viewer], bool]
) -> AsyncIterator[list[T]]:
    """The notices that came, at most four times a second; none when a second brings none.

    Ends when the viewer may not see them any more, or the process is asked to end.
    """
    closing, checked = parts_of(request).closing, time.monotonic()
    while not closing.is_set():
        taken = await notices.take(WAIT_SECONDS)
        yield taken
        if time.monotonic() - checked > CHECK_SECONDS:
            checked = time.monotonic()
            if not may_see(await viewer_of(request, fresh=True)):
                return
        if taken:
            await asyncio.sleep(1 / EVENTS_PER_SECOND_MAX)
