"""The SQLite engine's `Database`: one writer thread, a few readers."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path

import aiosqlite
import msgspec

from appliance.errors import StorageUnavailable
from appliance.storage.aside import run_aside
from appliance.storage.event_ids import names_before
from appliance.storage.interface import Condition, Counts, Params, Purged, Row, Sealed
from appliance.storage.projects import DELETED_MARK
from appliance.storage.sqlite.migrate import migrate
from appliance.storage.sqlite.stored import count_stored, stored_rows
from appliance.storage.sqlite.writer import Writer, connect, storage_error, wal_bytes
from appliance.storage.unfinished import SELECT_MARK, refuse

READERS = 2
WAL_BYTES_STREAMED = 2 << 30  # beyond which who reads all that is stored is too slow
# Of the newest rows as many as an hour or two has on all but the busiest servers.
_RECENT = """
    WITH visit AS (SELECT r.* FROM main.visit r WHERE r.id > (SELECT coalesce(max(id), 0) FROM main.visit) - 50000),
         event AS (SELECT r.* FROM main.event r WHERE r.id > (SELECT coalesce(max(id), 0) FROM main.event) - 100000)
    """
_MAINTENANCE = "appliance.storage.sqlite.maintenance"
# Whether there may be anything to purge: most have nothing, and need no process to find that out.
_MAY_PURGE = (
    "SELECT 1 FROM project WHERE json_extract(settings, '$.raw_retention_days') > 0"
    f" UNION ALL SELECT 1 FROM meta WHERE name LIKE '{DELETED_MARK}%' LIMIT 1"
)


class SqliteDatabase:
    """A database in one file. `path` is created when it does not exist; its folder too."""

    def __init__(self, path: Path, *, backups: Path | None = None) -> None:
        """`backups` takes a copy made before a migration; it is a folder beside the file unless given."""
        self.path = path
        self._backups = backups or path.parent / "backups"
        self._writer = Writer(path)
        self._idle: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        self._all_readers: list[aiosqlite.Connection] = []

    @property
    def location(self) -> str:
        return str(self.path)

    async def open(self) -> None:
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.close)  # the threads of readers would keep a process from ending
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                await asyncio.to_thread(migrate, self.path, self._backups)
                self._writer.start()
                for _ in range(READERS):
                    reader = await self._connect_reader()
                    self._all_readers.append(reader)
                    self._idle.put_nowait(reader)
            except sqlite3.Error as error:
                raise storage_error(error) from error
            except OSError as error:
                raise StorageUnavailable(f"cannot use {self.path}: {error}") from error
            refuse(await self.read(SELECT_MARK))
            undo.pop_all()

    async def close(self) -> None:
        for reader in self._all_readers:
            await reader.close()
        self._all_readers.clear()
        await asyncio.to_thread(self._writer.stop)

    async def read(self, sql: str, params: Params = {}) -> list[Row]:
        async with self._reader() as reader:
            try:
                async with reader.execute(sql, params) as cursor:
                    return list(await cursor.fetchall())  # type: ignore[arg-type]
            except sqlite3.Error as error:
                raise storage_error(error) from error

    async def write(self, sql: str, params: Params = {}) -> list[Row]:
        return (await self.write_all([(sql, params)]))[0]

    async def write_all(self, statements: Sequence[tuple[str, Params]]) -> list[list[Row]]:
        def work(connection: sqlite3.Connection) -> list[list[Row]]:
            return [connection.execute(sql, params).fetchall() for sql, params in statements]

        return await self._writer.run(work)

    async def stream(self, sql: str, params: Params = {}, *, batch_rows: int = 1000) -> AsyncIterator[list[Row]]:
        # A connection of its own: a slow reader must not hold one that pages wait for.
        reader = await self._connect_reader()
        try:
            async with reader.execute(sql, params) as cursor:
                while rows := await cursor.fetchmany(batch_rows):
                    yield list(rows)  # type: ignore[arg-type]
        except sqlite3.Error as error:
            raise storage_error(error) from error
        finally:
            await reader.close()

    async def read_recent(self, sql: str, since: int) -> list[Row]:
        return await self.read(_RECENT + sql, {"since": since})

    async def condition(self) -> Condition:
        ((schema,),) = await self.read("PRAGMA user_version")
        files = (Path(f"{self.path}{suffix}") for suffix in ("", "-wal"))
        return Condition(
            f"SQLite {sqlite3.sqlite_version}", schema, sum(file.stat().st_size for file in files if file.exists())
        )

    async def stream_stored(
        self, sql: str, project_id: int, start: int, end: int, *, batch_rows: int = 1000
    ) -> AsyncIterator[list[Row]]:
        # A thread of its own, so that closing comes after the step that a caller who left did not wait for.
        with_thread = ThreadPoolExecutor(1, "stored rows")
        run = partial(asyncio.get_running_loop().run_in_executor, with_thread)
        connection = await run(partial(connect, self.path, read_only=True))
        rows = stored_rows(connection, sql, project_id, start, end, batch_rows)
        try:
            while (batch := await run(next, rows, None)) is not None:
                yield batch
                # What is written meanwhile cannot go into the database, as long as this reader may need what was there.
                if wal_bytes(self.path) > WAL_BYTES_STREAMED:
                    raise StorageUnavailable("what is stored was read too slowly beside all that is written")
        except sqlite3.Error as error:
            raise storage_error(error) from error
        finally:
            connection.interrupt()
            with_thread.submit(connection.close)
            with_thread.shutdown(wait=False)

    async def announcements(self, journal_id: bytes) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()  # a file has one drain
        yield b""

    async def watch(self, journal_id: bytes, projects: Collection[int]) -> None:
        pass  # so nobody else is there to know

    async def count_stored(self, project_id: int) -> Counts:
        def count() -> Counts:
            with closing(connect(self.path, read_only=True)) as connection:
                connection.execute("BEGIN")
                return count_stored(connection, project_id)

        return await asyncio.to_thread(count)

    async def first_received(self, project_id: int) -> int | None:
        first = "SELECT received FROM event WHERE project_id = :id ORDER BY id LIMIT 1"
        sealed = "SELECT min(start) FROM chunk WHERE project_id = :id"
        times = [time for sql in (sealed, first) for (time,) in await self.read(sql, {"id": project_id})]
        return next((time for time in times if time is not None), None)

    async def first_time(self, project_id: int) -> int | None:
        selects = (f"SELECT min(start) FROM {table} WHERE project_id = :id" for table in ("chunk", "visit"))
        times = [time for sql in selects for (time,) in await self.read(sql, {"id": project_id})]
        return min((time for time in times if time is not None), default=None)

    async def seal(self) -> None:
        await run_aside("appliance.storage.sqlite.chunks.process", self.path)

    async def count_sealed(self) -> Sealed:
        select = "SELECT (SELECT coalesce(sum(c.events), 0) FROM chunk c), (SELECT count(*) FROM event)"
        ((events, waiting),) = await self.read(select)
        return Sealed(events, waiting)

    async def erase(self) -> None:
        if await self.read("SELECT 1 FROM erasure WHERE wiped_at IS NULL LIMIT 1"):
            await run_aside(_MAINTENANCE, self.path, "erase")

    async def purge(self) -> Purged:
        if not await self.read(_MAY_PURGE):
            return Purged(0, 0, 0)
        return msgspec.json.decode(await run_aside(_MAINTENANCE, self.path, "purge"), type=Purged)

    async def raw_purged_before(self, project_id: int) -> int | None:
        rows = await self.read("SELECT raw_purged_before FROM project WHERE id = :id", {"id": project_id})
        return rows[0][0] if rows else None

    async def forget_ids(self, before_day: int, names_before_day: int) -> int:
        first, end = names_before(names_before_day)
        old = (
            f"(received_day < {before_day:d} OR"
            f" (event_id >= x'{first.hex()}' AND event_id < x'{end.hex()}' AND length(event_id) = 16))"
        )
        delete = f"DELETE FROM seen WHERE project_id = ? AND event_id = ? AND {old}"
        forgotten = 0
        async for keys in self.stream(f"SELECT project_id, event_id FROM seen WHERE {old}", batch_rows=2000):
            await self._writer.run(partial(_execute_many, delete, keys), durable=False)
            forgotten += len(keys)
        return forgotten

    async def forget_aliases(self, before: int) -> None:
        await self.write(
            "DELETE FROM alias WHERE NOT EXISTS"
            ' (SELECT 1 FROM visit WHERE visit.id = alias.visit_id AND visit."end" >= :before) AND NOT EXISTS'
            ' (SELECT 1 FROM chunk WHERE alias.visit_id BETWEEN first_visit AND last_visit AND chunk."end" >= :before)',
            {"before": before},
        )

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[aiosqlite.Connection]:
        reader = await self._idle.get()
        try:
            yield reader
        finally:
            self._idle.put_nowait(reader)

    async def _connect_reader(self) -> aiosqlite.Connection:
        reader = aiosqlite.Connection(lambda: connect(self.path, read_only=True), iter_chunk_size=64)
        return await reader


def _execute_many(sql: str, rows: Sequence[Row], connection: sqlite3.Connection) -> None:
    connection.executemany(sql, rows)
