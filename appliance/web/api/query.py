"""`POST /api/v2/query`, the Plausible Stats API v2 (PROTOCOLS.md, part 2, section 3): a body in, the answer out.

Who may ask, and how errors are written, is the caller's part: every fault is `Invalid` with status 400 and a pointer.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from appliance.currencies import units
from appliance.decoding import decode
from appliance.errors import Invalid, RawPurged, Unauthorized
from appliance.model import Project
from appliance.queries import beside, question
from appliance.queries.comparison import compared_so_far
from appliance.queries.filters import to_json, written_parts
from appliance.queries.imported import ImportedFigures
from appliance.queries.intervals import buckets
from appliance.queries.localtime import to_aware
from appliance.queries.metrics import Money, Value, change, metric
from appliance.queries.period import Range
from appliance.queries.question import Query, Report, Scope
from appliance.queries.reports import Reports
from appliance.queries.results import Table
from appliance.spelling import spelled
from appliance.storage.goals import Goal
from appliance.storage.segments import Segment
from appliance.web import formats

_SEVERAL_CURRENCIES = {
    "code": "no_single_revenue_currency",
    "warning": "Revenue in different currencies is not added up: group by event:currency, or filter for one.",
}
_NO_REVENUE = {"code": "no_revenue_goals_matching", "warning": "No matching event carries revenue."}
_ESTIMATE = {
    "code": "sampled_estimate",
    "warning": "Estimated from sampled data: what was kept counts for as much as its sampling rate says.",
}
_MEAN_OF_KEPT = {
    "code": "sampled_estimate",
    "warning": "From sampled data: this is the mean over what was kept, and is not scaled.",
}
_LOWER_BOUND = {
    "code": "sampled_lower_bound",
    "warning": "At least this many: events were sampled one by one, so some visitors and visits are not there at all.",
}


async def answer(
    body: bytes,
    project: Project,
    reports: Reports,
    now: int,
    goals: Sequence[Goal] = (),
    segments: Sequence[Segment] = (),
    imported: ImportedFigures | None = None,
) -> dict[str, Any]:
    """The answer to one query, ready for JSON. `project` is the key's, with its `goals` and `segments`; `now` in UTC
    microseconds. `imported` figures are added where the query asks for them.

    Raises Invalid (400), Unauthorized when `site_id` names another project, QueryTimeout, StorageUnavailable,
    ChunkDamaged.
    """
    query = question.parse(decode(body, what="the body"), goals, segments)
    if query.site_id is not None and not names_project(query.site_id, project):
        raise Unauthorized(f"the key is not one of site {spelled(query.site_id)}", pointer="#/site_id")
    if query.include.imports and imported is not None:
        reports = reports.with_imported(imported)
    scope = await reports.scope(project, query.period, now, query.filter, goals)
    asked: list[tuple[Scope, list[Report]]] = [(scope, [query.report])]
    before = None
    if query.include.comparisons is not None:
        before = compared_so_far(scope.range, query.include.comparisons)
        there = beside.counterpart(query.report, scope.range)
        _check_buckets(query.report, scope.range, "#/dimensions")
        _check_buckets(there, before, "#/include/comparisons/date_range")
        asked.append((replace(scope, range=before), [there]))
    try:
        (table,), *others = await reports.ask(asked)
        beside_it = beside.matched(table, others[0][0]) if others else []
    except RawPurged as error:
        raise fault_of(error, await _purged_at(reports, asked)) from None
    except Invalid as error:
        raise fault_of(error) from None
    results = [_result(row.labels, row.values) for row in table.rows]
    if others:
        for result, row, other in zip(results, table.rows, beside_it, strict=True):
            changes = [change(now, then) for now, then in zip(row.values, other.values, strict=True)]
            result["comparison"] = {**_result(other.labels, other.values), "change": changes}
    meta = _meta(query, table, *(tables[0] for tables in others))
    if query.include.imports:
        skipped = None if table.imported or imported is None else await imported.why_not(scope, query.report)
        meta = _imports(table, skipped) | meta
    return {"results": results, "meta": meta, "query": _echo(query, project, scope.range, before)}


def fault_of(error: Invalid, pointer: str | None = None) -> Invalid:
    """What only data and range tell (too many buckets, a bad pattern, what is purged) as a fault of the query."""
    usual = {"invalid_pattern": "#/filters", RawPurged.code: "#/date_range"}.get(error.code, "#/dimensions")
    return Invalid(str(error), code=error.code, pointer=pointer or error.pointer or usual, status=400)


def _check_buckets(report: Report, there: Range, pointer: str) -> None:
    """Raises Invalid at the pointer when the range has too many of the report's buckets."""
    interval = report.interval(there)
    try:
        if interval is not None:
            buckets(there, interval)
    except Invalid as error:
        raise fault_of(error, pointer) from None


async def _purged_at(reports: Reports, asked: Sequence[tuple[Scope, Sequence[Report]]]) -> str:
    """Which of the ranges reaches back too far: the first, or the one that it is compared with."""
    try:
        await reports.ask(asked[:1])
    except RawPurged:
        return "#/date_range"
    return "#/include/comparisons"


def _result(labels: tuple[str, ...], values: tuple[Value, ...]) -> dict[str, Any]:
    return {"dimensions": list(labels), "metrics": [figure(value) for value in values]}


def figure(value: Value) -> Any:
    """A figure for JSON; money is an object."""
    if not isinstance(value, Money):
        return value
    return {
        "value": float(units(*value)),
        "currency": value.currency,
        "short": formats.money(value, compact=True),
        "long": formats.money(value),
    }


def names_project(site_id: str, project: Project) -> bool:
    """Whether a site id is this project's: its id, or one of its domains, with or without `www.`."""
    return site_id == project.public_id or site_id.lower().removeprefix("www.") in project.domains


def _meta(query: Query, table: Table, *others: Table) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    if query.include.time_labels:
        meta["time_labels"] = [bucket.label for bucket in table.buckets]
    if query.include.total_rows:
        meta["total_rows"] = table.total_rows
    if warnings := {**_sampling_warnings(table, *others), **_revenue_warnings(table)}:
        meta["metric_warnings"] = warnings
    return meta


def _imports(table: Table, skipped: str | None) -> dict[str, Any]:
    """Whether imported figures are in a table, and why they are not."""
    if table.imported:
        return {"imports_included": True}
    return {"imports_included": False, "imports_skip_reason": skipped or "no_imported_data"}


def _sampling_warnings(*tables: Table) -> dict[str, dict[str, str]]:
    """Which figures are not what was counted, in any of the tables."""
    warnings = {}
    for name in tables[0].metrics if any(table.sampled for table in tables) else ():
        if any(name in table.lower_bounds for table in tables):
            warnings[name] = _LOWER_BOUND
        else:
            warnings[name] = _MEAN_OF_KEPT if metric(name).of_stored else _ESTIMATE
    return warnings


def _revenue_warnings(table: Table) -> dict[str, dict[str, str]]:
    """Why revenue is null: some of it has several currencies, or there is none at all."""
    of_money = [name for name in table.metrics if metric(name).is_money]
    if table.mixed_currencies:
        return dict.fromkeys(of_money, _SEVERAL_CURRENCIES)
    return {} if table.has_revenue else dict.fromkeys(of_money, _NO_REVENUE)


def _echo(query: Query, project: Project, there: Range, before: Range | None) -> dict[str, Any]:
    report = query.report
    include = msgspec.to_builtins(query.include)
    del include["comparisons"]
    if query.include.comparisons is not None:
        asked = query.include.comparisons
        comparisons: dict[str, Any] = {"mode": asked.mode, "match_day_of_week": asked.match_weekday}
        if asked.dates is not None:
            comparisons["date_range"] = [asked.dates.first.isoformat(), asked.dates.last.isoformat()]
        include["comparisons"] = comparisons
    echo = {
        "site_id": query.site_id or project.public_id,
        "metrics": list(report.metrics),
        "date_range": _written(there),
        "filters": [to_json(part) for part in written_parts(query.filter)],
        "dimensions": list(report.dimensions),
        "order_by": [[order.key, "desc" if order.descending else "asc"] for order in report.ordering()],
        "include": include,
        "pagination": {"limit": report.limit, "offset": report.offset},
    }
    return echo if before is None else {**echo, "comparison_date_range": _written(before)}


def _written(there: Range) -> list[str]:
    return [to_aware(edge, there.zone).isoformat() for edge in (there.start, there.end)]
