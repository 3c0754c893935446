"""A site's imports: a file to upload, and what became of those before."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.clock import MICROSECONDS, MINUTE
from appliance.errors import Invalid, StorageFull
from appliance.ingest.imports.formats import FORMATS
from appliance.ingest.imports.identify import Given
from appliance.model import Project
from appliance.storage import imports
from appliance.storage.imports import ACTIVE, Import
from appliance.web import flash, shell, urls
from appliance.web.access import project_for, require_login, state_of
from appliance.web.forms import errors_of, get, page, post, see
from appliance.web.navigation import site_nav
from appliance.web.parts import parts_of
from appliance.web.rendering import wants_fragment
from appliance.web.strings import text
from appliance.web.uploads import received
from appliance.web.views_admin import ImportRow, ImportsView
from appliance.web.views_forms import Form

FIELDS = ("file", "format", "source")
ROWS_MAX = 50
STALLED_AFTER = 2 * MINUTE


def routes() -> list[Route]:
    path = urls.SITES + "/{site}/settings/imports"
    return [
        get(path, show),
        Route(path, upload, methods=["POST"]),  # of any size
        post(path + "/{import_id}/stop", stop),
        post(path + "/{import_id}/forget", forget),
    ]


async def show(request: Request) -> Response:
    """The whole page, or its list alone, for which the page asks while something goes on."""
    project = (await project_for(request, "admin")).project
    return await _imports_page(request, project, Form(action=urls.imports(project)))


async def upload(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    parts = parts_of(request)
    actor = (await require_login(request)).account.email
    values = dict.fromkeys(FIELDS, "")
    try:
        sent = await received(request)
        values |= {name: sent.fields.get(name, "").strip() for name in ("format", "source")}
        if not sent.name:
            raise Invalid("Choose a file.", code="missing", field="file")
        given = Given(sent.name, values["format"] or None, values["source"], honours=True, actor=actor)
        found, behind = await parts.imports.accept(
            project,
            sent.chunks,
            given,
            native_only=False,
            expected=sent.expected,
            bytes_max=parts.settings.upload_bytes_max,
        )
    except (Invalid, StorageFull) as error:
        wrong = {"": str(error)} if isinstance(error, StorageFull) else errors_of(error, known=FIELDS)
        form = Form(action=urls.imports(project), values=values, errors=wrong)
        return await _imports_page(request, project, form, error.status)
    flash.say(request, "import_waits" if behind else "import_known")
    return see(f"{urls.imports(project)}#{found.id}")


async def stop(request: Request) -> Response:
    project, found = await _found(request)
    if found.state in ACTIVE:
        await parts_of(request).imports.stop(found, actor=(await require_login(request)).account.email)
    flash.say(request, "import_stopped")
    return see(urls.imports(project))


async def forget(request: Request) -> Response:
    project, found = await _found(request)
    actor = (await require_login(request)).account.email
    await imports.forget(state_of(request).db, found, actor=actor, at=clock.now())
    flash.say(request, "import_forgotten")
    return see(urls.imports(project))


async def _found(request: Request) -> tuple[Project, Import]:
    project = (await project_for(request, "admin")).project
    found = await imports.find(state_of(request).db, request.path_params["import_id"])
    return project, imports.require(found, project.id)


async def _imports_page(request: Request, project: Project, form: Form, status: int = 200) -> Response:
    found = await imports.of_project(state_of(request).db, project.id, limit=ROWS_MAX)
    view = ImportsView(
        shell=await shell.shell(request, text("nav.imports"), project),
        nav=site_nav(project, "imports"),
        rows=tuple(_row(project, each) for each in found),
        form=form,
        file_formats=(
            ("", text("import.format.any")),
            *((known.name, text(f"import.format.{known.name}")) for known in FORMATS),
        ),
        refresh_href=urls.imports(project) if any(each.state in ACTIVE for each in found) else None,
    )
    template = "admin/_imports.html" if wants_fragment(request.headers) else "admin/imports.html"
    return await page(request, template, view, status, headers={"cache-control": "no-store", "vary": "HX-Request"})


def _row(project: Project, found: Import) -> ImportRow:
    counts, active = found.counts, found.state in ACTIVE
    days = None
    if counts.first is not None and counts.last is not None:
        zone = ZoneInfo(project.timezone)
        days = tuple(_moment(time).astimezone(zone).date().isoformat() for time in (counts.first, counts.last))
    return ImportRow(
        name=found.name,
        file_format=found.format,
        state=found.state,
        at=_moment(found.updated_at),
        stored=counts.stored,
        duplicates=counts.duplicates,
        refused=counts.refused,
        dropped=tuple(sorted(counts.dropped.items(), key=lambda pair: (-pair[1], pair[0]))),
        faults=tuple((fault.line, fault.message) for fault in counts.faults),
        percent=found.bytes_read * 100 // max(found.bytes_total, 1) if active else None,
        days=days,  # type: ignore[arg-type]  # two of them
        error=found.error,
        stalled=found.state == "running" and clock.now() - found.updated_at > STALLED_AFTER,
        stop_action=urls.import_stop(project, found.id) if active else None,
        forget_action=urls.import_forget(project, found.id) if not active and not counts.stored else None,
    )


def _moment(time: int) -> datetime:
    return datetime.fromtimestamp(time // MICROSECONDS, UTC)
