"""The live page, its figures, and the stream that keeps it and other pages up to date."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Literal, NamedTuple, cast

from sse_starlette import ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid
from appliance.ingest.progress import FeedItem
from appliance.ingest.refusals import Refusal
from appliance.model import Project
from appliance.web import feed, shell, streaming, urls
from appliance.web.access import project_for
from appliance.web.forms import NO_STORE, get, page
from appliance.web.navigation import live_sides
from appliance.web.parts import Parts, parts_of
from appliance.web.strings import text
from appliance.web.views import Choice, LiveView, Shell

Only = Literal["all", "accepted", "refused"]

TICK_SECONDS = 1.0


def routes() -> list[Route]:
    return [
        get(urls.SITES + "/{site}/live", show),
        get(urls.SITES + "/{site}/live/now", show_now),
        get(urls.SITES + "/{site}/stream", stream),
    ]


async def show(request: Request) -> Response:
    access = await project_for(request)
    view = await _view(request, access.project)
    if access.viewer.may("admin", access.project.id):
        view = replace(view, sides=live_sides(access.project, "visitors"))
    return await page(request, "live/page.html", view, headers=NO_STORE)


async def show_now(request: Request) -> Response:
    access = await project_for(request)
    view = await _view(request, access.project)
    return await page(request, "live/_now.html", view, headers={**NO_STORE, "vary": "HX-Request"})


async def _view(request: Request, project: Project) -> LiveView:
    parts, only = parts_of(request), _only(request)
    frame = await shell.shell(request, text("live.title"), project, stream=only)
    # Nothing is awaited from here on: what is read now and what the stream begins with meet without a gap or overlap.
    now = clock.now()
    looked = parts.presence.look(project.id, now)
    items = parts.presence.feed(project.id) if only != "refused" else []
    refusals = parts.refusals.newest(project.id, now, feed.FEED_MAX) if only != "accepted" else []
    return LiveView(
        shell=replace(frame, live=looked.people),
        now=looked.people,
        minutes=tuple(looked.minutes),
        panels=feed.now_panels(project, looked),
        feed=feed.rows(items, refusals, project.timezone),
        last_visit_at=shell.moment(looked.last_event_at, project.timezone) if looked.last_event_at else None,
        refresh_href=urls.live_now(project),
        refused_href=urls.refused(project),
        only=only,
        only_choices=tuple(
            Choice(key=key, href=f"{urls.live(project)}?only={key}", active=key == only)
            for key in ("all", "accepted", "refused")
        ),
    )


def _only(request: Request) -> Only:
    only = request.query_params.get("only", "all")
    if only not in ("all", "accepted", "refused"):
        raise Invalid(f"only: {only!r} is not one of all, accepted, refused", field="only", status=400)
    return cast("Only", only)


async def stream(request: Request) -> Response:
    access = await project_for(request)
    streaming.check_origin(request)
    # Most pages show who is there, and no feed.
    only = None if request.query_params.get("only") == "none" else _only(request)
    return streaming.answer(_events(request, access.project, only, streaming.after(request)))


async def _events(
    request: Request, project: Project, only: Only | None, after: int | None
) -> AsyncIterator[ServerSentEvent]:
    """Named events: `live` (people now), `feed` (rows), `tick` (something was stored), `first` (there are events).

    Begins with what happened since `after`, a position the page was made with or an id of the stream.
    """
    parts = parts_of(request)
    told, ticked = parts.presence.people(project.id, clock.now()), 0.0
    with parts.notices.subscribe(project.id, after) as notices:
        waiting_for_first = await parts.first_event_at(project) is None
        if not waiting_for_first:
            yield ServerSentEvent("", event="first")
        yield ServerSentEvent(str(told), event="live")
        may_still = streaming.while_viewer(request, lambda viewer: viewer.role_in(project.id) is not None)
        async for taken in streaming.batches(request, notices, may_still):
            people = parts.presence.people(project.id, clock.now())
            if people != told:
                told = people
                yield ServerSentEvent(str(people), event="live")
            stored = [notice for notice in taken if isinstance(notice, FeedItem)]
            if stored and waiting_for_first:
                waiting_for_first = False
                yield ServerSentEvent("", event="first")
            if only is not None and (rows := _rows(parts, project, taken, only)):
                yield ServerSentEvent(rows, event="feed", id=str(notices.position))
            if stored and time.monotonic() - ticked > TICK_SECONDS:
                ticked = time.monotonic()
                yield ServerSentEvent("", event="tick", id=str(notices.position))


def _rows(parts: Parts, project: Project, notices: list[FeedItem | Refusal], only: Only) -> str:
    """The lines for what was stored and refused, newest first."""
    items = [notice for notice in notices if isinstance(notice, FeedItem)] if only != "refused" else []
    refusals = [notice for notice in notices if isinstance(notice, Refusal)] if only != "accepted" else []
    view = _RowsView(Shell(title="", now=shell.moment(clock.now(), project.timezone)))
    lines = feed.rows(items, refusals, project.timezone)
    return "".join(parts.render("live/_feed_row.html", view, row=row) for row in lines)


class _RowsView(NamedTuple):
    """What a line of the log needs of a page."""

    shell: Shell
