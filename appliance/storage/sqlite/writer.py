"""Writing to a SQLite database: a connection that runs work in immediate transactions, and a thread that owns one.

Management writes are synced before they answer (`synchronous=FULL`); drained batches are not (`NORMAL`), because the
journal keeps their events until they were put on disk (`settle`). SQLite's own lock lets the writers of several
processes (the server, its drain, the command line) in one at a time.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any, TypeVar

from appliance.errors import StorageUnavailable

T = TypeVar("T")

BUSY_TIMEOUT_SECONDS = 10.0
CACHE_KIBIBYTES = 16_384
# Above this the write-ahead file is copied into the database even when nobody asked; above the second, readers are
# waited for, or it would grow for ever under constant reading. All who write wait meanwhile, so it is for a moment and
# not often: one reader who is slow may not stop all writing.
WAL_BYTES_SOFT = 96 << 20
WAL_BYTES_HARD = 512 << 20
WAIT_FOR_READERS_SECONDS = 0.5
WAIT_AGAIN_SECONDS = 60.0

# What may pass by itself: the database is away, locked or out of room. Anything else is the statement's own fault.
_PASSING = {
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_CANTOPEN",
    "SQLITE_READONLY",
    "SQLITE_CORRUPT",
    "SQLITE_NOTADB",
    "SQLITE_NOMEM",
    "SQLITE_PROTOCOL",
}


def connect(path: Path, *, read_only: bool = False, cache_kibibytes: int = 4096) -> sqlite3.Connection:
    """A connection in autocommit mode, usable from any one thread at a time."""
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute(f"PRAGMA cache_size=-{cache_kibibytes}")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def storage_error(error: sqlite3.Error) -> Exception:
    """The appliance's error for one of SQLite's: StorageUnavailable where waiting may help, else the same error."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if any(name == passing or name.startswith(passing + "_") for passing in _PASSING):
        return StorageUnavailable(f"the database answers {name}: {error}")
    return error


def wal_of(path: Path) -> Path:
    """A database's write-ahead file."""
    return Path(f"{path}-wal")


def wal_bytes(path: Path) -> int:
    """The size of a database's write-ahead file."""
    try:
        return os.stat(wal_of(path)).st_size
    except OSError:
        return 0


class WriteConnection:
    """A write connection; to be used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises StorageUnavailable."""
        self._path = path
        self._wait_again_at = 0.0  # for readers; monotonic seconds
        try:
            self._connection = connect(path, cache_kibibytes=CACHE_KIBIBYTES)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA wal_autocheckpoint=0")
            self._connection.execute("PRAGMA secure_delete=FAST")
        except sqlite3.Error as error:
            raise StorageUnavailable(f"cannot open {path}: {error}") from error

    def transaction(self, work: Callable[[sqlite3.Connection], T], *, durable: bool) -> T:
        """The result of `work`, run in one immediate transaction; on any error nothing of it stays.

        Raises StorageUnavailable where waiting may help, else what the work raised.
        """
        connection = self._connection
        try:
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise storage_error(error) from error
            raise
        self._bound_wal()
        return result

    def step(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """A transaction of a job, which is run again after a loss of power that takes it back."""
        return self.transaction(work, durable=False)

    def settle(self) -> None:
        """Put all that was committed on disk. Raises StorageUnavailable."""
        if self.checkpoint():
            return
        # A reader needs what was there before: it stays in the write-ahead file, which is read again after a loss of
        # power as far as it is on disk.
        try:
            with open(wal_of(self._path), "rb") as wal:
                os.fdatasync(wal.fileno())
        except FileNotFoundError:
            pass  # whoever copied all of it meanwhile has synced the database
        except OSError as error:
            raise StorageUnavailable(f"the write-ahead file cannot be synced: {error}") from error

    def checkpoint(self, mode: str = "PASSIVE") -> bool:
        """Copy the write-ahead file into the database and sync both. True when nothing is left in it; False when a
        reader is in the way. Raises StorageUnavailable."""
        try:
            # A checkpoint syncs the WAL before and the database after, except under synchronous=OFF.
            busy, in_wal, copied = self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except sqlite3.Error as error:
            raise storage_error(error) from error
        return not busy and bool(in_wal == copied)

    def close(self) -> None:
        self._connection.close()

    def _bound_wal(self) -> None:
        size = wal_bytes(self._path)
        if size > WAL_BYTES_HARD and monotonic() > self._wait_again_at:
            self._connection.execute(f"PRAGMA busy_timeout={round(1000 * WAIT_FOR_READERS_SECONDS)}")
            try:
                self.checkpoint("TRUNCATE")
            finally:
                self._connection.execute(f"PRAGMA busy_timeout={round(1000 * BUSY_TIMEOUT_SECONDS)}")
                self._wait_again_at = monotonic() + WAIT_AGAIN_SECONDS
        elif size > WAL_BYTES_SOFT:
            self.checkpoint()


class Writer:
    """A thread that owns a write connection and runs the work given to it in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._work: SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], bool, Future[Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the connection and start the thread. Raises StorageUnavailable."""
        connection = WriteConnection(self._path)
        self._thread = threading.Thread(target=self._loop, args=(connection,), name="writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """`WriteConnection.transaction`, from the event loop."""
        future: Future[T] = Future()
        self._work.put((work, durable, future))
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """Finish the work that waits, then close."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
            self._thread = None

    def _loop(self, connection: WriteConnection) -> None:
        while (item := self._work.get()) is not None:
            work, durable, future = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(connection.transaction(work, durable=durable))
            except BaseException as error:
                future.set_exception(error)
        connection.close()
