"""Visits in TimescaleDB's columnstore: sealing moves what is over there, and what comes late still changes them."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from appliance.clock import DAY, MINUTE, now
from appliance.errors import StorageUnavailable
from appliance.ingest.batch import Applied, Batch
from appliance.model import Event, ProjectSettings
from appliance.storage.postgresql.database import PostgresqlDatabase
from appliance.storage.postgresql.drain_store import PostgresqlDrainStore
from tests.builders import START, engagement, event, pageview, user_event
from tests.postgresql import Server


@pytest.fixture
async def database(timescaledb: Server) -> AsyncIterator[PostgresqlDatabase]:
    opened = PostgresqlDatabase(timescaledb.new_database())
    await opened.open()
    yield opened
    await opened.close()


class Drain:
    """Applies events to a database as the drain does."""

    def __init__(self, database: PostgresqlDatabase) -> None:
        self.store = PostgresqlDrainStore(database.url)
        self.batch = Batch(lambda _: ProjectSettings(deduplication_days=10_000))

    def apply(self, *events: Event) -> Applied:
        return self.store.transact(lambda tx: self.batch.apply(tx, events))


@pytest.fixture
def drain(database: PostgresqlDatabase) -> Iterator[Drain]:
    opened = Drain(database)
    yield opened
    opened.store.close()


async def test_what_is_over_is_moved_and_what_is_not_stays(database: PostgresqlDatabase, drain: Drain) -> None:
    assert now() - START > 20 * DAY, "the builders' events are over"
    drain.apply(pageview(0), event(1), pageview(2, visitor=5))
    recent = (now() - START) / MINUTE
    drain.apply(pageview(recent, visitor=6))
    before = await database.count_stored(1)
    assert (await database.count_sealed()).events == 0
    await database.seal()
    assert tuple(await database.count_sealed()) == (3, 1)
    assert await database.count_stored(1) == before
    await database.seal()
    assert tuple(await database.count_sealed()) == (3, 1)


async def test_late_events_change_visits_that_were_moved(database: PostgresqlDatabase, drain: Drain) -> None:
    first = pageview(10, "/first")
    drain.apply(first, pageview(12, "/other", visitor=5))
    await database.seal()
    assert (await database.count_sealed()).waiting == 0
    drain.batch.forget()
    drain.apply(pageview(8, "/late"), event(20))
    drain.apply(engagement(10.5, first, 80, 7000))
    visits = await database.read('SELECT start, "end", pageviews, events FROM visit ORDER BY start')
    assert [(start - START, end - START, *counts) for start, end, *counts in visits] == [
        (8 * MINUTE, 20 * MINUTE, 2, 3),
        (12 * MINUTE, 12 * MINUTE, 1, 1),
    ]
    assert await database.read("SELECT max(scroll_depth), sum(engaged_ms), count(*) FROM event") == [(80, 7000, 4)]
    assert drain.apply(first).duplicates == 1


async def test_who_is_named_late_takes_along_what_was_moved(database: PostgresqlDatabase, drain: Drain) -> None:
    anonymous, known = pageview(0, visitor=41), user_event(5, "u1", anonymous=41)
    drain.apply(anonymous)
    await database.seal()
    drain.batch.forget()
    drain.apply(known)
    assert await database.read("SELECT count(*), min(visitor) = max(visitor) FROM visit") == [(1, True)]
    assert await database.read("SELECT count(*), count(DISTINCT visitor) FROM event") == [(2, 1)]


# Stands for a chunk that cannot be packed: the policy of the table fails.
BREAK_EVENTS = """
    UPDATE _timescaledb_catalog.bgw_job SET config = '{}'
    WHERE proc_name = 'policy_compression'
      AND hypertable_id = (SELECT h.id FROM _timescaledb_catalog.hypertable h WHERE h.table_name = 'event')
    """
BATCH = 1000  # rows that are packed together
PACKED = """
    SELECT CAST(s.compress_relid AS TEXT) FROM _timescaledb_catalog.compression_settings s
    JOIN timescaledb_information.chunks c
      ON CAST(format('%I.%I', c.chunk_schema, c.chunk_name) AS regclass) = s.relid
    WHERE c.hypertable_name = :table
    """


async def packed(database: PostgresqlDatabase) -> dict[str, int]:
    """How many rows of each table are in columns."""
    counts = {}
    for table in ("visit", "event"):
        ((chunk,),) = await database.read(PACKED, {"table": table})
        ((counts[table],),) = await database.read(
            f"SELECT CAST(coalesce(sum(_ts_meta_count), 0) AS BIGINT) FROM {chunk}"
        )
    return counts


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(lambda first: engagement(70, first, 80, 7000), id="engagement"),
        pytest.param(lambda first: engagement(10, first, 80, 7000), id="engagement that lengthens its visit"),
        pytest.param(lambda first: event(10, first.visitor), id="an event that goes on"),
        pytest.param(lambda first: event(-10, first.visitor), id="an event before the first"),
        pytest.param(lambda first: user_event(10, "u1", anonymous=first.visitor), id="who it was"),
    ],
)
async def test_what_comes_late_unpacks_little_however_little_may_be_unpacked(
    database: PostgresqlDatabase, drain: Drain, late: Callable[[Event], Event]
) -> None:
    await database.write(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET"
        " timescaledb.max_tuples_decompressed_per_dml_transaction = 1', current_database()); END $$"
    )
    first = pageview(0, visitor=3_000)
    drain.apply(first, *(pageview(number / 100, visitor=number) for number in range(6_000) if number != 3_000))
    await database.seal()
    assert await packed(database) == {"visit": 6_000, "event": 6_000}
    drain.batch.forget()
    drain.apply(late(first))
    left = await packed(database)
    assert min(left.values()) >= 6_000 - BATCH


async def test_after_many_batches_as_little_is_unpacked_as_at_first(database: PostgresqlDatabase, drain: Drain) -> None:
    """A statement that is planned once for all its values unpacks everything there is."""
    views = [pageview(number / 100, visitor=number) for number in range(3 * BATCH)]
    drain.apply(*views)
    await database.seal()
    today = (now() - START) / MINUTE
    for number in range(20):
        drain.apply(
            pageview(today + number, visitor=9), event(0.5 + number, 5), engagement(0.5 + number, views[7], 9, 9)
        )
        drain.apply(event(today + number, 9), user_event(0.5, f"u{number}", anonymous=10 + number))
    left = await packed(database)
    assert min(left.values()) >= 2 * BATCH


async def test_what_cannot_be_moved_keeps_nothing_else_back(database: PostgresqlDatabase, drain: Drain) -> None:
    drain.apply(pageview(0))
    await database.write(BREAK_EVENTS)
    with pytest.raises(StorageUnavailable, match=r"columnstore: job \d+ config must have"):
        await database.seal()
    moved = "SELECT c.hypertable_name FROM timescaledb_information.chunks c WHERE c.is_compressed"
    assert await database.read(moved) == [("visit",)]
