"""A project that moves between time zones goes on to lose its raw data, and nothing of what was counted of them."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from appliance.clock import DAY, HOUR
from appliance.errors import RawPurged
from appliance.queries.period import Times, between
from appliance.queries.question import Report
from appliance.queries.reports import Reports
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted, wanted_on_servers
from appliance.storage.calendar import day_start, local_day
from appliance.storage.packing import unpack_numbers
from appliance.storage.postgresql.evaluator import PostgresqlEvaluator
from appliance.storage.postgresql.removal import purge as on_servers
from appliance.storage.postgresql.removal.steps import removing, step
from appliance.storage.postgresql.rollups import job as job_of_servers
from appliance.storage.postgresql.rollups.erase import erase_from_final
from appliance.storage.retention import horizon
from appliance.storage.sqlite.chunks.seal import seal_settled
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.sqlite.migrate import migrate
from appliance.storage.sqlite.removal.erase import erase_all
from appliance.storage.sqlite.removal.purge import purge_all
from appliance.storage.sqlite.rollups import job as job_of_files
from tests.oracle import Visit
from tests.postgresql import Server
from tests.queries.on_postgresql import fill, is_away, move
from tests.queries.test_reports import NOW, Place, project, rows_of
from tests.queries.test_rollup_reports import NAMES, counted, random_report
from tests.queries.worlds import COUNTRIES, Store, instant, rotating_world
from tests.storage.copies import connected, copied

BERLIN, NEW_YORK, PARIS = "Europe/Berlin", "America/New_York", "Europe/Paris"
ZONES = (BERLIN, NEW_YORK, PARIS, "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Pago_Pago")
KEPT_DAYS = 7
DAYS = 18  # with events
START = instant("2026-03-18 00:00")  # Berlin's clocks go forward on the 29th
EVERYTHING = Report(("visitors", "visits", "events", "pageviews", "bounce_rate", "visit_duration"), ())
BY_DAY = Report(("visitors",), ("time:day",))


class Timeline:
    """In which time zone a project is from when on."""

    def __init__(self, moves: list[tuple[float, str]]) -> None:
        """`moves`: on which day, counted from START, it goes where; to the first one long before."""
        self._moves = [(START + int(day * DAY), zone) for day, zone in moves]

    def zone(self, time: int) -> ZoneInfo:
        return ZoneInfo([zone for since, zone in self._moves if since <= time or since == self._moves[0][0]][-1])


class Site(ABC):
    """A project that keeps raw data of some days. Ids of its visitors rotate by the calendar of the time."""

    url: str

    def __init__(self, folder: Path, timeline: Timeline, random: Random) -> None:
        self.folder, self.timeline, self.random = folder, timeline, random
        self.zone = timeline.zone(START)
        self.visits: list[Visit] = []
        for time in range(START, START + DAYS * DAY, 2 * DAY):
            zone = timeline.zone(time)
            start = day_start(local_day(time, zone), zone)
            self.visits += rotating_world(random, zone.key, start, start + 2 * DAY, 14, sampled=False)
        self.horizon = min(visit.start for visit in self.visits)
        migrate(folder / "appliance.db", folder)
        self.store = Store(folder / "appliance.db")
        self.store.connection.execute(
            "INSERT INTO project (id, public_id, name, timezone, settings, created_at, updated_at)"
            " VALUES (1, 'p', 'p', ?, ?, 0, 0)",
            (self.zone.key, f'{{"raw_retention_days":{KEPT_DAYS}}}'),
        )
        self.store.add([(1, visit) for visit in self.visits])
        self.told: list[bool] = []  # of questions about purged days

    @property
    def place(self) -> Place:
        return Place(project(1, self.zone.key), between("2026-01-01", "2026-12-31"), self.visits)

    def live(self, now: int) -> None:
        """What happens at a time, but for the purge."""
        if self.zone != self.timeline.zone(now):
            self.zone = self.timeline.zone(now)
            self.move()
        self.refresh(now)

    async def purge(self, now: int) -> None:
        """Purge, and see that all went that ended before the days that are kept."""
        await self.take_out(now, self.zone)
        self.horizon = max(self.horizon, horizon(now, KEPT_DAYS, self.zone))
        assert self.stored() == sum(visit.end >= self.horizon for visit in self.visits)

    async def check(self, asked: Reports, questions: int) -> None:
        """All that ever was is told of all time; of other stretches either that or nothing."""
        first, end = await asked.first_event(self.place.project), START + (DAYS + 5) * DAY
        assert first is not None
        first = local_day(first, self.zone)
        names = [name for name in NAMES if not name.startswith("time:")]
        of_one = Report(("visitors", "events"), (self.random.choice(names),))
        for report in (EVERYTHING, of_one):
            assert await self.is_told(asked, Times(day_start(first, self.zone), end), report)
        for _ in range(questions):
            low, high = sorted(self.random.sample(range(first, local_day(end, self.zone)), 2))
            there = Times(day_start(low, self.zone), day_start(high, self.zone))
            if self.random.random() < 0.3 and there.start < self.horizon:
                there = Times(there.start, self.horizon + self.random.choice([0, 6 * HOUR, DAY]))
            told = await self.is_told(asked, there, random_report(self.random, high - low))
            self.told += [told] * (there.start < self.horizon)
        cut = local_day(self.horizon, self.zone)
        if (start := day_start(cut, self.zone)) < self.horizon:
            await self.is_told(asked, Times(start, day_start(cut + 1, self.zone)), EVERYTHING)
            assert await self.is_told(asked, Times(self.horizon, day_start(cut + 1, self.zone)), EVERYTHING)

    async def is_told(self, asked: Reports, there: Times, report: Report) -> bool:
        """Whether a question is answered: as plain counting does it."""
        scope = await asked.scope(self.place.project, there, NOW)
        try:
            told = rows_of(await asked.answer(scope, report))
        except RawPurged:
            assert there.start < self.horizon
            return False
        assert told == counted(self.place, scope.range, report), (report, scope.range)
        return True

    def units(self) -> list[tuple[Any, ...]]:
        """First day, start, end, time zone and identities of each final unit."""
        select = (
            'SELECT r.first_day, r.start, r."end", r.timezone, c.data FROM rollup r JOIN rollup_column c'
            " ON c.rollup_id = r.id WHERE c.name = 'visitors' AND r.final = 1 ORDER BY r.start"
        )
        with connected(self.url) as connection:
            found = connection.execute(select).fetchall()
        return [(*row[:-1], unpack_numbers(row[-1]).tolist()) for row in found]

    @abstractmethod
    def move(self) -> None:
        """Set the time zone."""

    @abstractmethod
    def refresh(self, now: int) -> None: ...

    @abstractmethod
    def forget(self) -> None: ...

    @abstractmethod
    async def take_out(self, now: int, zone: ZoneInfo) -> None: ...

    @abstractmethod
    def erase_from_units(self, visitor: int) -> None: ...

    @abstractmethod
    def stored(self) -> int:
        """How many visits there are."""

    @abstractmethod
    def engine(self) -> Evaluator | PostgresqlEvaluator: ...


class InFile(Site):
    def __init__(self, folder: Path, timeline: Timeline, random: Random) -> None:
        super().__init__(folder, timeline, random)
        self.url = f"sqlite:///{self.store.path}"

    def move(self) -> None:
        self.store.connection.execute("UPDATE project SET timezone = ?", (self.zone.key,))

    def refresh(self, now: int) -> None:
        list(seal_settled(self._transact, NOW))
        list(job_of_files.refresh(self.store.path, CATALOG, wanted, now))

    def forget(self) -> None:
        job_of_files.forget(self.store.path)

    async def take_out(self, now: int, zone: ZoneInfo) -> None:
        list(purge_all(self._transact, now))

    def erase_from_units(self, visitor: int) -> None:
        insert = "INSERT INTO erasure (project_id, asked_at, visitors) VALUES (1, 0, json_array(?))"
        self.store.connection.execute(insert, (visitor,))
        list(erase_all(self._transact))

    def stored(self) -> int:
        select = "SELECT (SELECT coalesce(sum(c.visits), 0) FROM chunk c) + (SELECT count(*) FROM visit)"
        return int(self.store.connection.execute(select).fetchone()[0])

    def engine(self) -> Evaluator:
        return Evaluator(self.store.path, temp_directory=self.folder / "tmp")

    def _transact(self, work: Callable[[Any], Any]) -> Any:
        with self.store.transaction():
            return work(self.store.connection)


class OnServer(Site):
    def __init__(self, folder: Path, timeline: Timeline, random: Random, server: Server) -> None:
        super().__init__(folder, timeline, random)
        self.url = server.new_database()
        move(self.store.path, self.url)
        wanderers = set()
        for visit in self.visits:  # by the calendar of whoever stored them
            span = {"start": visit.start, "end": visit.end, "salt_day": visit.salt_day}
            if visit.salt_day is not None and is_away(span, timeline.zone(visit.start)):
                wanderers.add((1, visit.salt_day, visit.visitor))
        with psycopg.connect(self.url) as connection:
            connection.execute("DELETE FROM wanderer")
            fill(connection, "wanderer", ["project_id", "salt_day", "visitor"], sorted(wanderers))

    def move(self) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute("UPDATE project SET timezone = %s", (self.zone.key,))

    def refresh(self, now: int) -> None:
        list(job_of_servers.refresh(self.url, CATALOG, wanted_on_servers, now))

    def forget(self) -> None:
        job_of_servers.forget(self.url)

    async def take_out(self, now: int, zone: ZoneInfo) -> None:
        async with removing(self.url) as connection:
            assert connection is not None
            before = horizon(now, KEPT_DAYS, zone)
            _ = [one async for one in on_servers.purge(partial(step, connection), 1, before, zone)]

    def erase_from_units(self, visitor: int) -> None:
        with connected(self.url) as connection:
            erase_from_final(connection, 1, [visitor])

    def stored(self) -> int:
        with connected(self.url) as connection:
            return int(connection.execute("SELECT count(*) FROM visit").fetchone()[0])

    def engine(self) -> PostgresqlEvaluator:
        return PostgresqlEvaluator(self.url, temp_directory=self.folder / "tmp")


def site_on(server: Server | None, folder: Path, timeline: Timeline, random: Random) -> Site:
    if server is None:
        return InFile(folder, timeline, random)
    return OnServer(folder, timeline, random, server)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server | None:
    return None if request.param == "sqlite" else request.getfixturevalue(request.param)


def moves(random: Random, seed: int) -> list[tuple[float, str]]:
    """There and back first, in both directions; then anywhere."""
    zones = {0: (BERLIN, NEW_YORK, BERLIN), 1: (NEW_YORK, BERLIN, NEW_YORK)}.get(
        seed, tuple(random.choices(ZONES, k=4))
    )
    days = sorted(random.uniform(9, DAYS + 10) for _ in zones[1:])
    return list(zip([0.0, *days], zones, strict=True))


def cases(few: dict[str, int], every: dict[str, int]) -> list[Any]:
    """Engines and seeds; those that come after the first few of an engine are long."""
    return [
        pytest.param(name, seed, marks=[pytest.mark.long] * (seed >= few[name]))
        for name, count in every.items()
        for seed in range(count)
    ]


@pytest.mark.parametrize(
    ("server", "seed"),
    cases({"sqlite": 2, "postgresql": 2, "timescaledb": 1}, {"sqlite": 60, "postgresql": 40, "timescaledb": 8}),
    indirect=["server"],
)
async def test_a_project_that_moves_loses_raw_data_and_no_count(
    tmp_path: Path, server: Server | None, seed: int
) -> None:
    random = Random(seed)
    site = site_on(server, tmp_path, Timeline(moves(random, seed)), random)
    engine = site.engine()
    asked = Reports(engine, COUNTRIES)
    now = START + KEPT_DAYS * DAY
    while now < START + (DAYS + KEPT_DAYS + 5) * DAY:
        site.live(now)
        if random.random() < 0.7:
            await site.purge(now)
        await site.check(asked, 2)
        now += random.choice([DAY // 2, DAY, DAY, 2 * DAY])
    assert {True, False} == set(site.told)
    site.forget()  # what cannot be made anew stays
    await site.check(asked, 5)
    site.live(now)
    await site.check(asked, 5)
    await engine.close()
    copy = tmp_path / "copy.db"
    assert copied(site.url, f"sqlite:///{copy}").equal
    engine = Evaluator(copy, temp_directory=tmp_path / "tmp")
    await site.check(Reports(engine, COUNTRIES), 5)
    await engine.close()


@pytest.mark.parametrize("server", ["sqlite", "postgresql"], indirect=True)
async def test_days_of_two_time_zones_with_one_number_are_both_kept(tmp_path: Path, server: Server | None) -> None:
    site = site_on(server, tmp_path, Timeline([(0, BERLIN), (12.5, NEW_YORK)]), Random(5))
    for day in range(10, 16):
        site.live(START + day * DAY + DAY // 2)
        await site.purge(START + day * DAY + DAY // 2)
    of_berlin, cut = [unit for unit in site.units() if unit[0] == local_day(START + 3 * DAY, ZoneInfo(BERLIN))]
    midnight = day_start(of_berlin[0] + 1, ZoneInfo(BERLIN))
    assert (of_berlin[2:4], cut[1:4]) == ((midnight, BERLIN), (midnight, midnight + 5 * HOUR, NEW_YORK))
    before = site.units()
    erased = next(visitor for visitor in cut[4] if visitor not in of_berlin[4])
    site.erase_from_units(erased)
    assert site.units() == [(*unit, [who for who in seen if who != erased]) for *unit, seen in before]


async def test_days_are_told_in_every_time_zone_that_has_them(tmp_path: Path) -> None:
    site = InFile(tmp_path, Timeline([(0, BERLIN), (12, PARIS), (13, NEW_YORK)]), Random(5))
    asked = Reports(engine := site.engine(), COUNTRIES)
    site.live(START + 11 * DAY)
    await site.purge(START + 11 * DAY)
    first = await asked.first_event(site.place.project)
    assert first is not None
    for day, by_day in ((11, True), (12, True), (13, False)):
        site.live(START + day * DAY)
        assert await site.is_told(asked, Times(first, site.horizon), EVERYTHING)
        assert await site.is_told(asked, Times(first, site.horizon), BY_DAY) == by_day
    await engine.close()


async def test_days_that_are_purged_meanwhile_make_way_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql: Server
) -> None:
    """The job makes units of the new time zone while a purge that has read the old one is at work."""
    site = OnServer(tmp_path, Timeline([(0, BERLIN), (12, NEW_YORK)]), Random(5), postgresql)
    asked = Reports(engine := site.engine(), COUNTRIES)
    site.live(START + 11 * DAY)
    build, purges = job_of_servers.build, [ZoneInfo(BERLIN)]

    def meanwhile(*unit: Any) -> Any:
        made = build(*unit)
        while purges:
            asyncio.run(site.take_out(START + 11 * DAY, purges.pop()))
        return made

    monkeypatch.setattr(job_of_servers, "build", meanwhile)
    before = site.stored()
    await asyncio.to_thread(site.live, START + 12 * DAY)
    assert site.stored() < before
    site.horizon = horizon(START + 11 * DAY, KEPT_DAYS, ZoneInfo(BERLIN))
    await site.check(asked, 5)
    site.live(START + 14 * DAY)
    await site.purge(START + 14 * DAY)
    await site.check(asked, 5)
    await engine.close()


async def test_in_a_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = InFile(tmp_path, Timeline([(0, BERLIN), (12, NEW_YORK)]), Random(5))
    site.live(START + 11 * DAY)
    of_berlin = [unit[:4] for unit in site.units()]
    purged = of_berlin[-1][2]
    built = job_of_files.built

    def meanwhile(*unit: Any) -> Any:
        site.store.connection.execute("UPDATE project SET raw_purged_before = ?", (purged,))
        return built(*unit)

    monkeypatch.setattr(job_of_files, "built", meanwhile)
    site.live(START + 12 * DAY)
    assert [unit[:4] for unit in site.units() if unit[2] <= purged] == of_berlin
