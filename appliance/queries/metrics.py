"""The figures: each is a count or a sum, or a ratio of two.

SQL gives whole numbers; dividing and rounding happen here only. Of sampled data it gives them by rate, and what they
stand for is estimated here: each counts 1/rate.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final, Literal, NamedTuple

import msgspec

from appliance.errors import Invalid
from appliance.model import UNSAMPLED
from appliance.spelling import spelled


class Money(NamedTuple):
    """An amount in the smallest unit of its currency (cents, yen), as revenue is stored."""

    minor: int
    currency: str


class Estimate(NamedTuple):
    """What stands in the database, and what it stands for where a part of the data was sampled out."""

    stored: int
    estimated: Fraction

    @classmethod
    def of(cls, by_rate: Mapping[int, int]) -> "Estimate":
        """From numbers by sampling rate, in parts per million."""
        estimated = sum((Fraction(n * UNSAMPLED, rate) for rate, n in by_rate.items()), Fraction())
        return cls(sum(by_rate.values()), estimated)


Value = int | float | Money | None
Counted = Mapping["Measure", int | Estimate]

# What SQL counts, and over what: events in range that match, and the visitors and visits that they are of; visits that
# match and start in range; or a visit's matching pageviews of one page together.
Measure = Literal[
    "visitors", "active_visits", "events", "pageviews", "revenue", "paying", "currency_low", "currency_high",
    "visits", "bounces", "duration", "visit_pageviews",
    "page_visits", "engaged", "scrolled",
    "total_visitors", "base_visitors", "group_visitors",
]  # fmt: skip
EVENT_MEASURES: Final[tuple[Measure, ...]] = (
    "visitors", "active_visits", "events", "pageviews", "revenue", "paying", "currency_low", "currency_high",
)  # fmt: skip
VISIT_MEASURES: Final[tuple[Measure, ...]] = ("visits", "bounces", "duration", "visit_pageviews")
PAGE_MEASURES: Final[tuple[Measure, ...]] = ("page_visits", "engaged", "scrolled")
# Visitors that a figure is a part of: all; all but for what the filter says of goals, in the bucket of time, or in the
# whole group.
WHOLE_MEASURES: Final[tuple[Measure, ...]] = ("total_visitors", "base_visitors", "group_visitors")
# Revenue, the events that carry any, and the lowest and highest code of their currencies.
REVENUE_MEASURES: Final[tuple[Measure, ...]] = ("revenue", "paying", "currency_low", "currency_high")
# What weighs 1/rate: events by their own rate, visits and visitors by that at which the visitor was kept.
WEIGHTED_MEASURES: Final[tuple[Measure, ...]] = (
    "visitors", "active_visits", "events", "pageviews", "revenue", "paying", "visits", *WHOLE_MEASURES,
)  # fmt: skip


class Metric(msgspec.Struct, frozen=True):
    """`numerator` alone, or over `denominator`, times `scale[0]`/`scale[1]`, rounded half up to `decimals`.

    `is_money`: whole minor units of the one currency of what was summed. `of_stored`: a mean over the visits that are
    stored, also where they stand for more.
    """

    name: str
    numerator: Measure
    denominator: Measure | None = None
    scale: tuple[int, int] = (1, 1)
    decimals: int = 0
    is_money: bool = False
    of_stored: bool = False

    @property
    def counts_people(self) -> bool:
        """Whether it is a number of visitors or visits, of which sampling event by event loses an unknown part."""
        return self.denominator is None and self.numerator in ("visitors", "active_visits", "visits")

    @property
    def measures(self) -> tuple[Measure, ...]:
        if self.is_money:
            return REVENUE_MEASURES
        return (self.numerator,) if self.denominator is None else (self.numerator, self.denominator)

    @property
    def of_nothing(self) -> Value:
        """What it is where nothing is counted."""
        return None if self.is_money or self.denominator is not None else 0

    def value(self, counted: Counted, currency: str | None = None) -> Value:
        """The figure from what SQL counted; None for a ratio over 0, and for money without its one currency."""
        numerator = self._number(counted[self.numerator])
        denominator = 1 if self.denominator is None else self._number(counted[self.denominator])
        times, by = self.scale
        figure = ratio(numerator * times, denominator * by, self.decimals)
        if self.is_money:
            return Money(int(figure), currency) if figure is not None and currency else None
        return figure

    def _number(self, counted: int | Estimate) -> int | Fraction:
        if isinstance(counted, int):
            return counted
        return counted.stored if self.of_stored else counted.estimated


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("visitors", "visitors"),
        Metric("visits", "visits"),
        Metric("active_visits", "active_visits"),
        Metric("pageviews", "pageviews"),
        Metric("events", "events"),
        Metric("views_per_visit", "visit_pageviews", "visits", decimals=2, of_stored=True),
        Metric("bounce_rate", "bounces", "visits", (100, 1), of_stored=True),  # per cent
        Metric("visit_duration", "duration", "visits", (1, 1_000_000), of_stored=True),  # seconds
        Metric("time_on_page", "engaged", "page_visits", (1, 1_000), of_stored=True),  # seconds
        Metric("scroll_depth", "scrolled", "page_visits", of_stored=True),  # per cent of the page
        Metric("total_revenue", "revenue", is_money=True),
        Metric("average_revenue", "revenue", "paying", is_money=True),
        Metric("conversion_rate", "visitors", "base_visitors", (100, 1), 2),  # per cent
        Metric("group_conversion_rate", "visitors", "group_visitors", (100, 1), 2),  # per cent
        Metric("percentage", "visitors", "total_visitors", (100, 1), 1),  # per cent of all visitors
    )
}


STORED_VISITS: Final = "visits that are stored"
# What ratios are made of, for those who add to it (imported.py); nobody else asks for these.
SUMS: Final[dict[str, Metric]] = {
    item.name: item
    for item in (
        Metric("sum of bounces", "bounces"),
        Metric("sum of durations", "duration"),
        Metric("sum of pages of visits", "visit_pageviews"),
        Metric(STORED_VISITS, "visits", of_stored=True),
    )
}


def metric(name: str) -> Metric:
    """Raises Invalid for a name that no metric has."""
    try:
        return METRICS.get(name) or SUMS[name]
    except KeyError:
        raise Invalid(f"{spelled(name)} is not a metric; use one of {', '.join(METRICS)}") from None


def ratio(numerator: int | Fraction, denominator: int | Fraction, decimals: int = 0) -> int | float | None:
    """A quotient rounded half up, exactly; None over 0. A whole number without decimals."""
    if denominator == 0:
        return None
    power: int = 10**decimals
    scaled = (2 * numerator * power + denominator) // (2 * denominator)
    return scaled if decimals == 0 else scaled / power


def change(current: Value, previous: Value) -> int | None:
    """How many per cent more (or, below 0, less) than before, rounded half away from 0.

    None without a base, and between amounts of different currencies.
    """
    if isinstance(current, Money) and isinstance(previous, Money):
        if current.currency != previous.currency:
            return None
        current, previous = current.minor, previous.minor
    if isinstance(current, Money) or isinstance(previous, Money) or current is None or not previous:
        return None
    difference = 100 * (current - previous) / abs(previous)  # a sum of refunds is below 0
    return int(abs(difference) + 0.5) * (1 if difference >= 0 else -1)
