"""One visit, as the events that the visitor's browser would have caused, in the native wire format."""

import math
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from appliance.demo.people import Person
from appliance.demo.world import LEAVE, Act, Page, PageKind, Source, Visiting, World, page_of, pick

PAGES_MAX = 25
BOUNCE = 1.55  # how much likelier somebody leaves the first page than the same page later
SECONDS_SIGMA = 0.85  # of the logarithm of the time on a page: a few stay very long
SECONDS_RANGE = (1.5, 900.0)
ENGAGED_SECONDS_MIN = 3.0  # the tracker says nothing of shorter looks
SCROLL_DEVIATION = 22.0

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
Wire = dict[str, Any]


class Timed(NamedTuple):
    """An event and when it happens, ms since 1970. Its id makes the order of events at the same time certain."""

    at: int
    event_id: str
    event: Wire


class Walk:
    """A visit of a person that begins at `start` (ms since 1970); `events` draws it."""

    def __init__(
        self, world: World, person: Person, source: Source, start: int, chance: Random, *, first: bool
    ) -> None:
        self._world = world
        self._person = person
        self._source = source
        self._time = start
        self._chance = chance
        self._first = first
        self._user_id = "" if first else person.user_id
        self._basket: list[tuple[str, float]] = []
        self._common = {
            "source": "web",
            "ip": person.address,
            "user_agent": person.agent,
            "language": person.language,
            "screen": person.screen,
        }
        if person.anonymous_id:
            self._common["anonymous_id"] = person.anonymous_id

    def events(self) -> Iterator[Timed]:
        """The visit's events; engagement comes after its pageview."""
        before, name = "", pick(self._chance, self._source.lands_on)
        for _ in range(PAGES_MAX):
            kind = self._world.kinds[name]
            yield from self._look(name, kind, before)
            before, name = name, self._onward(kind, before)
            if name == LEAVE:
                return

    def _onward(self, kind: PageKind, before: str) -> str:
        closed = frozenset() if self._basket else self._world.basket_kinds
        weights = {name: weight for name, weight in kind.onward.items() if name not in closed}
        if not before:
            weights[LEAVE] *= BOUNCE / self._source.stays
        return pick(self._chance, weights)

    def _look(self, name: str, kind: PageKind, before: str) -> Iterator[Timed]:
        """A page, what is done on it, and how attentively it was read."""
        chance, page = self._chance, page_of(self._chance, kind)
        low, high = SECONDS_RANGE
        seconds = min(max(kind.seconds * math.exp(chance.gauss(0, SECONDS_SIGMA)), low), high)
        url = f"https://{self._world.domain}{page.path}"
        pageview = self._event("pageview", self._time, url, title=page.title)
        if not before:
            tags = self._source.tags
            pageview.event["url"] = f"{url}?{tags}" if tags else url
            if self._source.referrer:
                pageview.event["referrer"] = self._source.referrer
        yield pageview
        yield from self._acts(name, before, page, url, seconds)
        if seconds >= ENGAGED_SECONDS_MIN and chance.random() < 0.93:
            yield self._event(
                "engagement", self._time + round(seconds * 1000), url,
                pageview_id=pageview.event_id,
                scroll_depth=round(min(max(chance.gauss(kind.scroll, SCROLL_DEVIATION), 6), 100)),
                engaged_ms=round(seconds * 1000 * chance.uniform(0.55, 1)),
            )  # fmt: skip
        self._time += round(seconds * 1000) + chance.randrange(200, 1500)

    def _acts(self, kind: str, before: str, page: Page, url: str, seconds: float) -> Iterator[Timed]:
        visiting = Visiting(self._chance, page, kind, before, bool(self._user_id), self._first, self._basket)
        for act in self._world.acts(visiting):
            at = self._time + round(act.at * seconds * 1000)
            if act.name == "Signup" and self._person.anonymous_id:
                yield from self._identify(at, url)
            yield self._act(act, at, url)

    def _act(self, act: Act, at: int, url: str) -> Timed:
        more: Wire = {"properties": act.properties}
        if act.revenue:
            more["revenue"] = {"amount": act.revenue, "currency": self._world.currency}
        if not act.interactive:
            more["interactive"] = False
        return self._event(act.name, at, url, **more)

    def _identify(self, at: int, url: str) -> Iterator[Timed]:
        """From here on the site knows who this is; the visit so far becomes that user's."""
        self._user_id = self._person.user_id or f"{self._world.slug}-{self._person.anonymous_id[:6]}"
        yield self._event("identify", at, url, traits={"language": self._person.language, "newsletter": self._first})

    def _event(self, name: str, at: int, url: str, **more: Any) -> Timed:
        event_id = _mint(at, self._chance)
        event = {"event": name, "event_id": event_id, "timestamp": at, "url": url, **self._common, **more}
        if self._user_id:
            event["user_id"] = self._user_id
        return Timed(at, event_id, event)


def _mint(milliseconds: int, chance: Random) -> str:
    """An id as the tracker mints it: 8 base 36 digits of the time, 6 of chance."""
    return _base36(milliseconds, 8) + _base36(chance.getrandbits(31), 6)


def _base36(number: int, digits: int) -> str:
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text
