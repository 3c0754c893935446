"""Short statements over a pool of connections: what the management side of both engines is written in."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from appliance.errors import StorageUnavailable
from appliance.storage.interface import Params, Row
from appliance.storage.postgresql.connection import adapt, parameters, storage_error, translated, without_nul

CONNECTIONS_MAX: Final = 6
WAIT_SECONDS: Final = 5.0
# Once nobody got a connection in that time, the next need not wait as long to hear the same.
WAIT_SECONDS_AWAY: Final = 1.0
# Then the pool gives up, and tries again for the next who asks: its pauses double, so it would come back as late again
# as the database was away.
RECONNECT_SECONDS: Final = 2.0

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class Pool:
    """`read`, `write`, `write_all` and `stream` of `Database` (storage/interface.py) over one PostgreSQL database."""

    def __init__(self, url: str, *, wait_seconds: float = WAIT_SECONDS) -> None:
        """`wait_seconds`: for a connection, before the database is said to be unavailable."""
        self.url = url
        self._wait_seconds = wait_seconds
        self._is_away = False
        self._pool = AsyncConnectionPool[Connection](
            url,
            kwargs=parameters(url),
            min_size=1,
            max_size=CONNECTIONS_MAX,
            timeout=wait_seconds,
            reconnect_timeout=RECONNECT_SECONDS,
            open=False,
            configure=_configure,
            # A connection that was cut while it was idle is not given to anybody.
            check=AsyncConnectionPool.check_connection,
        )

    async def open(self) -> None:
        """Connect. Raises StorageUnavailable."""
        try:
            await self._pool.open(wait=True, timeout=self._wait_seconds)
        except PoolTimeout as error:
            await self._pool.close()
            raise StorageUnavailable("the database does not answer") from error

    async def close(self) -> None:
        await self._pool.close()

    async def read(self, sql: str, params: Params = {}) -> list[Row]:
        async with self._connection() as connection:
            return await (await connection.execute(translated(sql), without_nul(params))).fetchall()

    async def write(self, sql: str, params: Params = {}) -> list[Row]:
        return (await self.write_all([(sql, params)]))[0]

    async def write_all(self, statements: Sequence[tuple[str, Params]]) -> list[list[Row]]:
        async with self._connection() as connection, connection.transaction():
            return [
                await _rows(await connection.execute(translated(sql), without_nul(params)))
                for sql, params in statements
            ]

    async def call(self, procedure: str) -> None:
        """Run a procedure that makes its own transactions."""
        async with self._connection() as connection:
            await connection.execute(procedure.encode())

    async def stream(self, sql: str, params: Params = {}, *, batch_rows: int = 1000) -> AsyncIterator[list[Row]]:
        # A connection of its own: a slow reader must not hold one that pages wait for.
        try:
            connection = await psycopg.AsyncConnection.connect(self.url, **parameters(self.url))
        except psycopg.Error as error:
            raise storage_error(error) from error
        adapt(connection.adapters)
        try:
            # What a named cursor gives comes from the snapshot in which it was opened.
            async with connection.transaction(), connection.cursor("streamed") as cursor:
                await cursor.execute(translated(sql), without_nul(params))
                while rows := await cursor.fetchmany(batch_rows):
                    yield rows
        except psycopg.Error as error:
            raise storage_error(error) from error
        finally:
            await connection.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            timeout = min(WAIT_SECONDS_AWAY, self._wait_seconds) if self._is_away else self._wait_seconds
            async with self._pool.connection(timeout=timeout) as connection:
                self._is_away = False
                yield connection
        except PoolTimeout as error:
            self._is_away = True
            raise StorageUnavailable("the database does not answer, or has too much to do") from error
        except psycopg.Error as error:
            raise storage_error(error) from error


async def _configure(connection: Connection) -> None:
    adapt(connection.adapters)


async def _rows(cursor: psycopg.AsyncCursor[tuple[Any, ...]]) -> list[Row]:
    return await cursor.fetchall() if cursor.description is not None else []
