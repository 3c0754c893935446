"""What happened lately on a site, for forms to offer; nothing where it cannot be asked: all of it can be typed."""

from typing import Final

from starlette.requests import Request

from appliance import clock
from appliance.errors import ChunkDamaged, Unavailable
from appliance.model import Project
from appliance.queries import breakdown
from appliance.queries.period import Named
from appliance.web.attended import reports_of

OFFERED_MAX: Final = 50  # of each dimension


async def offered(request: Request, project: Project, *dimensions: str) -> tuple[str, ...]:
    """Values of the last 30 days, the most visited of each dimension first."""
    reports = reports_of(request)
    wanted = [breakdown.suggestions(name, limit=OFFERED_MAX) for name in dimensions]
    try:
        scope = await reports.scope(project, Named("30d"), clock.now())
        tables = (await reports.ask([(scope, wanted)]))[0]
    except (Unavailable, ChunkDamaged):
        return ()
    return tuple(dict.fromkeys(row.labels[0] for table in tables for row in table.rows))
