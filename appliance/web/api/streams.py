"""Every stored event of a project as one JSON object, as soon as it is stored, as system C has it.

    WS /api/v1/ws/events/{project}     an event a message (ingest/event_text.py); {"lost": n}
    GET /api/v1/live/{project}         the same as server-sent events: events without a name; `lost`

Who is too slow is told how many events are missing, before those that come after them. Who may read shows a ticket in
the query string, which is used up by that; or an access token or a private key as a Bearer; or comes from our own pages
with their cookie.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from appliance import clock, credentials
from appliance.broadcast import Subscription
from appliance.errors import Invalid, StorageUnavailable, Unauthorized
from appliance.model import Project
from appliance.storage import tickets
from appliance.web import streaming
from appliance.web.access import require_key, state_of, viewer_of
from appliance.web.api import bearer, paths
from appliance.web.parts import parts_of

WS_PATH: Final = "/api/v1/ws/events/{project}"
PATH: Final = "/api/v1/live/{project}"

GOING_AWAY, NOT_ALLOWED, TRY_AGAIN = 1001, 1008, 1013


class Watcher(NamedTuple):
    """A project, and whether who streams its events may still do so."""

    project: Project
    may_still: streaming.MayStill


async def watcher_of(connection: HTTPConnection) -> Watcher:
    """Who may stream the events of the path parameter `project`. Raises Unauthorized, Forbidden, NotFound."""
    ask = await _way_in(connection)
    project = await ask()

    async def may_still() -> bool:
        try:
            return (await ask()).id == project.id
        except Invalid:
            return False

    return Watcher(project, may_still)


async def _way_in(connection: HTTPConnection) -> Callable[[], Awaitable[Project]]:
    """What gives the project, or says why not, whenever it is asked."""
    ticket = connection.query_params.get("ticket")
    if "authorization" in connection.headers:
        return partial(_by_bearer, connection)
    if ticket is not None:
        if credentials.key_kind(ticket) == "private":
            await require_key(connection, "read")  # which refuses it: it stands in an address
        token_hash = await tickets.take(state_of(connection).db, credentials.digest(ticket), at=clock.now())
        if token_hash is None:
            raise Unauthorized("This ticket does not exist, was used, or is too old.", code="unknown_ticket")
        return partial(_by_session, connection, token_hash)
    if (await viewer_of(connection)).account is not None:
        return partial(_by_cookie, connection)
    return partial(_by_bearer, connection)  # which says what is missing


async def _by_bearer(connection: HTTPConnection) -> Project:
    return (await bearer.project_for(connection, "viewer", "read")).project


async def _by_session(connection: HTTPConnection, token_hash: bytes) -> Project:
    return await bearer.project_of(connection, (await bearer.login_of(connection, token_hash)).viewer, "viewer")


async def _by_cookie(connection: HTTPConnection) -> Project:
    streaming.check_origin(connection)
    return await bearer.project_of(connection, await viewer_of(connection, fresh=True), "viewer")


# ---------------------------------------------------------------- server-sent events


async def live(request: Request) -> Response:
    watcher = await watcher_of(request)
    notices = await parts_of(request).streamed.watch(watcher.project.id)
    return streaming.answer(_sent_events(request, notices, watcher.may_still))


async def _sent_events(
    request: Request, notices: Subscription[bytes], may_still: streaming.MayStill
) -> AsyncIterator[bytes]:
    # It gets here before anybody who was told of the answer can send an event: nothing is awaited in between.
    with notices, suppress(StorageUnavailable):
        async for events in streaming.batches(request, notices, may_still):
            if lost := notices.take_lost():
                yield b"event: lost\r\ndata: " + _lost(lost) + b"\r\n\r\n"
            if events:
                yield b"".join(b"data: " + event + b"\r\n\r\n" for event in events)


# ---------------------------------------------------------------- WebSocket


async def events(socket: WebSocket) -> None:
    watcher = await watcher_of(socket)
    with await parts_of(socket).streamed.watch(watcher.project.id) as notices:
        await socket.accept()
        leaving = asyncio.create_task(_until_it_leaves(socket))
        try:
            code = await _send_all(socket, notices, watcher.may_still, leaving)
            if not leaving.done():
                await socket.close(code)
        except WebSocketDisconnect:
            pass  # it left meanwhile
        finally:
            leaving.cancel()


async def _send_all(
    socket: WebSocket, notices: Subscription[bytes], may_still: streaming.MayStill, leaving: asyncio.Task[None]
) -> int:
    """Send until the reader leaves, or may read no more; the code to close with. Raises WebSocketDisconnect."""
    try:
        async for events in streaming.batches(socket, notices, may_still):
            if leaving.done():
                break
            if lost := notices.take_lost():
                events.insert(0, _lost(lost))
            for event in events:
                await socket.send_text(event.decode())
            await asyncio.sleep(0)  # sending alone lets nobody else in
    except StorageUnavailable:
        return TRY_AGAIN
    return GOING_AWAY if parts_of(socket).closing.is_set() else NOT_ALLOWED


async def _until_it_leaves(socket: WebSocket) -> None:
    """What it says meanwhile is nothing to us."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def _lost(number: int) -> bytes:
    return b'{"lost": %d}' % number


def routes() -> list[BaseRoute]:
    return [
        *paths.at(PATH, live, "GET"),
        *(WebSocketRoute(path, events) for path in (WS_PATH, f"{WS_PATH}/")),
    ]
