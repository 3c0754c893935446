"""What a project does not keep goes, no sooner; and what may be missing is known."""

from random import Random
from zoneinfo import ZoneInfo

import pytest

from appliance import clock
from appliance.clock import DAY, HOUR
from appliance.errors import Invalid, NotFound
from appliance.model import Event, ProjectSettings
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted
from appliance.storage import audit, project_fields, projects, retention
from appliance.storage.calendar import day_start
from appliance.storage.interface import Purged
from appliance.storage.retention import horizon
from appliance.storage.sqlite.chunks import seal
from appliance.storage.sqlite.chunks.index import chunks
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.removal import taking
from appliance.storage.sqlite.removal.projects import remove_deleted
from appliance.storage.sqlite.removal.purge import purge, purge_all
from appliance.storage.sqlite.rollups.job import refresh
from tests.builders import ANN, BOB, START, at, pageview, user_event
from tests.storage.test_erase import Rows, fewer, stored
from tests.storage.test_seal import BERLIN, MONDAY, Place, traffic


def keep(place: Place, days: int) -> None:
    update = f"UPDATE project SET settings = '{{\"raw_retention_days\":{days}}}'"
    place.jobs.transaction(lambda c: c.execute(update), durable=True)


def purge_now(place: Place, before: int) -> tuple[int, int]:
    """Purge project 1; how many visits and events went."""
    steps = list(purge(lambda work: place.jobs.transaction(work, durable=False), 1, before))
    return sum(step.visits for step in steps), sum(step.events for step in steps)


def since(place: Place, rows: tuple[Rows, Rows], before: int) -> tuple[Rows, Rows]:
    """Those that did not end before."""
    names = [name for _, name, *_ in place.reader.execute("PRAGMA table_info(visit)")]
    visits = [row for row in rows[0] if row[2 + names.index("end")] >= before]
    ids = {row[2] for row in visits}
    return visits, [row for row in rows[1] if row[0] in ids]


def missing_before(place: Place) -> int | None:
    ((time,),) = place.reader.execute("SELECT raw_purged_before FROM project WHERE id = 1").fetchall()
    return None if time is None else int(time)


@pytest.mark.parametrize("seed", range(20))
def test_what_ended_before_goes_wherever_it_is(place: Place, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(taking, "STEP_EVENTS", 5)
    monkeypatch.setattr(seal, "CHUNK_EVENTS_MAX", 10)
    random = Random(seed)
    sent: list[Event] = []
    for _ in range(25):
        sent += (events := traffic(random, sent))
        place.apply(*events, pageview(random.randrange(5000), project_id=2))
        if random.random() < 0.3:
            place.seal(random.randrange(MONDAY - 1, MONDAY + 5))
            place.seal(MONDAY, project=2)
    remembered, others = place.rows("seen"), stored(place, 2)
    for before in sorted(random.choice([at(random.randrange(6000)), day_start(MONDAY + 1, BERLIN)]) for _ in "abc"):
        rows = stored(place)
        left = since(place, rows, before)
        noted = missing_before(place)
        assert purge_now(place, before) == fewer(rows, left)
        assert stored(place) == left
        assert missing_before(place) == (before if fewer(rows, left)[0] else noted)
        assert purge_now(place, before) == (0, 0)
    assert place.rows("seen") == remembered
    assert stored(place, 2) == others


def make_final(place: Place, now: int) -> None:
    """Let rollups say of days that are to go all that is to be known of them."""
    list(refresh(place.path, CATALOG, wanted, now))


def test_whole_days_are_kept_by_the_projects_calendar(place: Place) -> None:
    keep(place, 7)
    midnight = day_start(MONDAY, BERLIN)
    times = [midnight - 1, midnight, midnight + 12 * HOUR]
    place.apply(*(pageview(time=time, visitor=visitor) for visitor, time in enumerate(times, 1)))
    transact = lambda work: place.jobs.transaction(work, durable=False)  # noqa: E731
    for day in (MONDAY - 1, MONDAY):
        place.seal(day)
    for now in (midnight + 7 * DAY - 1, midnight + 7 * DAY, midnight + 8 * DAY - 1):
        make_final(place, now)
        list(purge_all(transact, now))
        kept = [row[0] for row in stored(place)[0]]
        assert kept == ([1, 2, 3] if now < midnight + 7 * DAY else [2, 3])
    assert missing_before(place) == midnight
    make_final(place, midnight + 8 * DAY)
    list(purge_all(transact, midnight + 8 * DAY))
    assert stored(place) == ([], [])


def test_days_with_a_change_of_the_clock_are_whole_days() -> None:
    assert horizon(day_start(20_542, BERLIN) + 3 * HOUR, 7, BERLIN) == day_start(20_535, BERLIN)
    utc = ZoneInfo("UTC")
    assert horizon(100 * DAY, 7, utc) == horizon(101 * DAY - 1, 7, utc) == 93 * DAY


def test_without_a_limit_everything_stays(place: Place) -> None:
    place.apply(pageview(0))
    assert list(purge_all(lambda work: place.jobs.transaction(work, durable=False), START + 40_000 * DAY)) == []
    assert missing_before(place) is None


def test_the_drain_goes_on_after_a_purge(place: Place) -> None:
    old = pageview(0)
    place.apply(old, pageview(600, visitor=BOB))
    purge_now(place, at(60))
    assert len(place.apply(old, pageview(20), pageview(610, visitor=BOB)).stored) == 2
    visits, events = stored(place)
    assert [(row[0], row[2]) for row in visits] == [(BOB, 2), (ANN, 3)]
    assert [row[0] for row in events] == [2, 3, 2]


def test_a_damaged_chunk_goes_when_all_of_it_is_over(place: Place) -> None:
    place.apply(pageview(0), pageview(600, visitor=BOB))
    place.seal()
    place.jobs.transaction(lambda c: c.execute("UPDATE chunk_column SET data = zeroblob(40)"), durable=False)
    assert purge_now(place, at(60)) == (0, 0)
    assert purge_now(place, at(601)) == (2, 2)


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_day_goes_when_it_is_time_whatever_of_it_is_damaged(place: Place, damaged: int) -> None:
    keep(place, 7)
    for visitor in (ANN, BOB):
        place.apply(pageview(0, visitor=visitor))
        place.seal()
    for chunk in place.chunks()[:damaged]:
        place.damage(chunk.id)
    # What cannot be read stays in the calendar that it was sealed by.
    place.transact(lambda c: c.execute("UPDATE project SET timezone = 'Europe/Paris'"))
    list(seal.seal_settled(place.transact, at(4 * 1440)))
    now = day_start(MONDAY + 8, BERLIN)
    make_final(place, now)
    list(purge_all(place.transact, now))
    assert place.chunks() == []
    assert missing_before(place) == day_start(MONDAY + 1, BERLIN)
    # What could be read of it is told.
    told = place.reader.execute("SELECT r.usable FROM rollup r WHERE r.final").fetchall()
    assert told == [(damaged < 2,)]


# ---------------------------------------------------------------------- the setting


@pytest.mark.parametrize("days", [0, 7, 90, 36_500])
def test_days_that_may_be_kept(days: int) -> None:
    assert project_fields.settings(ProjectSettings(raw_retention_days=days)).raw_retention_days == days


@pytest.mark.parametrize("days", [-1, 1, 6, 36_501])
def test_days_that_may_not(days: int) -> None:
    with pytest.raises(Invalid) as refused:
        project_fields.settings(ProjectSettings(raw_retention_days=days))
    assert refused.value.field == "raw_retention_days"


# ---------------------------------------------------------------------- as the serving process does it


async def test_purging_says_what_went(place: Place, database: SqliteDatabase) -> None:
    place.apply(pageview(0), pageview(5), pageview(0, visitor=BOB))
    place.seal()
    assert await database.raw_purged_before(1) is None
    assert await database.purge() == Purged(0, 0, 0)
    keep(place, 7)
    assert await database.purge() == Purged(0, 0, 0)  # rollups first
    make_final(place, clock.now())
    assert await database.purge() == Purged(0, 2, 3)
    assert await database.purge() == Purged(0, 0, 0)
    before = await database.raw_purged_before(1)
    assert before is not None and before > at(0)
    assert await database.raw_purged_before(9) is None


async def test_the_audit_log_is_kept_for_a_year(database: SqliteDatabase) -> None:
    for days in (0, 200, 365, 366, 500):
        await audit.record(database, START - days * DAY, "cli", f"{days}")
    await retention.purge(database, START)
    assert [entry.action for entry in await audit.recent(database)] == ["366", "365", "200", "0"]


# ---------------------------------------------------------------------- deleted projects


async def test_a_deleted_project_is_gone_with_all_its_rows_once_it_cannot_come_back(
    place: Place, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.storage.sqlite.removal.projects.STEP_ROWS", 3)
    made = await projects.create(
        database, name="Gone", domains=["gone.example"], private_key=True, actor="test", at=START
    )
    assert made.project.id == 2
    random = Random(1)
    sent: list[Event] = []
    for project in (1, 2):
        for _ in range(10):
            sent += (events := traffic(random, sent))
            place.apply(*events, *(pageview(random.randrange(4000), project_id=2, visitor=v) for v in range(5)))
        place.apply(user_event(0, "ann", ANN, project_id=project, traits='{"a":1}', source="web"))
        place.store.transact(lambda tx, p=project: tx.add_dead_letter(0, pageview(0, project_id=p), "no"))  # type: ignore[misc]
        place.seal(MONDAY, project=project)
    kept = stored(place)
    transact = lambda work: place.jobs.transaction(work, durable=False)  # noqa: E731
    place.apply(pageview(9999, project_id=2))
    newest = place.reader.execute("SELECT max(v.id), max(e.id) FROM visit v, event e").fetchone()
    await projects.delete(database, made.project, actor="test", at=START)
    assert list(remove_deleted(transact, START + projects.DELETED_KEPT)) == []
    assert stored(place, 2)[0] and chunks(place.reader, "c.project_id = 2", ())
    assert sum(remove_deleted(transact, START + projects.DELETED_KEPT + 1)) == 1
    tables = [name for (name,) in place.reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    looked_at = 0
    for table in tables:
        if "project_id" in [row[1] for row in place.reader.execute(f"PRAGMA table_info({table})")]:
            assert place.reader.execute(f"SELECT 1 FROM {table} WHERE project_id = 2").fetchall() == [], table
            looked_at += 1
    assert looked_at > 10
    orphans = "SELECT 1 FROM chunk_column WHERE chunk_id NOT IN (SELECT id FROM chunk)"
    assert place.reader.execute(orphans).fetchall() == []
    assert place.reader.execute("SELECT id FROM project").fetchall() == [(1,)]
    assert place.reader.execute("SELECT name FROM meta WHERE name LIKE 'deleted%'").fetchall() == []
    assert stored(place) == kept
    assert place.count("user_trait") == place.count("source") == place.count("dead_letter") == 1
    with pytest.raises(NotFound):
        await projects.restore(database, made.project.public_id, actor="test", at=START)
    again = await projects.create(database, name="Next", domains=["gone.example"], actor="test", at=START)
    assert again.project.id == 3  # ids are never used again
    place.store._rows.forget()
    place.restart()
    place.apply(pageview(9999))
    assert place.reader.execute("SELECT max(v.id), max(e.id) FROM visit v, event e").fetchone() > newest


async def test_a_project_of_which_a_part_is_gone_cannot_come_back(place: Place, database: SqliteDatabase) -> None:
    project = await projects.by_id(database, 1)
    assert project is not None
    place.apply(pageview(0))
    place.apply(*(pageview(minute) for minute in range(20)))
    await projects.delete(database, project, actor="test", at=START)
    steps = remove_deleted(lambda work: place.jobs.transaction(work, durable=False), START + 8 * DAY)
    next(steps)
    steps.close()
    with pytest.raises(NotFound):
        await projects.restore(database, project.public_id, actor="test", at=START)
    assert (await database.purge()).projects == 1
    assert place.count("seen") == place.count("project") == 0


async def test_a_project_that_was_brought_back_in_time_stays(place: Place, database: SqliteDatabase) -> None:
    project = await projects.by_id(database, 1)
    assert project is not None
    place.apply(pageview(0))
    await projects.delete(database, project, actor="test", at=START)
    await projects.restore(database, project.public_id, actor="test", at=START)
    assert (await database.purge()).projects == 0
    assert len(stored(place)[1]) == 1
