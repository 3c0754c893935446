"""Event counts for SQL tools: the same as counting the events by hand, under the same names on every server."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from appliance.clock import DAY, HOUR, MINUTE, now
from appliance.errors import StorageUnavailable
from appliance.model import Kind
from appliance.rollups.refresh import refresh as refresh_aside
from appliance.storage import projects
from appliance.storage.calendar import day_start
from appliance.storage.postgresql import maintenance
from appliance.storage.postgresql.aggregates import GRAINS, KEY, SELECT_TABLES, refresh_aggregates
from appliance.storage.postgresql.database import PostgresqlDatabase
from tests.builders import ANN, BOB, START, at, event, pageview, user_event
from tests.postgresql import Server
from tests.storage.copies import copied
from tests.storage.test_removal_postgresql import Place
from tests.storage.test_seal import BERLIN, MONDAY, traffic

pytestmark = pytest.mark.parametrize("database", ["postgresql", "timescaledb"], indirect=True)

Rows = list[tuple[Any, ...]]
DOCUMENT = Path(__file__).parents[2] / "docs/timescaledb.md"
MIDNIGHT = day_start(MONDAY, BERLIN)
MOMENT = f"to_timestamp({MIDNIGHT // 1_000_000})"


@pytest.fixture
async def place(database: PostgresqlDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(maintenance, "PAUSE_SECONDS", 0.0)
    await projects.create(database, name="Site", timezone="Europe/Berlin", actor="test", at=START)
    opened = Place(database)
    yield opened
    opened.store.close()


async def refresh(place: Place, until: int | None = None) -> None:
    await asyncio.to_thread(refresh_aggregates, place.database.url, until or now())


async def pack(place: Place) -> None:
    """Bring all events and all that aggregates hold into the columnstore, where there is one."""
    await place.compress()
    if await place.has_timescaledb():
        for grain in GRAINS:
            await place.database.write(f"SELECT compress_chunk(c) FROM show_chunks('{grain.aggregate}') c")


async def counted(place: Place, width: int) -> Counter[tuple[int, ...]]:
    events = await place.database.read(f"SELECT time, {KEY} FROM event")
    return Counter((time // width * width, *key) for time, *key in events)


async def said(place: Place, aggregate: str) -> Counter[tuple[int, ...]]:
    rows = await place.database.read(f"SELECT bucket, {KEY}, events FROM {aggregate}")
    found = Counter({tuple(key): events for *key, events in rows})
    assert len(found) == len(rows)
    assert all(events > 0 for events in found.values())
    return found


async def assert_right(place: Place) -> None:
    for grain in GRAINS:
        assert await said(place, grain.aggregate) == await counted(place, grain.width), grain


async def in_words(database: PostgresqlDatabase) -> list[Rows]:
    """What each view adds up to; with a rate that is no fraction."""
    select = (
        "SELECT bucket, start, project, project_name, source, event, kind,"
        " CAST(sum(events) AS BIGINT), CAST(sum(estimated) AS BIGINT)"
    )
    groups = "GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 2, 3, 5, 6, 7"
    return [await database.read(f"{select} FROM {grain.view} {groups}") for grain in GRAINS]


# ---------------------------------------------------------------------- counts


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_comes_and_goes_they_are_right_once_refreshed(place: Place, seed: int) -> None:
    random = Random(seed)
    sent: list[Any] = []
    until = START
    for _ in range(12):
        sent += (events := traffic(random, sent))
        others = [
            event(random.randrange(4 * 1440), project_id=2, name=random.choice("nm"), source=random.choice(["", "s"]))
            for _ in range(random.randrange(4))
        ]
        place.apply(*events, *others, event(random.randrange(4 * 1440), visitor=9, rate=random.choice([1, 300_000])))
        if random.random() < 0.3:
            start = at(random.randrange(4 * 1440))
            delete = "DELETE FROM event WHERE time >= :start AND time < :end"
            await place.database.write(delete, {"start": start, "end": start + random.choice([7 * MINUTE, DAY])})
        if random.random() < 0.3:
            await pack(place)
        until += random.randrange(10 * HOUR)
        await refresh(place, until)
        await assert_right(place)


async def test_times_before_1970_have_their_buckets(place: Place) -> None:
    place.apply(*(pageview(time=time) for time in (-1, 0, 1, -5 * MINUTE, -5 * MINUTE - 1, -400 * DAY - 1)))
    await assert_right(place)
    await refresh(place)
    await assert_right(place)
    assert {key[0] for key in await said(place, "event_counts_daily")} == {-401 * DAY, -DAY, 0}


async def test_what_is_recent_is_seen_at_once_and_what_is_late_once_refreshed(place: Place) -> None:
    recent = now() - 10 * MINUTE
    place.apply(pageview(0), pageview(time=recent))
    await refresh(place)
    await assert_right(place)
    place.apply(pageview(time=recent + 1))
    await assert_right(place)
    await pack(place)
    place.apply(pageview(3, visitor=BOB))
    late = [sum((await said(place, grain.aggregate)).values()) for grain in GRAINS]
    assert late == ([3, 3, 3] if await place.has_timescaledb() else [4, 4, 4])
    assert await refresh_aside(place.database) >= 0  # the hourly job
    await assert_right(place)


async def test_however_much_is_in_columns_it_is_counted_anew(place: Place) -> None:
    place.apply(*(pageview(minute * 10) for minute in range(100)))
    await refresh(place)
    await pack(place)
    if await place.has_timescaledb():
        limit = "timescaledb.max_tuples_decompressed_per_dml_transaction = 1"
        name = place.database.url.removeprefix("postgresql:///").partition("?")[0]
        await place.database.write(f"ALTER DATABASE {name} SET {limit}")
    place.apply(event(333, BOB))
    await refresh(place)
    await assert_right(place)


async def test_several_at_once_do_not_get_in_each_others_way(place: Place) -> None:
    def store() -> None:
        for number in range(40):
            place.apply(*(pageview(minute * 7, visitor=number) for minute in range(20)))

    def refreshing(_: int) -> None:
        for _ in range(5):
            refresh_aggregates(place.database.url, now())

    with ThreadPoolExecutor(4) as threads:
        storing = threads.submit(store)
        list(threads.map(refreshing, range(3)))
        storing.result()
    await refresh(place)
    await assert_right(place)


async def test_they_can_be_made_anew(place: Place) -> None:
    place.apply(pageview(0), pageview(0, visitor=BOB), event(90))
    await refresh(place)
    if await place.has_timescaledb():
        for (table,) in await place.database.read(SELECT_TABLES):
            await place.database.write(f"UPDATE {table} SET events = events + 5")
        assert sum((await said(place, "event_counts_daily")).values()) > 3
    await asyncio.to_thread(refresh_aggregates, place.database.url, now(), rebuild=True)
    await assert_right(place)


async def test_a_server_that_is_away_is_said_to_be(place: Place) -> None:
    url = place.database.url.replace("/test_", "/nowhere_")
    with pytest.raises(StorageUnavailable):
        refresh_aggregates(url, now())


# ---------------------------------------------------------------------- what goes


async def test_purged_events_stay_counted_in_the_views(place: Place) -> None:
    await place.keep(7)
    place.apply(*(pageview(minute * 300, visitor=minute) for minute in range(30)), event(7, BOB, source="s", name="n"))
    place.apply(event(8, BOB, source="s", name="n", rate=500_000), event(9, BOB, source="s", name="n", project_id=2))
    await refresh(place)
    before = await in_words(place.database)
    await pack(place)
    until = START
    for days in (2, 8, 9, 12):
        until = START + days * DAY
        await place.purge(until)
        await refresh(place)
        assert await in_words(place.database) == before
        await assert_right(place)
    assert await place.database.read("SELECT project_id, count(*) FROM event GROUP BY 1 ORDER BY 1") == [(1, 8), (2, 1)]
    place.apply(event(8, 77, source="s", name="n"), event(8, 78, source="s", name="n"))
    await place.purge(until)
    await refresh(place)
    after = [
        row for rows in await in_words(place.database) for row in rows if row[5] == "n" and row[2] == before[0][0][2]
    ]
    assert [row[7:] for row in after] == [(4, 5)] * 3
    assert await place.count("purged_count", "project_id = 2") == 0


async def test_who_is_erased_is_counted_no_more(place: Place) -> None:
    await place.database.write("CREATE EXTENSION IF NOT EXISTS pgstattuple")
    place.apply(*(pageview(minute * 50) for minute in range(60)), *(user_event(day * 1440, "ann") for day in range(5)))
    place.apply(pageview(1, visitor=BOB))
    await refresh(place)
    await pack(place)
    await place.ask(("ann",), (ANN,))
    await place.database.erase()
    await assert_right(place)
    assert [sum((await said(place, grain.aggregate)).values()) for grain in GRAINS] == [1, 1, 1]
    assert await place.count("erasure", "wiped_at IS NULL") == 0
    dead = (
        "SELECT coalesce(sum((pgstattuple(c.oid)).dead_tuple_count), 0) FROM pg_class c"
        " WHERE c.relkind = 'r' AND c.relname ~ '^(_hyper|compress_hyper|_materialized)'"
    )
    assert await place.database.read(dead) == [(0,)]


async def test_of_purged_days_sums_over_everybody_stay(place: Place) -> None:
    await place.keep(7)
    place.apply(user_event(0, "ann"), pageview(0, visitor=BOB))
    await place.purge(START + 9 * DAY)
    place.apply(user_event(20 * 1440, "ann"))
    await place.ask(("ann",))
    await place.database.erase()
    await assert_right(place)
    assert [[row[5:8] for row in rows] for rows in await in_words(place.database)] == [
        [("click", "custom", 1), ("pageview", "pageview", 1)]
    ] * 3


async def test_a_deleted_project_is_hidden_and_then_gone(place: Place) -> None:
    made = await projects.create(place.database, name="Gone", actor="test", at=START)
    place.apply(*(pageview(day * 1440, project_id=project) for project in (1, 2) for day in range(9)))
    await place.database.write("INSERT INTO purged_count VALUES (2, 0, 0, 0, 0, 1000000, 5)")
    await refresh(place)
    await pack(place)
    assert {row[3] for rows in await in_words(place.database) for row in rows} == {"Site", "Gone"}
    await projects.delete(place.database, made.project, actor="test", at=START)
    assert {row[3] for rows in await in_words(place.database) for row in rows} == {"Site"}
    await place.database.purge()
    await assert_right(place)
    for grain in GRAINS:
        assert await place.count(grain.aggregate, "project_id = 2") == 0
        assert await place.count(grain.aggregate) == 9
    assert await place.count("purged_count") == 0


async def test_a_copy_on_another_server_says_the_same(place: Place, postgresql: Server) -> None:
    await place.keep(7)
    place.apply(*(event(minute * 100, visitor=minute, source="s", name="n") for minute in range(100)))
    await place.purge(START + 9 * DAY)
    await refresh(place)
    assert await place.count("purged_count") > 10
    url = postgresql.new_database()
    assert (await asyncio.to_thread(copied, place.database.url, url)).equal
    copy = PostgresqlDatabase(url)
    await copy.open()
    assert await in_words(copy) == await in_words(place.database)
    await copy.close()


# ---------------------------------------------------------------------- names and columns


async def test_they_have_the_same_columns_everywhere(place: Place) -> None:
    select = (
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a"
        " WHERE a.attrelid = CAST(:name AS regclass) AND a.attnum > 0 ORDER BY a.attnum"
    )
    by_code = [("bucket", "bigint"), ("project_id", "bigint"), ("source", "integer"), ("name", "integer")]
    by_code += [("kind", "smallint"), ("rate", "integer"), ("events", "bigint")]
    named = [("bucket", "timestamp with time zone"), ("project", "text"), ("project_name", "text"), ("source", "text")]
    named += [("event", "text"), ("kind", "text"), ("events", "bigint"), ("estimated", "numeric"), ("start", "bigint")]
    for grain in GRAINS:
        assert await place.database.read(select, {"name": grain.aggregate}) == by_code
        assert await place.database.read(select, {"name": grain.view}) == named


async def test_views_speak_in_words(place: Place) -> None:
    place.apply(pageview(61), event(62, BOB, kind=Kind.PAGEVIEW, name="view"), event(64, source="web", name="pageview"))
    place.apply(event(62, visitor=BOB, source="web", name="signup", rate=300_000), event(62, project_id=2))
    await refresh(place)
    select = (
        "SELECT bucket, project_name, source, event, kind, sum(events), CAST(sum(estimated) AS TEXT), start"
        " FROM {} WHERE project = (SELECT public_id FROM project WHERE id = 1)"
        " GROUP BY 1, 2, 3, 4, 5, 8 ORDER BY 3, 4"
    )
    for grain, text in zip(GRAINS, ("2026-03-02 13:00", "2026-03-02 13:00", "2026-03-02 00:00"), strict=True):
        rows = await place.database.read(select.format(grain.view))
        assert [row[1:7] for row in rows] == [
            ("Site", "(none)", "pageview", "pageview", 2, "2"),
            ("Site", "web", "pageview", "custom", 1, "1"),
            ("Site", "web", "signup", "custom", 1, "3.3333333333333333"),
        ]
        assert {f"{row[0]:%Y-%m-%d %H:%M}" for row in rows} == {text}
        assert {row[0].timestamp() * 1_000_000 for row in rows} == {row[7] for row in rows}


async def test_what_the_documentation_shows_works(place: Place) -> None:
    await place.database.write("UPDATE project SET name = 'Shop'")
    times = [MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + DAY - 1, MIDNIGHT + DAY, now()]
    place.apply(*(event(time=time, name="n") for time in times), pageview(0))
    await refresh(place)
    text = DOCUMENT.read_text("utf-8")
    role, series, top = re.findall(r"^```sql\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for statement in role.strip().split("\n"):
        await place.database.write(statement)
    url = place.database.url.replace("user=appliance", "user=grafana")
    with psycopg.connect(url, autocommit=True) as reader:
        assert reader.execute(top.encode()).fetchall() == [("n", 2)]
        series = series.replace("$__timeFilter(bucket)", f"bucket BETWEEN {MOMENT} AND {MOMENT} + interval '1 day'")
        found = reader.execute(series.replace("$__unixEpochFrom()", str(MIDNIGHT // 1_000_000)).encode()).fetchall()
        assert [row[1:] for row in found] == [("n", 1), ("pageview", 1), ("n", 1), ("n", 1)]
        assert [row[0].timestamp() * 1_000_000 for row in found[:1]] == [MIDNIGHT]
        for table in ("event", "project", "purged_count", "event_counts_daily"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"SELECT * FROM {table}")


async def test_what_they_are_is_said(place: Place) -> None:
    what = "continuous aggregate" if await place.has_timescaledb() else "plain view"
    condition = await place.database.condition()
    assert condition.aggregates == {
        "event_counts_5min": what,
        "event_counts_hourly": what,
        "event_counts_daily": what,
    }


async def test_one_that_is_missing_is_not_said_to_be_there(place: Place) -> None:
    await place.database.write("DROP VIEW events_per_day")
    await place.database.write(f"DROP {'MATERIALIZED ' * await place.has_timescaledb()}VIEW event_counts_daily")
    assert list((await place.database.condition()).aggregates) == ["event_counts_5min", "event_counts_hourly"]
    await refresh(place)


# ---------------------------------------------------------------------- older databases


async def test_who_gets_the_extension_later_keeps_plain_views(
    place: Place, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not await place.has_timescaledb():
        pytest.skip("about TimescaleDB")
    monkeypatch.setattr("appliance.storage.postgresql.migrate.add_extension", lambda _: False)
    opened = PostgresqlDatabase(request.getfixturevalue("timescaledb").new_database())
    await opened.open()
    await opened.write("CREATE EXTENSION timescaledb")
    await asyncio.to_thread(refresh_aggregates, opened.url, now())
    condition = await opened.condition()
    assert "TimescaleDB" in condition.software
    assert set(condition.aggregates.values()) == {"plain view"}
    await opened.close()
