"""A metric over time, with every bucket of the range, beside the same metric over another range."""

import msgspec

from appliance.queries.intervals import Bucket, Interval
from appliance.queries.metrics import Value, metric
from appliance.queries.question import Report
from appliance.queries.results import Table


class Point(msgspec.Struct, frozen=True):
    """A bucket and its value; `value` is None in buckets to come, and for a ratio over 0.

    `previous_bucket` is the bucket at the same place of the other range, None where that is shorter.
    """

    bucket: Bucket
    value: Value
    previous_bucket: Bucket | None = None
    previous: Value = None


def report(metrics: tuple[str, ...], interval: Interval) -> Report:
    return Report(metrics, (f"time:{interval}",))


def points(table: Table, name: str, previous: Table | None = None) -> tuple[Point, ...]:
    """The series of one of the table's metrics. `table` and `previous` are grouped by time alone."""
    values = _filled(table, name)
    others = _filled(previous, name) if previous is not None else []
    steps = previous.buckets if previous is not None else ()
    series = []
    for index, (bucket, value) in enumerate(zip(table.buckets, values, strict=True)):
        if index < len(steps):
            series.append(Point(bucket, value, steps[index], others[index]))
        else:
            series.append(Point(bucket, value))
    return tuple(series)


def _filled(table: Table, name: str) -> list[Value]:
    """A value for every bucket: what no row speaks of counts 0, a ratio over it is None."""
    nothing = metric(name).of_nothing
    place = table.metrics.index(name)
    values: list[Value] = [None if bucket.state == "future" else nothing for bucket in table.buckets]
    for row in table.rows:
        if row.bucket is not None:
            values[row.bucket] = row.values[place]
    return values
