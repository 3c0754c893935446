"""The rows that an engine answers with as tables: labels, figures, and whether these rest on sampled data."""

from collections.abc import Sequence

from appliance.queries import sampling
from appliance.queries.dimensions import GoalDimension, TimeDimension
from appliance.queries.intervals import Bucket, buckets
from appliance.queries.metrics import Estimate, metric
from appliance.queries.question import Report, Scope
from appliance.queries.results import Row, Table
from appliance.queries.sampling import Mark
from appliance.queries.selection import whole
from appliance.queries.sql import counts_all, measures_of, shows_money
from appliance.storage.evaluation import Cell, Rows


def tables(scope: Scope, reports: Sequence[Report], answers: list[Rows], *, weighted: bool = False) -> list[Table]:
    """The answers to a step that was compiled of these reports."""
    remaining = iter(answers)
    mark = sampling.mark(answers[-1]) if weighted else Mark()
    found = []
    for report in reports:
        rows = next(remaining)
        (total,) = next(remaining) if counts_all(report) else [()]
        found.append(_table(scope, report, rows, total, mark))
    return found


def _table(scope: Scope, report: Report, rows: Rows, total: tuple[Cell, ...], mark: Mark) -> Table:
    groupings = report.grouped()
    time = next((index for index, item in enumerate(groupings) if isinstance(item, TimeDimension)), None)
    goal = next((index for index, item in enumerate(groupings) if isinstance(item, GoalDimension)), None)
    steps: tuple[Bucket, ...] = ()
    if (interval := report.interval(scope.range)) is not None:
        steps = buckets(scope.range, interval)
    names = measures_of(report)
    metrics = [metric(name) for name in report.metrics]
    money = shows_money(report)
    filled, paying, mixed = [], False, False
    for row in rows:
        *cells, last = row if money else (*row, None)
        currency = None if last is None else str(last)
        labels = [str(cell) for cell in cells[: len(groupings)]]
        counted = dict(zip(names, map(sampling.estimate, cells[len(groupings) :]), strict=True))
        if money and _stored(counted["paying"]) > 0:
            paying, mixed = True, mixed or currency is None
        bucket = None
        if time is not None:
            bucket = whole(cells[time])
            labels[time] = steps[bucket].label
        if goal is not None:
            labels[goal] = scope.goals[whole(cells[goal])].name
        people = counted.get("visitors", 0)
        exact = people.estimated if isinstance(people, Estimate) else None
        filled.append(Row(tuple(labels), tuple(item.value(counted, currency) for item in metrics), bucket, exact))
    if total and money:
        paying, mixed = (whole(cell) > 0 for cell in total[1:])
    return Table(
        report.dimensions,
        report.metrics,
        tuple(filled),
        steps,
        whole(total[0]) if report.total_rows else None,
        paying,
        mixed,
        mark.sampled,
        mark.lower_bounds(report.metrics),
    )


def _stored(counted: int | Estimate) -> int:
    return counted if isinstance(counted, int) else counted.stored
