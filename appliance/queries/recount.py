"""A report by plain counting over the stored events, one after the other: what an answer is checked against.

It shares no SQL and no engine with the answer, only the definitions: labels, the comparison of texts, buckets, and the
arithmetic of metrics (metrics.py).
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import product
from typing import Any, Final

from appliance.model import Flag, Kind
from appliance.queries.conditions import PAGEVIEW_NAME, Names
from appliance.queries.dimensions import Dimension, GoalDimension, Grouping, TimeDimension, dimension
from appliance.queries.filters import AllOf, Filter, HasDone, Leaf, Not, leaves, looks_at, walk
from appliance.queries.goals import as_filter
from appliance.queries.intervals import buckets
from appliance.queries.metrics import PAGE_MEASURES, VISIT_MEASURES, Estimate, Measure, Value, metric
from appliance.queries.question import Report, Scope
from appliance.storage.dimensions import dictionary_of, is_property
from appliance.storage.interface import Database, Row
from appliance.storage.matching import matcher
from appliance.storage.sqlite.worker.properties import value_of

Key = tuple[tuple[str, ...], int | None]  # labels in the order of the dimensions, bucket of time

_BATCH_ROWS: Final = 250  # a few milliseconds, in which nothing else happens
_NUMBERS: Final = (
    "e.visit_id", "v.visitor", "e.time", "e.kind", "e.flags", "e.rate", "v.rate", "e.engaged_ms", "e.scroll_depth",
    "e.revenue", "e.properties", "v.start", 'v."end"',
)  # fmt: skip


async def recount(database: Database, scope: Scope, report: Report, names: Names) -> dict[Key, tuple[Value, ...]]:
    """Every group of the report, without its order and limit, with its figures.

    Reads all rows in range, up to twice; memory grows with the visits and visitors in range.

    Raises StorageUnavailable, ChunkDamaged.
    """
    rows = _Rows(database, scope, report)
    facts = _Facts(scope, names)
    asked = [part for tree in (scope.filter, scope.base or AllOf()) for part in walk(tree) if isinstance(part, HasDone)]
    if asked:
        async for event in rows.events():
            if facts.in_range(event.time):
                facts.note(event, asked)
    count = _Count(scope, report, facts)
    async for event in rows.events():
        count.add(event)
    return count.result()


class _Event:
    """A stored event with what its visit says. `texts` are those of the columns that are looked at."""

    __slots__ = (
        "currency", "end", "engaged_ms", "flags", "kind", "properties", "rate", "revenue", "scroll_depth", "start",
        "texts", "time", "visit_id", "visit_rate", "visitor",
    )  # fmt: skip

    def __init__(self, row: Row, columns: Sequence[tuple[str, str]]) -> None:
        numbers, texts = row[: len(_NUMBERS)], row[len(_NUMBERS) :]
        self.visit_id, self.visitor, self.time, self.kind, self.flags, self.rate, self.visit_rate = numbers[:7]
        self.engaged_ms, self.scroll_depth, self.revenue, self.properties, self.start, self.end = numbers[7:]
        self.texts = dict(zip(columns, texts, strict=True))
        self.currency = self.texts["event", "currency"]


class _Rows:
    """The events in range, and all events of visits that start in it, as they are stored."""

    def __init__(self, database: Database, scope: Scope, report: Report) -> None:
        self._database = database
        self._scope = scope
        trees = [scope.filter, scope.base or AllOf(), *map(as_filter, scope.goals)]
        used = [item for item in report.grouped() if isinstance(item, Dimension)]
        used += [dimension(leaf.dimension) for tree in trees for leaf in leaves(tree)]
        found = {(item.scope, item.column) for item in used if not is_property(item.column)}
        self._columns = sorted({("event", "currency"), ("event", "path"), *found})

    async def events(self) -> AsyncIterator[_Event]:
        selected, joins = list(_NUMBERS), ["FROM event e JOIN visit v ON v.id = e.visit_id"]
        for place, (table, column) in enumerate(self._columns):
            selected.append(f"coalesce(d{place}.text, '')")
            joins.append(
                f"LEFT JOIN dictionary d{place} ON d{place}.project_id = e.project_id"
                f" AND d{place}.dimension = {dictionary_of(column)} AND d{place}.code = {table[0]}.{column}"
            )
        where = (
            "WHERE e.project_id = :project_id"
            " AND ((e.time >= :start AND e.time < :end) OR (v.start >= :start AND v.start < :end))"
        )
        select = f"SELECT {', '.join(selected)} {' '.join(joins)} {where}"
        there = self._scope.range
        found = self._database.stream_stored(
            select, self._scope.project_id, there.start, there.end, batch_rows=_BATCH_ROWS
        )
        async for batch in found:
            for row in batch:
                yield _Event(row, self._columns)


class _Facts:
    """What is true of an event: its labels, and whether a filter holds."""

    def __init__(self, scope: Scope, names: Names) -> None:
        self._range = scope.range
        self._countries = names.countries
        self._tests: dict[Leaf, Callable[[str], bool]] = {}
        self._doers: dict[HasDone, set[int]] = {}

    def in_range(self, time: int) -> bool:
        return self._range.start <= time < self._range.end

    def note(self, event: _Event, asked: Iterable[HasDone]) -> None:
        """Remember an event in range for what its visitor has done."""
        for part in asked:
            if self.holds(part.part, event):
                self._doers.setdefault(part, set()).add(event.visitor)

    def label(self, what: Dimension, event: _Event) -> str:
        return self._text(what, event) or what.missing

    def _text(self, what: Dimension, event: _Event) -> str:
        if is_property(what.column):
            return value_of(event.properties, what.property_name)
        if what.shows == "event_name" and event.kind == Kind.PAGEVIEW:
            return PAGEVIEW_NAME
        text: str = event.texts[what.scope, what.column]
        return self._countries.get(text, text) if what.shows == "country_name" else text

    def holds(self, tree: Filter, event: _Event) -> bool:
        if isinstance(tree, Leaf):
            what, positive = dimension(tree.dimension), tree.operator.removesuffix("_not")
            text = self.label(what, event) if positive == "is" else self._text(what, event)
            return (text != "" and self._test(tree, positive)(text)) != tree.operator.endswith("_not")
        if isinstance(tree, Not):
            return not self.holds(tree.part, event)
        if isinstance(tree, HasDone):
            return (event.visitor in self._doers.get(tree, ())) == tree.done
        held = (self.holds(part, event) for part in tree.parts)
        return all(held) if isinstance(tree, AllOf) else any(held)

    def _test(self, leaf: Leaf, matching: Any) -> Callable[[str], bool]:
        if leaf not in self._tests:
            self._tests[leaf] = matcher(matching, leaf.values, case_sensitive=leaf.case_sensitive)
        return self._tests[leaf]


class _Visit:
    """A visit that starts in range, from its events."""

    __slots__ = ("duration", "interactive", "pageviews", "rate")

    def __init__(self, duration: int, rate: int) -> None:
        self.duration = duration
        self.rate = rate
        self.pageviews = 0
        self.interactive = False

    def add(self, event: _Event) -> None:
        self.pageviews += event.kind == Kind.PAGEVIEW
        self.interactive = self.interactive or (event.kind != Kind.PAGEVIEW and not event.flags & Flag.PASSIVE)


class _Visitors:
    """Different visitors, each with the highest rate at which they were kept."""

    __slots__ = ("_rates",)

    def __init__(self) -> None:
        self._rates: dict[int, int] = {}

    def add(self, event: _Event) -> None:
        self._rates[event.visitor] = max(event.visit_rate, self._rates.get(event.visitor, 0))

    @property
    def estimate(self) -> Estimate:
        return Estimate.of(Counter(self._rates.values()))


class _Tally:
    """What belongs to one group; sums are kept by sampling rate."""

    def __init__(self) -> None:
        self.visitors = _Visitors()
        self.events, self.pageviews, self.revenue, self.paying = (Counter[int]() for _ in range(4))
        self.currencies: set[str] = set()
        self.visits: set[int] = set()
        self.active: dict[int, int] = {}  # visits of its events, with their rates
        self.pages: dict[tuple[int, str], tuple[int, int]] = {}  # by visit and path: visible ms, depth

    def add(self, event: _Event) -> None:
        rate = event.rate
        self.visitors.add(event)
        self.active[event.visit_id] = event.visit_rate
        self.events[rate] += 1
        if event.currency:
            self.revenue[rate] += event.revenue
            self.paying[rate] += 1
            self.currencies.add(event.currency)
        if event.kind == Kind.PAGEVIEW:
            self.pageviews[rate] += 1
            page = event.visit_id, event.texts["event", "path"]
            engaged_ms, depth = self.pages.get(page, (0, 0))
            self.pages[page] = engaged_ms + event.engaged_ms, max(depth, event.scroll_depth)

    def counted(self, visits: dict[int, _Visit]) -> dict[Measure, int | Estimate]:
        own = [visits[number] for number in self.visits]
        return {
            "visitors": self.visitors.estimate, "active_visits": Estimate.of(Counter(self.active.values())),
            "events": Estimate.of(self.events),
            "pageviews": Estimate.of(self.pageviews), "revenue": Estimate.of(self.revenue),
            "paying": Estimate.of(self.paying), "visits": Estimate.of(Counter(visit.rate for visit in own)),
            "duration": sum(visit.duration for visit in own),
            "visit_pageviews": sum(visit.pageviews for visit in own),
            "bounces": sum(visit.pageviews == 1 and not visit.interactive for visit in own),
            "page_visits": len(self.pages), "engaged": sum(engaged for engaged, _ in self.pages.values()),
            "scrolled": sum(depth for _, depth in self.pages.values()),
        }  # fmt: skip


class _Count:
    """The groups of a report, filled event by event."""

    def __init__(self, scope: Scope, report: Report, facts: _Facts) -> None:
        self._scope, self._report, self._facts = scope, report, facts
        self._groupings: list[Grouping] = report.grouped()
        interval = report.interval(scope.range)
        self._buckets = buckets(scope.range, interval) if interval is not None else ()
        self._starts = [bucket.start for bucket in self._buckets]
        self._goals = [(goal.name, as_filter(goal)) for goal in scope.goals]
        self._base = scope.filter if scope.base is None else scope.base
        self._by_event = any(
            isinstance(item, GoalDimension) or (isinstance(item, Dimension) and item.scope == "event")
            for item in self._groupings
        )
        looked_at = (dimension(leaf.dimension) for leaf in looks_at(scope.filter))
        self._filters_events = any(item.scope == "event" for item in looked_at)
        self._groups: dict[Key, _Tally] = {} if report.dimensions else {((), None): _Tally()}
        self._everybody = _Visitors()
        self._bases: defaultdict[int | None, _Visitors] = defaultdict(_Visitors)  # whatever goals they reach, by bucket
        self._wholes: defaultdict[Key, _Visitors] = defaultdict(_Visitors)  # and by group
        self._visits: dict[int, _Visit] = {}

    def add(self, event: _Event) -> None:
        """An event in range, or one of a visit that starts in range."""
        starts = self._facts.in_range(event.start)
        first = starts and event.visit_id not in self._visits
        if starts:
            self._visits.setdefault(event.visit_id, _Visit(event.end - event.start, event.visit_rate)).add(event)
        by_visit = not (self._by_event or self._filters_events)
        if first and by_visit and self._facts.holds(self._scope.filter, event):
            self._add_visit(event)
        if not self._facts.in_range(event.time):
            return
        if self._facts.holds(self._scope.filter, event):
            self._everybody.add(event)
            for key in self._keys(event, event.time):
                self._groups.setdefault(key, _Tally()).add(event)
            if starts and not by_visit:
                self._add_visit(event)
        if self._facts.holds(self._base, event):
            for key in self._keys(event, event.time, goals=False):
                self._bases[key[1]].add(event)
                self._wholes[key].add(event)

    def result(self) -> dict[Key, tuple[Value, ...]]:
        """The groups that the report's metrics have something to say of."""
        metrics = [metric(name) for name in self._report.metrics]
        measures = {measure for item in metrics for measure in item.measures}
        everybody, result = self._everybody.estimate, {}
        for key, tally in self._groups.items():
            if self._report.dimensions and not self._is_row(tally, measures):
                continue
            counted = tally.counted(self._visits)
            counted["total_visitors"] = everybody
            counted["base_visitors"] = self._bases[key[1]].estimate
            counted["group_visitors"] = self._wholes[self._without_goal(key)].estimate
            currency = next(iter(tally.currencies)) if len(tally.currencies) == 1 else None
            result[key] = tuple(item.value(counted, currency) for item in metrics)
        return result

    @staticmethod
    def _is_row(tally: _Tally, measures: set[Measure]) -> bool:
        return bool(
            (tally.events and measures.difference(VISIT_MEASURES, PAGE_MEASURES))
            or (tally.visits and measures.intersection(VISIT_MEASURES))
            or (tally.pages and measures.intersection(PAGE_MEASURES))
        )

    def _add_visit(self, event: _Event) -> None:
        for key in self._keys(event, event.start):
            self._groups.setdefault(key, _Tally()).visits.add(event.visit_id)

    def _keys(self, event: _Event, time: int, *, goals: bool = True) -> Iterable[Key]:
        """The groups that an event is in; several where it reaches several goals."""
        labels: list[list[str]] = []
        bucket = None
        for item in self._groupings:
            if isinstance(item, TimeDimension):
                bucket = bisect_right(self._starts, time) - 1
                labels.append([self._buckets[bucket].label])
            elif isinstance(item, Dimension):
                labels.append([self._facts.label(item, event)])
            elif goals:
                labels.append([name for name, tree in self._goals if self._facts.holds(tree, event)])
        for chosen in product(*labels):
            yield chosen, bucket

    def _without_goal(self, key: Key) -> Key:
        labels = zip(key[0], self._groupings, strict=True)
        return tuple(label for label, item in labels if not isinstance(item, GoalDimension)), key[1]
