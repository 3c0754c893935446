"""`/api/v1/projects/`: the projects of who asks, as system C has them, and their public keys.

    POST {name, domain, timezone?}      201, for admins, and for members, who come to own it
    GET                                 a list
    GET, PATCH {name?, domain?}, DELETE /{id}
    POST /{id}/rotate-key               the project with a new key; the old ones hold no longer

A project is `{"id", "name", "api_key", "api_key_prefix", "domain", "created_at", "updated_at"}`. Of several domains
`domain` is the first. Who asks has an access token of `/api/v1/auth`; a private key that may manage opens its project.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance import clock
from appliance.model import Project
from appliance.storage import keys, projects
from appliance.storage.interface import Database
from appliance.web.access import check_may_add_sites, state_of
from appliance.web.api import bearer, paths, sites
from appliance.web.api.systems import iso

PATH = "/api/v1/projects"


class Wanted(msgspec.Struct):
    """The body of POST."""

    name: str
    domain: str | None = None
    timezone: str | None = None


class Changed(msgspec.Struct):
    """The body of PATCH."""

    name: str | None = None
    domain: str | None = None


async def create(request: Request) -> Response:
    login = await bearer.require_token(request)
    check_may_add_sites(login.viewer)
    wanted, db = await sites.wanted(request, Wanted), state_of(request).db
    made = await projects.create(
        db,
        name=wanted.name,
        domains=[wanted.domain] if wanted.domain else [],
        timezone=wanted.timezone or "UTC",
        owner_id=login.viewer.member_id,
        actor=login.account.email,
        at=clock.now(),
    )
    return JSONResponse(await _shown(db, made.project), status_code=201)


async def listed(request: Request) -> Response:
    login, db = await bearer.require_token(request), state_of(request).db
    mine = [project for project in await projects.list_all(db) if login.viewer.role_in(project.id) is not None]
    return JSONResponse([await _shown(db, project) for project in mine])


async def show(request: Request) -> Response:
    project, _ = await bearer.project_for(request, "viewer", "read")
    return JSONResponse(await _shown(state_of(request).db, project))


async def change(request: Request) -> Response:
    project, actor = await bearer.project_for(request, "admin", "manage")
    wanted, db = await sites.wanted(request, Changed), state_of(request).db
    domains = (wanted.domain, *project.domains[1:]) if wanted.domain is not None else None
    changed = await projects.update(db, project, name=wanted.name, domains=domains, actor=actor, at=clock.now())
    return JSONResponse(await _shown(db, changed))


async def delete(request: Request) -> Response:
    project, actor = await bearer.project_for(request, "owner", "manage")
    await projects.delete(state_of(request).db, project, actor=actor, at=clock.now())
    return Response(status_code=204)


async def rotate_key(request: Request) -> Response:
    project, actor = await bearer.project_for(request, "admin", "manage")
    db = state_of(request).db
    await keys.rotate_public(db, project.public_id, actor=actor, at=clock.now())
    return JSONResponse(await _shown(db, project))


async def _shown(db: Database, project: Project) -> dict[str, Any]:
    key = await keys.current_public(db, project.id)
    return {
        "id": project.public_id,
        "name": project.name,
        "api_key": key.token if key is not None else None,
        "api_key_prefix": key.prefix if key is not None else None,
        "domain": sites.domain_of(project),
        "created_at": iso(project.created_at),
        "updated_at": iso(project.updated_at),
    }


def routes() -> list[Route]:
    one = f"{PATH}/{{project}}"
    return [
        *paths.at(PATH, create, "POST"),
        *paths.at(PATH, listed, "GET"),
        *paths.at(one, show, "GET"),
        *paths.at(one, change, "PATCH"),
        *paths.at(one, delete, "DELETE"),
        *paths.at(f"{one}/rotate-key", rotate_key, "POST"),
    ]
