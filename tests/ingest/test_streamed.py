"""Drains, ours and those of other appliances, know which projects somebody streams."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import psycopg
import pytest

from appliance.ingest import streamed
from appliance.ingest.drain_client import DrainClient
from appliance.ingest.journal import Journal
from appliance.ingest.progress import Whole
from appliance.ingest.streamed import Streamed
from appliance.storage.postgresql.announcements import announce
from appliance.storage.postgresql.database import PostgresqlDatabase
from tests.postgresql import Server

pytestmark = pytest.mark.servers


class Place:
    """An appliance's part in a database, as far as streams go."""

    def __init__(self, folder: Path, database: PostgresqlDatabase) -> None:
        self.database = database
        self.journal = Journal(folder, bytes_max=1 << 24)
        self.journal.open()
        self.journal.start(asyncio.get_running_loop())
        self.drain = DrainClient(self.journal, database.url, lambda stored: None, "json")
        self.streamed = Streamed(self.drain, database, self.journal)

    def told(self) -> list[int] | None:
        """The projects of which another appliance's drain tells all events; None: it tells nobody anything."""
        found: list[int] | None = None

        def report(watched: Collection[int]) -> list[bytes]:
            nonlocal found
            found = sorted(watched)
            return [b""]

        with psycopg.connect(self.database.url) as connection:
            announce(connection, b"another", report)
        return found


@pytest.fixture
async def place(tmp_path: Path, postgresql: Server) -> AsyncIterator[Place]:
    database = PostgresqlDatabase(postgresql.new_database())
    await database.open()
    opened = Place(tmp_path, database)
    yield opened
    await asyncio.to_thread(opened.journal.close)
    await database.close()


async def test_drains_know_at_once_what_is_streamed_and_later_what_is_not(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place.told() is None
    first, second = await place.streamed.watch(7), await place.streamed.watch(3)
    assert place.told() == place.drain._watched == [3, 7]
    with first:
        with second:
            pass
        await place.streamed.tell()
        assert place.told() == [3, 7], "who comes again at once finds it as it was"
        monkeypatch.setattr(streamed, "LINGER_SECONDS", 1e-9)
        await place.streamed.tell()
        assert place.told() == place.drain._watched == [7]
        place.streamed.publish(Whole(7, [b"a", b"b"]))
        place.streamed.publish(Whole(3, [b"c"]))
        assert await first.take(0.01) == [b"a", b"b"]
    await place.streamed.tell()
    assert place.told() == place.drain._watched == []


async def test_what_a_former_life_watched_is_forgotten(place: Place) -> None:
    await place.database.watch(place.journal.journal_id, [1, 2])
    assert place.told() == [1, 2]
    await place.streamed.tell()
    assert place.told() == []


async def test_a_database_that_forgot_is_told_again_and_our_drain_is_left_in_peace(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with await place.streamed.watch(7):
        heard: list[object] = []
        monkeypatch.setattr(place.drain, "watch", heard.append)
        await place.database.write("DELETE FROM appliance")
        assert place.told() is None
        await place.streamed.tell()
        assert (place.told(), heard) == ([7], [])


@pytest.mark.parametrize("seconds", [-3600, 3600])
async def test_clocks_of_appliances_may_differ(place: Place, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    right = time.time_ns
    with monkeypatch.context() as wrong:
        wrong.setattr(time, "time_ns", lambda: right() + seconds * 10**9)
        await place.database.watch(place.journal.journal_id, [7])
    assert place.told() == [7]
    monkeypatch.setattr(time, "time_ns", lambda: right() - seconds * 10**9)
    assert place.told() == [7]


async def test_one_that_was_away_is_told_when_it_is_there_again(place: Place) -> None:
    await place.database.write("ALTER TABLE appliance RENAME TO elsewhere")
    with pytest.raises(Exception, match="appliance"):
        await place.streamed.watch(7)
    await place.database.write("ALTER TABLE elsewhere RENAME TO appliance")
    await place.streamed.tell()
    assert place.told() == [7]
