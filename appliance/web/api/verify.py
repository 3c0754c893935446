"""`GET /api/v1/verify`: figures as they are answered, and counted again over the stored events.

`metrics`, `dimensions` (with commas between), `date_range` (a name, or two dates or timestamps with a comma), `filters`
(the JSON of a query), `limit`: what a query of the Stats API says, in a URL.
"""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance import clock
from appliance.decoding import decode
from appliance.errors import Invalid
from appliance.model import Project
from appliance.queries import overview, question
from appliance.queries.reports import Reports
from appliance.queries.verify import verify
from appliance.storage import goals, segments
from appliance.storage.interface import Database
from appliance.web.access import require_key
from appliance.web.api import paths
from appliance.web.api.query import fault_of, figure
from appliance.web.attended import while_there
from appliance.web.parts import parts_of

ROWS = 100  # without a limit


async def show(request: Request) -> Response:
    grant = await require_key(request, "read")
    parts = parts_of(request)
    with parts.recounts.one(grant.project.id):
        wanted = verified(parts.db, parts.reports, grant.project, request.query_params, clock.now())
        return JSONResponse(await while_there(request, wanted))  # it counts for minutes


async def verified(
    database: Database, reports: Reports, project: Project, wanted: Mapping[str, str], now: int
) -> dict[str, Any]:
    """The answer, ready for JSON. `equal` is whether all rows are; `sampled`: both are estimates from sampled data, but
    for the metrics that are `lower_bounds`. Raises Invalid (400) like a query."""
    known = await goals.of_project(database, project.id)
    query = question.parse(_body(wanted), known, await segments.of_project(database, project.id))
    scope = await reports.scope(project, query.period, now, query.filter, known)
    try:
        found = await verify(reports, database, scope, query.report)
    except Invalid as error:
        raise fault_of(error) from None
    return {
        "equal": found.is_equal,
        "settled": found.is_settled,
        "sampled": found.sampled,
        "lower_bounds": list(found.lower_bounds),
        "metrics": list(query.report.metrics),
        "dimensions": list(query.report.dimensions),
        "results": [
            {
                "dimensions": list(line.labels),
                "metrics": None if line.values is None else [figure(value) for value in line.values],
                "recounted": None if line.recounted is None else [figure(value) for value in line.recounted],
                "equal": line.is_equal,
            }
            for line in found.lines
        ],
    }


def _body(wanted: Mapping[str, str]) -> dict[str, Any]:
    metrics = wanted.get("metrics")
    date_range = wanted.get("date_range") or "30d"
    try:
        filters = decode(wanted.get("filters") or "[]", what="the list")
    except Invalid as error:
        raise _fault(str(error), "filters") from None
    try:
        limit = int(wanted.get("limit") or ROWS)
    except ValueError:
        raise _fault("a number is expected", "limit") from None
    return {
        "metrics": metrics.split(",") if metrics else list(overview.METRICS),
        "dimensions": [name for name in (wanted.get("dimensions") or "").split(",") if name],
        "date_range": date_range.split(",") if "," in date_range else date_range,
        "filters": filters,
        "pagination": {"limit": limit},
    }


def _fault(message: str, field: str) -> Invalid:
    return Invalid(message, code="invalid_query", field=field, status=400)


def routes() -> list[Route]:
    return paths.at("/api/v1/verify", show, "GET")
