"""A metric over time, with every bucket of the range, beside the same metric over another range."""

import msgspec

from appliance.queries.beside import buckets_beside
from appliance.queries.intervals import Bucket, Interval
from appliance.queries.metrics import Value, metric
from appliance.queries.question import Report
from appliance.queries.results import Table


class Point(msgspec.Struct, frozen=True):
    """A bucket and its value; `value` is None in buckets to come, and for a ratio over 0.

    `previous_bucket` is its counterpart in the other range (beside.py), None where there is none.
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
    if previous is None:
        return tuple(map(Point, table.buckets, values))
    others = _filled(previous, name)
    series = []
    for bucket, value, place in zip(table.buckets, values, buckets_beside(table, previous), strict=True):
        if place is None:
            series.append(Point(bucket, value))
        else:
            series.append(Point(bucket, value, previous.buckets[place], others[place]))
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
