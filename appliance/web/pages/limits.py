"""A site's limits: how many requests may come in ten seconds, and how many events a month."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid
from appliance.model import Project
from appliance.storage import projects, usage
from appliance.web import flash, shell, urls
from appliance.web.access import project_for, require_login, state_of
from appliance.web.forms import errors_of, get, page, post, read_form, see
from appliance.web.navigation import site_nav
from appliance.web.strings import text
from appliance.web.views_forms import Form
from appliance.web.views_limits import LimitsView

FIELDS = ("rate_limit", "quota_events_month")
WARN_PERCENT = 80  # of a quota


def routes() -> list[Route]:
    path = urls.SITES + "/{site}/settings/limits"
    return [get(path, show), post(path, change)]


async def show(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    settings = project.settings
    values = {
        "rate_limit": "" if settings.rate_limit is None else str(settings.rate_limit),
        "quota_events_month": str(settings.quota_events_month or ""),
    }
    return await _page(request, project, Form(action=urls.limits(project), values=values))


async def change(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    form = await read_form(request)
    sent = {name: form.text(name).strip() for name in FIELDS}
    try:
        rate_limit = _number(sent["rate_limit"], "rate_limit") if sent["rate_limit"] else None
        quota = _number(sent["quota_events_month"], "quota_events_month") if sent["quota_events_month"] else 0
        await projects.update(
            state_of(request).db,
            project,
            settings=msgspec.structs.replace(project.settings, rate_limit=rate_limit, quota_events_month=quota),
            actor=(await require_login(request)).account.email,
            at=clock.now(),
        )
    except Invalid as error:
        return await _page(
            request,
            project,
            Form(action=urls.limits(project), values=sent, errors=errors_of(error, known=FIELDS)),
            error.status,
        )
    flash.say(request, "saved")
    return see(urls.limits(project))


def _number(typed: str, field: str) -> int:
    """A whole number as typed, with or without separators of thousands."""
    digits = typed.replace(",", "").replace(" ", "")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 15:
        raise Invalid("Use a whole number.", code="not_a_number", field=field)
    return int(digits)


async def _page(request: Request, project: Project, form: Form, status: int = 200) -> Response:
    state, now = state_of(request), clock.now()
    quota = project.settings.quota_events_month
    used = await usage.in_month_of(state.db, project.id, now, project.timezone)
    share = used * 100 // quota if quota else None
    view = LimitsView(
        shell=await shell.shell(request, text("nav.limits"), project),
        nav=site_nav(project, "limits"),
        form=form,
        rate_limit_default=state.settings.rate_limit_project,
        used=used,
        month=shell.moment(now, project.timezone),
        quota=quota,
        share=share,
        level="ok" if share is None or share < WARN_PERCENT else "warn" if share < 100 else "error",
    )
    return await page(request, "admin/limits.html", view, status)
