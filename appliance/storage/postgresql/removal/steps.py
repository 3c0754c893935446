"""The connection of who removes, and its steps: each a transaction of bounded size."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from appliance.errors import TryAgain
from appliance.storage.postgresql.connection import UNPACK_ALL, adapt, parameters, storage_error

T = TypeVar("T")
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_REMOVING: Final = 0x72656D6F  # of PostgreSQL's advisory locks; held by the one appliance that removes
TRIES: Final = 5  # of a step that met another transaction


class Transact(Protocol):
    """Runs work in one transaction, of which nothing stays when it raises. It may run it again."""

    async def __call__(self, work: Callable[[Connection], Awaitable[T]], /) -> T: ...


@asynccontextmanager
async def removing(url: str) -> AsyncIterator[Connection | None]:
    """A connection to remove things with; None while another appliance does. Raises StorageUnavailable."""
    try:
        # Statements are not prepared: rows in the columnstore are found by constants alone.
        connection = await psycopg.AsyncConnection.connect(url, **parameters(url, UNPACK_ALL), prepare_threshold=None)
        adapt(connection.adapters)
        try:
            yield connection if await _is_alone(connection) else None
        finally:
            await _leave(connection)
    except psycopg.Error as error:
        raise storage_error(error) from error


async def step(connection: Connection, work: Callable[[Connection], Awaitable[T]]) -> T:
    """One step. Raises psycopg.Error."""
    for tries_left in reversed(range(TRIES)):
        try:
            async with connection.transaction():
                return await work(connection)
        except psycopg.OperationalError as error:
            if not tries_left or not isinstance(storage_error(error), TryAgain):
                raise
    raise AssertionError


async def fetch(connection: Connection, sql: str, values: Any = None) -> list[tuple[Any, ...]]:
    """All rows of a statement."""
    return await (await connection.execute(sql, values)).fetchall()


async def has_timescaledb(connection: Connection) -> bool:
    return bool(await fetch(connection, "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"))


async def _leave(connection: Connection) -> None:
    # Closing alone would free the lock a moment later, in which the next job would find it held.
    if connection.info.transaction_status == TransactionStatus.IDLE:
        with suppress(psycopg.Error):
            await connection.execute("SELECT pg_advisory_unlock_all()")
    await connection.close()


async def _is_alone(connection: Connection) -> bool:
    ((alone,),) = await fetch(connection, "SELECT pg_try_advisory_lock(%s)", (_REMOVING,))
    return bool(alone)
