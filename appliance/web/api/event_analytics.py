"""What system B, the Event Analytics API, answers to who reads. A private key that may read is needed.

    GET /stats/dau?from=&to=                    [{"date", "unique_users"}], of days with any
    GET /stats/top-events?from=&to=&limit=      [{"event_type", "count"}]
    GET /stats/retention?start_date=&windows=   {"start_date", "cohort_size", "retention": [...]}
    GET /events/queue/status                    {"queue_size", "dead_letter_queue_size"}

Days are those of the project's time zone, the last one is included. A user is a visitor, an event type the name as it
was sent.
"""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid
from appliance.queries import cohort
from appliance.queries.dimensions import SENT_NAME
from appliance.queries.metrics import ratio
from appliance.queries.period import Dates
from appliance.queries.question import Report
from appliance.queries.results import Table
from appliance.storage import dead_letters
from appliance.web.access import require_key, require_key_to_all
from appliance.web.api import paths
from appliance.web.api.systems import answered, day, number
from appliance.web.attended import reports_of
from appliance.web.parts import parts_of

TOP_EVENTS, TOP_EVENTS_MAX = 10, 100
WINDOWS, WINDOWS_MAX = 3, 12


async def daily_active_users(request: Request) -> Response:
    table = await _table(request, Report(("visitors",), ("time:day",)))
    rows = [{"date": row.labels[0], "unique_users": row.values[0]} for row in table.rows]
    return answered(rows, sampled=table.sampled)


async def top_events(request: Request) -> Response:
    limit = number(request, "limit", TOP_EVENTS, 1, TOP_EVENTS_MAX)
    table = await _table(request, Report(("events",), (SENT_NAME,), limit=limit))
    rows = [{"event_type": row.labels[0], "count": row.values[0]} for row in table.rows]
    return answered(rows, sampled=table.sampled)


async def retention(request: Request) -> Response:
    grant = await require_key(request, "read")
    first, windows = day(request, "start_date"), number(request, "windows", WINDOWS, 1, WINDOWS_MAX)
    period = Dates(first, first + timedelta(7 * (windows + 1) - 1))
    reports = reports_of(request)
    made = await cohort.ask(reports, await reports.scope(grant.project, period, clock.now()))
    size = made.weeks[0].visitors
    body = {
        "start_date": first.isoformat(),
        "cohort_size": size,
        "retention": [
            {
                "week": place,
                "week_start": week.bucket.label,
                "retained_users": week.visitors,
                "retention_rate": ratio(100 * week.visitors, size, 2),
            }
            for place, week in enumerate(made.weeks[1:], 1)
        ],
    }
    return answered(body, sampled=made.sampled)


async def queue_status(request: Request) -> Response:
    """The queue is the journal, which all projects share; dead letters are those of the key's project."""
    grant = await require_key_to_all(request)
    parts = parts_of(request)
    letters = await dead_letters.count_of(parts.db, grant.project.id)
    return JSONResponse({"queue_size": await parts.waiting_events(), "dead_letter_queue_size": letters})


async def _table(request: Request, report: Report) -> Table:
    """The report between the dates of the query string."""
    grant = await require_key(request, "read")
    first, last = day(request, "from"), day(request, "to")
    if first > last:
        raise Invalid(f"from: {first} is after {last}", code="invalid_range", field="from", status=400)
    reports = reports_of(request)
    return await reports.answer(await reports.scope(grant.project, Dates(first, last), clock.now()), report)


def routes() -> list[Route]:
    return [
        *paths.at("/stats/dau", daily_active_users, "GET"),
        *paths.at("/stats/top-events", top_events, "GET"),
        *paths.at("/stats/retention", retention, "GET"),
        *paths.at("/events/queue/status", queue_status, "GET"),
    ]
