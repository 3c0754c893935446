"""On a server too every report is the same with rollups as without: against plain counting, whatever came late, and in
whichever order transactions were committed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import pytest

from appliance.clock import DAY, MINUTE
from appliance.ingest.batch import Batch
from appliance.model import Event as Sent
from appliance.model import Flag, Kind, ProjectSettings
from appliance.queries.period import between
from appliance.queries.question import Report
from appliance.queries.reports import Reports
from appliance.rollups.catalog import CATALOG
from appliance.rollups.refresh import refresh as refresh_aside
from appliance.rollups.units import wanted, wanted_on_servers
from appliance.storage.calendar import day_start, local_day
from appliance.storage.evaluation import BEGINNING, END
from appliance.storage.postgresql import rows
from appliance.storage.postgresql.connection import work_connection
from appliance.storage.postgresql.database import PostgresqlDatabase
from appliance.storage.postgresql.drain_store import PostgresqlDrainStore
from appliance.storage.postgresql.evaluator import PostgresqlEvaluator
from appliance.storage.postgresql.rollups.build import build
from appliance.storage.postgresql.rollups.index import SELECT, known, values_of
from appliance.storage.postgresql.rollups.job import forget, refresh
from appliance.storage.units.columns import pack_totals, unpack_totals
from appliance.storage.worker.pipe import AskRolled, Question, Unit
from tests.engines import ENGINES
from tests.oracle import Event, Visit
from tests.postgresql import Server
from tests.queries.on_postgresql import compress, move
from tests.queries.test_reports import NOW, rows_of
from tests.queries.test_rollup_reports import World, compare, counted, made
from tests.queries.worlds import COUNTRIES, OF_VISIT, TEXTS, instant
from tests.seeds import seeds

_numbers = count(1)


@pytest.fixture(scope="module", params=ENGINES[1:])
def on_server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "now", lambda: NOW)


class Served:
    """A world in a database, asked and written to as an appliance does."""

    def __init__(self, world: World, url: str, folder: Path, memory_bytes: int = 0) -> None:
        self.world, self.url = world, url
        self.asked_of_units = 0
        self.engine = PostgresqlEvaluator(url, temp_directory=folder / "tmp", memory_bytes=memory_bytes)
        self.reports = Reports(self.engine, COUNTRIES)
        self.by_id: dict[int, Visit] = dict(zip(world.ids, world.place.visits, strict=True))
        self.store = PostgresqlDrainStore(url)
        self.batch = Batch(lambda project_id: ProjectSettings())
        put = self.engine.worker.put

        async def noted(request: Question) -> Any:
            self.asked_of_units += isinstance(request, AskRolled)
            return await put(request)

        self.engine.worker.put = noted  # type: ignore[method-assign]

    def refresh(self, *, days: bool = True) -> list[Unit]:
        return list(refresh(self.url, CATALOG, wanted_on_servers if days else wanted, NOW))

    async def compare(self, random: Random, questions: int) -> int:
        """How many of the questions were asked of units."""
        before = self.asked_of_units
        await compare(self.reports, self.world, random, questions)
        return self.asked_of_units - before

    def send(self, *sent: Sent, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Drain events; `meanwhile` runs before the transaction is committed."""

        def work(tx: Any) -> Any:
            applied = self.batch.apply(tx, sent)
            meanwhile()
            return applied

        for placed in self.store.transact(work).stored:
            self._count(placed.event, placed.visit_id, placed.visitor)

    def current(self) -> list[Unit]:
        """The units that a question would be answered with."""
        values = values_of(1, [entry.name for entry in CATALOG], BEGINNING, END)
        with psycopg.connect(self.url) as connection:
            return [one.unit for one in known(connection.execute(SELECT, values).fetchall()) if one.is_current]

    def marks(self) -> list[tuple[int, int]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute("SELECT t.low, t.high FROM touched t ORDER BY t.xid").fetchall()

    def _count(self, sent: Sent, visit_id: int, visitor: int) -> None:
        values = {"event:page": sent.path, "event:hostname": sent.hostname, "event:source": sent.source}
        interactive = not sent.flags & Flag.PASSIVE
        event = Event(sent.time, sent.kind == Kind.PAGEVIEW, sent.name, interactive, values)
        if visit_id in self.by_id:
            self.by_id[visit_id].events.append(event)
            return
        texts = {name: getattr(sent, column) for name, column in OF_VISIT.items()}
        visit = self.by_id[visit_id] = Visit(visitor, [event], texts, 0, sent.salt_day)
        self.world.ids.append(visit_id)
        self.world.place.visits.append(visit)


def sent(random: Random, visitor: int, salt_day: int | None, time: int) -> Sent:
    """An event as the journal has it."""
    is_pageview = random.random() < 0.6
    texts = {column: random.choice(TEXTS.get(name, ["a", "b", ""])) for name, column in OF_VISIT.items()}
    return Sent(
        project_id=1, event_id=f"late-{next(_numbers)}", kind=Kind.PAGEVIEW if is_pageview else Kind.CUSTOM,
        name="pageview" if is_pageview else "late", time=time, received=NOW, visitor=visitor, salt_day=salt_day,
        path=random.choice(["/", "/new"]), hostname=random.choice(["example.com", ""]), source="web",
        flags=random.choice([0, Flag.PASSIVE]), **texts,
    )  # fmt: skip


def late(random: Random, world: World) -> list[Sent]:
    """Events of visits that are there, of new visits of their visitors, also days after their salt, and of others."""
    found = []
    for visit in random.sample(world.place.visits, 4):
        found.append(sent(random, visit.visitor, visit.salt_day, visit.start - MINUTE))
        found.append(sent(random, visit.visitor, visit.salt_day, visit.end + MINUTE))
    rotating = [visit for visit in world.place.visits if visit.salt_day is not None]
    for visit in random.sample(rotating, 3):
        time = visit.start + random.choice([-3, 2, 40]) * DAY
        found.append(sent(random, visit.visitor, visit.salt_day, time))
    for _ in range(4):
        time = random.randrange(world.start, world.end)
        day = random.choice([None, local_day(time, ZoneInfo(world.zone))])
        found.append(sent(random, random.randrange(-(2**63), 2**63), day, time))
    return found


@asynccontextmanager
async def served(
    server: Server, folder: Path, seed: int, visits: int = 120, *, sampled: bool = True, memory_bytes: int = 0
) -> AsyncIterator[Served]:
    there = made(folder, seed, visits, sampled=sampled)
    url = server.new_database()
    move(there.store.path, url)
    compress(url)
    opened = Served(there, url, folder, memory_bytes)
    try:
        yield opened
    finally:
        opened.store.close()
        await opened.engine.close()


@pytest.mark.parametrize("seed", seeds(3, 60))
async def test_rollups_change_no_answer(tmp_path: Path, on_server: Server, seed: int) -> None:
    random = Random(seed)
    async with served(on_server, tmp_path, seed) as there:
        is_sampled = any(event.rate < 1_000_000 for visit in there.world.place.visits for event in visit.events)
        assert await there.compare(random, 5) == 0
        assert there.refresh(days=seed % 2 == 0)
        assert not there.refresh(days=seed % 2 == 0)
        assert await there.compare(random, 15) > 0 or is_sampled
        there.send(*late(random, there.world)[:2])  # of one visit, which may lie in two months
        assert await there.compare(random, 10) > 0 or is_sampled or seed % 2
        there.send(*late(random, there.world))  # from the first day to the last
        await there.compare(random, 5)
        assert there.refresh(days=seed % 2 == 0)
        assert not there.marks()
        assert await there.compare(random, 10) > 0 or is_sampled
        for _ in range(4):
            there.send(*late(random, there.world)[:3])
            await there.compare(random, 3)
        forget(there.url)
        assert not there.current()
        assert there.refresh()
        assert await there.compare(random, 10) > 0 or is_sampled


async def test_rollups_are_what_is_read(tmp_path: Path, on_server: Server) -> None:
    async with served(on_server, tmp_path, 5, sampled=False) as there:
        there.refresh()
        with psycopg.connect(there.url) as connection:
            select = (
                "SELECT c.rollup_id, c.data FROM rollup_column c JOIN rollup r ON r.id = c.rollup_id"
                " WHERE r.days > 1 AND c.name = 'visit_device'"
            )
            for unit, data in connection.execute(select).fetchall():
                totals = unpack_totals(data)
                altered = pack_totals(totals._replace(events=totals.events + 1000))
                update = "UPDATE rollup_column SET data = %s WHERE rollup_id = %s AND name = 'visit_device'"
                connection.execute(update, (altered, unit))
        place, report = there.world.place, Report(("events",), ("visit:device",))
        february = await there.reports.scope(place.project, between("2026-02-01", "2026-02-28"), NOW)
        without = {row.labels[0]: row.values[0] for row in (await there.reports.answer(february, report)).rows}
        wanted = counted(place, february.range, report)
        assert without == {labels[0]: values[0] + 1000 for labels, values in wanted}
        partly = await there.reports.scope(place.project, between("2026-02-02", "2026-02-28"), NOW)
        assert rows_of(await there.reports.answer(partly, report)) == counted(place, partly.range, report)


REPORT = Report(("visitors", "visits", "events", "bounce_rate"), ("event:page",))


async def is_right(there: Served) -> bool:
    """Whether the whole is answered as counting says."""
    place = there.world.place
    scope = await there.reports.scope(place.project, between("2026-01-20", "2026-03-10"), NOW)
    return rows_of(await there.reports.answer(scope, REPORT)) == counted(place, scope.range, REPORT)


def days_of(units: list[Unit]) -> set[tuple[int, int]]:
    return {(unit.first_day, unit.days) for unit in units}


async def test_what_is_committed_after_a_unit_was_read_before_it_was_not_seen(
    tmp_path: Path, on_server: Server
) -> None:
    """The drain wrote first and is committed last."""
    async with served(on_server, tmp_path, 0, 60, sampled=False) as there:
        event = sent(Random(1), 77, None, instant("2026-02-11 12:00"))
        day, month = event.time // DAY, instant("2026-02-01") // DAY
        there.send(event, meanwhile=there.refresh)
        stored = days_of(there.current())
        assert {(day, 1), (month, 28)} & stored == set()
        assert {(day - 1, 1), (day + 1, 1), (instant("2026-01-01") // DAY, 31)} <= stored
        assert await is_right(there)
        assert there.asked_of_units == 1
        assert days_of(there.refresh()) == {(day, 1), (month, 28)}
        assert not there.marks()
        assert await is_right(there)
        assert there.asked_of_units == 2


async def test_what_is_committed_while_a_unit_is_read_makes_it_wrong(tmp_path: Path, on_server: Server) -> None:
    """The drain wrote after the unit's snapshot, and is committed before the unit is."""
    async with served(on_server, tmp_path, 0, 60, sampled=False) as there:
        there.refresh()
        event = sent(Random(1), 77, None, instant("2026-02-11 12:00"))
        day = event.time // DAY
        utc = ZoneInfo("UTC")
        unit = Unit(0, day, 1, day_start(day, utc), day_start(day + 1, utc), "UTC", usable=False, final=False)
        connection = work_connection(there.url)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            connection.execute("SELECT 1 FROM visit LIMIT 1")
            there.send(event)
            made = build(connection, 1, unit, CATALOG)
        connection.close()
        assert made.usable
        assert made.id not in {unit.id for unit in there.current()}
        assert await is_right(there)
        assert (day, 1) in days_of(there.refresh())
        assert (day, 1) in days_of(there.current())
        assert await is_right(there)


async def test_marks_stay_as_long_as_a_unit_has_not_seen_them(tmp_path: Path, on_server: Server) -> None:
    async with served(on_server, tmp_path, 0, 60, sampled=False) as there:
        event = sent(Random(1), 77, None, instant("2026-02-11 12:00"))
        there.send(event, meanwhile=there.refresh)
        assert there.marks() == [(event.time, event.time)]
        with psycopg.connect(there.url, autocommit=True) as other:  # who makes the units of the project just now
            other.execute("SELECT pg_advisory_lock(%s, 1)", (0x726F6C6C,))
            assert there.refresh() == []
            assert there.marks()
            other.execute("SELECT pg_advisory_unlock_all()")  # a closed connection's locks go a little later
        assert days_of(there.refresh()) == {(event.time // DAY, 1), (instant("2026-02-01") // DAY, 28)}
        assert not there.marks()


async def test_units_from_another_server_answer_nothing(tmp_path: Path, on_server: Server) -> None:
    async with served(on_server, tmp_path, 0, 60, sampled=False) as there:
        made = len(there.refresh())
        with psycopg.connect(there.url) as connection:  # as a dump of an older server would have it
            connection.execute("UPDATE rollup SET snapshot = '900000000:900000000:' WHERE days > 1")
        days = there.current()
        assert {unit.days for unit in days} == {1}
        assert len(there.refresh()) == made - len(days)
        assert len(there.current()) == made


async def test_another_time_zone_has_units_of_its_own(tmp_path: Path, on_server: Server) -> None:
    async with served(on_server, tmp_path, 0, 60, sampled=False) as there:
        there.refresh()
        with psycopg.connect(there.url) as connection:
            connection.execute("UPDATE project SET timezone = 'Asia/Kolkata'")
        kolkata = there.world._replace(asked=[])
        there.world = kolkata._replace(
            place=kolkata.place._replace(project=_moved(kolkata.place.project, "Asia/Kolkata")), zone="Asia/Kolkata"
        )
        assert await there.compare(Random(3), 5) == 0
        assert there.refresh()
        assert await there.compare(Random(3), 15) > 0


async def test_what_is_too_much_to_read_beside_units_is_counted_by_the_server(
    tmp_path: Path, on_server: Server
) -> None:
    async with served(on_server, tmp_path, 0, sampled=False, memory_bytes=1) as there:
        there.refresh()
        assert await there.compare(Random(4), 10) > 0


async def test_a_worker_that_was_cut_off_answers_again(tmp_path: Path, on_server: Server) -> None:
    async with served(on_server, tmp_path, 0, 60, sampled=False) as there:
        there.refresh()
        assert await is_right(there)
        with psycopg.connect(there.url, autocommit=True) as other:
            select = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            assert other.execute(f"{select} AND datname = current_database()").fetchall()
        there.store.close()
        there.send(sent(Random(1), 77, None, instant("2026-02-11 12:00")))
        assert await is_right(there)
        assert there.asked_of_units == 2


async def test_the_job_has_a_process_of_its_own(tmp_path: Path, on_server: Server) -> None:
    async with served(on_server, tmp_path, 0, 60, sampled=False) as there:
        database = PostgresqlDatabase(there.url)
        made = await refresh_aside(database, rebuild=True)
        assert made == len(there.current()) > 20
        assert await refresh_aside(database) == 0
        assert await is_right(there)


def _moved(project: Any, timezone: str) -> Any:
    return msgspec.structs.replace(project, timezone=timezone)
