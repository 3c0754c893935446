"""Asks the engine: reports in, tables out. The one door from pages and APIs to the figures."""

from collections.abc import Sequence

import msgspec

from appliance.model import Project
from appliance.queries import breakdown, overview, timeseries
from appliance.queries.bindings import Bindings
from appliance.queries.conditions import Names
from appliance.queries.dialects import DIALECTS
from appliance.queries.dimensions import TimeDimension
from appliance.queries.filters import EVERYTHING, Filter
from appliance.queries.intervals import Bucket, Interval, buckets
from appliance.queries.metrics import Value, metric
from appliance.queries.period import Named, Period, Range, resolve
from appliance.queries.question import Report, Scope, check
from appliance.queries.results import Row, Table
from appliance.queries.sql import compile_step, measures_of
from appliance.storage.evaluation import Cell, Plan, QueryEngine, Rows


class Dashboard(msgspec.Struct, frozen=True):
    """Everything that the dashboard shows, from one snapshot.

    `series` holds the points of each metric that was asked for by name; `panels` go with the reports asked for.
    """

    figures: tuple[overview.Figure, ...]
    series: dict[str, tuple[timeseries.Point, ...]]
    panels: tuple[Table, ...]

    def value(self, name: str) -> Value:
        """One of the figures."""
        return next(figure.value for figure in self.figures if figure.metric == name)

    def lines(self, index: int) -> tuple[breakdown.Line, ...]:
        """The lines of a panel whose first metric is one of the figures."""
        table = self.panels[index]
        return breakdown.lines(table, self.value(table.metrics[0]))


class Reports:
    """Answers questions about projects with a query engine.

    Its methods raise QueryTimeout, StorageUnavailable, and Invalid for what cannot be asked.
    """

    def __init__(self, engine: QueryEngine, names: Names = Names()) -> None:
        self._engine = engine
        self._dialect = DIALECTS[engine.dialect]
        self._names = names

    async def scope(self, project: Project, period: Period, now: int, tree: Filter = EVERYTHING) -> Scope:
        """A project's data in a period, at `now` (UTC microseconds)."""
        first = None
        if isinstance(period, Named) and period.name == "all":
            first = await self._engine.first_event(project.id)
        return Scope(project.id, resolve(period, project.timezone, now, first), tree)

    async def first_event(self, project: Project) -> int | None:
        """Time of a project's first event in UTC microseconds, None when it has none."""
        return await self._engine.first_event(project.id)

    async def ask(self, asked: Sequence[tuple[Scope, Sequence[Report]]]) -> list[list[Table]]:
        """The tables of all reports over each scope, from one snapshot. The scopes are of one project."""
        wanted = [(scope, [check(report) for report in reports]) for scope, reports in asked if reports]
        if not wanted:
            return [[] for _ in asked]
        bindings = [Bindings(self._dialect) for _ in wanted]
        steps = tuple(
            compile_step(scope, reports, self._dialect, self._names, bound)
            for (scope, reports), bound in zip(wanted, bindings, strict=True)
        )
        plan = Plan(
            wanted[0][0].project_id,
            tuple(sorted(set().union(*(bound.columns["event"] for bound in bindings)))),
            tuple(sorted(set().union(*(bound.columns["visit"] for bound in bindings)))),
            tuple(sorted(set().union(*(bound.dictionaries for bound in bindings)))),
            steps,
        )
        answers = iter(await self._engine.ask(plan))
        return [_tables(scope, reports, next(answers)) if reports else [] for scope, reports in asked]

    async def answer(self, scope: Scope, report: Report) -> Table:
        """The table of one report."""
        return (await self.ask([(scope, [report])]))[0][0]

    async def dashboard(
        self,
        scope: Scope,
        *,
        interval: Interval,
        series: Sequence[str] = ("visitors",),
        panels: Sequence[Report] = (),
        previous: Range | None = None,
    ) -> Dashboard:
        """Figures, series of these metrics, and panels; figures and series beside those of the range `previous`."""
        over_time = timeseries.report(tuple(series), interval)
        asked: list[tuple[Scope, Sequence[Report]]] = [(scope, [overview.REPORT, over_time, *panels])]
        if previous is not None:
            asked.append((msgspec.structs.replace(scope, range=previous), [overview.REPORT, over_time]))
        (now, steps, *lists), *others = await self.ask(asked)
        before, steps_before = others[0] if others else (None, None)
        points = {name: timeseries.points(steps, name, steps_before) for name in series}
        return Dashboard(overview.figures(now, before), points, tuple(lists))


def _tables(scope: Scope, reports: Sequence[Report], answers: list[Rows]) -> list[Table]:
    remaining = iter(answers)
    tables = []
    for report in reports:
        rows = next(remaining)
        total = _whole(next(remaining)[0][0]) if report.total_rows else None
        tables.append(_table(scope, report, rows, total))
    return tables


def _table(scope: Scope, report: Report, rows: Rows, total: int | None) -> Table:
    groupings = report.grouped()
    time = next((index for index, item in enumerate(groupings) if isinstance(item, TimeDimension)), None)
    steps: tuple[Bucket, ...] = ()
    if (interval := report.interval(scope.range)) is not None:
        steps = buckets(scope.range, interval)
    names = measures_of(report)
    metrics = [metric(name) for name in report.metrics]
    filled = []
    for cells in rows:
        labels = [str(cell) for cell in cells[: len(groupings)]]
        counted = dict(zip(names, map(_whole, cells[len(groupings) :]), strict=True))
        bucket = None
        if time is not None:
            bucket = _whole(cells[time])
            labels[time] = steps[bucket].label
        filled.append(Row(tuple(labels), tuple(item.value(counted) for item in metrics), bucket))
    return Table(report.dimensions, report.metrics, tuple(filled), steps, total)


def _whole(cell: Cell) -> int:
    assert isinstance(cell, int)
    return cell
