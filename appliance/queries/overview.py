"""The strip of figures over the dashboard's chart."""

from typing import Final

import msgspec

from appliance.queries.metrics import Value, change
from appliance.queries.question import Report
from appliance.queries.results import Table

METRICS: Final = ("visitors", "visits", "pageviews", "views_per_visit", "bounce_rate", "visit_duration")
REPORT: Final = Report(METRICS)


class Figure(msgspec.Struct, frozen=True):
    """A metric of the whole scope. `previous` and `change` (per cent) are None without a comparison."""

    metric: str
    value: Value
    previous: Value = None
    change: int | None = None


def figures(table: Table, previous: Table | None = None) -> tuple[Figure, ...]:
    """The figures of a report without dimensions, against those of the same report over another range."""
    before = previous.figures() if previous is not None else {}
    return tuple(
        Figure(name, value, before.get(name), change(value, before.get(name)))
        for name, value in table.figures().items()
    )
