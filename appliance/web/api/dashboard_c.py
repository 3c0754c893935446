"""`/api/v1/analytics/{project}/…`: what system C, the Real-time Analytics Dashboard, answers to who reads.

    overview            {"total_events", "unique_sessions", "unique_users", "top_event", "period_start", "period_end"}
    timeseries?granularity=hourly|daily   {"data": [{"timestamp", "count"}], "granularity"}, of times with any
    top-events?limit=   {"data": [{"event_name", "count", "unique_sessions", "unique_users"}]}
    sessions?limit=&offset=
        {"data": [{"session_id", "event_count", "first_seen", "last_seen", "distinct_id"}], "total"}
    users?limit=&offset=
        {"data": [{"distinct_id", "event_count", "session_count", "first_seen", "last_seen"}], "total"}

`period` is 24h (unless given), 7d or 30d up to now; or `start` and `end` are ISO dates, the last included, or times. A
session is a visit with an event in that time, a user a visitor, in `users` one who was identified; names are as sent.
Who asks has an access token of `/api/v1/auth`, or a private key that may read.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.clock import DAY
from appliance.errors import Invalid
from appliance.model import Project
from appliance.queries import activity, stored_events
from appliance.queries.activity import Activities, Of
from appliance.queries.dimensions import SENT_NAME
from appliance.queries.intervals import Grain, buckets, widened
from appliance.queries.period import Named, Range, Times, resolve
from appliance.queries.question import OFFSET_MAX, Order, Report, Scope
from appliance.spelling import spelled
from appliance.web.api import bearer, paths
from appliance.web.api.systems import answered, iso, moments, number
from appliance.web.attended import reports_of
from appliance.web.parts import parts_of

PATH: Final = "/api/v1/analytics/{project}"
TOP_EVENTS, ROWS, ROWS_MAX = 10, 50, 1000

_DAYS: Final = {"24h": 1, "7d": 7, "30d": 30}
_GRAINS: Final[dict[str, Grain]] = {"hourly": "hour", "daily": "day"}


async def overview(request: Request) -> Response:
    project, _ = await bearer.project_for(request, "viewer", "read")
    there = _range(request, project)
    totals = Report(("events", "active_visits", "visitors"))
    top = Report(("events",), (SENT_NAME,), limit=1)
    ((counted, first),) = await reports_of(request).ask([(Scope(project.id, there), [totals, top])])
    events, sessions, users = counted.rows[0].values
    body = {
        "total_events": events,
        "unique_sessions": sessions,
        "unique_users": users,
        "top_event": first.rows[0].labels[0] if first.rows else None,
        "period_start": iso(there.start),
        "period_end": iso(there.end),
    }
    return answered(body, sampled=counted.sampled)


async def timeseries(request: Request) -> Response:
    project, _ = await bearer.project_for(request, "viewer", "read")
    granularity = request.query_params.get("granularity") or "hourly"
    grain = _one_of(_GRAINS, "granularity", granularity)
    there = _range(request, project)
    time = f"time:{grain}"
    table = await reports_of(request).answer(Scope(project.id, there), Report(("events",), (time,), (Order(time),)))
    # The range may cut the first hour or day off; it is called by its beginning all the same.
    starts = [bucket.start for bucket in buckets(widened(there, grain), grain)]
    data = [{"timestamp": iso(starts[row.bucket or 0]), "count": row.values[0]} for row in table.rows]
    return answered({"data": data, "granularity": granularity}, sampled=table.sampled)


async def top_events(request: Request) -> Response:
    project, _ = await bearer.project_for(request, "viewer", "read")
    limit = number(request, "limit", TOP_EVENTS, 1, ROWS_MAX)
    report = Report(("events", "active_visits", "visitors"), (SENT_NAME,), limit=limit)
    table = await reports_of(request).answer(Scope(project.id, _range(request, project)), report)
    names = ("count", "unique_sessions", "unique_users")
    data = [{"event_name": row.labels[0], **dict(zip(names, row.values, strict=True))} for row in table.rows]
    return answered({"data": data}, sampled=table.sampled)


async def sessions(request: Request) -> Response:
    project, found = await _activities(request, "visit")
    db = parts_of(request).db
    sent = await stored_events.session_ids(db, project.id, {row.visit_id: row.first_seen for row in found.rows})
    data = [
        {
            "session_id": sent.get(row.visit_id) or str(row.visit_id),
            "event_count": row.events,
            **_seen(row),
            "distinct_id": row.user or None,
        }
        for row in found.rows
    ]
    return answered({"data": data, "total": found.total}, sampled=found.sampled)


async def users(request: Request) -> Response:
    _, found = await _activities(request, "user")
    data = [
        {"distinct_id": row.user, "event_count": row.events, "session_count": row.visits, **_seen(row)}
        for row in found.rows
    ]
    return answered({"data": data, "total": found.total}, sampled=found.sampled)


async def _activities(request: Request, of: Of) -> tuple[Project, Activities]:
    project, _ = await bearer.project_for(request, "viewer", "read")
    limit, offset = number(request, "limit", ROWS, 1, ROWS_MAX), number(request, "offset", 0, 0, OFFSET_MAX)
    scope = Scope(project.id, _range(request, project))
    return project, await activity.ask(reports_of(request), scope, of, limit=limit, offset=offset)


def _seen(row: activity.Activity) -> dict[str, Any]:
    return {"first_seen": iso(row.first_seen), "last_seen": iso(row.last_seen)}


def _range(request: Request, project: Project) -> Range:
    now = clock.now()
    usual = resolve(Named("24h"), project.timezone, now)
    first, last = (moments(request, name, project.timezone) for name in ("start", "end"))
    if first is None and last is None:
        days = _one_of(_DAYS, "period", request.query_params.get("period") or "24h")
        return resolve(Times(usual.end - days * DAY, usual.end), project.timezone, now)
    if first is None:
        raise Invalid("start: it is needed with end", code="missing", field="start")
    end = usual.end if last is None else last[1]
    if first[0] >= end:
        raise Invalid("start: it is not before end", code="invalid_range", field="start")
    return resolve(Times(first[0], end), project.timezone, now)


def _one_of(known: dict[str, Any], name: str, value: str) -> Any:
    if value not in known:
        raise Invalid(f"{name}: {spelled(value)} is not one of {', '.join(known)}", field=name)
    return known[value]


def routes() -> list[Route]:
    found = {
        "overview": overview,
        "timeseries": timeseries,
        "top-events": top_events,
        "sessions": sessions,
        "users": users,
    }
    return [route for name, handler in found.items() for route in paths.at(f"{PATH}/{name}", handler, "GET")]
