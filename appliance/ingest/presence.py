"""Who is there now: kept from what the drain has just stored, so that no open page ever asks the database.

"Now" is an event in the last five minutes. The last half hour is kept as visitors a minute, and the last stored
events as the feed that a live page begins with.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from appliance.clock import MINUTE
from appliance.ingest.progress import FeedItem, Person
from appliance.storage.interface import Database

NOW = 5 * MINUTE
MINUTES_KEPT = 30
# What is late is counted in its minute, but of a crowded minute long ago only the number is kept.
MINUTES_OPEN = 6
CROWD = 5_000
FEED_KEPT = 50


class Seen(NamedTuple):
    """A visitor's newest event."""

    time: int
    path: str
    source: str
    country: str


class Now(NamedTuple):
    """The people on a site now, by page, source and country: (value, people), most first. `minutes` are the visitors
    of each of the last 30 minutes, oldest first, the running one last."""

    people: int
    pages: list[tuple[str, int]]
    sources: list[tuple[str, int]]
    countries: list[tuple[str, int]]
    minutes: list[int]
    last_event_at: int | None


class _Site:
    __slots__ = ("closed", "feed", "last_event_at", "minutes", "visitors")

    def __init__(self) -> None:
        self.visitors: dict[int, Seen] = {}
        self.minutes: dict[int, set[int]] = {}  # visitors of each of the last minutes
        self.closed: dict[int, int] = {}  # of crowded minutes before, how many they were
        self.feed: deque[FeedItem] = deque(maxlen=FEED_KEPT)
        self.last_event_at: int | None = None


class Presence:
    """All projects' visitors of the last minutes."""

    def __init__(self) -> None:
        self._sites: dict[int, _Site] = {}

    async def load(self, database: Database, now: int) -> None:
        """Take up the visits that are open, after a restart."""
        rows = await database.read_recent(
            """
            SELECT v.project_id, v.visitor, v."end", coalesce(p.text, ''), coalesce(s.text, ''), coalesce(c.text, '')
            FROM visit v
            LEFT JOIN dictionary p ON p.project_id = v.project_id AND p.dimension = 4 AND p.code = v.exit_path
            LEFT JOIN dictionary s ON s.project_id = v.project_id AND s.dimension = 9 AND s.code = v.referrer_source
            LEFT JOIN dictionary c ON c.project_id = v.project_id AND c.dimension = 17 AND c.code = v.country
            WHERE v."end" > :since
            ORDER BY v."end"
            """,
            now - NOW,
        )
        for project_id, visitor, end, path, source, country in rows:
            self._site(project_id).visitors[visitor] = Seen(end, path, source, country)
        rows = await database.read_recent(
            """
            SELECT e.project_id, e.time / 60000000, v.visitor
            FROM event e JOIN visit v ON v.id = e.visit_id
            WHERE e.time > :since
            """,
            now - MINUTES_KEPT * MINUTE,
        )
        for project_id, minute, visitor in rows:
            self._site(project_id).minutes.setdefault(minute, set()).add(visitor)

    def meet(self, people: Iterable[Person], now: int) -> None:
        """They came. What happened long ago (imports, late deliveries) is nobody's presence."""
        for person in people:
            site = self._site(person.project_id)
            site.last_event_at = max(site.last_event_at or 0, person.time)
            if person.time <= now - MINUTES_KEPT * MINUTE:
                continue
            minute = person.time // MINUTE
            if minute not in site.closed:
                site.minutes.setdefault(minute, set()).add(person.visitor)
            if person.time > now - NOW:
                before = site.visitors.get(person.visitor)
                source, path = person.source, person.path
                if before is not None:
                    source, path = before.source or source, path or before.path
                site.visitors[person.visitor] = Seen(person.time, path, source, person.country)

    def note(self, feed: Iterable[FeedItem], now: int) -> None:
        """That happened."""
        for item in feed:
            if item.time > now - MINUTES_KEPT * MINUTE:
                self._site(item.project_id).feed.append(item)

    def people(self, project_id: int, now: int) -> int:
        """Number of visitors with an event in the last five minutes."""
        site = self._sites.get(project_id)
        if site is None:
            return 0
        self._forget_old(site, now)
        return len(site.visitors)

    def look(self, project_id: int, now: int, limit: int = 9) -> Now:
        """Everything a live page shows of a project."""
        site = self._site(project_id)
        self._forget_old(site, now)
        seen = site.visitors.values()
        minute = now // MINUTE
        return Now(
            len(site.visitors),
            _most(Counter(s.path for s in seen if s.path), limit),
            _most(Counter(s.source for s in seen), limit),
            _most(Counter(s.country for s in seen if s.country), limit),
            [_visitors(site, m) for m in range(minute - MINUTES_KEPT + 1, minute + 1)],
            site.last_event_at,
        )

    def feed(self, project_id: int) -> list[FeedItem]:
        """The last stored events, newest first."""
        return list(reversed(self._site(project_id).feed))

    def _site(self, project_id: int) -> _Site:
        site = self._sites.get(project_id)
        if site is None:
            site = self._sites[project_id] = _Site()
        return site

    def _forget_old(self, site: _Site, now: int) -> None:
        horizon = now - NOW
        gone = [visitor for visitor, seen in site.visitors.items() if seen.time <= horizon]
        for visitor in gone:
            del site.visitors[visitor]
        running = now // MINUTE
        for minute in [m for m, there in site.minutes.items() if m <= running - MINUTES_OPEN and len(there) > CROWD]:
            site.closed[minute] = len(site.minutes.pop(minute))
        for kept in (site.minutes, site.closed):
            for minute in [m for m in kept if m <= running - MINUTES_KEPT]:
                del kept[minute]


def _visitors(site: _Site, minute: int) -> int:
    return len(site.minutes[minute]) if minute in site.minutes else site.closed.get(minute, 0)


def _most(counts: Counter[str], limit: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
