"""Which reports rollups can answer. What they cannot is counted over chunks and rows.

Which days and months are covered by rollups is the engine's to know: it has the snapshot.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from appliance.clock import HOUR
from appliance.queries.dimensions import SENT_NAME, Dimension, GoalDimension, TimeDimension
from appliance.queries.filters import EVERYTHING
from appliance.queries.intervals import Grain, buckets
from appliance.queries.metrics import VISIT_MEASURES, metric
from appliance.queries.period import Range
from appliance.queries.question import Report, Scope
from appliance.rollups.catalog import BY_COLUMN
from appliance.storage.calendar import month_of, week_of
from appliance.storage.evaluation import Rolled
from appliance.storage.rollup import EVENT_COUNTS, MEASURES, MONTH, SLOT

SHORTEST: Final = 22 * HOUR  # a range that holds a whole day is not shorter


_EPOCH: Final = date(1970, 1, 1)
_BY_TIME: Final[Mapping[Grain, str]] = {"day": "day", "week": "week", "month": MONTH}
_CODES: Final[Mapping[str, Callable[[int], int]]] = {"day": lambda day: day, "week": week_of, MONTH: month_of}


def rollup_of(report: Report, scope: Scope) -> str | None:
    """The name of the rollup that a report can be answered with, None where there is none."""
    there = scope.range
    if scope.filter != EVERYTHING or scope.base is not None or there.end - there.start < SHORTEST:
        return None
    measures = {measure for name in report.metrics for measure in metric(name).measures}
    if not measures <= {*MEASURES, "total_visitors"}:
        return None
    if len(report.dimensions) > 1 or report.interval(there) in ("minute", "5min", "hour"):
        return EVENT_COUNTS if measures <= {"events", "pageviews"} and _is_of_slots(report, there) else None
    for item in report.grouped():
        if isinstance(item, TimeDimension):
            name = _BY_TIME.get(report.interval(there) or "minute")
            return name if name is not None and _is_counted_on(scope, name, report) else None
        if not isinstance(item, Dimension) or item.name == SENT_NAME:
            return None  # rollups know a pageview by its kind alone
        entry = BY_COLUMN.get((item.scope, item.column))
        return entry.name if entry is not None else None
    return "total"


def rolled(scope: Scope, reports: Sequence[Report]) -> Rolled | None:
    """What the reports read of rollups; None unless each of them can be answered so."""
    names = [rollup_of(report, scope) for report in reports]
    found = {name for name in names if name is not None}
    if len(found) == 0 or None in names:
        return None
    if any("percentage" in report.metrics for report in reports):
        found.add("total")
    of_visits = any(_counts_visits(report) and _is_of_events(report) for report in reports)
    return Rolled(tuple(sorted(found)), scope.range.timezone, of_visits)


def first_code(scope: Scope, name: str) -> int:
    """The code of a rollup by time for the first bucket of the range."""
    return _CODES[name]((scope.range.first_day - _EPOCH).days)


def _counts_visits(report: Report) -> bool:
    return any(measure in VISIT_MEASURES for name in report.metrics for measure in metric(name).measures)


def _is_of_events(report: Report) -> bool:
    return any(isinstance(item, Dimension) and item.scope == "event" for item in report.grouped())


def _is_of_slots(report: Report, there: Range) -> bool:
    """Whether event counts by slots tell the report's groups: by source, name, and time in whole slots."""
    values = {item.key for item in report.grouped() if isinstance(item, Dimension)}
    values_of_goals = any(isinstance(item, GoalDimension) for item in report.grouped())
    interval = report.interval(there)
    if values_of_goals or not values <= {"event_source", "event_name"} or interval == "minute":
        return False
    return interval is None or all(bucket.start % SLOT == 0 for bucket in buckets(there, interval)[1:])


def _is_counted_on(scope: Scope, name: str, report: Report) -> bool:
    """Whether each bucket's code is one more than that before: not where a time zone skipped a day."""
    last = _CODES[name]((scope.range.last_day - _EPOCH).days)
    interval = report.interval(scope.range)
    return interval is not None and len(buckets(scope.range, interval)) == last - first_code(scope, name) + 1
