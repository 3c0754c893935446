"""`POST /api/v1/upload`: a file to import; `/api/v1/imports`: what becomes of it.

Any key that may send may upload. An owner's (scope manage) has visits and visitors of our own exports taken as they
are; a public one uploads native events of limited size, because it is known to every visitor of the site.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance import clock
from appliance.ingest.imports.identify import Given
from appliance.storage import imports
from appliance.storage.imports import ACTIVE
from appliance.web.access import any_key, require_key, require_sender
from appliance.web.api import paths
from appliance.web.parts import parts_of
from appliance.web.uploads import received

PUBLIC_BYTES_MAX: Final = 100 << 20
PATH: Final = "/api/v1/imports"


async def upload(request: Request) -> Response:
    grant = await require_sender(request)
    parts = parts_of(request)
    public = grant.key.kind == "public"
    bytes_max = parts.settings.upload_bytes_max
    sent = await received(request)
    given = Given(
        sent.name or "upload",
        sent.fields.get("format") or None,
        sent.fields.get("source", ""),
        honours="manage" in grant.key.scopes,
        actor=grant.key.prefix,
    )
    found, _ = await parts.imports.accept(
        grant.project,
        sent.chunks,
        given,
        native_only=public,
        expected=sent.expected,
        bytes_max=min(bytes_max or PUBLIC_BYTES_MAX, PUBLIC_BYTES_MAX) if public else bytes_max,
    )
    return JSONResponse(imports.as_object(found), 202, headers={"location": f"{PATH}/{found.id}"})


async def listed(request: Request) -> Response:
    grant = await require_key(request, "read")
    found = await imports.of_project(parts_of(request).db, grant.project.id)
    return JSONResponse({"imports": [imports.as_object(each) for each in found]})


async def show(request: Request) -> Response:
    # Whoever was told the id may follow it, with the key that it was uploaded with.
    grant = await any_key(request)
    found = await imports.find(parts_of(request).db, request.path_params["import_id"])
    return JSONResponse(imports.as_object(imports.require(found, grant.project.id)))


async def delete(request: Request) -> Response:
    """Stop an import that waits or goes on; forget one that ended and of which nothing is stored."""
    grant = await require_key(request, "manage")
    parts, actor = parts_of(request), grant.key.prefix
    found = imports.require(await imports.find(parts.db, request.path_params["import_id"]), grant.project.id)
    if found.state in ACTIVE:
        await parts.imports.stop(found, actor=actor)
        found = imports.require(await imports.find(parts.db, found.id), grant.project.id)
        return JSONResponse(imports.as_object(found))
    await imports.forget(parts.db, found, actor=actor, at=clock.now())
    return JSONResponse({"deleted": True})


def routes() -> list[Route]:
    one = PATH + "/{import_id}"
    return [
        *paths.at("/api/v1/upload", upload, "POST"),
        *paths.at(PATH, listed, "GET"),
        *paths.at(one, show, "GET"),
        *paths.at(one, delete, "DELETE"),
    ]
