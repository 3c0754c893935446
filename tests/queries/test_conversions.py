"""The list of goals: those that nobody reached are in it, where the order puts them."""

import pytest

from appliance.queries.conversions import complete, pays
from appliance.queries.metrics import Money, Value
from appliance.queries.question import Order
from appliance.queries.results import Row, Table
from appliance.storage.goals import Goal

GOALS = tuple(Goal(place, 1, name, "event", name) for place, name in enumerate(("Ask", "Buy", "Come", "Order")))
REACHED = (Row(("Order",), (3, 5, 30.0, Money(999, "EUR"))), Row(("Come",), (2, 2, 20.0, None)))


def table(*rows: Row, mixed: bool = False) -> Table:
    metrics = ("visitors", "events", "conversion_rate", "total_revenue")
    return Table(("event:goal",), metrics, rows, mixed_currencies=mixed)


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (None, ["Order", "Come", "Ask", "Buy"]),
        (Order("events", descending=True), ["Order", "Come", "Ask", "Buy"]),
        (Order("visitors"), ["Ask", "Buy", "Order", "Come"]),
        (Order("total_revenue"), ["Order", "Come", "Ask", "Buy"]),  # nothing comes last either way
        (Order("event:goal"), ["Ask", "Buy", "Come", "Order"]),
        (Order("event:goal", descending=True), ["Order", "Come", "Buy", "Ask"]),
    ],
)
def test_unreached_goals_stand_where_zeros_do(order: Order | None, names: list[str]) -> None:
    assert [row.labels[0] for row in complete(table(*REACHED), GOALS, order, anybody=True)] == names


@pytest.mark.parametrize(("anybody", "rate"), [(True, 0.0), (False, None)])
def test_a_rate_of_nobody_is_none(anybody: bool, rate: Value) -> None:
    rows = complete(table(), GOALS[:1], anybody=anybody)
    assert rows == (Row(("Ask",), (0, 0, rate, None)),)


def test_whether_goals_pay() -> None:
    assert pays(table(*REACHED))
    assert not pays(table(REACHED[1]))
    assert pays(table(REACHED[1], mixed=True))
