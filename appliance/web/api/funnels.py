"""`/api/v1/sites/funnels`: the saved funnels of the key's project.

`PUT` `{name, steps: [{on: "page" | "event", step, where?, value?}, ...], within?, strict?}` keeps one, or finds it;
`GET` lists; `DELETE /{id}` forgets one. `site_id` may name the project of the key.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid
from appliance.model import Project
from appliance.storage import funnels
from appliance.storage.funnels import Funnel, Step
from appliance.web import funnel_steps
from appliance.web.access import require_key
from appliance.web.api import paths, sites
from appliance.web.parts import parts_of

PATH = "/api/v1/sites/funnels"


class Wanted(msgspec.Struct):
    """The body of PUT."""

    name: str
    steps: tuple[Step, ...]
    site_id: str | None = None
    within: str = "visit"
    strict: bool = False


async def listed(request: Request) -> Response:
    grant = await require_key(request, "read")
    sites.check_site(request.query_params.get("site_id"), grant.project)
    found = await funnels.of_project(parts_of(request).db, grant.project.id)
    return JSONResponse({"funnels": [_shown(funnel, grant.project) for funnel in found]})


async def put(request: Request) -> Response:
    grant = await require_key(request, "manage")
    wanted = await sites.wanted(request, Wanted)
    sites.check_site(wanted.site_id, grant.project)
    _check_conditions(wanted.steps)
    funnel = await funnels.create(
        parts_of(request).db,
        grant.project.id,
        wanted.name,
        wanted.steps,
        within=wanted.within,
        strict=wanted.strict,
        actor=grant.key.prefix,
        at=clock.now(),
    )
    return JSONResponse(_shown(funnel, grant.project))


async def delete(request: Request) -> Response:
    grant = await require_key(request, "manage")
    funnel_id = request.path_params["funnel_id"]
    await funnels.delete(parts_of(request).db, grant.project.id, funnel_id, actor=grant.key.prefix, at=clock.now())
    return JSONResponse({"deleted": True})


def _check_conditions(steps: tuple[Step, ...]) -> None:
    """Raises Invalid for a condition that no report could ask."""
    for each in funnel_steps.fields_of(steps):
        try:
            funnel_steps.filter_of(each)
        except Invalid as error:
            raise Invalid(str(error), code="invalid_filter", field="steps") from None


def _shown(funnel: Funnel, project: Project) -> dict[str, Any]:
    return {
        "id": str(funnel.id),
        "name": funnel.name,
        "steps": [
            {"on": each.on, "step": each.step, "where": each.where or None, "value": each.value or None}
            for each in funnel.steps
        ],
        "within": funnel.within,
        "strict": funnel.strict,
        "domain": sites.domain_of(project),
    }


def routes() -> list[Route]:
    return [
        *paths.at(PATH, listed, "GET"),
        *paths.at(PATH, put, "PUT"),
        *paths.at(PATH + "/{funnel_id:id}", delete, "DELETE"),
    ]
