"""Arithmetic of figures: rounding, money, changes."""

import pytest

from appliance.queries.metrics import Money, Value, change, metric, ratio


@pytest.mark.parametrize(
    ("numerator", "denominator", "decimals", "expected"),
    [(1, 2, 0, 1), (-1, 2, 0, 0), (-3, 2, 0, -1), (1, 3, 2, 0.33), (5, 1000, 2, 0.01), (7, 0, 0, None), (0, 5, 1, 0.0)],
)
def test_ratios_are_rounded_half_up(numerator: int, denominator: int, decimals: int, expected: Value) -> None:
    assert ratio(numerator, denominator, decimals) == expected


@pytest.mark.parametrize(
    ("name", "paying", "currency", "expected"),
    [
        ("total_revenue", 4, "EUR", Money(1001, "EUR")),
        ("average_revenue", 4, "EUR", Money(250, "EUR")),
        ("total_revenue", 4, None, None),
        ("average_revenue", 0, None, None),
    ],
)
def test_money_needs_its_one_currency(name: str, paying: int, currency: str | None, expected: Value) -> None:
    assert metric(name).value({"revenue": 1001, "paying": paying}, currency) == expected


@pytest.mark.parametrize(
    ("current", "previous", "expected"),
    [
        (3, 2, 50),
        (1, 3, -67),
        (3, 0, None),
        (None, 3, None),
        (3, None, None),
        (Money(150, "EUR"), Money(100, "EUR"), 50),
        (Money(100, "EUR"), Money(-100, "EUR"), 200),
        (Money(-200, "EUR"), Money(-100, "EUR"), -100),
        (Money(150, "EUR"), Money(100, "USD"), None),
        (Money(150, "EUR"), Money(0, "EUR"), None),
        (Money(150, "EUR"), None, None),
    ],
)
def test_changes(current: Value, previous: Value, expected: int | None) -> None:
    assert change(current, previous) == expected
