"""How many of a site's events are kept: of all, and by rules on their names."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid
from appliance.model import Project
from appliance.storage import projects
from appliance.web import flash, sampling_form, shell, urls
from appliance.web.access import project_for, require_login, state_of
from appliance.web.forms import errors_of, get, page, post, read_form, see
from appliance.web.navigation import site_nav
from appliance.web.offered import offered
from appliance.web.sampling_form import FIELDS, NAMES
from appliance.web.strings import text
from appliance.web.views_forms import Form
from appliance.web.views_limits import RuleFields, SamplingView


def routes() -> list[Route]:
    path = urls.SITES + "/{site}/settings/sampling"
    return [get(path, show), post(path, change)]


async def show(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    form = Form(action=urls.sampling(project), values=sampling_form.values(project.settings.sampling))
    return await _page(request, project, form, sampling_form.rule_lines(project.settings.sampling_rules))


async def change(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    form = await read_form(request)
    sent, lines = sampling_form.sent(form), sampling_form.sent_lines(form)
    try:
        settings = msgspec.structs.replace(
            project.settings,
            sampling=sampling_form.read(sent),
            sampling_rules=sampling_form.read_rules(lines, sent["period"]),
        )
        await projects.update(
            state_of(request).db,
            project,
            settings=settings,
            actor=(await require_login(request)).account.email,
            at=clock.now(),
        )
    except Invalid as error:
        lines = sampling_form.with_error(lines, error)
        known = (*FIELDS, *(f"rule-{number}" for number in range(len(lines))))
        shown = Form(action=urls.sampling(project), values=sent, errors=errors_of(error, NAMES, known=known))
        return await _page(request, project, shown, sampling_form.with_free_lines(lines), error.status)
    flash.say(request, "saved")
    return see(urls.sampling(project))


async def _page(
    request: Request, project: Project, form: Form, rules: tuple[RuleFields, ...], status: int = 200
) -> Response:
    view = SamplingView(
        shell=await shell.shell(request, text("nav.sampling"), project),
        nav=site_nav(project, "sampling"),
        form=form,
        rules=rules,
        offered=await offered(request, project, "event:name"),
    )
    return await page(request, "admin/sampling.html", view, status)
