"""What is told of days whose raw data are gone: the same unfiltered counts as before, and nothing half known."""

from dataclasses import replace
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from appliance.clock import DAY
from appliance.errors import RawPurged
from appliance.queries import plan, retention, users
from appliance.queries.filters import AllOf, Leaf
from appliance.queries.period import Times
from appliance.queries.question import Report
from appliance.queries.reports import Reports
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted
from appliance.storage.calendar import day_start, local_day
from appliance.storage.packing import unpack_numbers
from appliance.storage.sqlite.chunks import seal
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.sqlite.removal.purge import horizon, purge_all
from appliance.storage.sqlite.removal.taking import tell
from appliance.storage.sqlite.rollups.erase import erase_from
from appliance.storage.sqlite.rollups.index import units
from appliance.storage.sqlite.rollups.job import forget, refresh
from appliance.storage.sqlite.writer import WriteConnection
from tests.queries.sealing import Sealer
from tests.queries.test_reports import NOW, rows_of
from tests.queries.test_rollup_reports import NAMES, World, add_fresh, counted, made, random_report
from tests.queries.worlds import COUNTRIES, rotating_world
from tests.seeds import seeds

KEPT_DAYS = 10


# Reports that look at all times, not at the period alone.
OF_PEOPLE = (users.ask, lambda reports, scope: retention.ask(reports, scope, retention.Retention("day")))


class Keeper:
    """Runs the jobs on a world as if it were some days after its end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = world.end + 5 * DAY
        settings = f'{{"raw_retention_days":{KEPT_DAYS}}}'
        world.store.connection.execute("UPDATE project SET settings = ?", (settings,))

    def refresh(self) -> None:
        assert list(refresh(self.world.store.path, CATALOG, wanted, self.now))

    def purge(self) -> int:
        connection = WriteConnection(self.world.store.path)
        removed = sum(
            step.visits for step in purge_all(lambda work: connection.transaction(work, durable=False), self.now)
        )
        connection.close()
        return removed

    @property
    def horizon(self) -> int:
        return horizon(self.now, KEPT_DAYS, ZoneInfo(self.world.zone))


@pytest.fixture
def keeper(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    monkeypatch.setattr(seal, "CHUNK_EVENTS_MAX", 30)
    world = made(tmp_path, request.param, visits=150, sampled=False)
    Sealer(world.store, 1, world.zone).seal(world.place.visits)
    return Keeper(world)


def whole_days(world: World) -> list[int]:
    """Starts of local days of the world, ascending."""
    zone = ZoneInfo(world.zone)
    days = range(local_day(world.start, zone), local_day(world.end, zone) + 1)
    return list(dict.fromkeys(day_start(day, zone) for day in days))


def is_told(report: Report) -> bool:
    return not plan._counts_visits(report) or not any(name.startswith("event:") for name in report.dimensions)


@pytest.mark.parametrize("keeper", seeds(5, 110), indirect=True)
async def test_unfiltered_counts_of_whole_days_stay(keeper: Keeper, tmp_path: Path) -> None:
    world, random = keeper.world, Random(3)
    evaluator = Evaluator(world.store.path, temp_directory=tmp_path / "tmp")
    asked = Reports(evaluator, COUNTRIES)

    async def compare(questions: int) -> None:
        days = whole_days(world)
        for _ in range(questions):
            low, high = sorted(random.sample(days, 2))
            end = random.choice([high, high, world.end + 3 * DAY + 5]) if high > keeper.horizon else high
            scope = await asked.scope(world.place.project, Times(low, end), NOW)
            report = random_report(random, scope.range.days)
            if plan.rollup_of(report, scope) and is_told(report):
                assert rows_of(await asked.answer(scope, report)) == counted(world.place, scope.range, report), report

    await compare(20)
    keeper.refresh()
    await compare(20)
    assert keeper.purge()
    assert not keeper.purge()
    (kept,) = world.store.connection.execute("SELECT raw_purged_before FROM project").fetchone()
    assert kept == keeper.horizon
    await compare(60)
    late = [
        visit
        for visit in rotating_world(random, world.zone, keeper.horizon, world.end, 20, sampled=False)
        if visit.start >= keeper.horizon
    ]
    for visit in late:
        visit.salt_day = None
        visit.visitor = random.choice(world.place.visits).visitor  # somebody who was here before
        if visit.visitor in {other.visitor for other in world.place.visits if other.salt_day is not None}:
            visit.visitor = random.randrange(2**62)
    add_fresh(world, late)
    await compare(40)
    forget(world.store.path)  # what cannot be made anew stays
    await compare(20)
    await evaluator.close()


@pytest.mark.parametrize("keeper", [1], indirect=True)
async def test_nothing_that_is_only_partly_known_is_told(keeper: Keeper, tmp_path: Path) -> None:
    world = keeper.world
    keeper.refresh()
    assert keeper.purge()
    evaluator = Evaluator(world.store.path, temp_directory=tmp_path / "tmp")
    asked = Reports(evaluator, COUNTRIES)
    of_pages = Report(("visitors",), ("event:page",))
    left = next(visit for visit in world.place.visits if keeper.horizon <= visit.start < world.end)
    tree = AllOf((Leaf("is", "visit:device", (left.values["visit:device"],)),))
    before = Times(keeper.horizon - 5 * DAY, keeper.horizon + 2 * DAY)
    questions = [
        (before, tree, of_pages),
        (before, AllOf(), Report(("visitors",), ("event:props:plan",))),
        (before, AllOf(), Report(("visitors",), ("time:hour",))),
        (before, AllOf(), Report(("visits",), ("event:page",))),
        (Times(before.start + 1, before.end), AllOf(), of_pages),
        (Times(before.start, keeper.horizon - 7), AllOf(), of_pages),
    ]
    for times, filters, report in questions:
        scope = await asked.scope(world.place.project, times, NOW, filters)
        with pytest.raises(RawPurged, match="are purged"):
            await asked.answer(scope, report)
    for ask in OF_PEOPLE:
        scope = await asked.scope(world.place.project, before, NOW)
        with pytest.raises(RawPurged, match="are purged"):
            await ask(asked, scope)
        await ask(asked, await asked.scope(world.place.project, Times(keeper.horizon, world.end), NOW))
    for filters in (tree, AllOf()):
        scope = await asked.scope(world.place.project, Times(keeper.horizon, world.end), NOW, filters)
        assert (await asked.answer(scope, of_pages)).rows
    scope = await asked.scope(world.place.project, Times(before.start, before.end), NOW)
    assert rows_of(await asked.answer(scope, of_pages)) == counted(world.place, scope.range, of_pages)
    await evaluator.close()


@pytest.mark.parametrize("keeper", [0], indirect=True)
def test_raw_data_stay_until_their_counts_are_final(keeper: Keeper) -> None:
    assert keeper.purge() == 0
    keeper.refresh()
    connection = keeper.world.store.connection
    # What came in between is not in the counts: its day has to wait for them.
    (first,) = connection.execute("SELECT min(start) FROM chunk").fetchone()
    late = next(visit for visit in keeper.world.place.visits if visit.start == first)
    add_fresh(keeper.world, [late])
    assert keeper.purge() == 0
    Sealer(keeper.world.store, 1, keeper.world.zone).seal([late])
    assert keeper.purge() == 0
    keeper.refresh()
    assert keeper.purge() > 0


@pytest.mark.parametrize("keeper", [0], indirect=True)
def test_raw_data_stay_until_it_is_known_who_was_met_on_another_day(keeper: Keeper) -> None:
    world, sealer = keeper.world, Sealer(keeper.world.store, 1, keeper.world.zone)
    first = min(world.place.visits, key=lambda visit: visit.start)
    day = local_day(first.start, ZoneInfo(world.zone))
    event = min(first.events, key=lambda event: event.time)
    here, elsewhere = (
        replace(first, visitor=77, salt_day=day, events=[replace(event, time=time)], engaged_until=0)
        for time in (first.start, keeper.horizon + DAY)
    )
    add_fresh(world, [here])
    sealer.seal([here])
    keeper.refresh()
    add_fresh(world, [elsewhere])
    assert keeper.purge() == 0
    sealer.seal([elsewhere])
    assert keeper.purge() == 0
    keeper.refresh()
    assert keeper.purge() > 0


def test_every_name_is_tried() -> None:
    assert {"event:page", "visit:country", "time:day"} <= set(NAMES)


@pytest.mark.parametrize("keeper", [2], indirect=True)
async def test_who_is_erased_is_in_no_list_of_purged_days(keeper: Keeper, tmp_path: Path) -> None:
    world = keeper.world
    keeper.refresh()
    keeper.purge()
    connection = world.store.connection
    (first, *_) = [unit for unit in units(connection, 1) if unit.final and unit.end <= keeper.horizon and unit.usable]
    select = "SELECT data FROM rollup_column WHERE rollup_id = ? AND name = 'visitors'"
    listed = unpack_numbers(connection.execute(select, (first.id,)).fetchone()[0]).tolist()
    gone = listed[0]
    evaluator = Evaluator(world.store.path, temp_directory=tmp_path / "tmp")
    asked = Reports(evaluator, COUNTRIES)
    scope = await asked.scope(world.place.project, Times(first.start, first.end), NOW)
    report = Report(("visitors", "events", "visits"), ())
    visitors, events, visits = rows_of(await asked.answer(scope, report))[0][1]
    with world.store.transaction():
        for unit in units(connection, 1):
            erase_from(connection, unit, [gone])
        tell(connection)
    for unit in units(connection, 1):
        data = connection.execute(select, (unit.id,)).fetchone()
        assert data is None or gone not in unpack_numbers(data[0]).tolist()
    assert rows_of(await asked.answer(scope, report)) == [([], [visitors - 1, events, visits])]
    for name in ("event:page", "visit:country", "visit:device"):
        report = Report(("visitors",), (name,))
        before = {labels[0]: values[0] for labels, values in counted(world.place, scope.range, report)}
        after = {labels[0]: values[0] for labels, values in rows_of(await asked.answer(scope, report))}
        theirs = [visit for visit in world.place.visits if visit.visitor == gone]
        world.place.visits[:] = [visit for visit in world.place.visits if visit.visitor != gone]
        without = {labels[0]: values[0] for labels, values in counted(world.place, scope.range, report)}
        world.place.visits.extend(theirs)
        assert after == {label: without.get(label, 0) for label in before}
    await evaluator.close()
