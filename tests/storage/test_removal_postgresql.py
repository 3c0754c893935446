"""Erasing and purging in PostgreSQL, with and without TimescaleDB: who is erased is gone, what is not kept goes, no
sooner, and everybody else's rows stay as they were."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from random import Random
from typing import Any, TypeVar

import msgspec
import psycopg
import pytest

from appliance import clock
from appliance.clock import DAY, HOUR
from appliance.errors import NotFound, StorageUnavailable, TryAgain
from appliance.ingest.batch import Applied, Batch
from appliance.model import Event, Project, ProjectSettings
from appliance.rollups.catalog import CATALOG
from appliance.storage import audit, erasures, projects
from appliance.storage.calendar import day_start
from appliance.storage.dimensions import DICTIONARIES
from appliance.storage.interface import Params, Purged, Row
from appliance.storage.postgresql import maintenance
from appliance.storage.postgresql.changes import VisitGone
from appliance.storage.postgresql.database import PostgresqlDatabase
from appliance.storage.postgresql.drain_store import PostgresqlDrainStore
from appliance.storage.postgresql.exclusion import keep_drains_out
from appliance.storage.postgresql.removal import erase as erasing
from appliance.storage.postgresql.removal import letters, purge, taking, wipe
from appliance.storage.postgresql.removal import projects as removing_projects
from appliance.storage.postgresql.removal.erase import erase_all
from appliance.storage.postgresql.removal.projects import remove_deleted
from appliance.storage.postgresql.removal.purge import purge_all
from appliance.storage.postgresql.removal.steps import Connection, Transact, fetch, removing, step
from appliance.storage.postgresql.rollups.job import refresh
from tests.builders import ANN, BOB, CAT, START, at, engagement, event, pageview, user_event, user_visitor
from tests.storage.test_seal import BERLIN, MONDAY, traffic

pytestmark = pytest.mark.parametrize("database", ["postgresql", "timescaledb"], indirect=True)

T = TypeVar("T")
Rows = list[tuple[Any, ...]]
USER = DICTIONARIES["user"]


class Place:
    """A database with a site in Berlin, and a drain that stores into it."""

    def __init__(self, database: PostgresqlDatabase) -> None:
        self.database = database
        self.store = PostgresqlDrainStore(database.url)
        self.restart()

    def restart(self) -> None:
        """Forget what the drain keeps in memory."""
        self.batch = Batch(lambda project_id: ProjectSettings())

    def apply(self, *events: Event) -> Applied:
        return self.store.transact(lambda tx: self.batch.apply(tx, events))

    def dead_letter(self, one: Event) -> None:
        self.store.transact(lambda tx: tx.add_dead_letter(0, one, "no"))

    async def has_timescaledb(self) -> bool:
        return bool(await self.database.read("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"))

    async def compress(self) -> None:
        """Bring all that is stored into the columnstore, where there is one."""
        if not await self.has_timescaledb():
            return
        for table, column in (("event", "time"), ("visit", "placed")):
            await self.database.write(
                f"ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby='project_id',"
                f" timescaledb.compress_orderby='visitor, {column}')"
            )
            await self.database.write(f"SELECT compress_chunk(c) FROM show_chunks('{table}') c")

    async def rows(self, table: str) -> Rows:
        return await self.database.read(f"SELECT * FROM {table} ORDER BY 1, 2, 3")

    async def count(self, table: str, where: str = "1 = 1") -> int:
        ((number,),) = await self.database.read(f"SELECT count(*) FROM {table} WHERE {where}")
        return int(number)

    async def stored(self, project: int = 1) -> tuple[Rows, Rows]:
        """All visits, each with visitor and user before it, and all events with visit and user."""
        user = (
            "(SELECT d.text FROM dictionary d"
            f' WHERE d.project_id = r.project_id AND d.dimension = {USER} AND d.code = r."user")'
        )
        visits, events = [
            await self.database.read(
                f"SELECT r.{owner}, {user}, r.* FROM {table} r WHERE r.project_id = :id ORDER BY r.id", {"id": project}
            )
            for table, owner in (("visit", "visitor"), ("event", "visit_id"))
        ]
        return visits, events

    async def ask(self, users: tuple[str, ...] = (), visitors: tuple[int, ...] = (), project: int = 1) -> int:
        people = {"users": users, "visitors": visitors}
        rows = await self.database.write(
            "INSERT INTO erasure (project_id, asked_at, users, visitors) VALUES (:project, 0, :users, :visitors)"
            " RETURNING id",
            {"project": project, **{name: msgspec.json.encode(some).decode() for name, some in people.items()}},
        )
        return int(rows[0][0])

    async def erase(self, *, users: tuple[str, ...] = (), visitors: tuple[int, ...] = ()) -> tuple[int, int]:
        """Erase them; how many visits and events that took out."""
        number = await self.ask(users, visitors)
        async with removing(self.database.url) as connection:
            assert connection is not None
            said = [removed async for removed in erase_all(partial(step, connection))]
        select = "SELECT visits, events, users, visitors, erased_at IS NULL FROM erasure WHERE id = :id"
        ((visits, events, *rest),) = await self.database.read(select, {"id": number})
        assert rest == ["[]", "[]", 0]
        assert (sum(one.visits for one in said), sum(one.events for one in said)) == (visits, events)
        return visits, events

    async def purge(self, now: int) -> tuple[int, int]:
        """Purge as at that time, once what goes is counted for ever; how many visits and events went."""
        await self.count_for_ever(now)
        async with removing(self.database.url) as connection:
            assert connection is not None
            said = [removed async for removed in purge_all(partial(step, connection), now)]
        return sum(one.visits for one in said), sum(one.events for one in said)

    async def count_for_ever(self, now: int) -> None:
        """Make the rollups of days whose raw data may go."""
        await asyncio.to_thread(lambda: list(refresh(self.database.url, CATALOG, lambda days, closed: iter(()), now)))

    async def keep(self, days: int) -> None:
        await self.database.write(f"UPDATE project SET settings = '{{\"raw_retention_days\":{days}}}' WHERE id = 1")


@pytest.fixture
async def place(database: PostgresqlDatabase) -> AsyncIterator[Place]:
    made = await projects.create(database, name="Site", timezone="Europe/Berlin", actor="test", at=START)
    assert made.project.id == 1
    opened = Place(database)
    yield opened
    opened.store.close()


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "STEP_VISITS", 2)
    monkeypatch.setattr(taking, "STEP_EVENTS", 5)
    monkeypatch.setattr(purge, "STEP_VISITS", 3)
    monkeypatch.setattr(purge, "STEP_EVENTS", 5)
    monkeypatch.setattr(letters, "LETTERS_LOOKED_AT", 2)
    monkeypatch.setattr(removing_projects, "STEP_ROWS", 3)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(wipe, "TRY_SECONDS", 0.01)


def without(rows: tuple[Rows, Rows], *visitors: int) -> tuple[Rows, Rows]:
    visits = [row for row in rows[0] if row[0] not in visitors]
    ids = {row[2] for row in visits}
    return visits, [row for row in rows[1] if row[0] in ids]


def fewer(before: tuple[Rows, Rows], after: tuple[Rows, Rows]) -> tuple[int, int]:
    return len(before[0]) - len(after[0]), len(before[1]) - len(after[1])


# ---------------------------------------------------------------------- erasing


@pytest.mark.parametrize("seed", range(8))
async def test_only_theirs_goes_wherever_it_is(place: Place, small_steps: None, seed: int) -> None:
    random = Random(seed)
    sent: list[Event] = []
    for _ in range(20):
        sent += (events := traffic(random, sent))
        place.apply(*events, pageview(random.randrange(5000), project_id=2, visitor=random.choice([ANN, BOB])))
        if random.random() < 0.2:
            await place.compress()
    before, others = await place.stored(), await place.stored(2)
    visitor = random.choice([ANN, BOB, 7, 8])
    left = without(before, visitor)
    assert await place.erase(visitors=(visitor,)) == fewer(before, left)
    assert await place.stored() == left
    assert fewer(before, left) > (0, 0)
    user = random.choice([user for user in "xy" if any(row[1] == user for row in left[0])])
    after = without(left, user_visitor(user))
    assert await place.erase(users=(user,)) == fewer(left, after)
    assert await place.stored() == after
    assert user not in [row[1] for rows in after for row in rows]
    assert await place.stored(2) == others
    linked = await place.database.read("SELECT s.event FROM seen s WHERE s.project_id = 1 AND s.event > 0 ORDER BY 1")
    assert [number for (number,) in linked] == [row[2] for row in after[1]]


async def test_batches_of_the_columnstore_are_passed_over_by_what_they_hold(place: Place) -> None:
    """Else a step for one person would unpack all that the project has in a week."""
    if not await place.has_timescaledb():
        pytest.skip("about TimescaleDB")
    for visitor in range(300):
        place.apply(*(pageview(minute, visitor=visitor) for minute in range(10)))
    await place.compress()
    ((visit_id,),) = await place.database.read("SELECT id FROM visit WHERE visitor = 7")
    values = {"project": 1, "visitor": 7, "visit": visit_id, "start": at(0), "end": at(9), "low": at(0), "high": at(0)}
    async with removing(place.database.url) as connection:
        assert connection is not None
        for delete, batches in ((taking._DELETE_EVENTS, 3), (taking._DELETE_VISIT, 1)):
            plan = await fetch(connection, f"EXPLAIN (ANALYZE) {delete}", values)
            said = {name.strip(): number for name, _, number in (line.partition(": ") for (line,) in plan)}
            assert said["Batches decompressed"] == "1"
            assert said.get("Compressed batches filtered", "0") == f"{batches - 1}"
    assert await place.count("event") == 2990
    assert await place.count("visit") == 299


async def test_what_else_is_stored_of_a_user_goes(place: Place) -> None:
    for user in ("ann@example.com", "bob@example.com"):
        visit = user_event(0, user, CAT if user < "b" else BOB, traits='{"name":"' + user + '"}')
        place.apply(visit, pageview(-500, visitor=user_visitor(user), salt_day=None, user_id=user))
        place.dead_letter(user_event(1, user))
    place.dead_letter(pageview(0, visitor=user_visitor("ann@example.com")))
    place.dead_letter(pageview(0, visitor=7, anonymous=user_visitor("ann@example.com")))
    place.dead_letter(pageview(0, visitor=7, user_id="ann@example.com.au"))
    place.dead_letter(pageview(0, visitor=7, title="ann@example.com"))  # says so, and is not hers
    before = await place.database.read(f"SELECT code, digest FROM dictionary WHERE dimension = {USER} ORDER BY code")
    assert await place.erase(users=("ann@example.com",)) == (2, 2)
    assert [traits for _, _, traits, _ in await place.rows("user_trait")] == ['{"name":"bob@example.com"}']
    kept = [msgspec.msgpack.decode(row[4], type=Event).visitor for row in await place.rows("dead_letter")]
    assert kept == [user_visitor("bob@example.com"), 7, 7]
    assert [row[1] for row in await place.rows("alias")] == [BOB]
    assert {row[1] for row in await place.rows("claim")} == {BOB, CAT, user_visitor("bob@example.com")}
    select = f"SELECT code, digest, text FROM dictionary WHERE dimension = {USER} ORDER BY code"
    texts = await place.database.read(select)
    assert [code for code, *_ in texts] == [code for code, _ in before] == [1, 2]
    assert texts[1] == (*before[1], "bob@example.com")
    assert texts[0][1] != before[0][1]
    assert texts[0][2].startswith("erased ")


@pytest.mark.parametrize("compressed", [False, True])
async def test_pageviews_before_identify_go_with_the_visit(place: Place, compressed: bool) -> None:
    place.apply(pageview(0), pageview(1), user_event(2, "ann", kind=3, name="identify"), pageview(3))
    place.apply(pageview(0, visitor=BOB))
    if compressed:
        await place.compress()
    assert await place.erase(users=("ann",)) == (1, 3)
    assert [row[0] for row in (await place.stored())[0]] == [BOB]


async def test_a_visitor_who_was_identified_is_that_user(place: Place) -> None:
    place.apply(user_event(0, "ann", traits='{"a":1}'), user_event(3000, "ann"), pageview(9, visitor=BOB))
    assert await place.erase(visitors=(user_visitor("ann"),)) == (2, 2)
    assert await place.count("user_trait") == 0
    assert await place.count("dictionary", "text = 'ann'") == 0
    assert len((await place.stored())[0]) == 1


@pytest.mark.parametrize("visitor", [None, 7, 9])
async def test_a_user_who_was_several_visitors_is_all_of_them(place: Place, visitor: int | None) -> None:
    """As imports may have it: which of them is met first does not matter."""
    visitors = [(7, "ann"), (8, "ann"), (8, "anna"), (9, "anna"), (10, "bob")]
    for day, (number, user) in enumerate(visitors):
        place.apply(pageview(day * 1440, visitor=number, user_id=user, salt_day=None))
    found = await (place.erase(visitors=(visitor,)) if visitor else place.erase(users=("anna",)))
    assert found == (4, 4)
    assert [row[0] for row in (await place.stored())[0]] == [10]


async def test_a_rotating_visitor_does_not_lead_to_the_user(place: Place) -> None:
    place.apply(pageview(0), user_event(600, "ann", traits='{"a":1}'))
    assert [row[1] for row in await place.rows("alias")] == [ANN]  # to the user's visit
    assert await place.erase(visitors=(ANN,)) == (1, 1)
    assert await place.count("alias") == 0
    assert await place.count("user_trait") == 1
    assert [row[:2] for row in (await place.stored())[0]] == [(user_visitor("ann"), "ann")]


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_visit_of_others_in_which_the_user_has_an_event_goes_too(place: Place, compressed: bool) -> None:
    """As only imports have it: a rotating visitor's visit whose events name users."""
    place.apply(pageview(0, visitor=5), pageview(1, visitor=5, user_id="ann"), pageview(0, visitor=6))
    place.apply(pageview(2000, visitor=5), pageview(2001, visitor=5, user_id="bob"))
    await place.database.write('UPDATE visit SET "user" = 0, visitor = 5, salt_day = 1 WHERE project_id = 1')
    await place.database.write("UPDATE event SET visitor = 5 WHERE project_id = 1")
    await place.database.write(
        "UPDATE visit SET visitor = 6 WHERE id = (SELECT max(id) FROM visit WHERE start = :at)", {"at": at(0)}
    )
    await place.database.write(
        "UPDATE event SET visitor = 6 WHERE visit_id = (SELECT max(id) FROM visit WHERE visitor = 6)"
    )
    if compressed:
        await place.compress()
    assert await place.erase(users=("ann",)) == (1, 2)
    assert [row[0] for row in (await place.stored())[0]] == [6, 5]
    assert [row[1] for row in (await place.stored())[1]] == [None, None, "bob"]


async def test_somebody_who_is_not_there_is_erased_too(place: Place) -> None:
    place.apply(pageview(0))
    assert await place.erase(users=("nobody", "nul\0"), visitors=(99,)) == (0, 0)
    assert len((await place.stored())[1]) == 1


async def test_a_retry_brings_nothing_back(place: Place) -> None:
    page = pageview(0)
    identify = user_event(2, "ann", kind=3, traits='{"a":1}')
    named = user_event(3, "ann")
    place.apply(page, identify, named)
    await place.compress()
    await place.erase(users=("ann",))
    assert await place.stored() == ([], [])
    for restarted in (False, True):
        if restarted:
            place.restart()
        applied = place.apply(page, identify, named)
        assert (len(applied.stored), applied.duplicates, applied.conflicts) == (0, 3, 0)
        late = place.apply(engagement(1, page, 50, 1000))
        assert [reason for _, reason in late.refused] == ["no_pageview"]
    place.apply(event(5, BOB))
    assert [row[0] for row in (await place.stored())[0]] == [BOB]
    assert await place.count("user_trait") == 0
    assert await place.count("seen", "event <> 0 OR visit_id <> 0 OR time <> 0") == 1


async def test_what_the_drain_remembers_of_them_is_dropped(place: Place) -> None:
    place.apply(pageview(0), pageview(1, visitor=BOB), user_event(2, "ann", CAT), user_event(2, "bob", 5))
    await place.erase(visitors=(ANN,))
    await place.erase(users=("ann",))
    old = {row[2] for row in (await place.stored())[0]}
    applied = place.apply(pageview(5), pageview(6, visitor=BOB), user_event(7, "ann", CAT), user_event(7, "bob", 5))
    assert len(applied.stored) == 4
    visits, events = await place.stored()
    assert [(row[0], row[1], row[2] in old) for row in visits] == [
        (BOB, None, True), (user_visitor("bob"), "bob", True), (ANN, None, False), (user_visitor("ann"), "ann", False),
    ]  # fmt: skip
    assert len(events) == 6


async def test_every_step_tells_those_who_remember_rows(place: Place, small_steps: None) -> None:
    place.apply(*(pageview(day * 1440) for day in range(10)), *(pageview(day * 1440, visitor=BOB) for day in range(10)))
    await place.ask(visitors=(ANN,))
    await place.keep(7)
    generations = []
    async with removing(place.database.url) as connection:
        assert connection is not None
        transact = partial(step, connection)
        for steps in (erase_all(transact), purge_all(transact, START + 60 * DAY)):
            await place.count_for_ever(START + 60 * DAY)  # erasing changed what is to be counted
            async for _ in steps:
                ((told,),) = await fetch(connection, "SELECT value FROM meta WHERE name = 'hot_generation'")
                generations.append(int(told))
    assert len(generations) > 8
    assert all(before < after for before, after in itertools.pairwise(generations))


# ---------------------------------------------------------------------- what comes meanwhile


def interrupted(transact: Transact, steps: Iterator[object], after: Callable[[], None]) -> Transact:
    """Runs as many steps as there are things in `steps`, then `after` and no more."""

    async def run(work: Callable[[Connection], Awaitable[T]]) -> T:
        if next(steps, None) is None:
            after()
        return await transact(work)

    return run


class Killed(Exception):
    pass


def kill() -> None:
    raise Killed


async def a_person(place: Place, project: int) -> None:
    """Ann with all that there may be of her, and others."""
    mine = {"project_id": project}
    place.apply(
        pageview(0, **mine), user_event(1, "ann", traits='{"a":1}', **mine), pageview(3000, visitor=BOB, **mine),
        *(user_event(day * 1440, "ann", CAT, **mine) for day in range(1, 6)),
        pageview(9000, visitor=77, user_id="ann", salt_day=None, **mine),
    )  # fmt: skip
    for visitor in (1, user_visitor("ann"), 2, 77, user_visitor("ann")):
        place.dead_letter(pageview(0, visitor=visitor, **mine))
    await place.ask(("ann",), project=project)


async def test_killed_between_any_two_steps_it_is_carried_out_by_the_next(place: Place, small_steps: None) -> None:
    ends = set()
    for steps in itertools.count():
        project = steps + 1
        await a_person(place, project)
        async with removing(place.database.url) as connection:
            assert connection is not None
            transact = partial(step, connection)
            try:
                _ = [one async for one in erase_all(interrupted(transact, iter([1] * steps), kill))]
                killed = False
            except Killed:
                killed = True
            _ = [one async for one in erase_all(transact)]
        select = "SELECT visits, events, users, visitors, erased_at > 0 FROM erasure WHERE project_id = :id"
        assert await place.database.read(select, {"id": project}) == [(7, 8, "[]", "[]", 1)]
        visits, events = await place.stored(project)
        assert [(row[0], row[1]) for row in visits] == [(BOB, None)]
        assert len(events) == 1
        of_project = f"project_id = {project}"
        assert await place.count("seen", f"{of_project} AND event > 0") == 1
        assert await place.count("seen", of_project) == 9
        ends.add(tuple([await place.count(table, of_project) for table in ("alias", "user_trait", "dead_letter")]))
        assert await place.count("dictionary", f"{of_project} AND text = 'ann'") == 0
        if not killed:
            break
    assert ends == {(0, 0, 2)}
    assert steps > 12


async def test_what_the_drain_stores_while_somebody_is_erased_goes_too(place: Place, small_steps: None) -> None:
    """After whichever step. Only what comes when they are forgotten is a new person's."""
    new_people = 0
    for steps in itertools.count():
        project = steps + 1
        await a_person(place, project)

        def come(project: int = project) -> None:
            mine = {"project_id": project}
            place.apply(user_event(1500, "ann", CAT, traits='{"a":2}', **mine), user_event(20_000, "ann", CAT, **mine))
            place.dead_letter(pageview(0, visitor=user_visitor("ann"), **mine))

        came = [come]
        async with removing(place.database.url) as connection:
            assert connection is not None
            again = interrupted(partial(step, connection), iter([1] * steps), lambda c=came: c and c.pop()())  # type: ignore[misc]
            _ = [one async for one in erase_all(again)]
        if came:
            break
        select = f"SELECT text FROM dictionary WHERE project_id = :id AND dimension = {USER} ORDER BY code"
        texts = [text for (text,) in await place.database.read(select, {"id": project})]
        visits, _ = await place.stored(project)
        of_project = f"project_id = {project}"
        rest = [await place.count(table, of_project) for table in ("alias", "user_trait", "dead_letter")]
        assert texts[0].startswith("erased ")
        if len(texts) == 1:
            assert [row[0] for row in visits] == [BOB]
            assert rest == [0, 0, 2]
        else:
            new_people += 1
            assert texts[1:] == ["ann"]
            assert [row[:2] for row in visits] == [(BOB, None), *[(user_visitor("ann"), "ann")] * 2]
            assert rest == [1, 1, 3]
        assert await place.count("erasure", f"{of_project} AND erased_at > 0 AND users = '[]'") == 1
    assert steps > 12
    assert 0 < new_people < 4


async def test_what_a_visitor_without_a_name_does_until_they_are_forgotten_goes(
    place: Place, small_steps: None
) -> None:
    outcomes = []
    for steps in itertools.count():
        project = steps + 1
        place.apply(*(pageview(day * 1440, project_id=project) for day in range(3)))
        await place.ask(visitors=(ANN,), project=project)
        forgotten: list[bool] = []

        def come(project: int = project, forgotten: list[bool] = forgotten) -> None:
            if not forgotten:
                with psycopg.connect(place.database.url) as other:
                    select = "SELECT visitors FROM erasure WHERE project_id = %s"
                    forgotten.append(other.execute(select, (project,)).fetchone() == ("[]",))
                place.apply(pageview(20_000, project_id=project))

        async with removing(place.database.url) as connection:
            assert connection is not None
            _ = [one async for one in erase_all(interrupted(partial(step, connection), iter([1] * steps), come))]
        if not forgotten:
            break
        assert len((await place.stored(project))[0]) == int(forgotten[0])
        outcomes += forgotten
    assert set(outcomes) == {False, True}


async def test_a_drain_in_the_middle_of_something_is_waited_for(place: Place) -> None:
    place.apply(user_event(0, "ann"))
    stored, go_on = threading.Event(), threading.Event()
    other = Place(place.database)

    def work(tx: Any) -> Applied:
        applied = other.batch.apply(tx, [user_event(3000, "ann", CAT, traits='{"a":1}')])
        stored.set()
        assert go_on.wait(20)
        return applied

    drain = asyncio.create_task(asyncio.to_thread(other.store.transact, work))
    assert await asyncio.to_thread(stored.wait, 20)
    erased = asyncio.create_task(place.erase(users=("ann",)))
    await asyncio.sleep(0.7)
    assert not erased.done()
    go_on.set()
    assert len((await drain).stored) == 1
    assert await erased == (2, 2)
    assert await place.stored() == ([], [])
    assert await place.count("user_trait") == await place.count("alias") == 0
    other.store.close()


async def test_a_drain_that_begins_when_nobody_may_store_waits_and_sees_what_was_done(place: Place) -> None:
    place.apply(user_event(0, "ann"))
    async with removing(place.database.url) as connection:
        assert connection is not None
        async with connection.transaction():
            await keep_drains_out(connection)
            drain = asyncio.create_task(asyncio.to_thread(place.apply, user_event(1, "ann")))
            await asyncio.sleep(0.3)
            assert not drain.done()
            await connection.execute("UPDATE dictionary SET text = 'x', digest = 'x' WHERE text = 'ann'")
            await taking.tell(connection)
        assert len((await drain).stored) == 1
    assert [row[1] for row in (await place.stored())[1]] == ["x", "ann"]


async def test_who_waits_too_long_for_a_drain_lets_the_drains_go_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.storage.postgresql.exclusion.WAIT_SECONDS", 0.2)
    place.apply(user_event(0, "ann"))
    done = threading.Event()
    other = Place(place.database)
    drain = asyncio.create_task(asyncio.to_thread(other.store.transact, lambda tx: done.wait(20)))
    await asyncio.sleep(0.2)
    with pytest.raises(StorageUnavailable):
        await place.erase(users=("ann",))
    done.set()
    await drain
    await place.database.erase()
    assert await place.count("erasure", "erased_at IS NULL") == 0
    other.store.close()


async def test_a_drain_whose_visit_is_taken_away_under_it_tries_again(place: Place) -> None:
    place.apply(pageview(0))
    number = await place.ask(visitors=(ANN,))
    async with removing(place.database.url) as connection:
        assert connection is not None
        found = await step(connection, partial(erasing._of_visitors, erasure_id=number))

        def work(tx: Any) -> Applied:
            with psycopg.connect(place.database.url) as other:  # as a step would that ends just then
                other.execute("DELETE FROM visit")
                other.execute("DELETE FROM event")
            return place.batch.apply(tx, [pageview(1)])

        assert len(found) == 1
        with pytest.raises(VisitGone) as gone:
            place.store.transact(work)
    assert isinstance(gone.value, TryAgain)
    place.batch.forget()
    assert len(place.apply(pageview(1)).stored) == 1


# ---------------------------------------------------------------------- as the serving process does it


async def test_it_is_asked_for_carried_out_and_written_down(place: Place, no_pauses: None) -> None:
    site = await projects.by_id(place.database, 1)
    assert isinstance(site, Project)
    place.apply(user_event(0, "ann"), user_event(1, "ann"), pageview(0, visitor=-BOB), event(9, CAT))
    await place.compress()
    user = await erasures.ask_for_user(place.database, site, "ann", actor="cli", at=at(0))
    visitor = await erasures.ask_for_visitor(
        place.database, site, erasures.visitor(f"{-BOB & (1 << 64) - 1:016x}"), actor="cli", at=1
    )
    assert (await erasures.find(place.database, user)).erased_at is None
    await place.database.erase()
    found = [await erasures.find(place.database, number) for number in (user, visitor)]
    assert [(one.visits, one.events) for one in found] == [(1, 2), (1, 1)]
    assert all(one.wiped_at is not None for one in found)
    assert (await place.database.count_stored(1)).events == 1
    assert b"ann" not in msgspec.json.encode(await audit.recent(place.database))
    await place.database.erase()  # nothing to do


async def test_no_dead_row_is_left(place: Place, no_pauses: None) -> None:
    for day in range(3):
        place.apply(*(user_event(day * 1440 + minute, "ann", traits=f'{{"a":{minute}}}') for minute in range(50)))
        place.apply(*(pageview(day * 1440 + minute, visitor=minute) for minute in range(50)))
    place.apply(pageview(0, visitor=77, salt_day=START // DAY - 1))
    assert await place.count("wanderer") == 1
    await place.compress()
    units = ((day, 1) for day in range(START // DAY, START // DAY + 3))
    assert await asyncio.to_thread(
        lambda: list(refresh(place.database.url, CATALOG, lambda days, closed: units, clock.now()))
    )
    await place.database.write("INSERT INTO notice (at, report) VALUES (0, 'ann')")
    await place.database.write("CREATE EXTENSION pgstattuple")
    await place.ask(("ann",), (77,))
    async with removing(place.database.url) as connection:
        assert connection is not None
        _ = [one async for one in erase_all(partial(step, connection))]
    select = (
        "SELECT count(*), coalesce(sum((pgstattuple(c.oid)).dead_tuple_count), 0) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 't') AND (n.nspname IN ('public', '_timescaledb_internal')"
        " OR n.nspname = 'pg_toast' AND c.oid IN (SELECT t.reltoastrelid FROM pg_class t"
        " JOIN pg_namespace tn ON tn.oid = t.relnamespace WHERE tn.nspname IN ('public', '_timescaledb_internal')))"
        " AND c.relname !~ '^(meta|monthly_usage|bgw|touched|rollup$)'"
    )
    ((tables, dead),) = await place.database.read(select)
    assert tables > 20
    assert dead > 0
    await place.database.erase()
    ((_, dead),) = await place.database.read(select)
    # Those of `erasure` itself: that it is wiped is noted afterwards.
    assert dead == await place.count("erasure") == 1
    assert await place.count("erasure", "wiped_at IS NULL") == 0
    assert await place.count("notice") == 0


async def test_a_reader_in_the_way_is_waited_for_the_next_time(place: Place, no_pauses: None) -> None:
    place.apply(pageview(0))
    number = await place.ask(visitors=(ANN,))
    with psycopg.connect(place.database.url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT count(*) FROM visit").fetchall()
        await place.database.erase()
        found = await erasures.find(place.database, number)
        assert found.erased_at is not None
        assert found.wiped_at is None
    await place.database.erase()
    assert (await erasures.find(place.database, number)).wiped_at is not None


async def test_one_appliance_removes_at_a_time(place: Place, no_pauses: None) -> None:
    place.apply(pageview(0))
    number = await place.ask(visitors=(ANN,))
    await place.keep(7)
    async with removing(place.database.url) as connection:
        assert connection is not None
        await place.database.erase()
        assert await place.database.purge() == Purged(0, 0, 0, left_to_another=True)
        assert await place.count("visit") == 1
    await place.database.erase()
    assert (await erasures.find(place.database, number)).wiped_at is not None


async def test_a_connection_that_is_cut_is_said_and_the_rest_is_done_the_next_time(
    place: Place, small_steps: None, no_pauses: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_person(place, 1)
    left = iter(range(5))

    async def cut(connection: Connection, work: Callable[[Connection], Awaitable[T]]) -> T:
        if next(left, None) is None:
            await fetch(connection, "SELECT pg_terminate_backend(pg_backend_pid())")
        return await step(connection, work)

    with monkeypatch.context() as patched:
        patched.setattr(maintenance, "step", cut)
        with pytest.raises(StorageUnavailable):
            await place.database.erase()
    assert await place.count("erasure", "erased_at IS NULL") == 1
    await place.database.erase()
    assert await place.count("erasure", "wiped_at IS NULL OR visits <> 7 OR events <> 8") == 0


# ---------------------------------------------------------------------- purging


@pytest.mark.parametrize("seed", range(6))
async def test_what_ended_before_goes_wherever_it_is(place: Place, small_steps: None, seed: int) -> None:
    random = Random(seed)
    sent: list[Event] = []
    for _ in range(20):
        sent += (events := traffic(random, sent))
        place.apply(*events, pageview(random.randrange(5000), project_id=2))
        if random.random() < 0.2:
            await place.compress()
    remembered, others = await place.rows("seen"), await place.stored(2)
    names = await place.database.read(
        "SELECT attnum FROM pg_attribute WHERE attrelid = 'visit'::regclass AND attname = 'end'"
    )
    end = names[0][0] + 1
    await place.keep(7)
    for day in range(4):
        before = day_start(MONDAY + day, BERLIN)
        rows = await place.stored()
        visits = [row for row in rows[0] if row[end] >= before]
        ids = {row[2] for row in visits}
        left = visits, [row for row in rows[1] if row[0] in ids]
        noted = await place.database.raw_purged_before(1)
        assert await place.purge(before + 7 * DAY + HOUR) == fewer(rows, left)
        assert await place.stored() == left
        assert await place.database.raw_purged_before(1) == (before if fewer(rows, left)[0] else noted)
        assert await place.purge(before + 7 * DAY + HOUR) == (0, 0)
    assert await place.database.raw_purged_before(1) == before
    assert await place.rows("seen") == remembered
    assert await place.stored(2) == others


@pytest.mark.parametrize("compressed", [False, True])
async def test_whole_days_are_kept_by_the_projects_calendar(place: Place, compressed: bool) -> None:
    await place.keep(7)
    midnight = day_start(MONDAY, BERLIN)
    times = [midnight - 1, midnight, midnight + 12 * HOUR]
    place.apply(*(pageview(time=time, visitor=visitor) for visitor, time in enumerate(times, 1)))
    place.apply(
        pageview(time=midnight - HOUR, visitor=4, session_id="s"), pageview(time=midnight, visitor=4, session_id="s")
    )
    place.apply(
        pageview(time=midnight - HOUR, visitor=5, session_id="s"),
        pageview(time=midnight - 1, visitor=5, session_id="s"),
    )
    if compressed:
        await place.compress()
    for now in (midnight + 7 * DAY - 1, midnight + 7 * DAY, midnight + 8 * DAY - 1):
        await place.purge(now)
        visits, events = await place.stored()
        assert [row[0] for row in visits] == ([1, 2, 3, 4, 5] if now < midnight + 7 * DAY else [2, 3, 4])
        assert len(events) == (7 if now < midnight + 7 * DAY else 4)
    assert await place.database.raw_purged_before(1) == midnight
    await place.purge(midnight + 8 * DAY)
    assert await place.stored() == ([], [])


async def test_without_a_limit_everything_stays(place: Place) -> None:
    place.apply(pageview(0))
    assert await place.purge(START + 40_000 * DAY) == (0, 0)
    assert await place.database.raw_purged_before(1) is None


async def test_a_purge_that_was_killed_goes_on(place: Place, small_steps: None) -> None:
    await place.keep(7)
    for steps in itertools.count():
        place.apply(*(pageview(minute, visitor=minute // 3 + 100 * steps) for minute in range(30)))
        await place.count_for_ever(START + 30 * DAY)
        async with removing(place.database.url) as connection:
            assert connection is not None
            transact = partial(step, connection)
            try:
                _ = [one async for one in purge_all(interrupted(transact, iter([1] * steps), kill), START + 30 * DAY)]
            except Killed:
                assert await place.count("event") == 3 * await place.count("visit")
                assert await place.count("visit", "events <> 3") == 0
                assert (await place.database.raw_purged_before(1) is None) == (await place.count("visit") == 10)
                _ = [one async for one in purge_all(transact, START + 30 * DAY)]
            else:
                break
        assert await place.stored() == ([], [])
        await place.database.write("UPDATE project SET raw_purged_before = NULL")
    assert steps > 6


async def test_a_visit_that_a_drain_is_lengthening_stays(place: Place) -> None:
    await place.keep(7)
    midnight = day_start(MONDAY, BERLIN)
    place.apply(pageview(time=midnight - HOUR // 4))
    stored, go_on = threading.Event(), threading.Event()

    def work(tx: Any) -> Applied:
        applied = place.batch.apply(tx, [pageview(time=midnight)])
        stored.set()
        assert go_on.wait(20)
        return applied

    drain = asyncio.create_task(asyncio.to_thread(place.store.transact, work))
    assert await asyncio.to_thread(stored.wait, 20)
    purged = asyncio.create_task(place.purge(midnight + 7 * DAY))
    await asyncio.sleep(0.5)
    assert not purged.done()
    go_on.set()
    await drain
    assert await purged == (0, 0)
    assert len((await place.stored())[1]) == 2


async def test_what_is_just_made_anew_is_not_final(place: Place) -> None:
    await place.keep(7)
    midnight = day_start(MONDAY, BERLIN)
    place.apply(pageview(time=midnight - HOUR))
    await place.count_for_ever(midnight + 7 * DAY)
    async with (
        removing(place.database.url) as connection,
        await psycopg.AsyncConnection.connect(place.database.url) as job,
    ):
        assert connection is not None
        await job.execute("SELECT FROM project WHERE id = 1 FOR SHARE")
        await job.execute("DELETE FROM rollup")
        steps = purge_all(partial(step, connection), midnight + 7 * DAY)
        purged = asyncio.create_task(anext(steps, None))
        await asyncio.sleep(0.5)
        assert not purged.done()
        await job.commit()
        assert await purged is None
    assert await place.count("visit") == 1


async def test_purging_says_what_went(place: Place, no_pauses: None) -> None:
    place.apply(pageview(0), pageview(5), pageview(0, visitor=BOB))
    assert await place.database.purge() == Purged(0, 0, 0)
    await place.keep(7)
    assert await place.database.purge() == Purged(0, 0, 0), "nothing goes that is not counted for ever"
    await place.count_for_ever(clock.now())
    assert await place.database.purge() == Purged(0, 2, 3)
    assert await place.database.purge() == Purged(0, 0, 0)


# ---------------------------------------------------------------------- deleted projects


async def two_projects(place: Place) -> Project:
    made = await projects.create(
        place.database, name="Gone", domains=["gone.example"], private_key=True, actor="test", at=START
    )
    random = Random(1)
    sent: list[Event] = []
    for project in (1, 2):
        for _ in range(10):
            sent += (events := traffic(random, sent))
            place.apply(*events, *(pageview(random.randrange(4000), project_id=2, visitor=v) for v in range(5)))
        place.apply(user_event(0, "ann", ANN, project_id=project, traits='{"a":1}', source="web"))
        place.dead_letter(pageview(0, project_id=project))
        if project == 1:
            await place.compress()
    return made.project


async def tables_with(place: Place, project: int) -> dict[str, int]:
    """How many rows each table has of a project."""
    select = (
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'project_id'"
    )
    tables = [name for (name,) in await place.database.read(select)]
    return {table: await place.count(table, f"project_id = {project}") for table in tables}


async def test_a_deleted_project_is_gone_with_all_its_rows_once_it_cannot_come_back(
    place: Place, small_steps: None
) -> None:
    project = await two_projects(place)
    kept, others = await place.stored(), await tables_with(place, 1)
    await projects.delete(place.database, project, actor="test", at=START)
    async with removing(place.database.url) as connection:
        assert connection is not None
        transact = partial(step, connection)
        assert [one async for one in remove_deleted(transact, START + projects.DELETED_KEPT)] == []
        assert sum((await tables_with(place, 2)).values()) > 100
        steps = [one async for one in remove_deleted(transact, START + projects.DELETED_KEPT + 1)]
    assert sum(steps) == 1
    assert len(steps) > 20
    left = await tables_with(place, 2)
    assert len(left) > 15
    assert sum(left.values()) == 0
    assert await place.database.read("SELECT id FROM project") == [(1,)]
    assert await place.count("meta", "name LIKE 'deleted%'") == 0
    assert await place.stored() == kept
    assert await tables_with(place, 1) == others
    with pytest.raises(NotFound):
        await projects.restore(place.database, project.public_id, actor="test", at=START)
    again = await projects.create(place.database, name="Next", domains=["gone.example"], actor="test", at=START)
    assert again.project.id == 3  # ids are never used again
    assert len(place.apply(pageview(0, project_id=3, path="/new")).stored) == 1


async def test_a_project_of_which_a_part_is_gone_cannot_come_back(
    place: Place, small_steps: None, no_pauses: None
) -> None:
    project = await two_projects(place)
    await projects.delete(place.database, project, actor="test", at=START)
    async with removing(place.database.url) as connection:
        assert connection is not None
        steps = remove_deleted(partial(step, connection), START + 8 * DAY)
        await anext(steps)
    with pytest.raises(NotFound):
        await projects.restore(place.database, project.public_id, actor="test", at=START)
    assert (await place.database.purge()).projects == 1
    assert sum((await tables_with(place, 2)).values()) == 0
    assert await place.count("project") == 1


class SeizedMeanwhile:
    """A database whose projects' removal begins just after the first question."""

    def __init__(self, database: PostgresqlDatabase, seize: Callable[[], Awaitable[None]]) -> None:
        self._database = database
        self._seize = [seize]

    async def read(self, sql: str, params: Params = {}) -> list[Row]:
        rows = await self._database.read(sql, params)
        while self._seize:
            await self._seize.pop()()
        return rows

    async def write_all(self, statements: Sequence[tuple[str, Params]]) -> list[list[Row]]:
        return await self._database.write_all(statements)


async def test_a_project_whose_removal_begins_while_it_is_brought_back_goes(place: Place, no_pauses: None) -> None:
    project = await two_projects(place)
    await projects.delete(place.database, project, actor="test", at=START)

    async def seize() -> None:
        async with removing(place.database.url) as connection:
            assert connection is not None
            assert await step(connection, partial(removing_projects._seize, project_id=project.id))

    with pytest.raises(NotFound):
        await projects.restore(SeizedMeanwhile(place.database, seize), project.public_id, actor="test", at=START)  # type: ignore[arg-type]
    assert (await place.database.purge()).projects == 1


async def test_what_comes_at_the_last_moment_does_not_outlive_its_project(place: Place, small_steps: None) -> None:
    for steps in itertools.count():
        made = await projects.create(place.database, name="Gone", actor="test", at=START)
        number = made.project.id
        place.apply(*(pageview(minute, project_id=number) for minute in range(5)))
        await projects.delete(place.database, made.project, actor="test", at=START)
        came = [number]

        def come(came: list[int] = came) -> None:
            if came:
                place.apply(pageview(100, project_id=came.pop()))

        async with removing(place.database.url) as connection:
            assert connection is not None
            transact = interrupted(partial(step, connection), iter([1] * steps), come)
            assert sum([one async for one in remove_deleted(transact, START + 8 * DAY)]) == 1
        if came:
            break
        assert sum((await tables_with(place, number)).values()) == 0
        assert await place.count("project") == 1
    assert steps > 10


async def test_a_project_that_was_brought_back_in_time_stays(place: Place) -> None:
    project = await projects.by_id(place.database, 1)
    assert project is not None
    place.apply(pageview(0))
    await projects.delete(place.database, project, actor="test", at=START)
    await projects.restore(place.database, project.public_id, actor="test", at=START)
    assert (await place.database.purge()).projects == 0
    assert len((await place.stored())[1]) == 1
