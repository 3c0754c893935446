"""Lists by one dimension: the dashboard's panels, the details table, and what a filter can be set to."""

import msgspec

from appliance.queries.metrics import Money, Value, ratio
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


def lines(table: Table, total: Value) -> tuple[Line, ...]:
    """The rows of a list; `total` is the first metric of all, for the percentages (None: there are none)."""
    firsts = [_size(row.values[0]) for row in table.rows]
    largest = max(firsts, default=0)
    return tuple(
        Line(
            row.labels[0],
            row.values,
            first / largest if largest else 0.0,
            ratio(100 * first, total, 1) if isinstance(first, int) and isinstance(total, int) else None,
        )
        for row, first in zip(table.rows, firsts, strict=True)
    )


def _size(value: Value) -> int | float:
    return value.minor if isinstance(value, Money) else value or 0
