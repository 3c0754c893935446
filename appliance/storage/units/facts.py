"""Counts the visits of a unit, and their events, by everything in the catalogue. For processes that have numpy."""

from collections.abc import Sequence
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from appliance.model import UNSAMPLED
from appliance.storage.calendar import day_start, week_of
from appliance.storage.packing import Ints, pack_numbers
from appliance.storage.rollup import PAGEVIEW_CODE, SLOT, Rollup
from appliance.storage.units.columns import Counts, Totals, pack_counts, pack_totals
from appliance.storage.units.covering import Days

VISITORS: Final = "visitors"  # the column that lists those who are kept by identity
NO_SALT: Final = -1  # in place of NULL, where a column has to be of numbers alone


class Reader(Protocol):
    """Visits and all their events as columns, in the order of the visits."""

    def visit(self, name: str) -> Ints:
        """A column of visits, or their numbers of events (`stored_events`); NULLs are masked, or NO_SALT."""
        ...

    def event(self, name: str) -> Ints:
        """A column of events."""
        ...


def counted(
    readers: Sequence[Reader], unit: Days, wanderers: Sequence[int], catalog: Sequence[Rollup]
) -> dict[str, bytes] | None:
    """The columns of a unit by name, packed; None where any of its data are sampled. Parameters as of `Facts`."""
    facts = Facts(readers, unit, wanderers)
    if facts.is_sampled:
        return None
    columns = {
        entry.name: pack_counts(facts.counts()) if entry.of == "counts" else pack_totals(facts.totals(entry))
        for entry in catalog
    }
    return columns | {VISITORS: pack_numbers(facts.members)}


class Facts:
    """Visits of a unit and their events: what stands in their columns, and who counts by identity.

    `readers`, one at least, have them, events in the order of their visits; `wanderers` are rotating visitors with a
    salt of these days who were met outside its day. Of a final unit all visits are here that touch it: their events
    inside it count, and those that start inside it.
    """

    def __init__(self, readers: Sequence[Reader], unit: Days, wanderers: Sequence[int]) -> None:
        self._readers = readers
        self._day_edges = _edges(unit)
        self._first_day = unit.first_day
        self._events_there: NDArray[np.bool] | slice = slice(None)
        self._start, end, pageviews, interactive = map(self._visits, ("start", "end", "pageviews", "interactive"))
        self._visit_figures = np.where((pageviews == 1) & (interactive == 0), 1, 0), end - self._start, pageviews
        self._starts_there = (self._start >= unit.start) & (self._start < unit.end)
        if unit.final:
            times = self._events("time")
            self._events_there = (times >= unit.start) & (times < unit.end)
        self._is_pageview = np.where(self._events("kind") == 0, 1, 0)
        self._visit_of = np.repeat(np.arange(len(self._start)), self._visits("stored_events"))[self._events_there]
        visitors, self._visitor = _ranked(self._visits("visitor"))
        by_identity = np.isin(visitors, np.array(wanderers, np.int64))
        salt_day = np.concatenate([np.ma.filled(reader.visit("salt_day"), NO_SALT) for reader in readers])
        at_home = (salt_day >= unit.first_day) & (salt_day <= unit.last_day) & self._starts_there & (end < unit.end)
        by_identity[self._visitor[~at_home]] = True
        self.members: Ints = visitors[by_identity]
        self._member = np.where(by_identity, np.cumsum(by_identity) - 1, -1)  # of a visitor; -1: by number

    @property
    def is_sampled(self) -> bool:
        return bool((self._visits("rate") != UNSAMPLED).any() or (self._events("rate") != UNSAMPLED).any())

    def totals(self, entry: Rollup) -> Totals:
        """The figures by the values of a column."""
        if entry.of == "event":
            of_events = self._names() if entry.column == "name" else self._events(entry.column)
            codes, ranks = _ranked(of_events)
            # A visit counts once for each value that an event of it has.
            of_visits, visits = np.divmod(
                _distinct(ranks * len(self._start) + self._visit_of), np.int64(len(self._start))
            )
            there = self._starts_there[visits]
            return self._counted(codes, ranks, of_visits[there], visits[there])
        visits = np.flatnonzero(self._starts_there)
        if entry.of == "visit":
            of_visits = self._visits(entry.column)
            of_events, of_visits = of_visits[self._visit_of], of_visits[visits]
        else:
            times = self._start[visits], self._events("time")
            of_visits, of_events = (self._buckets(part, entry.column) for part in times)
        codes, ranks = _ranked(np.concatenate((of_events, of_visits)))
        return self._counted(codes, ranks[: len(of_events)], ranks[len(of_events) :], visits)

    def counts(self) -> Counts:
        """Events by slot, source and name."""
        (slots, slot), (sources, source), (names, name) = map(
            _ranked, (self._events("time") // SLOT, self._events("source"), self._names())
        )
        kinds, events = _ranked((slot * len(sources) + source) * len(names) + name)
        rest, name = np.divmod(kinds, len(names))
        slot, source = np.divmod(rest, len(sources))
        return Counts(slots[slot], sources[source], names[name], np.bincount(events))

    def _names(self) -> Ints:
        return np.where(self._is_pageview == 1, PAGEVIEW_CODE, self._events("name"))

    def _counted(self, codes: Ints, of_events: Ints, of_visits: Ints, visits: Ints) -> Totals:
        """By places in `codes`: of all events, and of the visits that are counted."""
        visitors = np.int64(len(self._member))
        seen = _distinct(of_events * visitors + self._visitor[self._visit_of])
        place, visitor = np.divmod(seen, visitors)
        member = self._member[visitor]
        kept = member >= 0
        count = len(codes)
        bounces, duration, pageviews = (_sums(of_visits, figure[visits], count) for figure in self._visit_figures)
        return Totals(
            codes=codes,
            visitors=np.bincount(place[~kept], minlength=count),
            events=np.bincount(of_events, minlength=count),
            pageviews=_sums(of_events, self._is_pageview, count),
            visits=np.bincount(of_visits, minlength=count),
            bounces=bounces,
            duration=duration,
            visit_pageviews=pageviews,
            members=np.bincount(place[kept], minlength=count),
            member=member[kept],
        )

    def _buckets(self, times: Ints, column: str) -> Ints:
        if column == "total":
            return np.zeros(len(times), np.int64)
        days = np.searchsorted(self._day_edges, times, "right") - 1 + self._first_day
        return days if column == "day" else np.asarray(week_of(days))  # type: ignore[arg-type]

    def _visits(self, name: str) -> Ints:
        return np.concatenate([reader.visit(name) for reader in self._readers])

    def _events(self, name: str) -> Ints:
        return np.concatenate([reader.event(name) for reader in self._readers])[self._events_there]


def _edges(unit: Days) -> Ints:
    zone = ZoneInfo(unit.timezone)
    return np.array([day_start(unit.first_day + day, zone) for day in range(unit.days)], np.int64)


def _ranked(values: Ints) -> tuple[Ints, Ints]:
    """The distinct values, ascending, and the place of each value among them.

    numpy's own `unique` hashes, which takes ten times as long.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    is_first = np.ones(len(values), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    places = np.empty(len(values), np.int64)
    places[order] = np.cumsum(is_first) - 1
    return ordered[is_first], places


def _distinct(values: Ints) -> Ints:
    """The distinct values, ascending."""
    ordered = np.sort(values)
    is_first = np.ones(len(ordered), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_first]


def _sums(places: Ints, figures: Ints, count: int) -> Ints:
    """Sums per place in whole numbers: those of numpy's `bincount` are floating-point."""
    sums = np.zeros(count, np.int64)
    np.add.at(sums, places, figures)
    return sums
