"""What came of a project's goals: a list of all of them, also of those that nobody reached."""

from collections.abc import Sequence
from typing import Final

from appliance.queries.goals import GOAL
from appliance.queries.metrics import Money, Value
from appliance.queries.question import LIMIT_MAX, Order, Report
from appliance.queries.results import Row, Table
from appliance.storage.goals import Goal

METRICS: Final = ("visitors", "events", "conversion_rate", "total_revenue")
# Of everything: None where there are no visitors that a conversion could be a part of.
WHOLE: Final = Report(("conversion_rate",))
_NULL_LAST: Final = "total_revenue"


def report(order: Order | None = None) -> Report:
    """The goals that somebody reached, the one with the most visitors first unless ordered otherwise."""
    return Report(METRICS, (GOAL,), (order,) if order is not None else (), LIMIT_MAX)


def complete(table: Table, goals: Sequence[Goal], order: Order | None = None, *, anybody: bool) -> tuple[Row, ...]:
    """The answer to `report` with all `goals` in it: who was reached by nobody has zeros, and no revenue.

    `anybody` says whether there are visitors who could have reached one: without, there is no rate.
    """
    found = {row.labels[0] for row in table.rows}
    zeros: tuple[Value, ...] = (0, 0, 0.0 if anybody else None, None)
    missing = tuple(Row((goal.name,), zeros) for goal in goals if goal.name not in found)
    order = order or Order(METRICS[0], descending=True)
    if order.key == GOAL:
        rows = sorted((*table.rows, *missing), key=lambda row: row.labels[0].encode(), reverse=order.descending)
        return tuple(rows)
    return (*table.rows, *missing) if order.descending or order.key == _NULL_LAST else (*missing, *table.rows)


def pays(table: Table) -> bool:
    """Whether any goal brought revenue."""
    return table.mixed_currencies or any(isinstance(row.values[-1], Money) for row in table.rows)
