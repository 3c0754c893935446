"""One reader who is slow stops neither the writers nor what the journal waits for."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.errors import StorageUnavailable
from appliance.storage.sqlite import database as sqlite_database
from appliance.storage.sqlite import writer
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.migrate import migrate
from appliance.storage.sqlite.writer import WriteConnection, connect, wal_bytes
from tests.builders import pageview
from tests.storage.test_seal import Place

BLOB = "INSERT INTO meta (name, value) VALUES ('m' || abs(random()), zeroblob(20000))"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    migrate(tmp_path / "appliance.db", tmp_path)
    return tmp_path / "appliance.db"


@pytest.fixture
def writing(path: Path) -> Iterator[WriteConnection]:
    with closing(WriteConnection(path)) as connection:
        yield connection


def reading(path: Path) -> sqlite3.Connection:
    """A connection that needs what is there now."""
    connection = connect(path, read_only=True)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM meta").fetchall()
    return connection


def test_what_was_committed_is_settled_beside_a_reader(
    path: Path, writing: WriteConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    note = lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())  # noqa: E731
    monkeypatch.setattr("os.fdatasync", note)
    with closing(reading(path)):
        writing.step(lambda c: c.execute(BLOB))
        assert not writing.checkpoint()
        writing.settle()
        assert synced == [Path(f"{path}-wal")]
    writing.settle()
    assert len(synced) == 1, "a checkpoint has synced it"
    assert writing.checkpoint()


def test_readers_are_waited_for_seldom_and_for_a_moment(
    path: Path, writing: WriteConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "WAL_BYTES_SOFT", 50_000)
    monkeypatch.setattr(writer, "WAL_BYTES_HARD", 100_000)
    monkeypatch.setattr(writer, "WAIT_FOR_READERS_SECONDS", 0.05)
    said: list[str] = []
    with closing(reading(path)):
        writing._connection.set_trace_callback(said.append)
        for _ in range(30):
            writing.step(lambda c: c.execute(BLOB))
        assert said.count("PRAGMA wal_checkpoint(TRUNCATE)") == 1
        assert said.index("PRAGMA busy_timeout=50") < said.index("PRAGMA wal_checkpoint(TRUNCATE)")
        assert said.count("PRAGMA busy_timeout=10000") == 1
        # Whoever else writes meanwhile is not kept from it.
        with closing(WriteConnection(path)) as other:
            other.step(lambda c: c.execute(BLOB))
    monkeypatch.setattr(writer, "WAIT_AGAIN_SECONDS", 0.0)
    writing._wait_again_at = 0.0
    writing.step(lambda c: c.execute(BLOB))
    assert wal_bytes(path) == 0


def test_a_short_reader_is_waited_for(path: Path, writing: WriteConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "WAL_BYTES_HARD", 10_000)
    monkeypatch.setattr(writer, "WAIT_FOR_READERS_SECONDS", 20.0)
    reader = reading(path)
    leaving = threading.Timer(0.2, reader.close)
    leaving.start()
    writing.step(lambda c: c.execute(BLOB))
    leaving.join()
    assert wal_bytes(path) == 0


async def test_who_reads_too_slowly_beside_all_that_is_written_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database, "WAL_BYTES_STREAMED", 100_000)
    with closing(Place(tmp_path)) as place:
        place.apply(*(pageview(minute) for minute in range(9)))
        stored = SqliteDatabase(place.path)
        await stored.open()
        rows = stored.stream_stored("SELECT e.id FROM event e WHERE e.project_id = :project_id", 1, 0, 1, batch_rows=2)
        assert len(await anext(rows)) == len(await anext(rows)) == 2
        for _ in range(10):
            place.transact(lambda c: c.execute(BLOB))
        with pytest.raises(StorageUnavailable, match="too slowly"):
            await anext(rows)
        await stored.close()
