"""Random projects for the reports about people: what their tests share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from appliance.model import Project, ProjectSettings
from appliance.queries.period import Period, Range, between
from appliance.queries.reports import Reports
from appliance.storage.sqlite.evaluator import Evaluator
from tests import oracle
from tests.oracle import Event, Visit
from tests.postgresql import Server
from tests.queries.on_postgresql import asked
from tests.queries.sealing import Sealer
from tests.queries.worlds import COUNTRIES, Store, instant, world

NOW = instant("2026-06-15 12:00")
PLACES = [
    ("UTC", "2026-02-02", "2026-03-01"),
    ("Europe/Berlin", "2026-03-20", "2026-04-05"),  # a day of 23 hours
    ("America/New_York", "2025-10-25", "2025-11-12"),  # and one of 25
    ("Asia/Kolkata", "2026-01-01", "2026-01-04"),
]
USERS = ["", "", "ann@example.com", "Ben", "ben", "käthe", "user/7?x=1&y"]
TREES: list[list[Any]] = [
    ["is", "visit:country", ["DE", "US"]],
    ["is_not", "visit:device", ["Mobile"]],
    ["is", "event:page", ["/", "/blog", "/pricing"]],
    ["contains", "event:page", ["blog"], {"case_sensitive": False}],
    ["is_not", "event:name", ["download"]],
    ["has_done", ["is", "event:name", ["signup", "Signup"]]],
    ["or", [["is", "visit:browser", ["a"]], ["is", "event:hostname", ["example.com"]]]],
]


class Place(NamedTuple):
    project: Project
    period: Period
    visits: list[Visit]
    users: list[str]  # of each visit, '' where nobody was identified


class People(NamedTuple):
    reports: Reports
    places: list[Place]


def random_trees(random: Random) -> list[Any]:
    """Up to two filters."""
    return random.sample(TREES, random.choice([0, 0, 1, 2]))


class Stored(NamedTuple):
    """An event that passes the filters, its place in the order of storing, and its visit's place."""

    time: int
    place: int
    visit: Visit
    event: Event
    visit_place: int

    def holds(self, tree: list[Any]) -> bool:
        """Whether a filter that asks nothing of other events holds."""
        return oracle.holds(tree, self.visit, self.event, [])


def matching(visits: list[Visit], there: Range, trees: list[Any], *, from_start: bool = True) -> list[Stored]:
    """The events in range that pass all filters, in order; without `from_start` also those before it."""
    in_range = [(visit, event) for visit in visits for event in visit.events if there.start <= event.time < there.end]
    stored = [(visit, event, place) for place, visit in enumerate(visits) for event in visit.events]
    return sorted(
        Stored(event.time, place, visit, event, visit_place)
        for place, (visit, event, visit_place) in enumerate(stored)
        if event.time < there.end
        and (not from_start or event.time >= there.start)
        and oracle.holds(["and", trees], visit, event, in_range)
    )


def is_sampled(visits: list[Visit], there: Range | None) -> bool:
    """What the answer to a report over a range must say of sampling; None: it looks at all there is."""
    return oracle.is_sampled(visits, there.start if there else -(2**62), there.end if there else 2**62)


@asynccontextmanager
async def people(
    folder: Path, seeds: range, visits: int = 60, *, server: Server | None = None
) -> AsyncIterator[People]:
    """A project for each seed, in one database file, every other one sealed, or on a server; its visits stand in the
    order in which they are stored."""
    store = Store(folder / "appliance.db")
    places = []
    for seed in seeds:
        zone, first, last = PLACES[seed % len(PLACES)]
        start, end = instant(f"{first} 00:00", zone), instant(f"{last} 00:00", zone) + oracle.DAY
        number = seed - seeds.start + 1
        project = Project(number, f"id-{number}", f"p{number}", ("example.com",), zone, "EUR", ProjectSettings(), 0, 0)
        made = world(Random(seed), start, end, visits)
        users = [USERS[visit.visitor % len(USERS)] for visit in made]
        places.append(Place(project, between(first, last), made, users))
        for visit_id, user in zip(store.add([(number, visit) for visit in made]), users, strict=True):
            code = store.code(number, "user", user)
            store.connection.execute('UPDATE visit SET "user" = ? WHERE id = ?', (code, visit_id))
        if number % 2 and server is None:
            Sealer(store, number, zone).seal(made)
    if server is not None:
        async with asked(store.path, server, COUNTRIES) as (reports, _):
            yield People(reports, places)
        return
    evaluator = Evaluator(store.path, temp_directory=folder / "tmp", memory_bytes=1)  # what is sealed comes in parts
    yield People(Reports(evaluator, COUNTRIES), places)
    await evaluator.close()
