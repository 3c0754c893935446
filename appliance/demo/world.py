"""What a site is, for the generator."""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, NamedTuple

LEAVE = ""  # the kind that ends a visit


class Page(NamedTuple):
    """`weight` is its popularity among the pages of its kind; `price` in units of the site's currency, 0: not for
    sale."""

    path: str
    title: str
    weight: float = 1
    price: float = 0


class PageKind(NamedTuple):
    """Pages that visitors treat alike: where they go next (kind -> weight; LEAVE ends the visit), for how long they
    look (median seconds) and how far they scroll (mean percent)."""

    pages: tuple[Page, ...]
    onward: Mapping[str, float]
    seconds: float
    scroll: float


class Source(NamedTuple):
    """A way to the site. `tags` is appended to the URL; `lands_on` weighs the kinds of entry pages; `stays` scales the
    wish to go on after the first page; `mobile` is the share of telephones and tablets."""

    weight: float
    referrer: str
    tags: str
    lands_on: Mapping[str, float]
    stays: float
    mobile: float


class Act(NamedTuple):
    """A custom event that a visitor causes on a page. `at` is when, as a share of the time spent there."""

    at: float
    name: str
    properties: Mapping[str, Any]
    revenue: float = 0
    interactive: bool = True


class Spike(NamedTuple):
    """A day on which much more happens, `days_before` the project was made, and the source that brings it. The day
    after has a quarter of it."""

    days_before: int
    factor: float
    source: Source


class Visiting(NamedTuple):
    """What a page's acts may depend on. `before` is the kind of the page before, '' on the entry page; `basket` is what
    lies in the cart: (product, price)."""

    chance: Random
    page: Page
    kind: str
    before: str
    is_member: bool
    is_first_visit: bool
    basket: list[tuple[str, float]]


class WantedGoal(NamedTuple):
    """What storage/goals.py makes a goal of."""

    kind: str
    pattern: str
    name: str = ""


class World(NamedTuple):
    """One site.

    `hours` weighs the hours of a working day, `weekend_hours` those of Saturday and Sunday, `weekdays` the days from
    Monday, all in local time. `growth` is how much more happens at the end of the 30 days before the project was made
    than at their start. `countries` weighs the rows of networks.tsv. `returns` is the share of visits by people who
    were there before, `members` the share of people with an account. `keeps_id`: browsers keep an anonymous id, so that
    people are known again on other days. Kinds in `basket_kinds` are visited with something in the cart only.
    `share` is the site's part of all events; `events_per_visit` is what comes out, pageviews and custom events. `goals`
    are made with the project.
    """

    slug: str
    name: str
    domain: str
    timezone: str
    currency: str
    share: float
    hours: tuple[float, ...]
    weekend_hours: tuple[float, ...]
    weekdays: tuple[float, ...]
    growth: float
    spike: Spike
    countries: Mapping[str, float]
    sources: tuple[Source, ...]
    return_sources: tuple[Source, ...]
    kinds: Mapping[str, PageKind]
    basket_kinds: frozenset[str]
    acts: Callable[[Visiting], Iterator[Act]]
    returns: float
    members: float
    keeps_id: bool
    events_per_visit: float
    goals: tuple[WantedGoal, ...]


def weights(text: str) -> dict[str, float]:
    """ "DE 61, AT 11" as a table."""
    pairs = (part.split() for part in text.split(","))
    return {name: float(weight) for name, weight in pairs}


def pick(chance: Random, weighed: Mapping[str, float]) -> str:
    """A key, as often as its weight says."""
    return chance.choices(tuple(weighed), tuple(weighed.values()))[0]


def page_of(chance: Random, kind: PageKind) -> Page:
    """A page of a kind, as often as its popularity says."""
    if len(kind.pages) == 1:
        return kind.pages[0]
    return chance.choices(kind.pages, [page.weight for page in kind.pages])[0]
