"""The cards below the chart: which tabs they have, and the report behind each."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from appliance.queries import breakdown, conversions, properties
from appliance.queries.dimensions import PROPERTY_NAMES, dimension
from appliance.queries.filters import Filter, Leaf, conjuncts
from appliance.queries.goals import GOAL
from appliance.queries.question import Order, Report

MAP: Final = "map"
EVENTS: Final = "event:name"
GOALS: Final = GOAL
PROPERTIES: Final = PROPERTY_NAMES  # the key of the property that most events have
PAGEVIEW: Final = "pageview"  # what every page view is called in `event:name`; the card lists the other events
COUNTRIES_MAX: Final = 300  # more than there are

# Dimensions whose line of those without a value says nothing.
_ONLY_SET: Final = frozenset(
    {
        "visit:utm_source", "visit:utm_medium", "visit:utm_campaign", "visit:utm_content", "visit:utm_term",
        "visit:region", "visit:city", EVENTS,
    }
)  # fmt: skip
# What a list of one line goes on to once that line is the filter.
_FINER: Final = {
    "visit:source": "visit:referrer",
    "visit:browser": "visit:browser_version",
    "visit:os": "visit:os_version",
}


class Card(NamedTuple):
    """`tabs`: each is the keys that it offers, the first by itself; a key is a dimension, `map` or PROPERTIES, which
    offers every custom property."""

    key: str
    tabs: tuple[tuple[str, ...], ...]
    wide: bool = False


CARDS: Final = (
    Card(
        "sources",
        (
            ("visit:source", "visit:referrer"),
            ("visit:channel",),
            ("visit:utm_campaign", "visit:utm_source", "visit:utm_medium", "visit:utm_content", "visit:utm_term"),
        ),
    ),
    Card("pages", (("event:page",), ("visit:entry_page",), ("visit:exit_page",))),
    Card("locations", ((MAP,), ("visit:country",), ("visit:region",), ("visit:city",), ("visit:language",))),
    Card(
        "devices",
        (
            ("visit:browser", "visit:browser_version"),
            ("visit:os", "visit:os_version"),
            ("visit:screen",),
            ("visit:device",),
        ),
    ),
    Card("events", ((EVENTS,), (GOALS,), (PROPERTIES,)), wide=True),
)
# Where a site has goals they come before the events that they are made of.
CARDS_WITH_GOALS: Final = (*CARDS[:-1], Card("events", ((GOALS,), (EVENTS,), (PROPERTIES,)), wide=True))

# What an event or visit has one value of, in the order of the menus; it may reach any number of goals.
ONE_VALUED: Final = (
    "event:page", "visit:entry_page", "visit:exit_page", "event:hostname",
    "visit:source", "visit:referrer", "visit:channel",
    "visit:utm_campaign", "visit:utm_source", "visit:utm_medium", "visit:utm_content", "visit:utm_term",
    "visit:country", "visit:region", "visit:city", "visit:language",
    "visit:browser", "visit:browser_version", "visit:os", "visit:os_version", "visit:device", "visit:screen",
    EVENTS, "event:source",
)  # fmt: skip
# Every dimension that details list.
OFFERED: Final = (*ONE_VALUED, GOALS)


def filters(*, with_goals: bool) -> tuple[str, ...]:
    """The dimensions that can be filtered by; goals only where there are any."""
    return OFFERED if with_goals else ONE_VALUED


def arranged(*, with_goals: bool) -> tuple[Card, ...]:
    """The cards of a site that has goals, or has none yet."""
    return CARDS_WITH_GOALS if with_goals else CARDS


def keys(card: Card) -> tuple[str, ...]:
    """Everything that can be chosen in a card, single properties aside."""
    return tuple(key for tab in card.tabs for key in tab)


def offers(card: Card, key: str) -> bool:
    """Whether a key can be chosen in a card."""
    return key in keys(card) or (properties.is_property(key) and PROPERTIES in keys(card))


def tab_of(card: Card, key: str) -> tuple[str, ...]:
    """The tab of a card that a key belongs to."""
    wanted = PROPERTIES if properties.is_property(key) else key
    return next(tab for tab in card.tabs if wanted in tab)


def lists_properties(key: str) -> bool:
    """Whether the list of a key needs to know which properties there are."""
    return key == PROPERTIES or properties.is_property(key)


def chosen(key: str, known: Sequence[str]) -> str:
    """The key whose list is shown, where these properties are known: PROPERTIES stands for the first of them."""
    return known[0] if key == PROPERTIES and known else key


def dimension_of(key: str) -> str:
    """The dimension whose values a key lists."""
    return "visit:country" if key == MAP else key


def card_of(dimension: str, shown: Iterable[Card]) -> Card | None:
    """The card among those `shown` that a dimension stands in, if any."""
    return next((card for card in shown if dimension in keys(card)), None)


def only_set(key: str) -> bool:
    """Whether the list leaves out those without a value."""
    return key in _ONLY_SET or key == MAP or properties.is_property(key)


def report(key: str) -> Report:
    """The question that a card with this key chosen asks. Its first metric is visitors."""
    if key == MAP:
        return Report(("visitors",), ("visit:country",), limit=COUNTRIES_MAX, only_set=True)
    if key == GOALS:
        return conversions.report()
    if key == PROPERTIES:
        return properties.REPORT  # there is none: an empty list
    if properties.is_property(key):
        return Report(("visitors", "events", "percentage"), (key,), limit=breakdown.PANEL_ROWS, only_set=True)
    if key == EVENTS:
        return Report(
            ("visitors", "events", "percentage"), (EVENTS,), limit=breakdown.PANEL_ROWS + 1, only_set=True
        )  # one more, for page views are among them
    return breakdown.panel(key, only_set=only_set(key))


def details_metrics(name: str) -> tuple[str, ...]:
    """The columns of a dimension's details: what can be said of its values (docs/metrics.md)."""
    if name == GOALS:
        return conversions.METRICS
    if dimension(name).scope == "event" and name != "event:page":
        return ("visitors", "events", "percentage")
    of_page = ("time_on_page", "scroll_depth") if name == "event:page" else ()
    return ("visitors", "visits", "pageviews", "bounce_rate", "visit_duration", *of_page)


def details_report(dimension: str, order: Order, search: str, limit: int, offset: int) -> Report:
    """A page of a dimension's details."""
    return Report(
        details_metrics(dimension),
        (dimension,),
        (order,),
        limit,
        offset,
        total_rows=True,
        only_set=only_set(dimension),
        search=search,
    )


def variants(tab: tuple[str, ...], chosen: str, tree: Filter) -> tuple[str, ...]:
    """The second choice inside a tab; the finer list of a dimension only where the filter names one value of it."""
    finer = _FINER.get(tab[0])
    if finer is not None and chosen != finer and not _only(tab[0], tree):
        return ()
    return tab if len(tab) > 1 else ()


def whole_of(dimension: str, tree: Filter) -> str | None:
    """The browser or system that a list of versions is of, where the filter names one."""
    whole = next((name for name, finer in _FINER.items() if finer == dimension and finer.endswith("_version")), None)
    return _only(whole, tree) if whole is not None else None


def _only(dimension: str, tree: Filter) -> str | None:
    """The one value of a dimension that the filter leaves."""
    for part in conjuncts(tree):
        if isinstance(part, Leaf) and part.dimension == dimension and part.operator == "is" and len(part.values) == 1:
            return part.values[0]
    return None
