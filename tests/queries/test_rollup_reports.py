"""Every report is the same with rollups as without: all against plain counting, whatever came late or moved."""

from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from appliance.clock import DAY
from appliance.queries.period import Range, Times, between
from appliance.queries.question import Report, Scope
from appliance.queries.reports import Reports
from appliance.rollups import units
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted
from appliance.storage.calendar import days_of_month, local_day
from appliance.storage.sqlite.chunks import compact, seal
from appliance.storage.sqlite.chunks.compact import compact_settled
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.sqlite.rollups import job
from appliance.storage.sqlite.rollups.index import Unit
from appliance.storage.sqlite.rollups.job import refresh
from appliance.storage.units.columns import pack_totals, unpack_totals
from tests import oracle
from tests.oracle import Event, Visit
from tests.queries.sealing import Sealer
from tests.queries.test_reports import (
    METRICS,
    NOW,
    OF_EVENT,
    OF_VISIT,
    Place,
    expected_marks,
    marks_of,
    project,
    rows_of,
)
from tests.queries.worlds import COUNTRIES, Store, instant, rotating_world
from tests.seeds import seeds

# Zones, and days over a month's end and over what their clocks do.
PLACES = [
    ("UTC", "2026-01-20", "2026-03-10"),
    ("Europe/Berlin", "2026-03-10", "2026-05-02"),
    ("America/New_York", "2025-10-15", "2025-12-03"),
    ("Asia/Kolkata", "2025-12-20", "2026-02-05"),
    ("Pacific/Apia", "2011-11-25", "2012-02-03"),  # without 30 December
]
NAMES = [
    *OF_EVENT,
    "event:name",
    *OF_VISIT,
    "visit:entry_page",
    "visit:exit_page_hostname",
    "time:day",
    "time:week",
    "time:month",
]


class World(NamedTuple):
    store: Store
    place: Place
    zone: str
    ids: list[int]
    start: int
    end: int
    asked: list[tuple[Scope, list[Report]]]  # so far

    def transact(self, work: Any) -> Any:
        """Run work in a write transaction, as a job does."""
        with self.store.transaction():
            return work(self.store.connection)

    def refresh(self) -> list[Unit]:
        return list(refresh(self.store.path, CATALOG, wanted, NOW))


def made(folder: Path, seed: int, visits: int = 120, *, sampled: bool = True) -> World:
    zone, first, last = PLACES[seed % len(PLACES)]
    start, end = instant(f"{first} 00:00", zone), instant(f"{last} 00:00", zone) + DAY
    there = rotating_world(Random(seed), zone, start, end, visits, sampled=sampled)
    store = Store(folder / "appliance.db")
    insert = "INSERT INTO project (id, public_id, name, timezone, created_at, updated_at) VALUES (1, 'p', 'p', ?, 0, 0)"
    store.connection.execute(insert, (zone,))
    ids = store.add([(1, visit) for visit in there])
    return World(store, Place(project(1, zone), between(first, last), there), zone, ids, start, end, [])


def random_range(random: Random, world: World) -> tuple[int, int]:
    """The whole, some days of it, or any two times."""
    days = (world.end - world.start) // DAY
    low, high = sorted(random.sample(range(days + 1), 2))
    edges = [(world.start, world.end), (world.start + low * DAY, world.start + high * DAY)]
    return random.choice([*edges, (world.start + low * DAY + 7, world.end - 11)])


def random_report(random: Random, days: int) -> Report:
    if random.random() < 0.25:
        time = random.choice(["time:5min" if days < 30 else "time:hour", "time:hour", "time:day", "time:month"])
        dimensions = tuple(random.sample(["event:source", "event:name", "event:sent_name", time], random.randint(1, 3)))
        return Report(tuple(random.sample(["events", "pageviews"], random.randint(1, 2))), dimensions)
    dimensions = random.choice([(), (random.choice(NAMES),), (random.choice(NAMES),)])
    metrics = random.sample([*METRICS, *["percentage"] * len(dimensions)], random.randint(1, 4))
    return Report(tuple(metrics), dimensions)


def counted_chunks(world: World) -> tuple[int, int]:
    """Visits and events that are sealed."""
    select = "SELECT sum(visits), sum(events) FROM chunk"
    visits, events = world.store.connection.execute(select).fetchone()
    return visits, events


async def compare(asked: Reports, world: World, random: Random, questions: int) -> None:
    for _ in range(questions):
        scopes = [await asked.scope(world.place.project, Times(*random_range(random, world)), NOW) for _ in range(2)]
        wanted = [(scope, [random_report(random, scope.range.days) for _ in range(2)]) for scope in scopes]
        if world.asked and random.random() < 0.5:
            wanted = random.choices(world.asked, k=3)  # which may have another answer by now
        world.asked.extend(wanted)
        for (scope, reports), tables in zip(wanted, await asked.ask(wanted), strict=True):
            for report, table in zip(reports, tables, strict=True):
                assert rows_of(table) == counted(world.place, scope.range, report), (report, scope.range)
                marks = expected_marks(world.place.visits, scope.range, report.metrics)
                assert marks_of(table) == marks, (report, scope.range)


def counted(place: Place, there: Range, report: Report) -> list[tuple[list[str], list[Any]]]:
    return oracle.answer(
        place.visits, there.start, there.end, place.project.timezone,
        metrics=report.metrics, dimensions=report.dimensions,
    )  # fmt: skip


async def disturb(world: World, random: Random, seed: int) -> None:
    """Events that come late, for visits that are there and as visits of their own."""
    sealer = Sealer(world.store, 1, world.zone)
    visits = world.place.visits
    for number in random.sample(range(len(world.ids)), 4):
        visit = visits[number]
        time = random.choice([visit.start - 60_000_000, visit.end + 60_000_000])
        sealer.add_late(world.ids[number], visit, Event(time, random.random() < 0.5, "late", True, {"event:page": "/"}))
    add_fresh(world, rotating_world(Random(seed), world.zone, world.start, world.end, 8))


def add_fresh(world: World, visits: list[Visit]) -> None:
    """Store more visits, under ids that were never given, as the drain does."""
    world.ids.extend(world.store.add_fresh([(1, visit) for visit in visits]))
    world.place.visits.extend(visits)


@pytest.mark.parametrize("seed", seeds(7, 115))
async def test_rollups_change_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(seal, "CHUNK_EVENTS_MAX", 30)
    monkeypatch.setattr(compact, "CHUNK_EVENTS_MAX", 60)
    monkeypatch.setattr(compact, "SMALL_EVENTS", 40)
    monkeypatch.setattr(compact, "COMPACTED_AFTER", 0)
    monkeypatch.setattr(units, "DAYS_KEPT", random_days := 10_000 if seed % 2 else 0)
    random, world = Random(seed), made(tmp_path, seed)
    sealer = Sealer(world.store, 1, world.zone)
    evaluator = Evaluator(world.store.path, temp_directory=tmp_path / "tmp")
    asked = Reports(evaluator, COUNTRIES)
    sealer.seal(random.sample(world.place.visits, 60))
    assert bool(world.refresh()) or not random_days
    await compare(asked, world, random, 5)
    sealer.seal(world.place.visits)
    assert world.refresh()
    assert not world.refresh()
    await compare(asked, world, random, 10)
    await disturb(world, random, seed + 100)
    await compare(asked, world, random, 10)
    sealer.seal(world.place.visits)
    await compare(asked, world, random, 5)
    assert world.refresh()
    await compare(asked, world, random, 10)
    before = counted_chunks(world)
    assert list(compact_settled(world.transact, NOW))
    for _ in range(5):  # what was joined may fit with more of its like
        list(compact_settled(world.transact, NOW))
    assert not list(compact_settled(world.transact, NOW))
    assert counted_chunks(world) == before
    await compare(asked, world, random, 10)
    world.refresh()
    await compare(asked, world, random, 10)
    await disturb(world, random, seed + 200)
    await compare(asked, world, random, 10)
    await evaluator.close()


async def test_who_asks_again_is_told_what_came_meanwhile(tmp_path: Path) -> None:
    random, world = Random(7), made(tmp_path, 1, visits=60)
    evaluator = Evaluator(world.store.path, temp_directory=tmp_path / "tmp")
    asked = Reports(evaluator, COUNTRIES)
    visits = world.place.visits
    Sealer(world.store, 1, world.zone).seal(random.sample(visits, 20))
    hot = {row for (row,) in world.store.connection.execute("SELECT id FROM visit")}
    report = Report(("visitors", "events", "visit_duration", "time_on_page"), ("event:page",))
    days = (world.end - world.start) // DAY
    scopes = [
        await asked.scope(world.place.project, Times(world.start + day * DAY, world.start + (day + 7) * DAY), NOW)
        for day in range(0, days, 7)
    ]
    for _ in range(12):
        place = random.choice([place for place, row in enumerate(world.ids) if row in hot])
        visit, row = visits[place], world.ids[place]
        with world.store.transaction():
            time = visit.end + random.choice([1, 60_000_000])
            visit.events.append(Event(time, True, "pageview", True, {"event:page": random.choice(["/", "/new"])}))
            world.store.add_event(1, row, visit.events[-1])
            world.store.update_visit(1, row, visit)
        for scope in scopes:
            table = await asked.answer(scope, report)
            assert rows_of(table) == counted(world.place, scope.range, report)
    await evaluator.close()


async def test_rollups_are_what_is_read(tmp_path: Path) -> None:
    world = made(tmp_path, 5)
    Sealer(world.store, 1, world.zone).seal(world.place.visits)
    assert world.refresh()
    connection = world.store.connection
    select = (
        "SELECT c.rowid, c.data FROM rollup_column c JOIN rollup r ON r.id = c.rollup_id"
        " WHERE r.days > 1 AND c.name = ?"
    )
    for row, data in connection.execute(select, ("visit_device",)).fetchall():
        totals = unpack_totals(data)
        altered = pack_totals(totals._replace(events=totals.events + 1000))
        connection.execute("UPDATE rollup_column SET data = ? WHERE rowid = ?", (altered, row))
    evaluator = Evaluator(world.store.path, temp_directory=tmp_path / "tmp")
    asked = Reports(evaluator, COUNTRIES)
    report = Report(("events",), ("visit:device",))
    february = await asked.scope(world.place.project, between("2026-02-01", "2026-02-28"), NOW)
    without = {row.labels[0]: row.values[0] for row in (await asked.answer(february, report)).rows}
    assert without == {labels[0]: values[0] + 1000 for labels, values in counted(world.place, february.range, report)}
    partly = await asked.scope(world.place.project, between("2026-02-02", "2026-02-28"), NOW)
    assert rows_of(await asked.answer(partly, report)) == counted(world.place, partly.range, report)
    await evaluator.close()


def columns(store: Store) -> list[tuple[Any, ...]]:
    """All rollups, without their ids."""
    select = (
        "SELECT r.first_day, r.days, r.chunks, r.newest_chunk, r.wanderers, c.name, c.data FROM rollup r"
        " JOIN rollup_column c ON c.rollup_id = r.id ORDER BY 1, 2, 6"
    )
    return store.connection.execute(select).fetchall()


def test_a_rebuild_gives_the_same(tmp_path: Path) -> None:
    world = made(tmp_path, 6)
    Sealer(world.store, 1, world.zone).seal(world.place.visits)
    units_made = len(world.refresh())
    before = columns(world.store)
    job.forget(world.store.path)
    assert columns(world.store) == []
    assert len(world.refresh()) == units_made > 10
    assert columns(world.store) == before


def test_a_refresh_makes_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "DAYS_KEPT", 10_000)
    world = made(tmp_path, 6)
    sealer = Sealer(world.store, 1, world.zone)
    sealer.seal(world.place.visits)
    world.refresh()
    place = next(n for n, visit in enumerate(world.place.visits) if visit.salt_day is None and len(visit.events) > 1)
    visit = world.place.visits[place]
    sealer.add_late(world.ids[place], visit, Event(visit.start, True, "pageview", True, {"event:page": "/"}))
    day = local_day(visit.start, ZoneInfo(world.zone))
    again = world.refresh()
    assert 1 <= len(again) <= 3  # not its day, of which nothing may be sealed now, but maybe a month
    sealer.seal(world.place.visits)
    again = world.refresh()
    assert {unit.first_day for unit in again} <= {day, days_of_month(day).first_day}
    assert again


def test_sampled_days_are_left_to_their_rows(tmp_path: Path) -> None:
    world = made(tmp_path, 5)
    february = instant("2026-02-01"), instant("2026-03-01")
    world.store.connection.execute("UPDATE event SET rate = 500000 WHERE time >= ? AND time < ?", february)
    Sealer(world.store, 1, world.zone).seal(world.place.visits)
    world.refresh()
    select = "SELECT first_day, usable FROM rollup WHERE days > 1 ORDER BY first_day"
    usable = {days_of_month(day).days: flag for day, flag in world.store.connection.execute(select)}
    assert usable[28] == 0
    assert not world.refresh()
