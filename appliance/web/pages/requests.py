"""Requests as they come in, for who wonders why nothing arrives: those of a site on its live page, and for owners those
that name no site."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import urlencode

from sse_starlette import ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.ingest.refusals import UNKNOWN_PROJECT
from appliance.ingest.seen_requests import KEPT_PER_PROJECT, SeenRequest
from appliance.model import Project
from appliance.web import request_rows, shell, streaming, urls
from appliance.web.access import Viewer, project_for, require_role
from appliance.web.forms import NO_STORE, get, page
from appliance.web.navigation import live_sides
from appliance.web.parts import Parts, parts_of
from appliance.web.strings import text
from appliance.web.views import Shell
from appliance.web.views_requests import RequestsView


def routes() -> list[Route]:
    of_site = urls.SITES + "/{site}/live/requests"
    return [
        get(of_site, show),
        get(of_site + "/stream", stream),
        get(urls.ADMIN_REQUESTS, show_unnamed),
        get(urls.ADMIN_REQUESTS_STREAM, stream_unnamed),
    ]


async def show(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    parts = parts_of(request)
    frame = await shell.shell(request, text("requests.title"), project)
    view = RequestsView(
        shell=replace(
            frame,
            live=parts.presence.people(project.id, clock.now()),
            stream_href=_stream_href(parts, urls.requests_stream(project)),
        ),
        rows=request_rows.newest(parts, project.id, project.timezone),
        rows_max=KEPT_PER_PROJECT,
        sides=live_sides(project, "requests"),
        back_href=urls.dashboard(project),
    )
    return await page(request, "live/requests.html", view, headers=NO_STORE)


async def show_unnamed(request: Request) -> Response:
    await require_role(request, "owner")
    parts = parts_of(request)
    frame = await shell.shell(request, text("requests.title"))
    view = RequestsView(
        shell=replace(frame, stream_href=_stream_href(parts, urls.ADMIN_REQUESTS_STREAM)),
        rows=request_rows.newest(parts, UNKNOWN_PROJECT, "UTC"),
        rows_max=KEPT_PER_PROJECT,
        back_href=urls.ADMIN_SYSTEM,
    )
    return await page(request, "live/requests.html", view, headers=NO_STORE)


async def stream(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    return _stream(request, project, lambda viewer: viewer.may("admin", project.id))


async def stream_unnamed(request: Request) -> Response:
    await require_role(request, "owner")
    return _stream(request, None, lambda viewer: viewer.may("owner"))


def _stream(request: Request, project: Project | None, may_see: Callable[[Viewer], bool]) -> Response:
    streaming.check_origin(request)
    return streaming.answer(_events(request, project, may_see, streaming.after(request)))


async def _events(
    request: Request, project: Project | None, may_see: Callable[[Viewer], bool], after: int | None
) -> AsyncIterator[ServerSentEvent]:
    """Named events: `feed` (rows), and of a site `live` (people now)."""
    parts, told = parts_of(request), -1
    topic, zone = (project.id, project.timezone) if project is not None else (UNKNOWN_PROJECT, "UTC")
    with parts.requests_seen.subscribe(topic, after) as notices:
        async for taken in streaming.batches(request, notices, streaming.while_viewer(request, may_see)):
            if project is not None and (people := parts.presence.people(project.id, clock.now())) != told:
                told = people
                yield ServerSentEvent(str(people), event="live")
            if taken:
                yield ServerSentEvent(_rows(parts, taken, zone), event="feed", id=str(notices.position))


def _rows(parts: Parts, requests: list[SeenRequest], zone: str) -> str:
    """The lines for requests, newest first."""
    view = _RowsView(Shell(title="", now=shell.moment(clock.now(), zone)))
    lines = (request_rows.row(seen, zone) for seen in reversed(requests))
    return "".join(parts.render("live/_request_row.html", view, row=line) for line in lines)


def _stream_href(parts: Parts, path: str) -> str:
    return f"{path}?{urlencode({'after': parts.requests_seen.position})}"


class _RowsView(NamedTuple):
    """What a line needs of a page."""

    shell: Shell
