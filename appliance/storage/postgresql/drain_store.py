"""The drain's side of a PostgreSQL database: a connection for its transactions, and one for what goes beside them."""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
import psycopg

from appliance.errors import StorageUnavailable
from appliance.model import ProjectSettings
from appliance.storage.interface import DrainTransaction, Position
from appliance.storage.postgresql.connection import UNPACK_ALL, storage_error, work_connection
from appliance.storage.postgresql.rows import DrainRows

T = TypeVar("T")
LOCK_SECONDS = 1.0  # in which the connection of a drain that has ended is gone
# All that a drain looks for has an index. Of a table that has just been filled the planner knows nothing, and would
# read all of it for each batch.
_BY_INDEX = "-c jit=off -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
# The columnstore is searched by what a plan knows: of one that is for all values it would unpack everything.
_OPTIONS: Final = f"{_BY_INDEX} {UNPACK_ALL} -c plan_cache_mode=force_custom_plan"
Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresqlDrainStore:
    """Implements `DrainStore` for a database that is migrated. It connects when it is asked, and again when it was cut
    off."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connections: tuple[Connection, Connection] | None = None
        self._rows = DrainRows()
        self._journal_id = b""
        self._locked = False
        self._settings: dict[int, ProjectSettings] = {}
        self._catalogue_version: object = None  # of no database: nothing was read yet

    def position(self, journal_id: bytes) -> Position | None:
        self._journal_id = journal_id
        select = "SELECT segment, position FROM checkpoint WHERE journal_id = %s"
        try:
            row = self._connected()[0].execute(select, (journal_id,)).fetchone()
        except psycopg.Error as error:
            raise self._failed(error) from error
        return Position(*row) if row else None

    def has_project(self, project_id: int) -> bool:
        return project_id in self._settings

    def settings_of(self, project_id: int) -> ProjectSettings:
        return self._settings.get(project_id) or ProjectSettings()

    def transact(self, work: Callable[[DrainTransaction], T]) -> T:
        try:
            connection, aside = self._connected()
            with connection.transaction():
                self._rows.begin(connection, aside, self._journal_id)
                self._read_settings(connection)
                return work(self._rows)
        except psycopg.Error as error:
            raise self._failed(error) from error
        except BaseException:
            self._rows.forget()
            raise

    def settle(self) -> None:
        pass  # a commit that was answered is on the server's disk

    def close(self) -> None:
        for connection in self._connections or ():
            connection.close()
        self._connections = None
        self._locked = False

    def _connected(self) -> tuple[Connection, Connection]:
        if self._connections is None or any(connection.closed for connection in self._connections):
            self.close()
            # Who was cut off may have lost its claims with the server.
            self._rows.forget()
            self._connections = (work_connection(self._url, _OPTIONS), work_connection(self._url, _OPTIONS))
        if self._journal_id and not self._locked:
            self._lock(self._connections[1])
        return self._connections

    def _lock(self, connection: Connection) -> None:
        """Keep others from draining this journal: two folders with one id, as when a volume was cloned, would each skip
        what the other has drained. The lock lasts as long as the connection. Raises StorageUnavailable."""
        number = int.from_bytes(self._journal_id[:8], "big", signed=True)
        deadline = time.monotonic() + LOCK_SECONDS
        while connection.execute("SELECT pg_try_advisory_lock(%s)", (number,)).fetchone() != (True,):
            if time.monotonic() > deadline:
                raise StorageUnavailable(
                    "another appliance drains a journal of this id: was its folder copied? If not, the server has yet"
                    " to notice that this one was cut off, which takes it some fifteen seconds"
                )
            time.sleep(LOCK_SECONDS / 20)
        self._locked = True

    def _failed(self, error: psycopg.Error) -> Exception:
        self._rows.forget()
        return storage_error(error)

    def _read_settings(self, connection: Connection) -> None:
        version = connection.execute("SELECT value FROM meta WHERE name = 'catalogue_version'").fetchone()
        if version != self._catalogue_version:
            found = connection.execute("SELECT id, settings, timezone FROM project").fetchall()
            self._settings = {row[0]: msgspec.json.decode(row[1], type=ProjectSettings) for row in found}
            self._rows.timezones = {row[0]: row[2] for row in found}
            self._rows.marks.set_zones(self._rows.timezones)
            self._catalogue_version = version
