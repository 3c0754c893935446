"""`copy` moves everything to another database, in any direction, and may be killed at any instant."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from appliance.errors import ConfigurationError
from appliance.storage import projects
from appliance.storage.copying import job
from appliance.storage.copying.between import copy_between, source_at
from appliance.storage.copying.ends import Target
from appliance.storage.copying.tables import TABLES
from appliance.storage.interface import Position
from appliance.storage.postgresql.database import PostgresqlDatabase
from appliance.storage.postgresql.drain_store import PostgresqlDrainStore
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.removal.taking import remove_rows
from tests.builders import engagement, event, pageview
from tests.engines import ENGINES, AnyDatabase
from tests.storage.copies import (
    CARRIED_ROLLUPS,
    JOURNAL,
    ROWS,
    all_rows,
    applied,
    check_beside,
    connected,
    copied,
    fill,
    unknown_tables,
    url_of,
)
from tests.storage.test_seal import MONDAY, Place


class Killed(Exception):
    pass


@pytest.fixture
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Gives the URL of an empty database of an engine."""
    numbers = itertools.count()

    def made(engine: str) -> str:
        if engine == "sqlite":
            return f"sqlite:///{tmp_path}/copies/{next(numbers)}.db"
        url: str = request.getfixturevalue(engine).new_database()
        return url

    return made


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AnyDatabase]:
    database = SqliteDatabase(Path(url[10:])) if url.startswith("sqlite") else PostgresqlDatabase(url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def whole(place: Place) -> Any:
    """All rows of a file, those of chunks among them."""
    rows = all_rows(url_of(place), url_of(place))
    place.unseal_all()
    return rows | {table: all_rows(url_of(place), url_of(place))[table] for table in ("visit", "event")}


def dying(after: int, *, committed: bool) -> Callable[[Target], None]:
    """Have a target die in its n-th transaction, or right after its commit."""

    def meddle(target: Target) -> None:
        real, numbers = target.transact, itertools.count()

        def transact(work: Callable[[], Any]) -> Any:
            if next(numbers) < after:
                return real(work)
            if committed:
                real(work)
                raise Killed

            def half() -> None:
                work()
                raise Killed

            return real(half)

        target.transact = transact  # type: ignore[method-assign,assignment]

    return meddle


# ---------------------------------------------------------------- what is carried


def test_every_table_is_carried_or_an_engines_own(place: Place) -> None:
    fill(place)
    assert unknown_tables(place) == set()
    rows = all_rows(url_of(place), url_of(place))
    assert [table for table in rows if not rows[table]] == [], "tables of which this test would notice nothing"
    assert place.chunks()
    assert place.count("event")


@pytest.mark.parametrize("engine", ENGINES)
def test_everything_is_carried_there_and_back(place: Place, new: Callable[[str], str], engine: str) -> None:
    fill(place)
    there, back, again = new(engine), new("sqlite"), new(engine)
    assert copied(url_of(place), there).equal
    assert copied(there, back).equal
    assert copied(there, again).equal
    expected = whole(place)
    for url in (there, back, again):
        assert all_rows(url, url_of(place)) == expected
    if engine != "sqlite":
        check_beside(there)
        check_beside(again)


@pytest.mark.parametrize("engine", ENGINES)
async def test_ids_go_on_above_those_that_were_given(place: Place, new: Callable[[str], str], engine: str) -> None:
    fill(place)
    # The newest visit is gone, and its ids are not to come again.
    ((newest_visit,),) = place.reader.execute("SELECT max(id) FROM visit")
    ((events,),) = place.reader.execute("SELECT events FROM visit WHERE id = ?", (newest_visit,))
    ((newest_event,),) = place.reader.execute("SELECT max(id) FROM event")
    place.jobs.step(lambda c: remove_rows(c, [(newest_visit, events)]))
    url, back = new(engine), new("sqlite")
    assert copied(url_of(place), url).equal
    assert copied(url, back).equal
    for target in (url, back):
        before = all_rows(target, url_of(place))
        assert applied(target, pageview(6000, visitor=77), event(6001, 77)).duplicates == 0
        added = {
            table: [row for row in rows if row not in before[table]]
            for table, rows in all_rows(target, url_of(place)).items()
        }
        assert [row[0] > newest_visit for row in added["visit"]] == [True]
        assert [row[0] > newest_event for row in added["event"]] == [True, True]
        async with opened(target) as database:
            made = await projects.create(database, name="New", domains=[], actor="test", at=1)
            assert made.project.id == 10  # after one that was deleted
            assert max(key for (key,) in await database.read("SELECT id FROM api_key")) > 7
            insert = "INSERT INTO segment (project_id, name, filters, created_at) VALUES (1, 'S', '[]', 1) RETURNING id"
            assert await database.write(insert) == [(9,)]
            made_of = ("chunks, newest_chunk", "0, 0") if target.startswith("sqlite") else ("snapshot", "'1:1:'")
            insert = (
                f'INSERT INTO rollup (project_id, first_day, days, start, "end", timezone, wanderers, usable, final,'
                f" {made_of[0]}) VALUES (1, 20, 1, 0, 1, 'UTC', 0, 1, 0, {made_of[1]}) RETURNING id"
            )
            assert await database.write(insert) == [(7,)]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_drain_goes_on_where_it_was(place: Place, new: Callable[[str], str], engine: str) -> None:
    sent = fill(place)
    url = new(engine)
    copied(url_of(place), url)
    before = all_rows(url, url_of(place))
    # Retries are known, of sealed days too; nothing of them is stored.
    done = applied(url, *sent)
    engagements = sum(one.name == "engagement" for one in sent)
    assert done.duplicates + len(done.refused) >= len(sent) - engagements
    after = all_rows(url, url_of(place))
    for table in ("visit", "seen"):
        assert [row[:4] for row in after[table]] == [row[:4] for row in before[table]]
    assert len(after["event"]) == len(before["event"])
    # A visit goes on, and engagement finds its page view by the id.
    last = sent[-1]
    applied(url, event(visitor=last.visitor, time=last.time + 60_000_000), engagement(5007, last, 50, 4321))
    assert len(all_rows(url, url_of(place))["visit"]) == len(after["visit"])
    assert len(all_rows(url, url_of(place))["event"]) == len(after["event"]) + 1
    with connected(url) as connection:
        ((most,),) = connection.execute("SELECT max(engaged_ms) FROM event WHERE scroll_depth = 50").fetchall()
    assert most >= 4321
    if engine != "sqlite":
        store = PostgresqlDrainStore(url)
        assert store.position(JOURNAL) == Position(1, 21)
        assert store.position(bytes(16)) is None
        store.close()


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_what_waits_in_several_journals_is_numbered_anew(place: Place, new: Callable[[str], str], engine: str) -> None:
    fill(place)
    url, back = new(engine), new("sqlite")
    copied(url_of(place), url)
    with psycopg.connect(url) as connection:
        columns = "id, project_id, name, path, time, received, pageview_id, scroll_depth, engaged_ms"
        connection.execute(
            f"INSERT INTO early_engagement (journal_id, {columns}) SELECT '\\xff', {columns} FROM early_engagement"
        )
        ((journals,),) = connection.execute("SELECT count(DISTINCT journal_id) FROM early_engagement")
    assert journals == 2
    assert copied(url, back).equal
    with connected(back) as connection:
        found = connection.execute("SELECT id, pageview_id FROM early_engagement ORDER BY id").fetchall()
    assert [pageview_id for _, pageview_id in found] == ["later-0", "later-1"] * 2


@pytest.mark.parametrize("engine", ENGINES)
def test_of_rollups_only_those_of_purged_days_are_carried(place: Place, new: Callable[[str], str], engine: str) -> None:
    fill(place)
    url, back = new(engine), new("sqlite")
    for source, target in ((url_of(place), url), (url, back)):
        done = copied(source, target)
        figures = {figure.name: figure.target for figure in done.figures if figure.project is None}
        assert (figures["rollup"], figures["rollup_column"]) == (2, 2)
        rows = all_rows(target, url_of(place))
        assert rows["rollup"] == CARRIED_ROLLUPS
        assert rows["rollup_column"] == [(2, "a", b"2\0\xff"), (2, "visitors", b"")]
        # What they were made of is in another database.
        is_of_here = "pg_snapshot_xmax(CAST(snapshot AS pg_snapshot)) <= pg_snapshot_xmax(pg_current_snapshot())"
        made_anew = "chunks + newest_chunk = 0" if target.startswith("sqlite") else is_of_here
        with connected(target) as connection:
            assert connection.execute(f"SELECT {made_anew} FROM rollup").fetchall() == [(True,)] * 2


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_a_visit_that_grew_into_the_day_before_its_place(place: Place, new: Callable[[str], str], engine: str) -> None:
    first, late = pageview(12 * 60 + 5), pageview(11 * 60 + 50)  # after midnight and before
    url, back, again = new(engine), new("sqlite"), new(engine)
    copied(url_of(place), url)
    for one in (first, late, pageview(12 * 60 + 30)):
        applied(url, one)
    with psycopg.connect(url) as connection:
        placed = connection.execute("SELECT start, placed, events FROM visit").fetchall()
    assert placed == [(late.time, first.time, 3)]
    for target in (back, again):
        assert copied(url, target).equal
        assert all_rows(target, url_of(place)) == all_rows(url, url_of(place))


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("engine", ["sqlite", "timescaledb"])
def test_what_is_written_meanwhile_is_not_seen(place: Place, new: Callable[[str], str], engine: str) -> None:
    fill(place)
    there, calm, busy = url_of(place), new("sqlite"), new("sqlite")
    if engine != "sqlite":
        there = new(engine)
        copied(url_of(place), there)
    copied(there, calm)
    minutes = itertools.count(2000)

    def meanwhile(target: Target) -> None:
        real = target.note

        def note(slice_: Any, digest: str) -> None:
            applied(there, pageview(next(minutes), f"/{next(minutes)}"), pageview(-next(minutes), visitor=88))
            if engine == "sqlite":
                place.unseal_all()
            real(slice_, digest)

        target.note = note  # type: ignore[method-assign]

    assert copied(there, busy, meddle=meanwhile).equal
    assert next(minutes) > 2020
    assert all_rows(busy, url_of(place)) == all_rows(calm, url_of(place))
    assert all_rows(there, url_of(place)) != all_rows(calm, url_of(place))


# ---------------------------------------------------------------- killed, and run again


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "TRANSACTION_ROWS", 1)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("committed", [False, True], ids=["in", "after"])
@pytest.mark.parametrize("engine", ENGINES)
async def test_killed_at_any_step_it_goes_on(
    place: Place, new: Callable[[str], str], engine: str, committed: bool
) -> None:
    fill(place)
    rows = all_rows(url_of(place), url_of(place))
    steps = itertools.count(step=3 if engine == "timescaledb" else 1)
    for step in steps:
        url = new(engine)
        try:
            assert copied(url_of(place), url, meddle=dying(step, committed=committed)).equal
            break
        except Killed:
            pass
        # Killed right after its last commit the copy is whole, and refused as a target.
        with suppress(Killed, ConfigurationError):
            copied(url_of(place), url, meddle=dying(2, committed=not committed))
        with suppress(ConfigurationError):
            assert copied(url_of(place), url).equal
        async with opened(url):
            pass
        found = all_rows(url, url_of(place))
        assert {name: found[name] for name in TABLES} == {name: rows[name] for name in TABLES}
        if step == 3:
            survivor = url
    assert step > 9
    assert all_rows(survivor, url_of(place)) == all_rows(url, url_of(place)) == whole(place)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("source", "engine"),
    [("sqlite", "timescaledb"), ("sqlite", "sqlite"), ("postgresql", "sqlite"), ("timescaledb", "postgresql")],
)
def test_what_changed_meanwhile_is_right_in_the_end(
    place: Place, new: Callable[[str], str], source: str, engine: str, seed: int
) -> None:
    random, sent = Random(seed), fill(place, seed)
    url, there = new(engine), url_of(place)
    if source != "sqlite":
        there = new(source)
        copied(url_of(place), there)
    untouched = all_rows(there, url_of(place))
    for step in (random.randrange(3, 6), random.randrange(2, 5), 99):
        try:
            copied(there, url, meddle=dying(step, committed=random.random() < 0.5))
        except Killed:
            _change(place, there, random)
    assert all_rows(there, url_of(place)) != untouched
    expected = whole(place) if source == "sqlite" else all_rows(there, url_of(place))
    assert all_rows(url, url_of(place)) == expected
    assert sent


@pytest.mark.usefixtures("small_steps")
def test_what_was_packed_and_has_changed_is_copied_anew(place: Place, new: Callable[[str], str]) -> None:
    fill(place)
    url = new("timescaledb")
    with pytest.raises(Killed):
        copied(url_of(place), url, meddle=dying(7, committed=True))
    with connected(url) as connection:
        for table in ROWS:
            connection.execute(f"SELECT compress_chunk(c) FROM show_chunks('{table}') c")
        connection.execute(
            f"ALTER DATABASE {connection.info.dbname} SET timescaledb.max_tuples_decompressed_per_dml_transaction = 1"
        )
    _change(place, url_of(place), Random(1))
    assert copied(url_of(place), url).equal
    assert all_rows(url, url_of(place)) == whole(place)


def _change(place: Place, url: str, random: Random) -> None:
    """Late events that let visits begin a day before, texts, a visit that is erased, days sealed and unsealed."""
    with connected(url) as connection:
        starts = connection.execute(
            "SELECT v.visitor, v.start, v.id, v.events FROM visit v WHERE project_id = 1"
        ).fetchall()
        for visitor, start, _, _ in random.sample(starts, 5):
            early = start - random.choice([1_000_000, 1_700_000_000])
            applied(url, event(visitor=visitor, time=early, salt_day=None, path=f"/{random.random()}"))
        gone = random.choice(starts)
        if url != url_of(place):
            connection.execute("DELETE FROM event WHERE visit_id = %s", gone[2:3])
            connection.execute("DELETE FROM visit WHERE id = %s", gone[2:3])
            connection.execute("DELETE FROM alias WHERE visit_id = %s", gone[2:3])
            return
    place.restart()
    place.unseal_all() if random.random() < 0.3 else place.seal(MONDAY + random.randrange(4))
    place.jobs.step(lambda c: remove_rows(c, [gone[2:]]))


@pytest.mark.usefixtures("small_steps")
def test_another_source_is_refused_unless_it_is_begun_anew(
    place: Place, tmp_path: Path, new: Callable[[str], str]
) -> None:
    fill(place)
    other = Place(tmp_path / "other")
    other.add_project("Europe/Berlin")
    fill(other, 1)
    other.jobs.transaction(lambda c: c.execute("INSERT INTO source VALUES (99, 1, 'x', '', '{}', 1, 1)"), durable=True)
    url = new("sqlite")
    with pytest.raises(Killed):
        copied(url_of(other), url, meddle=dying(3, committed=True))
    with pytest.raises(ConfigurationError, match=r"unfinished copy of sqlite:.*other.*--restart"):
        copied(url_of(place), url)
    assert copied(url_of(place), url, restart=True).equal
    assert all_rows(url, url_of(place)) == whole(place)
    other.close()


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_unfinished_copy_is_neither_opened_nor_copied(
    place: Place, new: Callable[[str], str], engine: str
) -> None:
    fill(place)
    url = new(engine)
    with pytest.raises(Killed):
        copied(url_of(place), url, meddle=dying(2, committed=True))
    with pytest.raises(ConfigurationError, match="unfinished copy of sqlite:"):
        async with opened(url):
            pass
    with pytest.raises(ConfigurationError, match="unfinished copy of sqlite:"):
        source_at(url)
    copied(url_of(place), url)
    async with opened(url) as database:
        assert len(await database.read("SELECT 1 FROM project")) == 2


# ---------------------------------------------------------------- what is refused, and what is wrong


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_database_in_use_is_not_copied_into(place: Place, new: Callable[[str], str], engine: str) -> None:
    fill(place)
    url = new(engine)
    async with opened(url) as database:
        await projects.create(database, name="Mine", domains=[], actor="test", at=1)
        for restart in (False, True):
            with pytest.raises(ConfigurationError, match="has projects, accounts or events already"):
                copied(url_of(place), url, restart=restart)
        assert [row[0] for row in await database.read("SELECT name FROM project")] == ["Mine"]


def test_what_cannot_be_a_copy_is_refused(place: Place, tmp_path: Path, postgresql: Any) -> None:
    def said(source: str, target: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            copy_between(source, target, restart=False, tell=lambda *_: None)
        return str(caught.value)

    there, new = url_of(place), f"{tmp_path}/new.db"
    assert "there is no database" in said(f"{tmp_path}/nothing.db", new)
    assert not Path(new).exists()
    assert "no database of an appliance" in said(postgresql.new_database(), new)
    assert "into itself" in said(there, str(place.path))
    assert "give sqlite:///path" in said(there, "mysql://ann:secret@host/db")
    assert "secret" not in said(there, "mysql://ann:secret@host/db")
    place.jobs.transaction(lambda c: c.execute("PRAGMA user_version=0"), durable=True)
    assert "schema version 0" in said(there, new)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_copies_into_one_database_do_not_meet(place: Place, new: Callable[[str], str], engine: str) -> None:
    url = new(engine)

    def meanwhile(target: Target) -> None:
        with pytest.raises(ConfigurationError, match="another process copies into"):
            copied(url_of(place), url)

    assert copied(url_of(place), url, meddle=meanwhile).equal


@pytest.mark.parametrize("engine", ENGINES)
def test_money_is_counted_that_is_wider_than_64_bits(place: Place, new: Callable[[str], str], engine: str) -> None:
    amounts = (2**62, 2**62, 2**61 + 5, -7)
    place.apply(*(event(minutes, revenue=amount) for minutes, amount in enumerate(amounts)))
    place.seal()
    place.apply(*(event(3000 + minutes, revenue=amount) for minutes, amount in enumerate(amounts)))
    assert place.count("event") == len(amounts), "half of them are sealed"
    done = copied(url_of(place), new(engine))
    (revenue,) = [figure for figure in done.figures if figure.name == "revenue"]
    assert (revenue.source, revenue.target) == (2 * sum(amounts), 2 * sum(amounts))
    assert done.equal


@pytest.mark.parametrize("engine", ENGINES)
def test_a_copy_that_differs_is_said_to_and_stays_unfinished(
    place: Place, new: Callable[[str], str], engine: str
) -> None:
    fill(place)
    url = new(engine)

    def losing(target: Target) -> None:
        real = target.add_events
        target.add_events = lambda rows: real(rows[1:])  # type: ignore[method-assign]

    done = copied(url_of(place), url, meddle=losing)
    assert not done.equal
    wrong = {(figure.project, figure.name) for figure in done.figures if not figure.equal}
    assert (
        {(1, "events"), (2, "events")} <= wrong <= {(p, n) for p in (1, 2) for n in ("events", "engaged_ms", "revenue")}
    )
    assert {figure.name for figure in done.figures if figure.project is None} == set(TABLES)
    with pytest.raises(ConfigurationError, match="unfinished"):
        source_at(url)
    assert copied(url_of(place), url, restart=True).equal
    assert all_rows(url, url_of(place)) == whole(place)
