"""The drain's side of a SQLite database: its own write connection."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.model import ProjectSettings
from appliance.storage.interface import DrainTransaction, Position
from appliance.storage.sqlite.rows import HotRows
from appliance.storage.sqlite.writer import WriteConnection

T = TypeVar("T")


class SqliteDrainStore:
    """Implements `DrainStore` for a file that exists and is migrated."""

    def __init__(self, path: Path) -> None:
        """Raises StorageUnavailable."""
        self._connection = WriteConnection(path)
        self._rows = HotRows()
        self._settings: dict[int, ProjectSettings] = {}
        self._catalogue_version: object = None  # of no database: nothing was read yet

    def position(self, journal_id: bytes) -> Position | None:
        select = "SELECT segment, position FROM checkpoint WHERE journal_id = ?"
        row = self._connection.transaction(lambda c: c.execute(select, (journal_id,)).fetchone(), durable=False)
        return Position(*row) if row else None

    def has_project(self, project_id: int) -> bool:
        return project_id in self._settings

    def settings_of(self, project_id: int) -> ProjectSettings:
        return self._settings.get(project_id) or ProjectSettings()

    def transact(self, work: Callable[[DrainTransaction], T]) -> T:
        try:
            return self._connection.transaction(lambda connection: self._run(connection, work), durable=False)
        except BaseException:
            # What was learnt in the transaction (new codes, new ids) was rolled back with it.
            self._rows.forget()
            raise

    def settle(self) -> None:
        self._connection.settle()

    def close(self) -> None:
        self._connection.close()

    def _run(self, connection: sqlite3.Connection, work: Callable[[DrainTransaction], T]) -> T:
        self._rows.begin(connection)
        version = connection.execute("SELECT value FROM meta WHERE name = 'catalogue_version'").fetchone()
        if version != self._catalogue_version:
            found = connection.execute("SELECT id, settings, timezone FROM project").fetchall()
            self._settings = {row[0]: msgspec.json.decode(row[1], type=ProjectSettings) for row in found}
            self._rows.timezones = {row[0]: row[2] for row in found}
            self._catalogue_version = version
        result = work(self._rows)
        self._rows.finish()
        return result
