"""Funnels that a site keeps: saved from the report under a name, and deleted there.

What is saved stands in the address, as it does on the report; the form sends the name alone.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid
from appliance.storage import funnels
from appliance.storage.funnels import STEPS_MIN
from appliance.web import flash, funnel_steps, report_page, urls
from appliance.web.access import project_for, require_login, state_of
from appliance.web.forms import errors_of, post, read_form, see
from appliance.web.pages import funnels as report
from appliance.web.report_page import bad
from appliance.web.views_forms import Form


def routes() -> list[Route]:
    path = urls.SITES + "/{site}/funnels"
    return [post(path + "/save", save), post(path + "/{funnel:id}/delete", delete)]


async def save(request: Request) -> Response:
    await project_for(request, "admin")
    access, state, definition, _ = await report.answer(request)
    if len(definition.steps) < STEPS_MIN:
        raise bad("step", f"a funnel has at least {STEPS_MIN} steps")
    name = (await read_form(request)).text("name")
    try:
        await funnels.create(
            state_of(request).db,
            access.project.id,
            name,
            definition.kept_steps,
            within=definition.within,
            strict=definition.strict,
            actor=(await require_login(request)).account.email,
            at=clock.now(),
        )
    except Invalid as error:
        action = report.posted_to(state, urls.funnel_save(access.project))
        form = Form(action=action, values={"name": name}, errors=errors_of(error, known=("name",)))
        return await report.answered(request, form, error.status)
    flash.say(request, "funnel_saved")
    return see(state.href())


async def delete(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    state = (await report_page.asked(request, "funnels")).state
    state = state.with_pairs(funnel_steps.read(request.query_params).parameters)
    await funnels.delete(
        state_of(request).db,
        project.id,
        request.path_params["funnel"],
        actor=(await require_login(request)).account.email,
        at=clock.now(),
    )
    flash.say(request, "funnel_deleted")
    return see(state.href())
