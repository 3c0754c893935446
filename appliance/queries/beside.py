"""The rows and buckets of a report beside those of the same report over another range."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from appliance.clock import DAY, HOUR
from appliance.errors import Invalid
from appliance.queries.dimensions import TIME_DIMENSIONS
from appliance.queries.intervals import Bucket, Grain
from appliance.queries.metrics import metric
from appliance.queries.period import Range
from appliance.queries.question import Order, Report
from appliance.queries.results import Row, Table

ROWS_MAX: Final = 1_000_000

_SHORTEST_DAY: Final = 22 * HOUR
_CHANGE_MAX: Final = 2 * HOUR  # of a clock, in one night


def counterpart(report: Report, there: Range) -> Report:
    """What to ask of the other range, beside `there`: the same buckets of time, and all groups, for the page that is
    shown may stand anywhere among them."""
    time = f"time:{report.interval(there)}"
    return replace(
        report,
        dimensions=tuple(time if name == "time" else name for name in report.dimensions),
        order=tuple(Order(time, order.descending) if order.key == "time" else order for order in report.order),
        limit=ROWS_MAX + 1,
        offset=0,
        total_rows=False,
    )


def matched(table: Table, other: Table) -> list[Row]:
    """For each row of `table` the row of the same group in `other`, the answer to its counterpart.

    A group that is not there counts nothing. Where its bucket of time has no counterpart there is nothing to count: the
    label is empty, the values are None. Raises Invalid when there are too many groups.
    """
    if len(other.rows) > ROWS_MAX:
        raise Invalid(f"more than {ROWS_MAX} groups cannot be compared; filter, or ask for fewer dimensions")
    time = next((place for place, name in enumerate(table.dimensions) if name in TIME_DIMENSIONS), None)
    steps = buckets_beside(table, other)

    def key(row: Row, bucket: int | None) -> tuple[int | None, tuple[str, ...]]:
        return bucket, row.labels if time is None else row.labels[:time] + row.labels[time + 1 :]

    there = {key(row, row.bucket): row for row in other.rows}
    nothing = tuple(metric(name).of_nothing for name in table.metrics)
    rows = []
    for row in table.rows:
        bucket = None if row.bucket is None else steps[row.bucket]
        found = None if row.bucket is not None and bucket is None else there.get(key(row, bucket))
        if found is None:
            labels, values = list(row.labels), nothing
            if time is not None:
                labels[time] = "" if bucket is None else other.buckets[bucket].label
                values = nothing if bucket is not None else (None,) * len(nothing)
            found = Row(tuple(labels), values, bucket)
        rows.append(found)
    return rows


def buckets_beside(table: Table, other: Table) -> list[int | None]:
    """For each bucket of `table` the index of its counterpart in `other`, None where there is none.

    Weeks and months match by their place, days by how far they are from the first. Hours and minutes match at the same
    local time where the ranges begin whole days apart: whatever the clock did, noon meets noon. An hour that only one
    side has meets none; of one that comes twice, the first meets the first. Other ranges, such as a few hours and those
    just before, match by place.
    """
    if not table.buckets or not other.buckets:
        return [None] * len(table.buckets)
    interval = next(item.interval for name in other.dimensions if (item := TIME_DIMENSIONS.get(name)))
    apart = _apart(table.buckets, other.buckets, interval)
    if apart is None:
        return [place if place < len(other.buckets) else None for place in range(len(table.buckets))]
    there = {key: place for place, key in enumerate(_on_clock(other.buckets, apart))}
    return [there.get(key) for key in _on_clock(table.buckets, timedelta())]


def _apart(steps: Sequence[Bucket], others: Sequence[Bucket], interval: Grain | None) -> timedelta | None:
    """How far labels are from those that they match; None: they match by place."""
    if interval == "day":
        return datetime.fromisoformat(steps[0].label) - datetime.fromisoformat(others[0].label)
    if interval in ("week", "month"):
        return None
    distance = steps[0].start - others[0].start
    days = round(distance / DAY)
    longest = max(here[-1].end - here[0].start for here in (steps, others))
    is_whole_days = abs(distance - days * DAY) <= (_CHANGE_MAX if longest >= _SHORTEST_DAY else 0)
    return timedelta(days) if is_whole_days else None


def _on_clock(steps: Sequence[Bucket], later: timedelta) -> Iterator[tuple[datetime, int]]:
    """The local times of buckets, moved; with which time it is that they come."""
    met: Counter[datetime] = Counter()
    for step in steps:
        wall = datetime.fromisoformat(step.label) + later
        met[wall] += 1
        yield wall, met[wall]
