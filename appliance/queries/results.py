"""Answers as plain values."""

from fractions import Fraction

import msgspec

from appliance.queries.intervals import Bucket
from appliance.queries.metrics import Value


class Row(msgspec.Struct, frozen=True):
    """`labels` go with the report's dimensions, `values` with its metrics.

    `bucket` is the index of the time bucket in the table's `buckets`, None when time is no dimension. `visitors` is how
    many they are before rounding, where that is an estimate: what a percentage is made of.
    """

    labels: tuple[str, ...]
    values: tuple[Value, ...]
    bucket: int | None = None
    visitors: Fraction | None = None


class Table(msgspec.Struct, frozen=True):
    """The answer to one report: rows in its order, without empty groups; one row when it has no dimensions.

    `buckets` are all buckets of the range when time is a dimension, `total_rows` counts the rows without the limit
    when that was asked. Where revenue is a metric: `has_revenue` says whether some row, also one that the limit cut
    off, carries any, and `mixed_currencies` whether one has none to say because it is in several. `sampled`: a part of
    the range's data was sampled out, and sums are estimated from what was kept; of `lower_bounds`, metrics of this
    table, that was not possible, so that they are at least what is said.
    """

    dimensions: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    buckets: tuple[Bucket, ...] = ()
    total_rows: int | None = None
    has_revenue: bool = False
    mixed_currencies: bool = False
    sampled: bool = False
    lower_bounds: tuple[str, ...] = ()
    imported: bool = False

    def figures(self) -> dict[str, Value]:
        """The metrics of a table without dimensions by name."""
        return dict(zip(self.metrics, self.rows[0].values, strict=True))
