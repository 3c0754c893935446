"""What system A, the Simple Analytics Stack, answers to who reads. A private key that may read is needed.

    GET /api/events/query/                               events, the newest first
    GET /api/events/aggregations/{5min|hourly|daily}/    counts by time, source and name, the newest first
    GET /api/events/summaries/daily/                     days as a whole, the newest first
    GET /api/events/metrics/realtime/                    figures of now
    GET /api/events/names/, GET /api/events/sources/     what events are called, and where they come from

Lists are pages: `{"count", "next", "previous", "results"}`, with `page` and `page_size`. `start_date` and `end_date`
are ISO dates, the last included, or times, of which the last is not; without them the last 24 hours. Rows of time are
whole: those that the range touches. A user is a visitor, a session a visit with a matching event in the row's time, a
name as it was sent.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance import clock
from appliance.clock import MINUTE
from appliance.errors import Invalid, NotFound
from appliance.model import Project
from appliance.queries import event_log, stored_events
from appliance.queries.dimensions import SENT_NAME
from appliance.queries.event_log import Entry
from appliance.queries.filters import AllOf, Filter, Leaf
from appliance.queries.intervals import Grain, widened
from appliance.queries.period import Named, Range, Times, resolve
from appliance.queries.question import OFFSET_MAX, Order, Report, Scope
from appliance.queries.results import Row, Table
from appliance.queries.stored_events import StoredEvent
from appliance.storage import event_names as all_names
from appliance.storage import sources
from appliance.storage.dimensions import NONE
from appliance.storage.interface import Database
from appliance.web.access import public_origin, require_key
from appliance.web.api import paths
from appliance.web.api.systems import answered, iso, moments, number
from appliance.web.attended import reports_of
from appliance.web.parts import parts_of

PATH: Final = "/api/events"
PAGE_ROWS, PAGE_ROWS_MAX = 100, 1000
ROWS_MAX: Final = 100_000  # of a list that is made of several
TOP: Final = 10
NOW: Final = 5 * MINUTE  # as for the people of the live page

# By the last part of the path: the length of buckets, and what their time is called.
_AGGREGATIONS: Final[Mapping[str, tuple[Grain, str]]] = {
    "5min": ("5min", "datetime_5min"),
    "hourly": ("hour", "datetime_hour"),
    "daily": ("day", "date"),
}
_COUNTS: Final = ("events", "visitors", "active_visits")


async def query(request: Request) -> Response:
    grant = await require_key(request, "read")
    db, reports, user = parts_of(request).db, reports_of(request), request.query_params.get("user_id") or None
    scope = Scope(grant.project.id, _range(request, grant.project), await _filter(request, db, grant.project))
    page, rows = _page(request)
    log = await event_log.ask(reports, scope, user=user, rows=rows, offset=(page - 1) * rows)
    count = await event_log.count(reports, scope, user=user)
    stored = await stored_events.of_entries(db, grant.project.id, log.entries)
    results = [_event(grant.project, entry, stored[entry.id]) for entry in log.entries if entry.id in stored]
    return _pages(request, page, rows, count, results, sampled=log.sampled)


async def aggregations(request: Request) -> Response:
    grant = await require_key(request, "read")
    _refuse_user(request)
    if (known := _AGGREGATIONS.get(request.path_params["length"])) is None:
        raise NotFound("There are aggregations by 5min, hourly and daily.")
    grain, name = known
    there = widened(_range(request, grant.project), grain)
    scope = Scope(grant.project.id, there, await _filter(request, parts_of(request).db, grant.project))
    page, rows = _page(request)
    time = f"time:{grain}"
    report = Report(
        _COUNTS,
        (time, "event:source", SENT_NAME),
        (Order(time, descending=True), Order("events", descending=True)),
        limit=rows,
        offset=(page - 1) * rows,
        total_rows=True,
    )
    table = await reports_of(request).answer(scope, report)
    made_at = iso(clock.now())
    results = [
        {
            "project_name": grant.project.name,
            "event_source_name": row.labels[1],
            "event_name": row.labels[2],
            name: row.labels[0] if grain == "day" else iso(table.buckets[row.bucket or 0].start),
            **_counts(row, "event_count"),
            "created_at": made_at,
            "updated_at": made_at,
        }
        for row in table.rows
    ]
    return _pages(request, page, rows, table.total_rows or 0, results, sampled=table.sampled)


async def daily_summaries(request: Request) -> Response:
    grant = await require_key(request, "read")
    _refuse_user(request)
    there = widened(_range(request, grant.project), "day")
    scope = Scope(grant.project.id, there, await _filter(request, parts_of(request).db, grant.project))
    page, rows = _page(request)
    newest = (Order("time:day", descending=True), Order("events", descending=True))
    days, *parts = await _every_row(
        request,
        scope,
        Report(_COUNTS, ("time:day",), newest[:1]),
        *(Report(("events",), ("time:day", name), newest) for name in (SENT_NAME, "event:source")),
    )
    names, origins = (_by_day(part) for part in parts)
    made_at = iso(clock.now())
    results = [
        {
            "project_name": grant.project.name,
            "date": day.labels[0],
            **_counts(day, "total_events"),
            "unique_event_names": len(names[day.labels[0]]),
            "source_breakdown": dict(origins[day.labels[0]]),
            "top_events": _named("event_name", names[day.labels[0]][:TOP]),
            "created_at": made_at,
            "updated_at": made_at,
        }
        for day in days.rows[(page - 1) * rows : page * rows]
    ]
    return _pages(request, page, rows, len(days.rows), results, sampled=days.sampled)


async def realtime(request: Request) -> Response:
    grant = await require_key(request, "read")
    project, now = grant.project, clock.now()
    last_24h, today = (resolve(Named(name), project.timezone, now) for name in ("24h", "day"))
    hour = widened(resolve(Times(now, now + 1), project.timezone, now), "hour")
    just_now = msgspec.structs.replace(last_24h, start=last_24h.end - NOW)
    top = Report(("events",), (SENT_NAME,), limit=TOP)
    asked: list[tuple[Range, list[Report]]] = [
        (hour, [Report(("events",))]),
        (today, [Report(("events", "visitors")), top, Report(("events",), ("event:source",))]),
        (last_24h, [Report(("events",))]),
        (just_now, [Report(("active_visits",))]),
    ]
    tables = await reports_of(request).ask([(Scope(project.id, there), reports) for there, reports in asked])
    (of_hour,), (of_day, names, origins), (of_24h,), (active,) = tables
    body = {
        "project_name": project.name,
        "current_hour_events": of_hour.figures()["events"],
        "current_day_events": of_day.figures()["events"],
        "last_24h_events": of_24h.figures()["events"],
        "active_users_today": of_day.figures()["visitors"],
        "active_sessions_now": active.figures()["active_visits"],
        "top_events_today": _named("event_name", _labelled(names.rows)),
        "event_sources": _named("event_source_name", _labelled(origins.rows)),
        "last_updated": iso(now),
    }
    return answered(body, sampled=any(table.sampled for part in tables for table in part))


async def names(request: Request) -> Response:
    """Of all time: a name stays known when its events are purged."""
    grant = await require_key(request, "read")
    found = await all_names.of_project(parts_of(request).db, grant.project.id)
    return JSONResponse({"event_names": found, "count": len(found)})


async def event_sources(request: Request) -> Response:
    grant = await require_key(request, "read")
    found = await sources.of_project(parts_of(request).db, grant.project.id)
    listed = [{"id": each.id, "name": each.name, "description": each.description} for each in found]
    return JSONResponse({"event_sources": listed, "count": len(listed)})


# ---------------------------------------------------------------- what is asked for


def _range(request: Request, project: Project) -> Range:
    now = clock.now()
    usual = resolve(Named("24h"), project.timezone, now)
    first, last = (moments(request, name, project.timezone) for name in ("start_date", "end_date"))
    start = usual.start if first is None else first[0]
    end = usual.end if last is None else last[1]
    if start >= end:
        raise Invalid("start_date: it is not before end_date", code="invalid_range", field="start_date", status=400)
    return resolve(Times(start, end), project.timezone, now)


async def _filter(request: Request, db: Database, project: Project) -> Filter:
    leaves = []
    if name := request.query_params.get("event_name"):
        leaves.append(Leaf("is", SENT_NAME, (name,)))
    if request.query_params.get("event_source_id"):
        wanted = number(request, "event_source_id", 0, 1, OFFSET_MAX, status=400)
        known = {source.id: source.name for source in await sources.of_project(db, project.id)}
        if wanted not in known:
            raise Invalid(f"event_source_id: no source is {wanted}", field="event_source_id", status=400)
        leaves.append(Leaf("is", "event:source", (known[wanted],)))
    return AllOf(tuple(leaves))


def _refuse_user(request: Request) -> None:
    if request.query_params.get("user_id"):
        raise Invalid("user_id: only events can be filtered by it", field="user_id", status=400)


def _page(request: Request) -> tuple[int, int]:
    """Number of the page, from 1, and its rows."""
    rows = min(number(request, "page_size", PAGE_ROWS, 1, OFFSET_MAX, status=400), PAGE_ROWS_MAX)
    return number(request, "page", 1, 1, OFFSET_MAX // rows, status=400), rows


# ---------------------------------------------------------------- answers


def _pages(
    request: Request, page: int, rows: int, count: int, results: Sequence[Mapping[str, Any]], *, sampled: bool
) -> Response:
    """A page of a list. Raises NotFound for one behind the last."""
    if page > 1 and (page - 1) * rows >= count:
        raise NotFound("page: there is no such page", field="page")
    before = _url(request, page - 1) if page > 1 else None
    after = _url(request, page + 1) if page * rows < count else None
    return answered({"count": count, "next": after, "previous": before, "results": results}, sampled=sampled)


def _url(request: Request, page: int) -> str:
    url = request.url.include_query_params(page=page)
    return f"{public_origin(request)}{url.path}?{url.query}"


async def _every_row(request: Request, scope: Scope, *reports: Report) -> list[Table]:
    """The tables of reports without a limit. Raises Invalid where one has too many rows."""
    (found,) = await reports_of(request).ask(
        [(scope, [msgspec.structs.replace(report, limit=ROWS_MAX + 1) for report in reports])]
    )
    if any(len(table.rows) > ROWS_MAX for table in found):
        raise Invalid("there are too many event names on these days; ask for fewer", field="start_date", status=400)
    return found


def _counts(row: Row, events: str) -> dict[str, Any]:
    return dict(zip((events, "unique_users", "unique_sessions"), row.values, strict=True))


def _by_day(table: Table) -> Mapping[str, list[tuple[str, Any]]]:
    """The second label and the value of each row by the first."""
    found: defaultdict[str, list[tuple[str, Any]]] = defaultdict(list)
    for row in table.rows:
        found[row.labels[0]].append((row.labels[1], row.values[0]))
    return found


def _labelled(rows: Iterable[Row]) -> list[tuple[str, Any]]:
    return [(row.labels[0], row.values[0]) for row in rows]


def _named(what: str, counted: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [{what: label, "count": count} for label, count in counted]


def _event(project: Project, entry: Entry, stored: StoredEvent) -> dict[str, Any]:
    """An event. Addresses and agents are not stored. A visit has a session id although its client sent none."""
    return {
        "id": entry.id,
        "event_id": stored.event_id,
        "project_name": project.name,
        "event_source_name": stored.source or NONE,
        "event_name": entry.name,
        "event_properties": msgspec.json.decode(stored.properties or "{}"),
        "user_id": entry.user or None,
        "session_id": stored.session_id or str(entry.visit_id),
        "ip_address": None,
        "user_agent": None,
        "timestamp": iso(entry.time),
        "created_at": iso(stored.received),
    }


def routes() -> list[Route]:
    return [
        *paths.at(f"{PATH}/query", query, "GET"),
        *paths.at(f"{PATH}/summaries/daily", daily_summaries, "GET"),
        *paths.at(f"{PATH}/metrics/realtime", realtime, "GET"),
        *paths.at(f"{PATH}/names", names, "GET"),
        *paths.at(f"{PATH}/sources", event_sources, "GET"),
        *paths.at(f"{PATH}/aggregations/{{length}}", aggregations, "GET"),
    ]
