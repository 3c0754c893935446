"""A SQLite file to copy into. Visits and events become rows; the hourly job seals them when the appliance runs."""

import fcntl
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from appliance.errors import ConfigurationError
from appliance.storage.copying.ends import Row, Slice, Totals
from appliance.storage.copying.sqlite_ends import count_carried, identity_of, totals
from appliance.storage.copying.tables import SLICE_NOTE, TABLES, carried
from appliance.storage.row_columns import EVENT, VISIT, names
from appliance.storage.sqlite.migrate import migrate
from appliance.storage.sqlite.writer import WriteConnection, connect
from appliance.storage.unfinished import MARK, SELECT_MARK

T = TypeVar("T")

_NOTES: Final = f"SELECT m.name, m.value FROM meta m WHERE substr(m.name, 1, {len(SLICE_NOTE)}) = '{SLICE_NOTE}'"
_GONE: Final = "SELECT g.id FROM temp.gone g"
# What does not come from the source: rollups that are carried are made of no chunks of this file.
_MADE: Final = {"rollup": {"chunks": 0, "newest_chunk": 0}}


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({names(columns)}) VALUES ({', '.join('?' * len(columns))})"


class SqliteTarget:
    """Implements `Target`. A new file is made where there is none."""

    tables: Sequence[str] = TABLES

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError when somebody else copies into the file."""
        self.identity = identity_of(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = path.with_name(path.name + ".copying").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise ConfigurationError(f"another process copies into {path}") from None
        migrate(path, path.parent / "backups")
        self._writer = WriteConnection(path)
        self._reader = connect(path)
        self._connection: sqlite3.Connection  # inside a transaction
        self._columns: dict[str, list[str]] = {}
        self._waiting = 0

    def unfinished(self) -> str | None:
        row = self._reader.execute(SELECT_MARK).fetchone()
        return row[0] if row else None

    def is_empty(self) -> bool:
        tables = ("project", "account", "visit", "event", "chunk")
        return not any(self._reader.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in tables)

    def transact(self, work: Callable[[], T]) -> T:
        def run(connection: sqlite3.Connection) -> T:
            self._connection = connection
            return work()

        # A loss of power takes the newest transactions back, whole and in order: the copy goes on from there.
        return self._writer.transaction(run, durable=False)

    def begin(self, identity: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (MARK, identity))

    def done(self) -> dict[Slice, str]:
        return {
            Slice(*map(int, name.removeprefix(SLICE_NOTE).split("/"))): value
            for name, value in self._reader.execute(_NOTES)
        }

    def note(self, slice_: Slice, digest: str) -> None:
        self._connection.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (_note(slice_), digest))

    def drop(self, slices: Sequence[Slice]) -> None:
        execute = self._connection.execute
        execute("CREATE TEMP TABLE IF NOT EXISTS gone (id INTEGER PRIMARY KEY)")
        execute("DELETE FROM temp.gone")
        of_slice = "SELECT v.id FROM visit v WHERE v.project_id = ? AND v.start >= ? AND v.start < ?"
        for slice_ in slices:
            execute(f"INSERT INTO temp.gone {of_slice}", (slice_.project_id, slice_.start, slice_.end))
            execute("DELETE FROM meta WHERE name = ?", (_note(slice_),))
        execute(f"DELETE FROM event WHERE visit_id IN ({_GONE})")
        execute(f"DELETE FROM visit WHERE id IN ({_GONE})")

    def add_visits(self, rows: Sequence[Row]) -> None:
        self._connection.executemany(_insert("visit", VISIT), rows)

    def add_events(self, rows: Sequence[Row]) -> None:
        self._connection.executemany(_insert("event", EVENT), (row[: len(EVENT)] for row in rows))

    def columns(self, table: str) -> Sequence[str]:
        if table not in self._columns:
            found = self._reader.execute("SELECT c.name FROM pragma_table_info(?) c", (table,))
            self._columns[table] = [name for (name,) in found if name not in _MADE.get(table, ())]
        return self._columns[table]

    def clear(self, table: str) -> None:
        self._connection.execute(f"DELETE FROM {table} AS t WHERE {carried(table)}")
        if table == "early_engagement":
            self._waiting = 0

    def add(self, table: str, rows: Sequence[Row]) -> None:
        if table == "early_engagement":
            rows = [self._renumbered(row) for row in rows]
        elif table in _MADE:
            rows = [(*row, *_MADE[table].values()) for row in rows]
        self._connection.executemany(_insert(table, [*self.columns(table), *_MADE.get(table, ())]), rows)

    def wipe(self) -> None:
        for table in ("event", "visit"):
            self._connection.execute(f"DELETE FROM {table}")
        self._connection.execute(f"DELETE FROM meta WHERE substr(name, 1, {len(SLICE_NOTE)}) = '{SLICE_NOTE}'")

    def totals(self) -> Mapping[int, Totals]:
        return totals(self._reader)

    def count(self, table: str) -> int:
        return count_carried(self._reader, table)

    def finish(self, newest: Mapping[str, int]) -> None:
        execute = self._connection.execute
        counting = "SELECT m.name FROM sqlite_schema m WHERE m.type = 'table' AND m.sql LIKE '%AUTOINCREMENT%'"
        counted = {name for (name,) in execute(counting)}
        for table, number in newest.items():
            if table in ("visit", "event"):
                execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (f"newest_{table}", str(number)))
            elif table in counted:
                execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
                execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number))
        execute("DELETE FROM meta WHERE substr(name, 1, 5) = 'copy_'")

    def close(self) -> None:
        self._reader.close()
        self._writer.settle()
        self._writer.close()
        self._lock.close()

    def _renumbered(self, row: Row) -> Row:
        """Engagement of several journals, each numbered from 1, comes one after the other."""
        place = self.columns("early_engagement").index("id")
        self._waiting = max(row[place], self._waiting + 1)
        return (*row[:place], self._waiting, *row[place + 1 :])


def _note(slice_: Slice) -> str:
    return f"{SLICE_NOTE}{slice_.project_id}/{slice_.day}"
