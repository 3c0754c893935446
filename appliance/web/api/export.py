"""GET /api/v1/export: events or visits of the key's project as CSV or NDJSON."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.web.access import require_key
from appliance.web.api import paths
from appliance.web.exports import exported


async def show(request: Request) -> Response:
    grant = await require_key(request, "read")
    return await exported(request, grant.project, request.query_params)


def routes() -> list[Route]:
    return paths.at("/api/v1/export", show, "GET")
