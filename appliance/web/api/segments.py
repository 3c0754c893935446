"""`/api/v1/sites/segments`: the saved segments of the key's project.

`PUT` `{name, filters: [...]}` keeps one, or finds it; `GET` lists; `PATCH /{id}` `{name}` renames one; `DELETE /{id}`
forgets one. `site_id` may name the project of the key.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid
from appliance.model import Project
from appliance.queries.segments import checked
from appliance.storage import goals, segments
from appliance.storage.segments import Segment
from appliance.web.access import require_key
from appliance.web.api import sites
from appliance.web.parts import parts_of

PATH = "/api/v1/sites/segments"


class Wanted(msgspec.Struct):
    """The body of PUT."""

    name: str
    filters: list[Any]
    site_id: str | None = None


class Renamed(msgspec.Struct):
    """The body of PATCH."""

    name: str
    site_id: str | None = None


async def listed(request: Request) -> Response:
    grant = await require_key(request, "read")
    sites.check_site(request.query_params.get("site_id"), grant.project)
    found = await segments.of_project(parts_of(request).db, grant.project.id)
    return JSONResponse({"segments": [_shown(segment, grant.project) for segment in found]})


async def put(request: Request) -> Response:
    grant = await require_key(request, "manage")
    wanted = await sites.wanted(request, Wanted)
    sites.check_site(wanted.site_id, grant.project)
    db, project = parts_of(request).db, grant.project
    try:
        filters = checked(wanted.filters, await goals.of_project(db, project.id))
    except Invalid as error:
        raise Invalid(str(error), code="invalid_filter", field="filters", pointer=error.pointer) from None
    segment = await segments.create(db, project.id, wanted.name, filters, actor=grant.key.prefix, at=clock.now())
    return JSONResponse(_shown(segment, project))


async def rename(request: Request) -> Response:
    grant = await require_key(request, "manage")
    wanted = await sites.wanted(request, Renamed)
    sites.check_site(wanted.site_id, grant.project)
    segment_id = request.path_params["segment_id"]
    segment = await segments.rename(
        parts_of(request).db, grant.project.id, segment_id, wanted.name, actor=grant.key.prefix, at=clock.now()
    )
    return JSONResponse(_shown(segment, grant.project))


async def delete(request: Request) -> Response:
    grant = await require_key(request, "manage")
    segment_id = request.path_params["segment_id"]
    await segments.delete(parts_of(request).db, grant.project.id, segment_id, actor=grant.key.prefix, at=clock.now())
    return JSONResponse({"deleted": True})


def _shown(segment: Segment, project: Project) -> dict[str, Any]:
    return {
        "id": segment.id,
        "name": segment.name,
        "filters": list(segment.filters),
        "domain": sites.domain_of(project),
    }


def routes() -> list[Route]:
    one = PATH + "/{segment_id:id}"
    return [
        Route(PATH, listed, methods=["GET"]),
        Route(PATH, put, methods=["PUT"], max_body_size=sites.BODY_BYTES_MAX),
        Route(one, rename, methods=["PATCH"], max_body_size=sites.BODY_BYTES_MAX),
        Route(one, delete, methods=["DELETE"]),
    ]
