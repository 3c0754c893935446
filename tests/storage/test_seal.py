"""Sealing changes where rows are, never what they say: checked against a database in which nothing is ever sealed."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest

from appliance.clock import DAY, HOUR, MINUTE
from appliance.errors import ChunkDamaged, StorageUnavailable
from appliance.ingest.batch import Applied, Batch
from appliance.model import Event, ProjectSettings
from appliance.storage import projects
from appliance.storage.calendar import day_start, local_day
from appliance.storage.sqlite.chunks import seal
from appliance.storage.sqlite.chunks.index import Chunk, chunks
from appliance.storage.sqlite.chunks.seal import SETTLED_AFTER, due_days, seal_settled
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.drain_store import SqliteDrainStore
from appliance.storage.sqlite.migrate import migrate
from appliance.storage.sqlite.rows import VisitGone
from appliance.storage.sqlite.writer import WriteConnection
from tests.builders import ANN, BOB, START, at, engagement, event, pageview, user_event

T = TypeVar("T")
BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = local_day(START, BERLIN)


class Place:
    """A database as the drain writes it, and a second connection that seals."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "appliance.db"
        migrate(self.path, folder)
        self.store = SqliteDrainStore(self.path)
        self.jobs = WriteConnection(self.path)
        self.reader = sqlite3.connect(self.path, isolation_level=None)
        self.restart()

    def add_project(self, zone: str) -> None:
        insert = "INSERT INTO project (public_id, name, timezone, created_at, updated_at) VALUES ('p', 'p', ?, 0, 0)"
        self.jobs.transaction(lambda c: c.execute(insert, (zone,)), durable=True)

    def restart(self) -> None:
        """Forget what the drain keeps in memory."""
        self.batch = Batch(lambda project_id: ProjectSettings())

    def apply(self, *events: Event) -> Applied:
        return self.store.transact(lambda tx: self.batch.apply(tx, events))

    def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As jobs do, but for the disk."""
        return self.jobs.transaction(work, durable=False)

    def damage(self, chunk: int) -> None:
        """Change bytes of all that is kept of a chunk."""
        self.transact(lambda c: c.execute("UPDATE chunk_column SET data = zeroblob(40) WHERE chunk_id = ?", (chunk,)))

    def seal(self, day: int = MONDAY, project: int = 1) -> list[Chunk]:
        made = []
        while chunk := self.jobs.transaction(lambda c: seal.seal(c, project, day, BERLIN), durable=False):
            made.append(chunk)
        return made

    def unseal_all(self) -> None:
        for chunk in self.chunks():
            self.jobs.transaction(lambda c, chunk=chunk: seal.unseal(c, chunk), durable=False)  # type: ignore[misc]

    def chunks(self) -> list[Chunk]:
        return chunks(self.reader, "1", ())

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        return self.reader.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()

    def count(self, table: str) -> int:
        ((number,),) = self.reader.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(number)

    def close(self) -> None:
        self.store.close()
        self.jobs.close()
        self.reader.close()


@pytest.fixture
def places(tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    """One database to seal in, and one to compare it with."""
    made = Place(tmp_path / "sealed"), Place(tmp_path / "plain")
    yield made
    for place in made:
        place.close()


def assert_same(sealed: Place, plain: Place) -> None:
    """Every row is the same once the chunks are rows again."""
    sealed.unseal_all()
    for table in ("visit", "event", "alias", "seen", "dictionary"):
        assert sealed.rows(table) == plain.rows(table), table


def traffic(random: Random, sent: list[Event]) -> list[Event]:
    """Events of a few visitors over four days: most go on from where they were, some come late, some name a user."""
    events = []
    for _ in range(random.randint(1, 12)):
        minutes = random.choice(
            [random.randrange(4 * 1440), *(random.randrange(-40, 40) + day * 1440 for day in range(4))]
        )
        visitor = random.choice([ANN, BOB, 7, 8])
        pageviews = [past for past in sent if past.name == "pageview"]
        what = random.random()
        if what < 0.2 and pageviews:
            past = random.choice(pageviews)
            later = (past.time - START) / MINUTE + random.randrange(40)
            events.append(engagement(later, past, random.randrange(100), random.randrange(9000)))
        elif what < 0.3:
            events.append(user_event(minutes, random.choice("xy"), random.choice([ANN, BOB])))
        elif what < 0.4:
            events.append(event(minutes, visitor, session_id=random.choice("st"), properties='{"a":"ä"}', revenue=5))
        elif what < 0.5 and sent:
            events.append(random.choice(sent))  # a retry
        else:
            events.append(pageview(minutes, f"/{random.randrange(5)}", visitor, title=random.choice("TU")))
    return events


@pytest.mark.parametrize("seed", range(30))
def test_whatever_comes_whenever_days_are_sealed_the_rows_are_the_same(places: tuple[Place, Place], seed: int) -> None:
    sealed, plain = places
    random = Random(seed)
    sent: list[Event] = []
    moved = 0
    for _ in range(25):
        events = traffic(random, sent)
        sent += events
        answers = [(len(a.stored), a.duplicates, a.conflicts) for a in (place.apply(*events) for place in places)]
        assert answers[0] == answers[1]
        for day in random.sample(range(MONDAY - 1, MONDAY + 6), random.randrange(4)):
            seal.join_parts(sealed.transact, 1, day)
            moved += len(sealed.seal(day))
        if random.random() < 0.3:
            for place in places:
                place.restart()
    assert moved > 10
    assert_same(sealed, plain)


def test_a_sealed_day_has_no_rows_left_and_others_keep_theirs(places: tuple[Place, Place]) -> None:
    place, _ = places
    place.apply(pageview(0), pageview(1, visitor=BOB), pageview(1440), pageview(0, project_id=2))
    (chunk,) = place.seal()
    assert (chunk.day, chunk.visits, chunk.events) == (MONDAY, 2, 2)
    assert (chunk.start, chunk.last_start, chunk.end) == (at(0), at(1), at(1))
    assert place.count("visit") == place.count("event") == 2
    assert place.seal() == []


def test_ids_are_never_given_twice_although_the_newest_rows_are_sealed(places: tuple[Place, Place]) -> None:
    place, _ = places
    place.apply(pageview(0), pageview(1, visitor=BOB))
    place.seal()
    place.store._rows.forget()
    place.restart()
    place.apply(pageview(2880))
    assert place.reader.execute("SELECT v.id, e.id FROM visit v, event e").fetchall() == [(3, 3)]


def test_a_day_with_more_events_than_a_chunk_takes_becomes_several(
    places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "CHUNK_EVENTS_MAX", 4)
    sealed, plain = places
    events = [pageview(minute, visitor=visitor) for visitor in (1, 2, 3, 4) for minute in range(visitor + 1)]
    for place in places:
        place.apply(*events)
    made = sealed.seal()
    assert [chunk.events for chunk in made] == [2, 3, 4, 5]  # the last visit alone is more than a chunk takes
    assert_same(sealed, plain)


def test_parts_of_a_day_that_came_late_are_joined(places: tuple[Place, Place]) -> None:
    place, _ = places
    for minute in (0, 100, 200):
        place.apply(pageview(minute))
        place.seal()
    assert len(place.chunks()) == 3
    seal.join_parts(place.transact, 1, MONDAY)
    assert [chunk.events for chunk in place.seal()] == [3]


def test_a_seal_that_fails_in_the_middle_leaves_everything_as_it_was(
    places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed, plain = places
    events = [pageview(0), pageview(5), pageview(9, visitor=BOB)]
    for place in places:
        place.apply(*events)
    monkeypatch.setattr(seal, "AMONG", "(SELECT n.id FROM nowhere n WHERE n.id = ?)")
    with pytest.raises(sqlite3.OperationalError):
        sealed.seal()
    assert sealed.chunks() == []
    assert sealed.count("chunk_column") == 0
    assert_same(sealed, plain)


def test_a_late_event_of_a_damaged_chunk_is_refused_and_the_others_are_not(places: tuple[Place, Place]) -> None:
    place, _ = places
    place.apply(pageview(0))
    place.seal()
    place.restart()
    place.jobs.transaction(
        lambda c: c.execute("UPDATE chunk_column SET data = zeroblob(40) WHERE name = 'visit.visitor'"), durable=False
    )
    with pytest.raises(ChunkDamaged):
        place.apply(pageview(5))
    place.batch.forget()
    assert len(place.apply(pageview(5 * 1440)).stored) == 1


def test_what_is_damaged_keeps_nothing_else_from_being_sealed(places: tuple[Place, Place]) -> None:
    place, _ = places
    place.add_project("Europe/Berlin")
    place.apply(pageview(0))
    (damaged,) = place.seal()
    # A small chunk, which would be joined with what came late.
    place.apply(pageview(5, visitor=BOB), pageview(1440))
    place.damage(damaged.id)
    later = at(1440) + SETTLED_AFTER + 1
    made = list(seal_settled(place.transact, later))
    assert [(chunk.project_id, chunk.day, chunk.events) for chunk in made] == [(1, MONDAY, 1), (1, MONDAY + 1, 1)]
    # Sealed by another calendar, all that can be read is sealed anew.
    place.transact(lambda c: c.execute("UPDATE project SET timezone = 'Asia/Tokyo'"))
    assert [chunk.timezone for chunk in seal_settled(place.transact, later)] == ["Asia/Tokyo"] * 2
    assert {chunk.id: chunk.timezone for chunk in place.chunks()}[damaged.id] == "Europe/Berlin"


def test_a_late_engagement_with_a_sealed_pageview_counts(places: tuple[Place, Place]) -> None:
    place, _ = places
    page = pageview(0)
    place.apply(page)
    place.seal()
    place.restart()
    assert place.apply(engagement(2, page, 60, 3000)).refused == []
    assert place.reader.execute("SELECT scroll_depth, engaged_ms FROM event").fetchall() == [(60, 3000)]
    assert place.reader.execute('SELECT "end" FROM visit').fetchall() == [(at(2),)]


# ---------------------------------------------------------------------- when a day is due


def test_a_day_is_due_once_all_its_visits_ended_before(places: tuple[Place, Place]) -> None:
    place, _ = places
    # 23:50 in Berlin, and over midnight; then the next day.
    place.apply(*(pageview(650 + minute) for minute in (0, 15)), pageview(1440))
    late = at(665)
    assert due_days(place.reader, 1, BERLIN, late) == []
    assert due_days(place.reader, 1, BERLIN, late + 1) == [MONDAY]
    assert due_days(place.reader, 1, BERLIN, at(1440) + 1) == [MONDAY, MONDAY + 1]
    assert due_days(place.reader, 2, BERLIN, at(1440) + 1) == []


async def test_settled_days_of_all_projects_are_sealed_by_their_own_calendars(database: SqliteDatabase) -> None:
    zones = ("Europe/Berlin", "America/New_York")
    for zone in zones:
        made = await projects.create(database, name=zone, domains=[], timezone=zone, actor="test", at=START)
        assert made.project.id == zones.index(zone) + 1
    store, jobs = SqliteDrainStore(database.path), WriteConnection(database.path)
    batch = Batch(store.settings_of)
    evening = 11 * 60 + 30  # 00:30 on Tuesday in Berlin, 18:30 on Monday in New York
    events = [pageview(minute, project_id=project) for project in (1, 2) for minute in (0, evening, 4 * 1440)]
    store.transact(lambda tx: batch.apply(tx, events))
    now = at(evening) + SETTLED_AFTER + 1
    made_chunks = list(seal_settled(lambda work: jobs.transaction(work, durable=False), now))
    assert [(c.project_id, c.day, c.events) for c in made_chunks] == [
        (1, MONDAY, 1),
        (1, MONDAY + 1, 1),
        (2, MONDAY, 2),
    ]
    assert list(seal_settled(lambda work: jobs.transaction(work, durable=False), now)) == []
    store.close()
    jobs.close()


@pytest.mark.parametrize(
    "zone",
    ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu", "Africa/Cairo", "Asia/Beirut"],
)
def test_every_instant_lies_between_the_starts_of_its_day_and_the_next(zone: str) -> None:
    where = ZoneInfo(zone)
    first = local_day(1_262_304_000_000_000, where)  # 2010
    starts = [day_start(day, where) for day in range(first, first + 6000)]
    assert all(later - earlier in (0, 23 * HOUR, DAY, 25 * HOUR) for earlier, later in pairwise(starts))
    for day, (start, end) in enumerate(pairwise(starts), first):
        if start < end:
            assert local_day(start, where) == local_day(end - 1, where) == day
            assert local_day(start - 1, where) < day


def test_an_event_of_a_visit_that_was_removed_is_not_stored_alone(places: tuple[Place, Place]) -> None:
    place, _ = places
    place.apply(pageview(0), pageview(0, visitor=BOB))
    place.jobs.transaction(lambda c: (c.execute("DELETE FROM event"), c.execute("DELETE FROM visit")), durable=False)
    with pytest.raises(VisitGone):
        place.apply(pageview(5))
    place.batch.forget()
    place.apply(pageview(5))
    assert place.count("visit") == place.count("event") == 1


# ---------------------------------------------------------------------- the process that seals


async def test_a_sealing_process_killed_at_any_instant_changes_no_row(places: tuple[Place, Place]) -> None:
    sealed, plain = places
    random = Random(5)
    sent: list[Event] = []
    for place in places:
        place.add_project("Europe/Berlin")
    for _ in range(60):
        sent += (events := traffic(random, sent))
        for place in places:
            place.apply(*events)
    database = SqliteDatabase(sealed.path)
    for seconds in (0.0, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4):
        process = sealing(sealed)
        time.sleep(seconds)
        process.kill()
        process.communicate()
    assert sealed.count("event") + sum(chunk.events for chunk in sealed.chunks()) == plain.count("event")
    await database.seal()
    assert sealed.count("event") == 0
    assert len(sealed.chunks()) == 1  # of a month that is long over
    assert_same(sealed, plain)


def sealing(place: Place) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "appliance.storage.sqlite.chunks.process", str(place.path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def test_a_sealing_process_ends_with_its_parent(places: tuple[Place, Place]) -> None:
    place, _ = places
    place.add_project("UTC")
    place.apply(*(pageview(day * 1440) for day in range(100)))
    process = sealing(place)
    process.communicate()  # closes its stdin
    assert process.returncode == 1
    assert len(place.chunks()) < 100


async def test_a_sealing_process_that_fails_is_told(places: tuple[Place, Place]) -> None:
    place, _ = places
    place.add_project("Nowhere/Land")
    with pytest.raises(StorageUnavailable):
        await SqliteDatabase(place.path).seal()
