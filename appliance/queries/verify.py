"""Checks an answer: the same figures by plain counting over the stored events (recount.py), both shown."""

from typing import Final

import msgspec

from appliance.errors import RawPurged
from appliance.queries import recount
from appliance.queries.metrics import Value
from appliance.queries.question import Report, Scope
from appliance.queries.reports import Reports
from appliance.storage.interface import Database

ATTEMPTS: Final = 3  # while events arrive between asking and counting


class Line(msgspec.Struct, frozen=True):
    """A group as it was answered, and as it was counted; None where it is not there."""

    labels: tuple[str, ...]
    values: tuple[Value, ...] | None
    recounted: tuple[Value, ...] | None

    @property
    def is_equal(self) -> bool:
        return self.values == self.recounted


class Verification(msgspec.Struct, frozen=True):
    """`is_settled` False: events kept arriving, so that answer and count are of different moments. `sampled` and
    `lower_bounds` are the answer's (results.py); the count estimates by the same rules."""

    lines: tuple[Line, ...]
    is_settled: bool
    sampled: bool = False
    lower_bounds: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        return all(line.is_equal for line in self.lines)


async def verify(reports: Reports, database: Database, scope: Scope, report: Report) -> Verification:
    """The rows of a report beside their count.

    Groups that only the count has come last, unless the report's limit or offset may have cut them off. Raises
    what `Reports.answer` raises, ChunkDamaged, and RawPurged when not all events are kept that would be counted.
    """
    purged = await database.raw_purged_before(scope.project_id)
    if purged is not None and scope.range.start < purged:
        raise RawPurged
    table = await reports.answer(scope, report)
    for _ in range(ATTEMPTS):
        before = table
        counted = await recount.recount(database, scope, report, reports.names)
        table = await reports.answer(scope, report)
        if is_settled := table == before:
            break
    lines = [Line(row.labels, row.values, counted.pop((row.labels, row.bucket), None)) for row in table.rows]
    if report.offset == 0 and len(table.rows) < report.limit:
        lines += [Line(labels, None, values) for (labels, _), values in sorted(counted.items(), key=repr)]
    return Verification(tuple(lines), is_settled, table.sampled, table.lower_bounds)
