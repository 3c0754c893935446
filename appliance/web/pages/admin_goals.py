"""A site's goals: listed, made, deleted. A goal is never changed: what it counted would be another figure."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid
from appliance.model import Project
from appliance.queries.filters import Leaf, to_url
from appliance.queries.goals import GOAL
from appliance.storage import goals
from appliance.storage.goals import Goal
from appliance.web import flash, shell, urls
from appliance.web.access import project_for, require_login, state_of
from appliance.web.forms import Fields, errors_of, get, page, post, read_form, see
from appliance.web.navigation import site_nav
from appliance.web.offered import offered
from appliance.web.options import currency_options
from appliance.web.strings import text
from appliance.web.views_admin import GoalRow, GoalsView
from appliance.web.views_forms import Form

FIELDS = ("kind", "pattern", "name", "property", "value", "currency")


def routes() -> list[Route]:
    path = urls.SITES + "/{site}/settings/goals"
    return [get(path, show), post(path, create), post(path + "/{goal:id}/delete", delete)]


async def show(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    return await _goals_page(request, project, Form(action=urls.goals(project), values={"kind": "event"}))


async def create(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    sent = _sent(await read_form(request))
    try:
        await goals.create(
            state_of(request).db,
            project.id,
            sent["kind"],
            sent["pattern"],
            name=sent["name"],
            prop=sent["property"],
            value=sent["value"],
            currency=sent["currency"],
            actor=(await require_login(request)).account.email,
            at=clock.now(),
        )
    except Invalid as error:
        form = Form(action=urls.goals(project), values=sent, errors=errors_of(error, known=FIELDS))
        return await _goals_page(request, project, form, error.status)
    flash.say(request, "goal_created")
    return see(urls.goals(project))


async def delete(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    await goals.delete(
        state_of(request).db,
        project.id,
        request.path_params["goal"],
        actor=(await require_login(request)).account.email,
        at=clock.now(),
    )
    flash.say(request, "goal_deleted")
    return see(urls.goals(project))


def _sent(form: Fields) -> dict[str, str]:
    return {name: form.text(name).strip() for name in FIELDS}


async def _goals_page(request: Request, project: Project, form: Form, status: int = 200) -> Response:
    found = await goals.of_project(state_of(request).db, project.id)
    view = GoalsView(
        shell=await shell.shell(request, text("nav.goals"), project),
        nav=site_nav(project, "goals"),
        rows=tuple(_row(project, goal) for goal in found),
        form=form,
        currencies=(("", text("goal.currency.any")), *currency_options()),
        offered=await offered(request, project, "event:name", "event:page"),
    )
    return await page(request, "admin/goals.html", view, status)


def _row(project: Project, goal: Goal) -> GoalRow:
    named = urlencode([("f", each) for each in to_url(Leaf("is", GOAL, (goal.name,)))])
    return GoalRow(
        name=goal.name,
        kind=goal.kind,
        pattern=goal.pattern,
        property=goal.property,
        value=goal.value,
        currency=goal.currency,
        href=f"{urls.dashboard(project)}?{named}",
        delete_action=urls.goal_delete(project, goal.id),
    )
