"""Figures of days that came from another product, added to those that are counted.

They speak of one dimension at a time and of nobody in particular: so they are added to what is asked of everybody, over
whole days, by time or by one dimension, and never under a filter. Visitors of several days are the sum of those of each
day, since nobody can tell who came again. What a report asks for beside (time on page, revenue) stays that of what is
counted.

A report that they can be added to is asked anew: for the counts that its figures are made of, and for all its rows,
because imported values move them. Then rows are joined, ordered and cut here.
"""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from appliance.model import Project
from appliance.queries.beside import ROWS_MAX
from appliance.queries.dimensions import PROPERTY, Dimension, TimeDimension
from appliance.queries.filters import EVERYTHING
from appliance.queries.intervals import Bucket
from appliance.queries.localtime import day_start
from appliance.queries.metrics import EVENT_MEASURES, STORED_VISITS, SUMS, VISIT_MEASURES, Measure, Money, Value, metric
from appliance.queries.period import Range
from appliance.queries.question import Order, Report, Scope
from appliance.queries.results import Row, Table
from appliance.storage import imported_figures
from appliance.storage.imported_figures import Days
from appliance.storage.interface import Database
from appliance.storage.matching import matcher

Asked = Sequence[tuple[Scope, Sequence[Report]]]
Reason = Literal["no_imported_data", "unsupported_query", "unsupported_interval", "out_of_range"]

# Dimensions that figures of other products may speak of; properties of events come to them.
DIMENSIONS: Final = frozenset(
    {
        "event:name", "event:page", "visit:source", "visit:referrer", "visit:channel", "visit:utm_source",
        "visit:utm_medium", "visit:utm_campaign", "visit:utm_content", "visit:utm_term", "visit:entry_page",
        "visit:exit_page", "visit:country", "visit:region", "visit:device", "visit:browser", "visit:os",
    }
)  # fmt: skip
# The counts that a report is asked anew for, by the metric that says just that.
_COUNTS: Final[dict[Measure, str]] = {
    "visitors": "visitors", "events": "events", "pageviews": "pageviews", "visits": "visits",
    **{what.numerator: name for name, what in SUMS.items() if name != STORED_VISITS},
}  # fmt: skip
_CONVERSIONS: Final = frozenset(("conversion_rate", "group_conversion_rate"))
_EPOCH: Final = date(1970, 1, 1).toordinal()

Part = Measure | Literal["visits that are stored"]  # which means are over
Counts = dict[Part, int]
Imported = Mapping[tuple[int, str], tuple[int, ...]]


class ImportedFigures:
    """The imported figures of all projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def first(self, project: Project) -> int | None:
        """When the first day begins that a project has figures of, in UTC microseconds."""
        days = await imported_figures.days(self._database, project.id)
        return None if days is None else day_start(_date(days.first), ZoneInfo(project.timezone))

    async def why_not(self, scope: Scope, report: Report) -> Reason | None:
        """Why nothing can be added to a report; None: something can."""
        days = await imported_figures.days(self._database, scope.project_id)
        return "no_imported_data" if days is None else _why_not(scope, report) or _outside(scope.range, days)

    async def ask(self, asked: Asked, count: Callable[[Asked], Awaitable[list[list[Table]]]]) -> list[list[Table]]:
        """What `count` answers, with the imported figures added where they can be."""
        days = await imported_figures.days(self._database, asked[0][0].project_id) if asked else None
        if days is None:
            return await count(asked)
        joins = [
            [_Join(scope, report, days) if _joins(scope, report, days) else None for report in reports]
            for scope, reports in asked
        ]
        wanted = [
            (scope, [part for report, join in zip(reports, made, strict=True) for part in _parts(report, join)])
            for (scope, reports), made in zip(asked, joins, strict=True)
        ]
        answers = await count(wanted)
        found = []
        for made, answer in zip(joins, answers, strict=True):
            tables = iter(answer)
            found.append([next(tables) if join is None else await self._joined(join, tables) for join in made])
        return found

    async def _joined(self, join: "_Join", tables: Any) -> Table:
        table = next(tables)
        total = next(tables).rows[0].values[0] if join.needs_total else 0
        first, last = join.days
        found = await imported_figures.sums(
            self._database, join.scope.project_id, join.dimension, first, last, by_day=join.by_time
        )
        everybody = found
        if found and join.needs_total and join.dimension:
            everybody = await imported_figures.sums(self._database, join.scope.project_id, "", first, last)
        return join.table(table, found, total + sum(sums[0] for sums in everybody.values()))


def _joins(scope: Scope, report: Report, days: Days) -> bool:
    return _why_not(scope, report) is None and _outside(scope.range, days) is None


def _why_not(scope: Scope, report: Report) -> Reason | None:
    if scope.filter != EVERYTHING or _CONVERSIONS & set(report.metrics):
        return "unsupported_query"
    if len(report.dimensions) > 1 or not any(_is_made(name, report) for name in report.metrics):
        return "unsupported_query"
    if not report.dimensions:
        return None
    (item,) = report.grouped()
    if isinstance(item, TimeDimension):
        return "unsupported_interval" if report.interval(scope.range) in ("minute", "hour") else None
    return None if item.name in DIMENSIONS or item.name.startswith(PROPERTY) else "unsupported_query"


def _outside(there: Range, days: Days) -> Reason | None:
    first, last = _span(there, days)
    return "out_of_range" if first > last else None


def _span(there: Range, days: Days) -> tuple[int, int]:
    """The imported days that lie in a range whole; the first is after the last where there is none."""
    first, last = _number(there.first_day), _number(there.last_day)
    first += day_start(there.first_day, there.zone) < there.start
    last -= day_start(_date(last + 1), there.zone) > there.end
    return max(first, days.first), min(last, days.last)


def _parts(report: Report, join: "_Join | None") -> list[Report]:
    """What is asked for a report: itself, or the counts that it is joined from."""
    if join is None:
        return [report]
    return [join.counted, Report(("visitors",))] if join.needs_total else [join.counted]


def _is_made(name: str, report: Report) -> bool:
    """Whether a metric of a report is made of what imported figures say. Of the visits in which something happened they
    say how many there were, and nothing else."""
    what = metric(name)
    if any(key.startswith("event:") for key in report.dimensions):
        return what.denominator in (None, "total_visitors") and what.numerator in _COUNTS
    return all(measure in _COUNTS or measure == "total_visitors" for measure in what.measures)


class _Join:
    """One report and what it is made of."""

    def __init__(self, scope: Scope, report: Report, days: Days) -> None:
        self.scope = scope
        self.report = report
        self.days = _span(scope.range, days)
        item = report.grouped()[0] if report.dimensions else None
        self.by_time = isinstance(item, TimeDimension)
        self._item = item if isinstance(item, Dimension) else None
        self.dimension = self._item.name if self._item is not None else ""
        self.needs_total = "percentage" in report.metrics
        self._others = [name for name in report.metrics if not _is_made(name, report)]
        made = {measure for name in report.metrics if name not in self._others for measure in metric(name).measures}
        self._measures: list[Measure] = [
            name for name in (*EVENT_MEASURES, *VISIT_MEASURES) if name in made and name in _COUNTS
        ]
        self._of_stored = any(metric(name).of_stored for name in report.metrics if name not in self._others)
        stored = (STORED_VISITS,) if self._of_stored else ()
        names = (*(_COUNTS[name] for name in self._measures), *stored, *self._others)
        self.counted = replace(report, metrics=names, order=(), limit=ROWS_MAX, offset=0, total_rows=False)

    def table(self, counted: Table, found: Imported, total: int) -> Table:
        """The report's table; `total` are the visitors that percentages are of."""
        rows = {self._key(row): self._from_row(row) for row in counted.rows}
        for (day, value), sums in found.items():
            key = self._key_of(counted.buckets, day, value)
            if key is None or not self._shows(sums):
                continue
            counts, _ = rows.setdefault(key, ({}, self._nothing()))
            for name in self._measures:
                counts[name] = counts.get(name, 0) + _part(name, sums)
            if self._of_stored:
                counts[STORED_VISITS] = counts.get(STORED_VISITS, 0) + _part("visits", sums)
        made = [
            self._row(counted, key, counts | {"total_visitors": total}, others)
            for key, (counts, others) in rows.items()
        ]
        ordered = self._ordered(made)
        limit, offset = self.report.limit, self.report.offset
        return replace(
            counted,
            metrics=self.report.metrics,
            rows=tuple(row for row, _ in ordered[offset : offset + limit]),
            total_rows=len(ordered) if self.report.total_rows else None,
            lower_bounds=tuple(name for name in self.report.metrics if name in counted.lower_bounds),
            imported=bool(found),
        )

    def _shows(self, sums: tuple[int, ...]) -> bool:
        """Whether imported figures make a group: of what happened in it, or of visits, as far as that is asked for."""
        visitors, visits, pageviews, events, *_ = sums
        happened = any(name in EVENT_MEASURES for name in self._measures) and (visitors or pageviews or events)
        return bool(happened or (visits and any(name in VISIT_MEASURES for name in self._measures)))

    def _key(self, row: Row) -> int | str:
        if self.by_time:
            return row.bucket or 0
        return row.labels[0] if row.labels else ""

    def _key_of(self, steps: Sequence[Bucket], day: int, value: str) -> int | str | None:
        """The group that imported figures belong to; None: none that the report shows."""
        if self.by_time:
            start = day_start(_date(day), self.scope.range.zone)
            return bisect_right(steps, start, key=lambda step: step.start) - 1
        if self._item is None:
            return ""
        if not value:
            return None if self.report.only_set or self.report.search else self._item.missing
        if self.report.search and not matcher("contains", (self.report.search,), case_sensitive=False)(value):
            return None
        return value

    def _from_row(self, row: Row) -> tuple[Counts, dict[str, Value]]:
        whole = [value if isinstance(value, int) else 0 for value in row.values]
        asked: list[Part] = [*self._measures]
        if self._of_stored:
            asked.append(STORED_VISITS)
        counts: Counts = dict(zip(asked, whole, strict=False))
        return counts, dict(zip(self._others, row.values[len(asked) :], strict=True))

    def _nothing(self) -> dict[str, Value]:
        return {name: metric(name).of_nothing for name in self._others}

    def _row(
        self, counted: Table, key: int | str, counts: Counts, others: Mapping[str, Value]
    ) -> tuple[Row, dict[str, Any]]:
        """A row, and by what it may be ordered: exact figures, and the bytes or the place of its group."""
        values = tuple(
            others[name] if name in others else metric(name).value(_of(name, counts)) for name in self.report.metrics
        )
        exact: dict[str, Any] = {
            name: _amount(value) if name in others else _exact(name, counts)
            for name, value in zip(self.report.metrics, values, strict=True)
        }
        if isinstance(key, int):
            exact[self.report.dimensions[0]] = key
            return Row((counted.buckets[key].label,), values, key), exact
        if self.report.dimensions:
            exact[self.report.dimensions[0]] = key.encode()
        return Row((key,) if self.report.dimensions else (), values), exact

    def _ordered(self, rows: list[tuple[Row, dict[str, Any]]]) -> list[tuple[Row, dict[str, Any]]]:
        orders = list(self.report.ordering())
        orders += [Order(name) for name in self.report.dimensions if name not in {order.key for order in orders}]
        for order in reversed(orders):
            known = [row for row in rows if row[1][order.key] is not None]
            known.sort(key=lambda row, key=order.key: row[1][key], reverse=order.descending)  # type: ignore[misc]
            rows = known + [row for row in rows if row[1][order.key] is None]
        return rows


def _part(name: Measure, sums: tuple[int, ...]) -> int:
    """A measure of imported figures."""
    visitors, visits, pageviews, events, bounces, seconds = sums
    found: dict[Measure, int] = {
        "visitors": visitors,
        "visits": visits,
        "pageviews": pageviews,
        "visit_pageviews": pageviews,
        "events": events,
        "bounces": bounces,
        "duration": seconds * 1_000_000,
    }
    return found[name]


def _exact(name: str, counts: Counts) -> Fraction | None:
    """A metric before rounding."""
    what, known = metric(name), _of(name, counts)
    below = 1 if what.denominator is None else known[what.denominator]
    return Fraction(known[what.numerator], below) if below else None


def _of(name: str, counts: Counts) -> dict[Measure, int]:
    """What a metric is made of: means over what is stored have only those visits below the line."""
    known = {measure: number for measure, number in counts.items() if measure != STORED_VISITS}
    return known | {"visits": counts[STORED_VISITS]} if metric(name).of_stored else known


def _amount(value: Value) -> int | float | None:
    return value.minor if isinstance(value, Money) else value


def _date(day: int) -> date:
    return date.fromordinal(_EPOCH + day)


def _number(day: date) -> int:
    return day.toordinal() - _EPOCH
