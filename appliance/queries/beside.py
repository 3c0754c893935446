"""The rows of a report beside those of the same report over another range."""

from typing import Final

from msgspec.structs import replace

from appliance.errors import Invalid
from appliance.queries.dimensions import TIME_DIMENSIONS
from appliance.queries.metrics import metric
from appliance.queries.question import Report
from appliance.queries.results import Row, Table

ROWS_MAX: Final = 1_000_000


def counterpart(report: Report) -> Report:
    """What to ask of the other range: all groups, for the page that is shown may stand anywhere in it."""
    return replace(report, limit=ROWS_MAX + 1, offset=0, total_rows=False)


def matched(table: Table, other: Table) -> list[Row]:
    """For each row of `table` the row of the same group in `other`, the answer to its counterpart.

    Buckets of time match by their place in the range. A group that is not there counts nothing; its label of time is
    empty where the other range is shorter. Raises Invalid when there are too many groups.
    """
    if len(other.rows) > ROWS_MAX:
        raise Invalid(f"more than {ROWS_MAX} groups cannot be compared; filter, or ask for fewer dimensions")
    time = next((place for place, name in enumerate(table.dimensions) if name in TIME_DIMENSIONS), None)

    def key(row: Row) -> tuple[int | None, tuple[str, ...]]:
        if time is None:
            return None, row.labels
        return row.bucket, row.labels[:time] + row.labels[time + 1 :]

    there = {key(row): row for row in other.rows}
    nothing = tuple(metric(name).of_nothing for name in table.metrics)
    rows = []
    for row in table.rows:
        found = there.get(key(row))
        if found is None:
            labels = list(row.labels)
            if time is not None and row.bucket is not None:
                labels[time] = other.buckets[row.bucket].label if row.bucket < len(other.buckets) else ""
            found = Row(tuple(labels), nothing, row.bucket)
        rows.append(found)
    return rows
