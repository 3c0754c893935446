"""Journal to database: everything once, in order, whatever stops in between."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from appliance.errors import CheckpointMoved, StorageUnavailable
from appliance.ingest.drain import Drain, encode_events
from appliance.ingest.early_engagement import WAIT_MAX
from appliance.ingest.journal import Journal
from appliance.model import Event
from appliance.storage import projects
from appliance.storage.sqlite import writer
from tests.builders import BOB, engagement, event, pageview
from tests.engines import AnyDatabase, drain_store


class Line:
    """A journal, a drain and a database joined as in the appliance."""

    def __init__(self, folder: Path, database: AnyDatabase) -> None:
        self.journal = Journal(folder, bytes_max=1 << 24, segment_bytes=2000)
        self.journal.open()
        self.journal.start(asyncio.get_running_loop())
        self.database = database
        self.store = drain_store(database)
        self.drain = Drain(folder, self.journal.journal_id, self.store)
        self.stored = 0

    async def send(self, *events: Event) -> None:
        await self.journal.append(encode_events(list(events)))

    def drain_all(self) -> None:
        while (applied := self.drain.step(self.journal.end)) is not None:
            self.stored += len(applied.stored)

    async def paths(self) -> list[str]:
        rows = await self.database.read(
            "SELECT text FROM event JOIN dictionary ON dimension = 4 AND code = path ORDER BY id"
        )
        return [row[0] for row in rows]

    async def engaged(self) -> list[int]:
        """Visible milliseconds of each event."""
        return [row[0] for row in await self.database.read("SELECT engaged_ms FROM event ORDER BY id")]


@asynccontextmanager
async def line(tmp_path: Path, database: AnyDatabase) -> AsyncIterator[Line]:
    if not await database.read("SELECT 1 FROM project"):
        await projects.create(database, name="Site", actor="test", at=1)
    joined = Line(tmp_path / "journal", database)
    try:
        yield joined
    finally:
        await asyncio.to_thread(joined.journal.close)
        joined.store.close()


async def test_what_is_sent_is_stored_and_the_checkpoint_moves(tmp_path: Path, database: AnyDatabase) -> None:
    async with line(tmp_path, database) as one:
        await one.send(pageview(0, "/a"))
        await one.send(pageview(1, "/b"), pageview(2, "/c"))
        one.drain_all()
        assert await one.paths() == ["/a", "/b", "/c"]
        assert one.drain.position == one.journal.end
    async with line(tmp_path, database) as two:
        two.drain_all()
        assert two.stored == 0, "a restart starts where the database stands"


async def test_after_a_crash_the_journal_is_read_back_over_all_segments(tmp_path: Path, database: AnyDatabase) -> None:
    async with line(tmp_path, database) as one:
        await one.send(pageview(0, "/a"))
        one.drain_all()
        for n in range(60):
            await one.send(pageview(n, f"/{n}"))
    assert len(list((tmp_path / "journal").glob("*.journal"))) > 2
    async with line(tmp_path, database) as two:
        await two.send(pageview(70, "/new"))
        two.drain_all()
        assert await two.paths() == ["/a", *(f"/{n}" for n in range(60)), "/new"]


async def test_it_reads_no_further_than_what_is_synced(tmp_path: Path, database: AnyDatabase) -> None:
    async with line(tmp_path, database) as one:
        await one.send(pageview(0, "/a"))
        synced = one.journal.end
        await one.send(pageview(1, "/b"))
        while one.drain.step(synced) is not None:
            pass
        assert await one.paths() == ["/a"]
        one.drain_all()
        assert await one.paths() == ["/a", "/b"]


@pytest.mark.sqlite
async def test_a_locked_database_is_tried_again_later(
    tmp_path: Path, database: AnyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BUSY_TIMEOUT_SECONDS", 0.02)
    async with line(tmp_path, database) as one:
        locker = sqlite3.connect(database.path, isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        await one.send(pageview(0, "/a"))
        with pytest.raises(StorageUnavailable, match="SQLITE_BUSY"):
            one.drain_all()
        await one.send(pageview(1, "/b"))
        locker.execute("COMMIT")
        locker.close()
        one.drain_all()
        assert await one.paths() == ["/a", "/b"]


async def test_an_event_that_the_database_refuses_is_set_aside_and_blocks_nobody(
    tmp_path: Path, database: AnyDatabase
) -> None:
    bad = event(1, name="bad", revenue=1 << 63)  # MessagePack has such integers, SQLite has not
    async with line(tmp_path, database) as one:
        await one.send(pageview(0, "/a"), bad, pageview(2, "/b"))
        applied = one.drain.step(one.journal.end)
        assert applied is not None
        assert [reason for _, reason in applied.refused] == ["dead_letter"]
        assert await one.paths() == ["/a", "/b"]
        ((error, letter),) = await database.read("SELECT error, event FROM dead_letter")
        assert "OverflowError" in error or "NumericValueOutOfRange" in error
        assert msgspec.msgpack.decode(letter, type=Event) == bad
        await one.send(pageview(3, "/c"))
        one.drain_all()
        assert await one.paths() == ["/a", "/b", "/c"]
        assert await database.read("SELECT count(*), sum(events) FROM visit") == [(1, 3)]


async def test_a_record_that_is_no_batch_of_events_is_passed_over(tmp_path: Path, database: AnyDatabase) -> None:
    async with line(tmp_path, database) as one:
        await one.send(pageview(0, "/a"))
        await one.journal.append(b"\xff\xfenot ours")
        await one.send(pageview(1, "/b"))
        one.drain_all()
        assert await one.paths() == ["/a", "/b"]


async def test_a_damaged_record_is_left_out_and_the_rest_is_stored(tmp_path: Path, database: AnyDatabase) -> None:
    async with line(tmp_path, database) as one:
        places = [(await one.journal.append(encode_events([pageview(n, f"/{n}")]))) for n in range(3)]
        path = next((tmp_path / "journal").glob("*.journal"))
        data = bytearray(path.read_bytes())
        data[places[0].offset + 30] ^= 1
        path.write_bytes(data)
        one.drain_all()
        assert await one.paths() == ["/0", "/2"]


@pytest.mark.sqlite
async def test_two_drains_of_one_journal_never_count_twice(tmp_path: Path, database: AnyDatabase) -> None:
    async with line(tmp_path, database) as one:
        second = drain_store(database)
        other = Drain(tmp_path / "journal", one.journal.journal_id, second)
        await one.send(pageview(0, "/a"))
        one.drain_all()
        with pytest.raises(CheckpointMoved):
            other.step(one.journal.end)
        second.close()
        assert await one.paths() == ["/a"]


@pytest.mark.servers
async def test_a_server_lets_one_drain_of_a_journal_in(tmp_path: Path, database: AnyDatabase) -> None:
    async with line(tmp_path, database) as one:
        second = drain_store(database)
        with pytest.raises(StorageUnavailable, match="was its folder copied"):
            second.position(one.journal.journal_id)
        one.store.close()
        assert second.position(one.journal.journal_id) == one.drain.position
        second.close()


async def test_events_of_a_project_that_was_removed_are_refused(tmp_path: Path, database: AnyDatabase) -> None:
    """A journal may come back after weeks, when nobody would remove them any more."""
    async with line(tmp_path, database) as one:
        other = (await projects.create(database, name="Other", actor="test", at=1)).project
        await one.send(pageview(0, project_id=other.id))
        one.drain_all()
        await projects.delete(database, other, actor="test", at=2)
        await one.send(pageview(1, project_id=other.id))
        one.drain_all()
        assert one.stored == 2, "it can still be brought back"
        assert (await database.purge()).projects == 1
        await one.send(pageview(2, project_id=other.id), pageview(2, "/a"))
        applied = one.drain.step(one.journal.end)
        assert applied is not None
        assert [reason for _, reason in applied.refused] == ["no_project"]
        assert await one.paths() == ["/a"]
        for table in ("visit", "event", "seen", "dictionary", "dead_letter", "monthly_usage"):
            assert await database.read(f"SELECT project_id FROM {table} WHERE project_id <> 1") == []


async def test_segments_go_once_the_database_has_their_events_on_disk(tmp_path: Path, database: AnyDatabase) -> None:
    async with line(tmp_path, database) as one:
        for n in range(60):
            await one.send(pageview(n))
        one.drain_all()
        assert one.drain.position is not None
        one.store.settle()
        one.journal.release(one.drain.position)
        assert len(list((tmp_path / "journal").glob("*.journal"))) == 1


# ---------------------------------------------------------------------- engagement before its page view


async def test_engagement_that_came_early_survives_a_restart(tmp_path: Path, database: AnyDatabase) -> None:
    page = pageview(0)
    async with line(tmp_path, database) as one:
        await one.send(engagement(0.1, page, 40, 5000))
        one.drain_all()
    async with line(tmp_path, database) as two:
        await two.send(page)
        two.drain_all()
        assert await two.engaged() == [5000]


@pytest.mark.parametrize("place", range(5))
async def test_an_event_that_the_database_refuses_costs_no_reading_time(
    tmp_path: Path, database: AnyDatabase, place: int
) -> None:
    page, later = pageview(0), pageview(1)
    together = [engagement(0.1, page, 40, 200), engagement(0.1, later, 40, 7), page, engagement(0.2, page, 40, 30)]
    together.insert(place, event(0.1, BOB, name="bad", revenue=1 << 63))
    async with line(tmp_path, database) as one:
        await one.send(engagement(0.1, page, 40, 1000))
        one.drain_all()
        await one.send(*together)
        applied = one.drain.step(one.journal.end)
        assert applied is not None
        assert [reason for _, reason in applied.refused] == ["dead_letter"]
        await one.send(later)
        one.drain_all()
        assert await one.engaged() == [1230, 7]
        assert await database.read("SELECT count(*) FROM early_engagement") == [(0,)]


async def test_engagement_whose_pageview_never_comes_is_refused_once(tmp_path: Path, database: AnyDatabase) -> None:
    early = engagement(0, pageview(0))
    overdue = early.received + WAIT_MAX + 1
    async with line(tmp_path, database) as one:
        assert one.drain.expire(overdue) is None
        await one.send(early)
        one.drain_all()
        assert one.drain.expire(overdue - 1) is None
    async with line(tmp_path, database) as two:
        position = two.drain.position
        assert two.drain.expire(overdue - 1) is None
        applied = two.drain.expire(overdue)
        assert applied is not None
        assert [reason for _, reason in applied.refused] == ["no_pageview"]
        assert two.drain.expire(overdue) is None
        assert two.drain.position == position
        await two.send(event(0))
        two.drain_all()
        assert two.stored == 1


@pytest.mark.sqlite
async def test_what_waits_of_a_journal_that_is_gone_goes_with_the_first_event(
    tmp_path: Path, database: AnyDatabase
) -> None:
    early = engagement(0, pageview(0))
    async with line(tmp_path / "before", database) as one:
        await one.send(early)
        one.drain_all()
    async with line(tmp_path / "after", database) as two:
        assert two.drain.expire(early.received + WAIT_MAX + 1) is None
        await two.send(event(2))
        applied = two.drain.step(two.journal.end)
        assert applied is not None
        assert [reason for _, reason in applied.refused] == ["no_pageview"]


@pytest.mark.sqlite
async def test_what_waits_too_long_while_the_database_is_locked_is_refused_later(
    tmp_path: Path, database: AnyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BUSY_TIMEOUT_SECONDS", 0.02)
    early = engagement(0, pageview(0))
    async with line(tmp_path, database) as one:
        await one.send(early)
        one.drain_all()
        locker = sqlite3.connect(database.path, isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match="SQLITE_BUSY"):
            one.drain.expire(early.received + WAIT_MAX + 1)
        locker.execute("COMMIT")
        locker.close()
        applied = one.drain.expire(early.received + WAIT_MAX + 1)
        assert applied is not None
        assert [reason for _, reason in applied.refused] == ["no_pageview"]


@pytest.mark.sqlite
async def test_a_drain_that_was_overtaken_refuses_nothing(tmp_path: Path, database: AnyDatabase) -> None:
    page = pageview(0)
    early = engagement(0.1, page, 40, 5000)
    async with line(tmp_path, database) as one:
        await one.send(early)
        one.drain_all()
        second = drain_store(database)
        other = Drain(tmp_path / "journal", one.journal.journal_id, second)
        await one.send(event(0, BOB))
        other.step(one.journal.end)
        with pytest.raises(CheckpointMoved):
            one.drain.expire(early.received + WAIT_MAX + 1)
        await one.send(page)
        other.step(one.journal.end)
        second.close()
        assert await one.engaged() == [0, 5000]
