"""A year of one project's traffic, the same for every engine that is measured: arrays of codes, made from a seed.

Four events a visit; 8 visitors of 100 are persistent and make 40 % of the visits, the others have an id for a day;
Zipf over 3,000 pages, 200 sources, 2,000 cities; 30 names of custom events with two properties. What is not compared
with other databases is there too, so that a file's size means something.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64] | NDArray[np.int32]

MILLISECOND: Final = 1_000
DAY: Final = 86_400_000_000
DAYS: Final = 365
START: Final = 1_735_689_600_000_000  # 2025-01-01 UTC, in microseconds
EVENTS_A_VISIT: Final = 4
NAMES: Final = 30
# Dimensions of visits, and how many values each has.
VALUES: Final = {
    "referrer_source": 200, "channel": 12, "country": 60, "city": 2_000, "browser": 14, "os": 9, "device": 4,
}  # fmt: skip
PAGES: Final = 3_000
SOURCES, REGIONS, LANGUAGES, SCREENS, CAMPAIGNS = 3, 200, 40, 30, 50
REFERRERS: Final = 10  # pages of each referring site
PROPERTIES: Final = 600  # different objects of custom events
CODE_PAGEVIEW: Final = 1  # of names; custom events follow


class Dataset(NamedTuple):
    """Columns of visits (ordered by start) and of events (ordered by visit and time). Codes begin with 1."""

    visit: dict[str, Ints]
    event: dict[str, Ints]

    @property
    def end(self) -> int:
        return START + DAYS * DAY


def make(events: int, seed: int = 1) -> Dataset:
    """About that many events."""
    chance = np.random.default_rng(seed)
    visits = max(1, events // EVENTS_A_VISIT)
    day = np.sort(chance.integers(0, DAYS, visits))
    start = START + day * DAY + chance.integers(0, DAY // MILLISECOND, visits) * MILLISECOND
    start = np.sort(start)
    day = (start - START) // DAY
    persistent = chance.random(visits) < 0.4
    known = chance.integers(1, max(2, events // 50), visits)
    rotating = (day + 1) * 1_000_000_000 + chance.integers(0, max(1, events // 10 // DAYS * 3), visits)
    count = chance.geometric(1 / EVENTS_A_VISIT, visits)
    visit_of = np.repeat(np.arange(visits), count)
    first = np.zeros(len(visit_of), bool)
    first[np.concatenate(([0], np.cumsum(count)[:-1]))] = True
    gaps = np.where(first, 0, chance.exponential(60, len(visit_of)).astype(np.int64) * 1_000_000)
    passed = np.cumsum(gaps)
    time = np.minimum(start[visit_of] + passed - passed[first][visit_of], start[visit_of] + 7_000_000_000)
    custom = ~first & (chance.random(len(visit_of)) < 0.2)
    path = _zipf(chance, PAGES, len(visit_of))
    name = np.where(custom, CODE_PAGEVIEW + _zipf(chance, NAMES, len(visit_of)), CODE_PAGEVIEW)
    lasts = np.cumsum(count) - 1
    visit = {
        "id": np.arange(1, visits + 1),
        "visitor": np.where(persistent, -known, rotating),
        "salt_day": np.where(persistent, -1, START // DAY + day),  # -1: none
        "start": start,
        "end": time[lasts],
        "events": count.astype(np.int64),
        "pageviews": count - np.bincount(visit_of, custom, visits).astype(np.int64),
        "interactive": np.bincount(visit_of, custom, visits).astype(np.int64),
        "entry_path": path[first],
        "exit_path": path[lasts],
        **{column: _zipf(chance, values, visits) for column, values in VALUES.items()},
    }
    city, browser, os = (visit[name] for name in ("city", "browser", "os"))
    tagged = np.where(chance.random(visits) < 0.2, _zipf(chance, CAMPAIGNS, visits), 0)
    visit |= {
        "user": np.where(persistent, known, 0),
        "referrer": visit["referrer_source"] * REFERRERS - chance.integers(0, REFERRERS, visits),
        "region": 1 + city // (VALUES["city"] // REGIONS + 1),
        "browser_version": browser * 10 + _zipf(chance, 10, visits) - 10,
        "os_version": os * 5 + _zipf(chance, 5, visits) - 5,
        "language": _zipf(chance, LANGUAGES, visits),
        "screen": _zipf(chance, SCREENS, visits),
        **{f"utm_{name}": np.minimum(tagged, most) for name, most in (("source", 5), ("medium", 3), ("campaign", 99))},
        **{f"{end}_hostname": np.ones(visits, np.int64) for end in ("entry", "exit")},
    }
    read = np.where(custom, 0, chance.exponential(20_000, len(visit_of)).astype(np.int64))
    paid = custom & (chance.random(len(visit_of)) < 0.02)
    event = {
        "id": np.arange(1, len(visit_of) + 1),
        "visit_id": visit_of + 1,
        "visitor": visit["visitor"][visit_of],
        "time": time,
        "kind": custom.astype(np.int64),
        "name": name,
        "path": path,
        "received": time + chance.exponential(150, len(visit_of)).astype(np.int64) * MILLISECOND,
        "source": 1 + visit_of % SOURCES,
        "hostname": np.ones(len(visit_of), np.int64),
        "title": path,
        "user": visit["user"][visit_of],
        "engaged_ms": read,
        "scroll_depth": np.where(custom, 0, np.minimum(100, read // 400)),
        "revenue": np.where(paid, chance.integers(100, 20_000, len(visit_of)), -1),  # -1: none
        "currency": paid.astype(np.int64),
        "properties": np.where(custom, name * 20 + chance.integers(0, 20, len(visit_of)) - 40, -1),  # -1: none
        "chance": chance.integers(0, 1 << 31, len(visit_of)),  # of the event's id
    }
    return Dataset(_narrowed(visit), _narrowed(event))


def _narrowed(columns: dict[str, Ints]) -> dict[str, Ints]:
    """Codes in half the room: fifty million events have to fit beside three databases."""
    fits = np.iinfo(np.int32)
    return {
        name: values.astype(np.int32) if fits.min <= values.min() and values.max() <= fits.max else values
        for name, values in columns.items()
    }


def _zipf(chance: np.random.Generator, values: int, size: int) -> Ints:
    """Codes from 1; the k-th is k times rarer than the first."""
    weights = 1 / np.arange(1, values + 1)
    edges = np.cumsum(weights) / weights.sum()
    return np.searchsorted(edges, chance.random(size)).clip(0, values - 1).astype(np.int32) + 1
