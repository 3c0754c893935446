"""What is kept of purged days goes along with a copy, and is there what it was: told, refused, added to, and erased."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from appliance.clock import DAY
from appliance.errors import RawPurged
from appliance.queries import plan
from appliance.queries.filters import AllOf, Leaf
from appliance.queries.period import Times
from appliance.queries.question import Report
from appliance.queries.reports import Reports
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted_on_servers
from appliance.storage import erasures
from appliance.storage.calendar import day_start, local_day
from appliance.storage.copying import job
from appliance.storage.packing import unpack_numbers
from appliance.storage.postgresql.evaluator import PostgresqlEvaluator
from appliance.storage.postgresql.removal.purge import purge_all
from appliance.storage.postgresql.removal.steps import removing, step
from appliance.storage.postgresql.rollups.job import refresh
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.sqlite.migrate import migrate
from tests.postgresql import Server
from tests.queries.sealing import Sealer
from tests.queries.test_purged_reports import Keeper, is_told, whole_days
from tests.queries.test_reports import NOW, rows_of
from tests.queries.test_rollup_reports import add_fresh, counted, made, random_report
from tests.queries.worlds import COUNTRIES, Store, rotating_world
from tests.seeds import seeds
from tests.storage.copies import connected, copied
from tests.storage.test_copy import Killed, dying, opened

LATER = 4 * DAY
OF_PAGES = Report(("visitors",), ("event:page",))


@pytest.fixture(params=["postgresql", "timescaledb"])
def server_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param).new_database()
    return url


class Moving:
    """A world of which something is purged, in a file, and the databases that it is copied to."""

    def __init__(self, folder: Path, seed: int) -> None:
        migrate(folder / "appliance.db", folder)
        self.keeper = Keeper(made(folder, seed, visits=150, sampled=False))
        self.world = self.keeper.world
        self.zone = ZoneInfo(self.world.zone)
        self.url = f"sqlite:///{self.world.store.path}"
        self._folder, self._random = folder, Random(seed)

    def seal(self) -> None:
        Sealer(self.world.store, 1, self.world.zone).seal(self.world.place.visits)

    def add_fresh(self) -> None:
        """Visits after what is purged, and of nobody with an id of then; they are not sealed."""
        since = self.keeper.horizon
        first_day = local_day(since, self.zone)
        there = rotating_world(self._random, self.world.zone, since, self.world.end, 40, sampled=False)
        fresh = [v for v in there if v.start >= since and (v.salt_day is None or v.salt_day >= first_day)]
        add_fresh(self.world, fresh)

    async def keep_on_server(self, url: str) -> int:
        """What the hourly job does there; how many visits it purged."""
        assert list(refresh(url, CATALOG, wanted_on_servers, self.keeper.now))
        async with removing(url) as connection:
            assert connection is not None
            return sum([step.visits async for step in purge_all(partial(step, connection), self.keeper.now)])

    @asynccontextmanager
    async def asked(self, url: str) -> AsyncIterator[Reports]:
        folder = self._folder / "tmp"
        path = Path(url.removeprefix("sqlite:///"))
        file = url.startswith("sqlite:///")
        engine = Evaluator(path, temp_directory=folder) if file else PostgresqlEvaluator(url, temp_directory=folder)
        try:
            yield Reports(engine, COUNTRIES)
        finally:
            await engine.close()

    async def check(self, url: str, questions: int = 25) -> None:
        """Random questions about whole days are answered as plain counting of all that ever was there does; what needs
        the raw data is refused."""
        world, days = self.world, whole_days(self.world)
        async with self.asked(url) as asked:
            first = day_start(local_day(min(visit.start for visit in world.place.visits), self.zone), self.zone)
            assert await asked.first_event(world.place.project) == first
            for _ in range(questions):
                low, high = sorted(self._random.sample(days, 2))
                scope = await asked.scope(world.place.project, Times(low, high), NOW)
                report = random_report(self._random, scope.range.days)
                if plan.rollup_of(report, scope) and is_told(report):
                    answer = rows_of(await asked.answer(scope, report))
                    assert answer == counted(world.place, scope.range, report), (report, scope.range)
            purged = Times(self.keeper.horizon - 5 * DAY, self.keeper.horizon + 2 * DAY)
            german = AllOf((Leaf("is", "visit:country", ("DE",)),))
            for tree, report in ((german, OF_PAGES), (AllOf(), Report(("visitors",), ("time:hour",)))):
                scope = await asked.scope(world.place.project, purged, NOW, tree)
                with pytest.raises(RawPurged, match="are purged") as refused:
                    await asked.answer(scope, report)
                assert refused.value.code == "raw_purged_before"


def final_days(url: str) -> set[int]:
    with connected(url) as connection:
        return {day for (day,) in connection.execute("SELECT first_day FROM rollup WHERE final = 1").fetchall()}


@pytest.mark.parametrize("seed", seeds(1, 20))
async def test_they_are_told_there_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_url: str, seed: int
) -> None:
    monkeypatch.setattr(job, "TRANSACTION_ROWS", 100)
    back = tmp_path / "back" / "appliance.db"
    moving = Moving(tmp_path, seed)
    keeper = moving.keeper
    moving.seal()
    keeper.refresh()
    # What is purged between two runs of a copy leaves it, and its counts come.
    with pytest.raises(Killed):
        copied(moving.url, server_url, meddle=dying(3, committed=True))
    assert keeper.purge()
    moving.add_fresh()
    with pytest.raises(Killed):
        copied(moving.url, server_url, meddle=dying(4, committed=False))
    assert copied(moving.url, server_url).equal
    for url in (moving.url, server_url):
        await moving.check(url)
    copied_days = final_days(server_url)
    # More is purged on the server, ...
    keeper.now += LATER
    assert await moving.keep_on_server(server_url)
    await moving.check(server_url)
    assert copied(server_url, f"sqlite:///{back}").equal
    await moving.check(f"sqlite:///{back}")
    # ... and more where all of it is copied to.
    assert copied_days < final_days(f"sqlite:///{back}")
    moving.world = moving.world._replace(store=Store(back))
    keeper.world = moving.world
    keeper.now += LATER
    moving.seal()
    keeper.refresh()
    assert keeper.purge()
    await moving.check(f"sqlite:///{back}")


async def test_who_is_erased_goes_from_them(tmp_path: Path, server_url: str) -> None:
    moving = Moving(tmp_path, 1)
    world, keeper = moving.world, moving.keeper
    moving.seal()
    keeper.refresh()
    keeper.purge()
    back = f"sqlite:///{tmp_path}/back.db"
    assert copied(moving.url, server_url).equal
    assert copied(server_url, back).equal
    purged = Times(whole_days(world)[0], keeper.horizon)
    report = Report(("visitors", "events", "visits"), ())
    gone = min(listed(moving.url))
    for url in (server_url, back):
        assert listed(url) == listed(moving.url)
        async with opened(url) as database, moving.asked(url) as asked:
            scope = await asked.scope(world.place.project, purged, NOW)
            ((_, [visitors, events, visits]),) = rows_of(await asked.answer(scope, report))
            await erasures.ask_for_visitor(database, world.place.project, gone, actor="test", at=NOW)
            await database.erase()
            assert rows_of(await asked.answer(scope, report)) == [([], [visitors - 1, events, visits])]
        assert listed(url) == listed(moving.url) - {gone}


def listed(url: str) -> set[int]:
    """Those whom final units keep by identity."""
    select = (
        "SELECT c.data FROM rollup_column c JOIN rollup r ON r.id = c.rollup_id"
        " WHERE c.name = 'visitors' AND r.final = 1"
    )
    with connected(url) as connection:
        found = connection.execute(select).fetchall()
    return {visitor for (data,) in found for visitor in unpack_numbers(data).tolist()}


async def test_who_was_met_far_from_the_day_of_the_salt_counts_once(tmp_path: Path, postgresql: Server) -> None:
    url = postgresql.new_database()
    moving = Moving(tmp_path, 1)
    world = moving.world
    # A file notes such visitors when it seals their visits, which has not happened yet.
    for visit in [visit for visit in world.place.visits if visit.salt_day is not None]:
        events = [replace(event, time=event.time - 10 * DAY) for event in visit.events]
        add_fresh(world, [replace(visit, events=events, engaged_until=0)])
    assert copied(moving.url, url).equal
    assert list(refresh(url, CATALOG, wanted_on_servers, moving.keeper.now))
    async with moving.asked(url) as asked:
        for name in ("time:month", "visit:country"):
            report = Report(("visitors",), (name,))
            scope = await asked.scope(world.place.project, Times(world.start - 11 * DAY, world.end), NOW)
            assert rows_of(await asked.answer(scope, report)) == counted(world.place, scope.range, report)
