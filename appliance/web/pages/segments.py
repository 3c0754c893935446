"""Segments: saved from the dashboard's filters under a name; listed, renamed and deleted in the site's settings."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid
from appliance.model import Project
from appliance.queries.filters import SEGMENT, Leaf, to_json, to_url
from appliance.queries.goals import checking
from appliance.queries.segments import checked, tree_of
from appliance.storage import goals, segments
from appliance.storage.segments import Segment
from appliance.web import dashboard_state, filter_words, flash, shell, urls
from appliance.web.access import project_for, require_login, state_of
from appliance.web.asking import asked
from appliance.web.forms import errors_of, get, page, post, read_form, see
from appliance.web.navigation import site_nav
from appliance.web.pages import dashboard
from appliance.web.strings import text
from appliance.web.views_admin import SegmentRow, SegmentsView
from appliance.web.views_forms import Form


def routes() -> list[Route]:
    listed = urls.SITES + "/{site}/settings/segments"
    one = listed + "/{segment:id}"
    return [
        get(listed, show),
        post(one + "/rename", rename),
        post(one + "/delete", delete),
        post(urls.SITES + "/{site}/segments/save", save),
    ]


async def save(request: Request) -> Response:
    """Keep the filters in the address; the dashboard then has the segment in their place."""
    await project_for(request, "admin")
    access, state = await asked(request)
    name = (await read_form(request)).text("name")
    try:
        filters = checked([to_json(part) for part in state.parts], state.goals)
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    try:
        segment = await segments.create(
            state_of(request).db, access.project.id, name, filters, actor=await _actor(request), at=clock.now()
        )
    except Invalid as error:
        action = state.href(urls.segment_save(access.project))
        form = Form(action=action, values={"name": name}, errors=errors_of(error, known=("name",)))
        return await dashboard.shown(request, form, error.status)
    flash.say(request, "segment_saved")
    return see(state.with_parts([_leaf(segment)]).href())


async def show(request: Request) -> Response:
    return await _page(request, (await project_for(request, "admin")).project)


async def rename(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    segment_id = request.path_params["segment"]
    name = (await read_form(request)).text("name")
    try:
        await segments.rename(
            state_of(request).db, project.id, segment_id, name, actor=await _actor(request), at=clock.now()
        )
    except Invalid as error:
        form = Form(
            action=urls.segment_rename(project, segment_id),
            values={"name": name},
            errors=errors_of(error, known=("name",)),
        )
        return await _page(request, project, {segment_id: form}, error.status)
    flash.say(request, "segment_renamed")
    return see(urls.segments(project))


async def delete(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    segment_id = request.path_params["segment"]
    await segments.delete(state_of(request).db, project.id, segment_id, actor=await _actor(request), at=clock.now())
    flash.say(request, "segment_deleted")
    return see(urls.segments(project))


async def _actor(request: Request) -> str:
    return (await require_login(request)).account.email


async def _page(request: Request, project: Project, sent: dict[int, Form] | None = None, status: int = 200) -> Response:
    """The list; `sent` are forms that something is wrong with, by segment."""
    db = state_of(request).db
    known = await goals.of_project(db, project.id)
    rows = []
    for segment in await segments.of_project(db, project.id):
        try:
            words, broken = filter_words.sentence(tree_of(segment, checking(known))), False
        except Invalid as error:
            words, broken = str(error), True
        rename = Form(action=urls.segment_rename(project, segment.id), values={"name": segment.name})
        rows.append(
            SegmentRow(
                id=segment.id,
                name=segment.name,
                filters=words,
                broken=broken,
                href=f"{urls.dashboard(project)}?f={to_url(_leaf(segment))[0]}",
                rename=(sent or {}).get(segment.id, rename),
                delete_action=urls.segment_delete(project, segment.id),
            )
        )
    view = SegmentsView(
        shell=await shell.shell(request, text("nav.segments"), project),
        nav=site_nav(project, "segments"),
        rows=tuple(rows),
        dashboard_href=urls.dashboard(project),
    )
    return await page(request, "admin/segments.html", view, status)


def _leaf(segment: Segment) -> Leaf:
    return Leaf("is", SEGMENT, (str(segment.id),))
