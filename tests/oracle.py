"""What every report must say, by plain counting over a list of visits and their events.

Slow and obvious on purpose: it follows SEMANTICS.md "Results" and "Time" word by word and shares no code with the
engines. Times are UTC microseconds.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

DAY = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

OF_EVENTS = ("event:name", "event:page", "event:hostname", "event:source")
PAGES = {
    "visit:entry_page": (0, "event:page"),
    "visit:entry_page_hostname": (0, "event:hostname"),
    "visit:exit_page": (-1, "event:page"),
    "visit:exit_page_hostname": (-1, "event:hostname"),
}
MISSING = {
    **dict.fromkeys(("visit:source", "visit:referrer"), "Direct / None"),
    **dict.fromkeys((*OF_EVENTS, *PAGES), "(none)"),
}


@dataclass
class Event:
    """A stored event. `values` maps dimensions `event:*` to texts; one that is not there is missing."""

    time: int
    pageview: bool = True
    name: str = "pageview"
    interactive: bool = True
    values: dict[str, str] = field(default_factory=dict)

    def text(self, dimension: str) -> str:
        if dimension == "event:name":
            return "pageview" if self.pageview else self.name
        return self.values.get(dimension, "")


@dataclass
class Visit:
    """A visit and its events, in the order in which they were stored. `engaged_until` may lie after the last event."""

    visitor: int
    events: list[Event]
    values: dict[str, str] = field(default_factory=dict)
    engaged_until: int = 0

    @property
    def start(self) -> int:
        return min(event.time for event in self.events)

    @property
    def end(self) -> int:
        return max(self.engaged_until, *(event.time for event in self.events))

    @property
    def pageviews(self) -> list[Event]:
        """By time; those at the same time stay in the order in which they were stored."""
        return sorted((event for event in self.events if event.pageview), key=lambda event: event.time)

    @property
    def is_bounce(self) -> bool:
        return len(self.pageviews) == 1 and not any(e.interactive for e in self.events if not e.pageview)

    def text(self, dimension: str) -> str:
        if dimension in PAGES:
            index, of_event = PAGES[dimension]
            return self.pageviews[index].text(of_event) if self.pageviews else ""
        return self.values.get(dimension, "")


def text(dimension: str, visit: Visit, event: Event | None) -> str:
    if dimension.startswith("event:"):
        assert event is not None
        return event.text(dimension)
    return visit.text(dimension)


def label(dimension: str, visit: Visit, event: Event | None) -> str:
    return text(dimension, visit, event) or MISSING.get(dimension, "(not set)")


# ---------------------------------------------------------------------- filters, as the Stats API's JSON


def holds(tree: list[Any], visit: Visit, event: Event | None) -> bool:
    operator = tree[0]
    if operator == "and":
        return all(holds(part, visit, event) for part in tree[1])
    if operator == "or":
        return any(holds(part, visit, event) for part in tree[1])
    if operator == "not":
        return not holds(tree[1], visit, event)
    dimension, values = tree[1], tree[2]
    fold: Callable[[str], str] = str
    if len(tree) > 3 and tree[3]["case_sensitive"] is False:
        fold = str.lower
    value, shown = fold(text(dimension, visit, event)), fold(label(dimension, visit, event))
    tests: dict[str, Callable[[], bool]] = {
        "is": lambda: shown in [fold(v) for v in values],
        "contains": lambda: value != "" and any(fold(v) in value for v in values),
        "matches": lambda: value != "" and any(re.search(v, value) for v in values),
    }
    found: bool = tests[operator.removesuffix("_not")]()
    return not found if operator.endswith("_not") else found


def looks_at_events(tree: list[Any]) -> bool:
    if tree[0] in ("and", "or"):
        return any(looks_at_events(part) for part in tree[1])
    if tree[0] == "not":
        return looks_at_events(tree[1])
    return str(tree[1]).startswith("event:")


# ---------------------------------------------------------------------- time


def bucket(time: int, interval: str, zone: ZoneInfo, start: int) -> tuple[int, str]:
    """Where a time stands: something to order by, and the label, in a range that begins at `start`."""
    wall = (EPOCH + timedelta(microseconds=time)).astimezone(zone)
    day = wall.date()
    if interval == "minute":
        begin = wall.replace(second=0, microsecond=0)
    elif interval == "hour":
        begin = wall.replace(minute=0, second=0, microsecond=0)
    elif interval == "day":
        return day.toordinal(), day.isoformat()
    elif interval == "week":
        first = (EPOCH + timedelta(microseconds=start)).astimezone(zone).date()
        monday = day - timedelta(day.weekday())
        return monday.toordinal(), max(monday, first).isoformat()
    else:
        return day.year * 12 + day.month, day.replace(day=1).isoformat()
    # An hour that comes twice is two buckets: their offsets from UTC differ.
    return round(begin.timestamp()), begin.strftime("%Y-%m-%d %H:%M:%S")


# ---------------------------------------------------------------------- the answer


@dataclass
class Group:
    """What belongs to one row."""

    visitors: set[int] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)

    def value(self, metric: str, everybody: int) -> Fraction | int | None:
        """The exact figure."""
        bounces = sum(visit.is_bounce for visit in self.visits)
        figures: dict[str, Callable[[], Fraction | int | None]] = {
            "visitors": lambda: len(self.visitors),
            "events": lambda: len(self.events),
            "pageviews": lambda: sum(event.pageview for event in self.events),
            "visits": lambda: len(self.visits),
            "views_per_visit": lambda: over(sum(len(visit.pageviews) for visit in self.visits), len(self.visits)),
            "bounce_rate": lambda: over(100 * bounces, len(self.visits)),
            "visit_duration": lambda: over(sum(v.end - v.start for v in self.visits), 1_000_000 * len(self.visits)),
            "percentage": lambda: over(100 * len(self.visitors), everybody),
        }
        return figures[metric]()


DECIMALS = {"views_per_visit": 2, "percentage": 1}


def over(numerator: int, denominator: int) -> Fraction | None:
    return Fraction(numerator, denominator) if denominator else None


def rounded(metric: str, value: Fraction | int | None) -> int | float | None:
    """Half up."""
    if value is None or isinstance(value, int):
        return value
    decimals = DECIMALS.get(metric, 0)
    power = int(10**decimals)
    whole = floor(value * power + Fraction(1, 2))
    return whole / power if decimals else whole


def answer(
    visits: Sequence[Visit],
    start: int,
    end: int,
    zone: str,
    *,
    metrics: Sequence[str],
    dimensions: Sequence[str] = (),
    filters: Sequence[Any] = (),
    order: Sequence[tuple[str, bool]] = (),
) -> list[tuple[list[str], list[int | float | None]]]:
    """Rows of labels and values of a report over `start` <= time < `end`. `order`: keys, and whether descending."""
    tree = ["and", list(filters)]
    by_event = any(name.startswith("event:") for name in dimensions)
    groups: dict[tuple[Any, ...], Group] = {}
    everybody: set[int] = set()

    def key(visit: Visit, event: Event | None, time: int) -> tuple[Any, ...]:
        parts: list[Any] = []
        for name in dimensions:
            if name.startswith("time:"):
                parts.append(bucket(time, name.removeprefix("time:"), ZoneInfo(zone), start))
            else:
                shown = label(name, visit, event)
                parts.append((shown.encode(), shown))
        return tuple(parts)

    asked_of_events = any(name in ("visitors", "events", "pageviews", "percentage") for name in metrics)
    asked_of_visits = any(name in ("visits", "views_per_visit", "bounce_rate", "visit_duration") for name in metrics)
    for visit in visits:
        matching = [event for event in visit.events if start <= event.time < end and holds(tree, visit, event)]
        if asked_of_events:
            for event in matching:
                everybody.add(visit.visitor)
                group = groups.setdefault(key(visit, event, event.time), Group())
                group.visitors.add(visit.visitor)
                group.events.append(event)
        if not asked_of_visits or not start <= visit.start < end:
            continue
        if by_event:
            keys = {key(visit, event, visit.start) for event in matching}
        elif looks_at_events(tree):
            keys = {key(visit, None, visit.start)} if matching else set()
        else:
            keys = {key(visit, None, visit.start)} if holds(tree, visit, None) else set()
        for place in keys:
            groups.setdefault(place, Group()).visits.append(visit)
    if not dimensions:
        groups.setdefault((), Group())

    rows = [(place, {m: group.value(m, len(everybody)) for m in metrics}) for place, group in groups.items()]
    rows.sort(key=lambda row: row[0])
    default = [(name, False) for name in dimensions if name.startswith("time:")] + [(metrics[0], True)]
    for name, descending in reversed(list(order) or default):
        if name in dimensions:
            rows.sort(key=lambda row: row[0][dimensions.index(name)][0], reverse=descending)
        else:
            empty = [row for row in rows if row[1][name] is None]
            full = [row for row in rows if row[1][name] is not None]
            full.sort(key=lambda row: row[1][name] or 0, reverse=descending)
            rows = full + empty
    return [([part[1] for part in place], [rounded(m, values[m]) for m in metrics]) for place, values in rows]
