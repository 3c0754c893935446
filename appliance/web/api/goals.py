"""`/api/v1/sites/goals`: the goals of the key's project, as the Plausible Sites API has them, and what is more here.

`PUT` `{goal_type: "event" | "page", event_name | page_path, display_name?, property?, value?, currency?}` makes one, or
finds it; `GET` lists; `DELETE /{id}` forgets one. `site_id` may name the project of the key.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance import clock
from appliance.model import Project
from appliance.storage import goals
from appliance.storage.goals import Goal
from appliance.web.access import require_key
from appliance.web.api import paths, sites
from appliance.web.parts import parts_of

PATH = "/api/v1/sites/goals"


class Wanted(msgspec.Struct):
    """The body of PUT."""

    goal_type: str
    site_id: str | None = None
    event_name: str | None = None
    page_path: str | None = None
    display_name: str | None = None
    property: str | None = None
    value: str | None = None
    currency: str | None = None


async def listed(request: Request) -> Response:
    grant = await require_key(request, "read")
    sites.check_site(request.query_params.get("site_id"), grant.project)
    found = await goals.of_project(parts_of(request).db, grant.project.id)
    return JSONResponse({"goals": [_shown(goal, grant.project) for goal in found]})


async def put(request: Request) -> Response:
    grant = await require_key(request, "manage")
    wanted = await sites.wanted(request, Wanted)
    sites.check_site(wanted.site_id, grant.project)
    pattern = wanted.page_path if wanted.goal_type == "page" else wanted.event_name
    goal = await goals.create(
        parts_of(request).db,
        grant.project.id,
        wanted.goal_type,
        pattern or "",
        name=wanted.display_name or "",
        prop=wanted.property or "",
        value=wanted.value or "",
        currency=wanted.currency or "",
        actor=grant.key.prefix,
        at=clock.now(),
    )
    return JSONResponse(_shown(goal, grant.project))


async def delete(request: Request) -> Response:
    grant = await require_key(request, "manage")
    goal_id = request.path_params["goal_id"]
    await goals.delete(parts_of(request).db, grant.project.id, goal_id, actor=grant.key.prefix, at=clock.now())
    return JSONResponse({"deleted": True})


def _shown(goal: Goal, project: Project) -> dict[str, Any]:
    is_event = goal.kind == "event"
    return {
        "id": str(goal.id),
        "goal_type": goal.kind,
        "display_name": goal.name,
        "event_name": goal.pattern if is_event else None,
        "page_path": None if is_event else goal.pattern,
        "property": goal.property or None,
        "value": goal.value or None,
        "currency": goal.currency or None,
        "domain": sites.domain_of(project),
    }


def routes() -> list[Route]:
    return [
        *paths.at(PATH, listed, "GET"),
        *paths.at(PATH, put, "PUT"),
        *paths.at(PATH + "/{goal_id:id}", delete, "DELETE"),
    ]
