"""Random projects from a seed, and a SQLite file that holds them: the same visits for the oracle and the engine."""

import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from appliance.queries.conditions import Names
from appliance.storage.calendar import local_day
from appliance.storage.dimensions import DICTIONARIES, dictionary_of, is_missing
from tests import oracle
from tests.oracle import DAY, EPOCH, Event, Visit

SCHEMA = Path(__file__).parents[2] / "appliance" / "storage" / "sqlite" / "schema.sql"

# Stored columns of the dimensions that a world fills.
OF_EVENT = {"event:page": "path", "event:hostname": "hostname", "event:source": "source"}
OF_VISIT = {
    "visit:source": "referrer_source", "visit:referrer": "referrer", "visit:channel": "channel",
    "visit:utm_source": "utm_source", "visit:utm_campaign": "utm_campaign", "visit:country": "country",
    "visit:city": "city", "visit:browser": "browser", "visit:os": "os", "visit:device": "device",
    "visit:language": "language", "visit:screen": "screen",
}  # fmt: skip
LATER = {  # drawn with a chance of their own
    "visit:utm_medium": "utm_medium", "visit:utm_content": "utm_content", "visit:utm_term": "utm_term",
    "visit:region": "region", "visit:browser_version": "browser_version", "visit:os_version": "os_version",
}  # fmt: skip
OF_VISIT |= LATER
# Other names of what is there.
NAMED_OF_VISIT = ("visit:country_name", "visit:region_name", "visit:city_name")
COUNTRIES = Names(oracle.COUNTRIES)
TEXTS = {
    "event:page": ["/", "/blog", "/blog/ä", "/Blog/one", "/pricing", "/a|b", "/q?x=1", ""],
    "event:hostname": ["example.com", "shop.example.com", ""],
    "event:source": ["web", "ios", ""],
    "visit:source": ["Google", "google", "DuckDuckGo", "", ""],
    "visit:country": ["DE", "US", "IN", "WS", "X1", ""],  # the last one has no name
    "visit:device": ["Desktop", "Mobile", "Tablet"],
    "visit:channel": ["Direct", "Organic Search", "Referral"],
}
LABELS = ["(none)", "(not set)", "Direct / None"]  # of missing values; sometimes somebody sends one
# Custom properties: how often each is there, and its values.
PROPERTIES: dict[str, tuple[float, list[Any]]] = {
    "plan": (0.5, ["free", "pro", "Pro", "", None]),
    'si"ze \\:|': (0.3, [1, 2.5, True, False, -3]),
    "tags": (0.1, [["a", "ä"], {"b": 1}, "pro"]),
}
NAMES = ["signup", "Signup", "download", "404"]
RATES = [1_000_000, 500_000, 333_333, 100_000, 7]


def instant(text: str, zone: str = "UTC") -> int:
    """UTC microseconds of a wall-clock time such as `2026-03-29 01:30`."""
    wall = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return (wall - EPOCH).days * DAY + (wall - EPOCH).seconds * 1_000_000 + (wall - EPOCH).microseconds


def world(random: Random, start: int, end: int, visits: int) -> list[Visit]:
    """Visits around a range: some across its edges, some years off, few visitors so that they come again."""
    visitors = [random.randrange(-(2**63), 2**63) for _ in range(max(2, visits // 3))]
    return _sampled([_visit(random, random.choice(visitors), _moment(random, start, end)) for _ in range(visits)])


def rotating_world(
    random: Random, zone: str, start: int, end: int, visits: int, *, sampled: bool = True
) -> list[Visit]:
    """The same of people of whom some have another id each day, and some ids are met outside the day of their salt."""
    people = [(number, random.random() < 0.7) for number in range(max(2, visits // 4))]
    found = []
    for _ in range(visits):
        (number, rotates), time = random.choice(people), _moment(random, start, end)
        salt_day = local_day(time, ZoneInfo(zone)) - (random.choice([0, 1, 3, 30]) if random.random() < 0.1 else 0)
        visit = _visit(random, Random(f"{number} {salt_day * rotates}").randrange(-(2**63), 2**63), time)
        visit.salt_day = salt_day if rotates else None
        found.append(visit)
    return _sampled(found) if sampled else found


def _sampled(visits: list[Visit]) -> list[Visit]:
    """The same visits; in a share of the worlds they are what sampling left: event by event, visitor by visitor, or now
    so and now so; of all time, or since it was turned on."""
    if not visits:
        return []
    random = Random(visits[0].visitor)  # of its own, so that what is done here moves nothing else
    style = random.choice(["none", "none", "events", "visitors", "both"])
    since = random.choice([0, sorted(visit.start for visit in visits)[len(visits) // 2]])
    for visit in visits:
        if style == "none" or visit.start < since:
            continue
        changed = random.random() < 0.2  # the rate of the project, so that a visitor is met with several
        rate = (random if changed else Random(visit.visitor)).choice(RATES)
        for event in visit.events:
            event.by_visitor = style == "visitors" or (style == "both" and random.random() < 0.5)
            event.rate = rate if event.by_visitor else random.choice(RATES)
    return visits


def _moment(random: Random, start: int, end: int) -> int:
    length = end - start
    near = random.randrange(7_200_000_000) - 3_600_000_000  # within an hour of an edge or a midnight
    return random.choice(
        [
            start + random.randrange(length),
            start + random.randrange(length),
            start + near,
            end + near,
            (start + random.randrange(length)) // DAY * DAY + near,
            start - random.randrange(2 * length),
            start,
            end,
        ]
    )


def _visit(random: Random, visitor: int, start: int) -> Visit:
    time, events = start, []
    # Of their own, so that what is added here moves nothing else.
    more, other = Random(visitor ^ start), Random(f"labels {visitor} {start}")
    for _ in range(random.choice([1, 1, 1, 2, 3, 6])):
        values = {name: random.choice(TEXTS[name]) for name in OF_EVENT}
        pageview = random.random() < 0.7
        name = random.choice(["pageview", "page_view"]) if pageview else random.choice(NAMES)
        event = Event(time, pageview, name, random.random() < 0.7, values)
        event.properties = {n: more.choice(v) for n, (share, v) in PROPERTIES.items() if more.random() < share}
        event.values |= _labelled(other, event.values)
        event.properties |= _labelled(other, event.properties)
        if pageview and more.random() < 0.7:
            event.engaged_ms, event.scroll_depth = more.randrange(90_000), more.randrange(101)
        elif more.random() < 0.3:
            event.revenue, event.currency = more.randrange(-500, 10_000), more.choice(["EUR", "EUR", "EUR", "JPY"])
        events.append(event)
        time += random.choice([0, random.randrange(60_000_000), random.randrange(7_200_000_000)])
    random.shuffle(events)  # late events are stored after later ones
    values = {name: random.choice(TEXTS.get(name, ["a", "b", "c", ""])) for name in OF_VISIT if name not in LATER}
    values |= {name: other.choice(["a", "b", "c", ""]) for name in LATER}
    values |= _labelled(other, values)
    engaged = random.choice([0, 0, time + random.randrange(1_800_000_000)])
    return Visit(visitor, events, values, engaged)


def _labelled(random: Random, values: dict[str, Any]) -> dict[str, str]:
    """Some of these values anew, as what missing ones are called."""
    sent = {name: random.choice(LABELS) for name in values if random.random() < 0.03}
    if "visit:country" in sent:
        sent["visit:country"] = "(not set)"
    return sent


def compact(value: object) -> str:
    """JSON as ingestion writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Store:
    """A SQLite file with the schema of the product, which may be there already, filled without the product's writer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        if not self.connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone():
            self.connection.executescript("PRAGMA journal_mode = WAL;" + SCHEMA.read_text())
        self._codes: dict[tuple[int, int], dict[str, int]] = {}
        self._ids: dict[str, int] = {}  # to give next; else SQLite chooses

    def add(self, visits: Iterable[tuple[int, Visit]]) -> list[int]:
        """Store visits of projects, events in the order of the visits; gives the visits' ids."""
        with self.transaction():
            ids = [self._add_visit(project, visit) for project, visit in visits]
            for visit_id, (project, visit) in zip(ids, visits, strict=True):
                for event in visit.events:
                    self.add_event(project, visit_id, event)
        return ids

    def add_fresh(self, visits: Iterable[tuple[int, Visit]]) -> list[int]:
        """The same under ids that were never given, also where the newest rows are sealed or gone."""
        self._ids = {
            table: 1 + max(newest, largest)
            for table, newest, largest in self.connection.execute(
                "SELECT substr(m.name, 8), CAST(m.value AS INTEGER), max((SELECT coalesce(max(e.id), 0) FROM event e),"
                " (SELECT coalesce(max(v.id), 0) FROM visit v)) FROM meta m"
                " WHERE m.name IN ('newest_event', 'newest_visit')"
            )
        }
        try:
            return self.add(list(visits))
        finally:
            self._ids = {}

    def transaction(self) -> "Transaction":
        return Transaction(self.connection)

    def add_event(self, project: int, visit_id: int, event: Event) -> int:
        """The row of an event alone; the visit's counters are `update_visit`'s."""
        columns: dict[str, object] = {
            "project_id": project, "event_id": b"", "visit_id": visit_id, "time": event.time, "received": event.time,
            "kind": 0 if event.pageview else 1, "flags": (not event.interactive) + 32 * event.by_visitor,
            "rate": event.rate,
            "name": self.code(project, "name", event.name), "title": 0, "user": 0,
            "engaged_ms": event.engaged_ms, "scroll_depth": event.scroll_depth,
            "revenue": event.revenue if event.currency else None,
            "currency": self.code(project, "currency", event.currency),
            "properties": compact(event.properties) if event.properties else None,
        }  # fmt: skip
        columns |= {column: self.code(project, column, event.text(name)) for name, column in OF_EVENT.items()}
        return self._insert("event", columns)

    def update_visit(self, project: int, visit_id: int, visit: Visit) -> None:
        """Change a visit in place as the drain does, and note it."""
        columns = self._counters(project, visit)
        assignments = ", ".join(f'"{name}" = ?' for name in columns)
        self.connection.execute(f"UPDATE visit SET {assignments} WHERE id = ?", (*columns.values(), visit_id))
        self.connection.execute("INSERT INTO change (visits) VALUES (json_array(?))", (visit_id,))

    def code(self, project: int, column: str, text: str) -> int:
        number = dictionary_of(column)
        if is_missing(number, text):
            return 0
        codes = self._codes.setdefault((project, number), {})
        if text not in codes:
            codes[text] = len(codes) + 1
            self.connection.execute("INSERT INTO dictionary VALUES (?, ?, ?, ?)", (project, number, codes[text], text))
        return codes[text]

    def _counters(self, project: int, visit: Visit) -> dict[str, object]:
        pageviews = visit.pageviews
        custom = [event for event in visit.events if not event.pageview]
        columns: dict[str, object] = {
            "visitor": visit.visitor, "salt_day": visit.salt_day, "start": visit.start, "end": visit.end,
            "entry_at": pageviews[0].time if pageviews else None, "exit_at": pageviews[-1].time if pageviews else None,
            "pageviews": len(pageviews), "events": len(visit.events), "interactive": sum(e.interactive for e in custom),
        }  # fmt: skip
        for column, name in (("path", "page"), ("hostname", "page_hostname")):
            for end in ("entry", "exit"):
                columns[f"{end}_{column}"] = self.code(project, column, visit.text(f"visit:{end}_{name}"))
        return columns

    def _add_visit(self, project: int, visit: Visit) -> int:
        columns = {name: 0 for name, number in DICTIONARIES.items() if 8 <= number <= 26}
        columns |= {"project_id": project, "user": 0}
        columns["rate"] = visit.events[0].rate if visit.events[0].by_visitor else 1_000_000
        columns |= {column: self.code(project, column, visit.text(name)) for name, column in OF_VISIT.items()}
        return self._insert("visit", columns | self._counters(project, visit))

    def _insert(self, table: str, columns: dict[str, object]) -> int:
        if table in self._ids:
            columns = {"id": self._ids[table], **columns}
            self._ids[table] += 1
        names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        cursor = self.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values()))
        assert cursor.lastrowid is not None
        return cursor.lastrowid


class Transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *error: object) -> None:
        self._connection.execute("ROLLBACK" if error[0] else "COMMIT")
