"""What every report must say, by plain counting over a list of visits and their events.

Slow and obvious on purpose: it follows SEMANTICS.md "Results" and "Time" word by word and shares no code with the
engines. Times are UTC microseconds.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

DAY = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

OF_EVENTS = ("event:name", "event:sent_name", "event:page", "event:hostname", "event:source", "event:currency")
PROPERTY = "event:props:"
PAGES = {
    "visit:entry_page": (0, "event:page"),
    "visit:entry_page_hostname": (0, "event:hostname"),
    "visit:exit_page": (-1, "event:page"),
    "visit:exit_page_hostname": (-1, "event:hostname"),
}
# Dimensions that show another one's values, countries by their names.
SHOWN = {"visit:country_name": "visit:country", "visit:region_name": "visit:region", "visit:city_name": "visit:city"}
COUNTRIES = {"DE": "Germany", "US": "United States", "IN": "India", "WS": "Samoa"}
MISSING = {
    **dict.fromkeys(("visit:source", "visit:referrer"), "Direct / None"),
    **dict.fromkeys((*OF_EVENTS, *PAGES), "(none)"),
}


@dataclass
class Event:
    """A stored event. `values` maps dimensions `event:*` to texts; one that is not there is missing.

    `scroll_depth` is in per cent, `revenue` in minor units of `currency`, '' without revenue. `rate` is the part of all
    events that was kept, in millionths; `by_visitor`: of all visitors, each with all their events.
    """

    time: int
    pageview: bool = True
    name: str = "pageview"
    interactive: bool = True
    values: dict[str, str] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    engaged_ms: int = 0
    scroll_depth: int = 0
    revenue: int = 0
    currency: str = ""
    rate: int = 1_000_000
    by_visitor: bool = False

    @property
    def weight(self) -> Fraction:
        return Fraction(1_000_000, self.rate)

    def text(self, dimension: str) -> str:
        if dimension == "event:name":
            return "pageview" if self.pageview else self.name
        if dimension == "event:sent_name":
            return self.name
        if dimension == "event:currency":
            return self.currency
        if dimension.startswith(PROPERTY):
            value = self.properties.get(dimension.removeprefix(PROPERTY))
            if value is None or isinstance(value, str):
                return unlabelled(dimension, value or "")
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return unlabelled(dimension, self.values.get(dimension, ""))


@dataclass
class Visit:
    """A visit and its events, in the order in which they were stored. `engaged_until` may lie after the last event.

    `salt_day`: days since 1970 of the salt of a rotating visitor; nothing is counted by it.
    """

    visitor: int
    events: list[Event]
    values: dict[str, str] = field(default_factory=dict)
    engaged_until: int = 0
    salt_day: int | None = None

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
    def weight(self) -> Fraction:
        """How many visits it stands for: by the first event that was stored, where whole visitors were kept."""
        return self.events[0].weight if self.events[0].by_visitor else Fraction(1)

    @property
    def is_bounce(self) -> bool:
        return len(self.pageviews) == 1 and not any(e.interactive for e in self.events if not e.pageview)

    def text(self, dimension: str) -> str:
        if dimension in PAGES:
            index, of_event = PAGES[dimension]
            return self.pageviews[index].text(of_event) if self.pageviews else ""
        sent = unlabelled(dimension, self.values.get(SHOWN.get(dimension, dimension), ""))
        return COUNTRIES.get(sent, sent) if dimension == "visit:country_name" else sent


def text(dimension: str, visit: Visit, event: Event | None) -> str:
    if dimension.startswith("event:"):
        assert event is not None
        return event.text(dimension)
    return visit.text(dimension)


def label(dimension: str, visit: Visit, event: Event | None) -> str:
    return text(dimension, visit, event) or missing(dimension)


def missing(dimension: str) -> str:
    """What a value is called that is not there."""
    return "(none)" if dimension.startswith(PROPERTY) else MISSING.get(dimension, "(not set)")


def unlabelled(dimension: str, sent: str) -> str:
    """The text of a value as it was sent; who sends just what a missing value is called has sent none."""
    return "" if sent == missing(dimension) else sent


# ---------------------------------------------------------------------- filters, as the Stats API's JSON


InRange = Sequence[tuple[Visit, Event]]


def holds(tree: list[Any], visit: Visit, event: Event | None, in_range: InRange) -> bool:
    """Whether a filter holds; `in_range` are all events in range, to look what the visitor has done there."""
    operator = tree[0]
    if operator == "and":
        return all(holds(part, visit, event, in_range) for part in tree[1])
    if operator == "or":
        return any(holds(part, visit, event, in_range) for part in tree[1])
    if operator == "not":
        return not holds(tree[1], visit, event, in_range)
    if operator in ("has_done", "has_not_done"):
        done = any(v.visitor == visit.visitor and holds(tree[1], v, e, in_range) for v, e in in_range)
        return done == (operator == "has_done")
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
    if tree[0] in ("has_done", "has_not_done"):
        return False
    if tree[0] in ("and", "or"):
        return any(looks_at_events(part) for part in tree[1])
    if tree[0] == "not":
        return looks_at_events(tree[1])
    return str(tree[1]).startswith("event:")


# ---------------------------------------------------------------------- goals: names, with the filter that reaches each


def reaching(tree: list[Any], goals: dict[str, list[Any]]) -> list[Any]:
    """A filter with comparisons with goals put as what reaches them."""
    if tree[0] in ("and", "or"):
        return [tree[0], [reaching(part, goals) for part in tree[1]]]
    if tree[0] in ("not", "has_done", "has_not_done"):
        return [tree[0], reaching(tree[1], goals)]
    return ["or", [goals[name] for name in named(tree, goals)]] if tree[1] == "event:goal" else tree


def named(leaf: list[Any], goals: dict[str, list[Any]]) -> list[str]:
    operator, _, values = leaf[:3]
    return [name for name in goals if (name in values if operator == "is" else any(value in name for value in values))]


def names_goals(tree: list[Any]) -> bool:
    if tree[0] in ("has_done", "has_not_done"):
        return False
    if tree[0] in ("and", "or"):
        return any(names_goals(part) for part in tree[1])
    return names_goals(tree[1]) if tree[0] == "not" else tree[1] == "event:goal"


def joined(tree: list[Any]) -> list[list[Any]]:
    """What an AND joins, in whatever words it is written: `not (A or B)` is `not A and not B`."""
    if tree[0] == "and" or (tree[0] == "or" and len(tree[1]) == 1):
        return [part for inner in tree[1] for part in joined(inner)]
    if tree[0] == "not" and tree[1][0] == "not":
        return joined(tree[1][1])
    if tree[0] == "not" and (tree[1][0] == "or" or (tree[1][0] == "and" and len(tree[1][1]) == 1)):
        return [part for inner in tree[1][1] for part in joined(["not", inner])]
    return [tree]


def allows(tree: list[Any], goal: str, goals: dict[str, list[Any]]) -> bool:
    """Whether results under a filter are grouped by a goal."""
    for part in joined(tree):
        if part[0] == "or" and not any(allows(either, goal, goals) for either in part[1]):
            return False
        if part[1] == "event:goal" and goal not in named(part, goals):
            return False
    return True


# ---------------------------------------------------------------------- time


def bucket(time: int, interval: str, zone: ZoneInfo, start: int) -> tuple[int, str]:
    """Where a time stands: something to order by, and the label, in a range that begins at `start`."""
    wall = (EPOCH + timedelta(microseconds=time)).astimezone(zone)
    day = wall.date()
    if interval == "minute":
        begin = wall.replace(second=0, microsecond=0)
    elif interval == "5min":
        begin = wall.replace(minute=wall.minute // 5 * 5, second=0, microsecond=0)
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


def usual_interval(start: int, end: int) -> str:
    """What `time` means. An hour more than so many days: on one of them the clock may go back."""
    hours = (end - start) / 3_600_000_000
    return "minute" if hours <= 2 else "hour" if hours <= 49 else "day" if hours <= 93 * 24 + 1 else "month"


def all_buckets(start: int, end: int, interval: str, zone: ZoneInfo) -> list[tuple[int, str]]:
    """Every bucket of a range, looked for minute by minute, or quarter of an hour by quarter of an hour."""
    step = 60_000_000 * {"minute": 1, "5min": 5}.get(interval, 15)
    times = [start, *range((start // step + 1) * step, end, step)]
    return list(dict.fromkeys(bucket(time, interval, zone, start) for time in times))


def twins(
    here: tuple[int, int], there: tuple[int, int], interval: str, zone: ZoneInfo
) -> dict[tuple[int, str], tuple[int, str]]:
    """The bucket of another range that each bucket is compared with; without those that have none."""
    ours, theirs = all_buckets(*here, interval, zone), all_buckets(*there, interval, zone)
    if interval == "day":
        days = ours[0][0] - theirs[0][0]
        return {one: other for one in ours for other in theirs if one[0] - other[0] == days}
    days = round((here[0] - there[0]) / DAY)
    off = abs((here[0] - there[0]) - days * DAY)
    is_long = max(here[1] - here[0], there[1] - there[0]) >= DAY - 7_200_000_000
    if interval in ("hour", "minute", "5min") and (off == 0 or (is_long and off <= 7_200_000_000)):
        moved: dict[str, list[tuple[int, str]]] = {}
        for other in theirs:
            label = str(datetime.fromisoformat(other[1]) + timedelta(days))
            moved.setdefault(label, []).append(other)
        return {one: moved[one[1]].pop(0) for one in ours if moved.get(one[1])}
    return dict(zip(ours, theirs, strict=False))


# ---------------------------------------------------------------------- the answer


@dataclass
class Group:
    """What belongs to one row."""

    visitors: list[Visit] = field(default_factory=list)  # who is behind each event
    events: list[Event] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    pages: dict[tuple[int, str], list[Event]] = field(default_factory=dict)  # pageviews by visit and page

    @property
    def currency(self) -> str:
        """The one currency of the revenue; '' when there is none or several."""
        found = {event.currency for event in self.events if event.currency}
        return found.pop() if len(found) == 1 else ""

    base: list[Visit] = field(default_factory=list)  # visitors of the bucket of time, whatever goals they reach
    whole: list[Visit] = field(default_factory=list)  # of the group

    def value(self, metric: str, everybody: Sequence[Visit]) -> Fraction | None:
        """The exact figure."""
        if metric in MONEY and not self.currency:
            return None
        revenue = total(e.revenue * e.weight for e in self.events)
        paying = total(e.weight for e in self.events if e.currency)
        visitors = people(self.visitors)
        engaged = sum(sum(e.engaged_ms for e in views) for views in self.pages.values())
        scrolled = sum(max(e.scroll_depth for e in views) for views in self.pages.values())
        bounces = sum(visit.is_bounce for visit in self.visits)
        figures: dict[str, Callable[[], Fraction | None]] = {
            "visitors": lambda: visitors,
            "events": lambda: total(event.weight for event in self.events),
            "pageviews": lambda: total(event.weight for event in self.events if event.pageview),
            "visits": lambda: total(visit.weight for visit in self.visits),
            "active_visits": lambda: total(
                visit.weight for visit in {id(visit): visit for visit in self.visitors}.values()
            ),
            "views_per_visit": lambda: over(sum(len(visit.pageviews) for visit in self.visits), len(self.visits)),
            "bounce_rate": lambda: over(100 * bounces, len(self.visits)),
            "visit_duration": lambda: over(sum(v.end - v.start for v in self.visits), 1_000_000 * len(self.visits)),
            "percentage": lambda: over(100 * visitors, people(everybody)),
            "conversion_rate": lambda: over(100 * visitors, people(self.base)),
            "group_conversion_rate": lambda: over(100 * visitors, people(self.whole)),
            "time_on_page": lambda: over(engaged, 1000 * len(self.pages)),
            "scroll_depth": lambda: over(scrolled, len(self.pages)),
            "total_revenue": lambda: revenue,
            "average_revenue": lambda: over(revenue, paying),
        }
        return figures[metric]()


MONEY = ("total_revenue", "average_revenue")
CONVERSION = ("conversion_rate", "group_conversion_rate")
OF_EVENT = ("visitors", "active_visits", "events", "pageviews", "percentage", *CONVERSION, *MONEY)
OF_VISIT = ("visits", "views_per_visit", "bounce_rate", "visit_duration")
COUNTS = ("visitors", "active_visits", "visits", "pageviews", "events")
OF_PAGE = ("time_on_page", "scroll_depth")
DECIMALS = {"conversion_rate": 2, "group_conversion_rate": 2, "views_per_visit": 2, "percentage": 1}


def over(numerator: Fraction | int, denominator: Fraction | int) -> Fraction | None:
    return Fraction(numerator, denominator) if denominator else None


def total(weights: Iterable[Fraction]) -> Fraction:
    return sum(weights, Fraction(0))


def people(visits: Iterable[Visit]) -> Fraction:
    """Whom the visitors of these visits stand for: each by the visit with which they stand for the fewest."""
    least: dict[int, Fraction] = {}
    for visit in visits:
        least[visit.visitor] = min(visit.weight, least.get(visit.visitor, visit.weight))
    return total(least.values())


def is_sampled(visits: Sequence[Visit], start: int, end: int) -> bool:
    """Whether a part of what was there in a range was not kept."""
    return any(
        event.rate < 1_000_000 and start <= event.time < end for visit in visits for event in visit.events
    ) or any(visit.weight > 1 and visit.start < end and visit.end >= start for visit in visits)


def loses_visitors(visits: Sequence[Visit], start: int, end: int) -> bool:
    """Whether some of it was not kept although other events of the same visitor may have been."""
    in_range = [event for visit in visits for event in visit.events if start <= event.time < end]
    return any(event.rate < 1_000_000 and not event.by_visitor for event in in_range)


def rounded(metric: str, value: Fraction | None) -> int | float | None:
    """Half up."""
    if value is None:
        return None
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
    goals: dict[str, list[Any]] | None = None,
) -> list[tuple[list[str], list[Any]]]:
    """Rows of labels and values of a report over `start` <= time < `end`. `order`: keys, and whether descending.

    Money is a pair of minor units and currency.
    """
    rows = answered(
        visits, start, end, zone, metrics=metrics, dimensions=dimensions, filters=filters, order=order, goals=goals
    )
    return [([part[1] for part in place], values) for place, values in rows]


def beside(
    visits: Sequence[Visit],
    here: tuple[int, int],
    there: tuple[int, int],
    zone: str,
    *,
    metrics: Sequence[str],
    dimensions: Sequence[str] = (),
    **report: Any,
) -> list[tuple[list[str], list[Any]]]:
    """For each row of the answer over the range `here`, labels and values of what it is compared with over `there`."""
    times = [place for place, name in enumerate(dimensions) if name.startswith("time")]
    rows = answered(visits, *here, zone, metrics=metrics, dimensions=dimensions, **report)
    interval, pairs = "", {}
    if times:
        interval = dimensions[times[0]].removeprefix("time").removeprefix(":") or usual_interval(*here)
        pairs = twins(here, there, interval, ZoneInfo(zone))
    fixed = [f"time:{interval}" if place in times else name for place, name in enumerate(dimensions)]
    others = dict(answered(visits, *there, zone, metrics=metrics, dimensions=fixed, **{**report, "order": ()}))
    found = []
    for place, _ in rows:
        other: list[Any] = list(place)
        for time in times:
            other[time] = pairs.get(place[time])
        if None in other:
            labels = ["" if part is None else part[1] for part in other]
            found.append((labels, [None for _ in metrics]))
        else:
            nothing = [0 if name in COUNTS else None for name in metrics]
            found.append(([part[1] for part in other], others.get(tuple(other), nothing)))
    return found


def answered(
    visits: Sequence[Visit],
    start: int,
    end: int,
    zone: str,
    *,
    metrics: Sequence[str],
    dimensions: Sequence[str],
    filters: Sequence[Any] = (),
    order: Sequence[tuple[str, bool]] = (),
    goals: dict[str, list[Any]] | None = None,
) -> list[tuple[tuple[Any, ...], list[Any]]]:
    """The same; instead of labels what a group is told by: something to order by and the label, for each dimension."""
    goals = goals or {}
    usual = f"time:{usual_interval(start, end)}"
    dimensions = [usual if name == "time" else name for name in dimensions]
    order = [(usual if name == "time" else name, descending) for name, descending in order]
    tree = reaching(["and", list(filters)], goals)
    base = reaching(["and", [part for part in joined(["and", list(filters)]) if not names_goals(part)]], goals)
    shown_goals = [name for name in goals if allows(["and", list(filters)], name, goals)]
    by_event = any(name.startswith("event:") for name in dimensions)
    groups: dict[tuple[Any, ...], Group] = {}
    everybody: list[Visit] = []

    def keys_of(visit: Visit, event: Event | None, time: int) -> list[tuple[Any, ...]]:
        """The groups that an event or visit is in: several where it reaches several goals."""
        keys: list[tuple[Any, ...]] = [()]
        for name in dimensions:
            if name.startswith("time:"):
                parts: list[tuple[Any, str]] = [bucket(time, name.removeprefix("time:"), ZoneInfo(zone), start)]
            else:
                labels = [label(name, visit, event)]
                if name == "event:goal":
                    labels = [goal for goal in shown_goals if holds(goals[goal], visit, event, in_range)]
                parts = [(shown.encode(), shown) for shown in labels]
            keys = [(*key, part) for key in keys for part in parts]
        return keys

    asked_of_events, asked_of_visits, asked_of_pages = (
        any(name in kind for name in metrics) for kind in (OF_EVENT, OF_VISIT, OF_PAGE)
    )
    in_range = [(visit, event) for visit in visits for event in visit.events if start <= event.time < end]
    for number, visit in enumerate(visits):
        matching = [e for e in visit.events if start <= e.time < end and holds(tree, visit, e, in_range)]
        if asked_of_pages:
            for event in matching:
                for place in keys_of(visit, event, event.time) if event.pageview else []:
                    group = groups.setdefault(place, Group())
                    group.pages.setdefault((number, event.text("event:page")), []).append(event)
        if asked_of_events:
            for event in matching:
                everybody.append(visit)
                for place in keys_of(visit, event, event.time):
                    group = groups.setdefault(place, Group())
                    group.visitors.append(visit)
                    group.events.append(event)
        if not asked_of_visits or not start <= visit.start < end:
            continue
        if by_event:
            keys = {place for event in matching for place in keys_of(visit, event, visit.start)}
        elif looks_at_events(tree):
            keys = set(keys_of(visit, None, visit.start)) if matching else set()
        else:
            keys = set(keys_of(visit, None, visit.start)) if holds(tree, visit, None, in_range) else set()
        for place in keys:
            groups.setdefault(place, Group()).visits.append(visit)
    if not dimensions:
        groups.setdefault((), Group())

    if any(name in CONVERSION for name in metrics):
        kept = [place for place, name in enumerate(dimensions) if name != "event:goal"]
        times = [place for place, name in enumerate(dimensions) if name.startswith("time:")]
        dimensions_asked, dimensions = dimensions, [dimensions[place] for place in kept]
        among = [(v, e, keys_of(v, e, e.time)[0]) for v, e in in_range if holds(base, v, e, in_range)]
        dimensions = dimensions_asked
        for place, group in groups.items():
            whole = tuple(place[index] for index in kept)
            group.whole = [visit for visit, _, key in among if key == whole]
            when = [kept.index(index) for index in times]
            group.base = [v for v, _, key in among if all(key[i] == whole[i] for i in when)]

    rows = [(place, {m: group.value(m, everybody) for m in metrics}) for place, group in groups.items()]
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

    def shown(place: tuple[Any, ...], metric: str, value: Fraction | None) -> Any:
        figure = rounded(metric, value)
        return (figure, groups[place].currency) if metric in MONEY and figure is not None else figure

    return [(place, [shown(place, m, values[m]) for m in metrics]) for place, values in rows]
