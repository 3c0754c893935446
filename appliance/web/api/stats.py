"""POST /api/v2/query over HTTP: who may ask, and how faults are written."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid
from appliance.storage import goals, segments
from appliance.web.access import require_key
from appliance.web.api import bodies, paths, query
from appliance.web.attended import attended
from appliance.web.parts import parts_of

BODY_BYTES_MAX = 256 * 1024


async def ask(request: Request) -> Response:
    grant = await require_key(request, "read")
    parts = parts_of(request)
    known = await goals.of_project(parts.db, grant.project.id)
    saved = await segments.of_project(parts.db, grant.project.id)
    try:
        question = await bodies.read(request, BODY_BYTES_MAX)
        reports = attended(request, parts.reports)
        answer = await query.answer(question, grant.project, reports, clock.now(), known, saved, parts.imported)
    except Invalid as error:
        if error.status != 400:
            raise
        # The published API says one sentence; code and pointer stand beside it.
        where = f"{error.pointer}: " if error.pointer else ""
        body = {"error": f"{where}{error}", "code": error.code, "pointer": error.pointer}
        return JSONResponse(body, status_code=400)
    return JSONResponse(answer)


def routes() -> list[Route]:
    return paths.at("/api/v2/query", ask, "POST")
