"""Lists by one dimension: the dashboard's panels, the details table, and what a filter can be set to."""

from fractions import Fraction

import msgspec

from appliance.queries.metrics import Value, ratio
from appliance.queries.question import Order, Report
from appliance.queries.results import Table

PANEL_ROWS = 9


class Line(msgspec.Struct, frozen=True):
    """A row of a list. By its first metric, `share` is the part of the largest line (0 to 1), `percent` of all."""

    label: str
    values: tuple[Value, ...]
    share: float
    percent: int | float | None


def panel(dimension: str, *, only_set: bool = False) -> Report:
    """The first lines of a dashboard's panel, by visitors. `only_set`: without the line of those without a value."""
    return Report(("visitors",), (dimension,), limit=PANEL_ROWS, only_set=only_set)


def details(
    dimension: str,
    metrics: tuple[str, ...],
    *,
    order: Order | None = None,
    search: str = "",
    limit: int = 50,
    offset: int = 0,
) -> Report:
    """A page of a details table; the answer's `total_rows` counts all that the search finds."""
    orders = (order,) if order is not None else ()
    return Report(metrics, (dimension,), orders, limit, offset, total_rows=True, search=search)


def suggestions(dimension: str, search: str = "", limit: int = 20) -> Report:
    """Values of a dimension that a filter can name, the most visited first."""
    return Report(("visitors",), (dimension,), limit=limit, search=search)


def visitors(table: Table) -> int | Fraction:
    """How many visitors a report without dimensions counts: before rounding, where that is an estimate."""
    (row,) = table.rows
    counted = table.figures()["visitors"]
    return row.visitors if row.visitors is not None else counted if isinstance(counted, int) else 0


def lines(table: Table, total: int | Fraction) -> tuple[Line, ...]:
    """The rows of a list whose first metric is visitors; `total` are all of them, for the percentages."""
    firsts = [row.visitors if row.visitors is not None else _size(row.values[0]) for row in table.rows]
    largest = max(firsts, default=0)
    return tuple(
        Line(
            row.labels[0],
            row.values,
            float(first / largest) if largest else 0.0,
            ratio(100 * first, total, 1),
        )
        for row, first in zip(table.rows, firsts, strict=True)
    )


def _size(value: Value) -> int:
    return value if isinstance(value, int) else 0
