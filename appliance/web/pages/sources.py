"""A site's sources: listed, described, switched off, sampled otherwise than the site."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import ChunkDamaged, Invalid, Unavailable
from appliance.model import Project, Source, SourceSettings
from appliance.queries.period import Named
from appliance.queries.question import LIMIT_MAX, Report
from appliance.storage import sampling_fields, sources
from appliance.web import flash, sampling_form, shell, urls
from appliance.web.access import project_for, require_login, state_of
from appliance.web.attended import reports_of
from appliance.web.forms import errors_of, get, page, post, read_form, see
from appliance.web.navigation import site_nav
from appliance.web.sampling_form import FIELDS, NAMES
from appliance.web.strings import text
from appliance.web.views_forms import Form
from appliance.web.views_limits import SourceRow, SourcesView, SourceView

AS_PROJECT = "project"  # the strategy of a source that has none of its own
_EVENTS = Report(("events",), ("event:source",), limit=LIMIT_MAX)


def routes() -> list[Route]:
    listed = urls.SITES + "/{site}/settings/sources"
    one = listed + "/{source:id}"
    return [get(listed, show), get(one, show_one), post(one, change)]


async def show(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    found = await sources.of_project(state_of(request).db, project.id)
    counts = await _events(request, project) if found else {}
    view = SourcesView(
        shell=await shell.shell(request, text("nav.sources"), project),
        nav=site_nav(project, "sources"),
        rows=tuple(_row(project, source, counts) for source in found),
    )
    return await page(request, "admin/sources.html", view)


async def show_one(request: Request) -> Response:
    project, source = await _asked(request)
    own = source.settings.sampling
    values = {
        "description": source.description,
        **sampling_form.values(own or project.settings.sampling),
        **({"take": "on"} if not source.settings.off else {}),
        **({"strategy": AS_PROJECT} if own is None else {}),
    }
    return await _page(request, project, source, Form(action=urls.source(project, source.id), values=values))


async def change(request: Request) -> Response:
    project, source = await _asked(request)
    form = await read_form(request)
    sent = {"description": form.text("description"), **sampling_form.sent(form)}
    if form.on("take"):
        sent["take"] = "on"
    try:
        own = None if sent["strategy"] == AS_PROJECT else sampling_form.read(sent)
        await sources.change(
            state_of(request).db,
            source,
            description=sent["description"],
            settings=SourceSettings(off="take" not in sent, sampling=own),
            actor=(await require_login(request)).account.email,
            at=clock.now(),
        )
    except Invalid as error:
        errors = errors_of(error, NAMES, known=("description", *FIELDS))
        shown = Form(action=urls.source(project, source.id), values=sent, errors=errors)
        return await _page(request, project, source, shown, error.status)
    flash.say(request, "saved")
    return see(urls.sources(project))


async def _asked(request: Request) -> tuple[Project, Source]:
    project = (await project_for(request, "admin")).project
    return project, await sources.find(state_of(request).db, project.id, request.path_params["source"])


async def _page(request: Request, project: Project, source: Source, form: Form, status: int = 200) -> Response:
    view = SourceView(
        shell=await shell.shell(request, source.name, project),
        nav=site_nav(project, "sources"),
        name=source.name,
        created_at=shell.moment(source.created_at, project.timezone),
        form=form,
        back_href=urls.sources(project),
    )
    return await page(request, "admin/source.html", view, status)


async def _events(request: Request, project: Project) -> dict[str, int] | None:
    """Events of the last 30 days by source; None where they cannot be asked."""
    reports = reports_of(request)
    try:
        table = await reports.answer(await reports.scope(project, Named("30d"), clock.now()), _EVENTS)
    except (Unavailable, ChunkDamaged, Invalid):
        return None
    return {row.labels[0]: _whole(row.values[0]) for row in table.rows}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _row(project: Project, source: Source, events: dict[str, int] | None) -> SourceRow:
    own = source.settings.sampling
    return SourceRow(
        name=source.name,
        description=source.description,
        href=urls.source(project, source.id),
        seen_at=shell.moment(source.seen_at, project.timezone),
        events=None if events is None else events.get(source.name, 0),
        off=source.settings.off,
        strategy=own.strategy if own is not None else "",
        percent=sampling_fields.percentage(own.rate) if own is not None else "",
    )
