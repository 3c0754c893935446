"""The figures: each is a count, or a ratio of two. SQL gives whole numbers; dividing and rounding happen here only."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from appliance.errors import Invalid

Value = int | float | None

# What SQL counts, and over what: events in range that match, or visits that match and start in range.
Measure = Literal[
    "visitors", "events", "pageviews", "visits", "bounces", "duration", "visit_pageviews", "total_visitors"
]
EVENT_MEASURES: Final[tuple[Measure, ...]] = ("visitors", "events", "pageviews")
VISIT_MEASURES: Final[tuple[Measure, ...]] = ("visits", "bounces", "duration", "visit_pageviews")


class Metric(msgspec.Struct, frozen=True):
    """`numerator` alone, or over `denominator`, times `scale[0]`/`scale[1]`, rounded half up to `decimals`."""

    name: str
    numerator: Measure
    denominator: Measure | None = None
    scale: tuple[int, int] = (1, 1)
    decimals: int = 0

    @property
    def measures(self) -> tuple[Measure, ...]:
        return (self.numerator,) if self.denominator is None else (self.numerator, self.denominator)

    def value(self, counted: Mapping[Measure, int]) -> Value:
        """The figure from what SQL counted; None for a ratio over 0."""
        if self.denominator is None:
            return counted[self.numerator]
        times, by = self.scale
        return ratio(counted[self.numerator] * times, counted[self.denominator] * by, self.decimals)


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("visitors", "visitors"),
        Metric("visits", "visits"),
        Metric("pageviews", "pageviews"),
        Metric("events", "events"),
        Metric("views_per_visit", "visit_pageviews", "visits", decimals=2),
        Metric("bounce_rate", "bounces", "visits", (100, 1)),  # per cent
        Metric("visit_duration", "duration", "visits", (1, 1_000_000)),  # seconds
        Metric("percentage", "visitors", "total_visitors", (100, 1), 1),  # per cent of all visitors
    )
}


def metric(name: str) -> Metric:
    """Raises Invalid for a name that no metric has."""
    try:
        return METRICS[name]
    except KeyError:
        raise Invalid(f"{name!r} is not a metric; use one of {', '.join(METRICS)}") from None


def ratio(numerator: int, denominator: int, decimals: int = 0) -> Value:
    """A quotient of whole numbers >= 0 rounded half up, exactly; None over 0. A whole number without decimals."""
    if denominator == 0:
        return None
    power: int = 10**decimals
    scaled = (2 * numerator * power + denominator) // (2 * denominator)
    return scaled if decimals == 0 else scaled / power


def change(current: Value, previous: Value) -> int | None:
    """How many per cent more (or, below 0, less) than before, rounded half away from 0; None without a base."""
    if current is None or not previous:
        return None
    difference = 100 * (current - previous) / previous
    return int(abs(difference) + 0.5) * (1 if difference >= 0 else -1)
