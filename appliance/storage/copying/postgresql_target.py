"""A PostgreSQL database to copy into, with TimescaleDB or without: rows go in by binary COPY."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from appliance.clock import DAY
from appliance.errors import ConfigurationError
from appliance.storage.copying.ends import EVENT_ID, START, TIME, Row, Slice, Totals
from appliance.storage.copying.postgresql_ends import (
    EVENTS,
    MADE,
    count_carried,
    identity_of,
    sequence,
    totals,
    types_of,
)
from appliance.storage.copying.tables import SERVERS_ALONE, SLICE_NOTE, TABLES, carried
from appliance.storage.event_ids import as_bytes
from appliance.storage.postgresql.connection import UNPACK_ALL, work_connection
from appliance.storage.postgresql.dictionary import digest
from appliance.storage.postgresql.migrate import migrate
from appliance.storage.postgresql.partitions import Partitions
from appliance.storage.row_columns import SPAN, VISIT, names
from appliance.storage.unfinished import MARK, SELECT_MARK

T = TypeVar("T")

_LOCK: Final = 0x636F7079  # of PostgreSQL's advisory locks; held while something is copied into the database
_IS_NOTE: Final = f"substr(name, 1, {len(SLICE_NOTE)}) = '{SLICE_NOTE}'"
# A file notes these visitors when it seals their visits, here who writes them does. Those met within a day of the day
# of their salt, whichever time zone that is of, are found when rollups are made (rollups/reading.py).
_NOTE_WANDERERS: Final = f"""
    INSERT INTO wanderer (project_id, salt_day, visitor) SELECT v.project_id, v.salt_day, v.visitor FROM visit v
    WHERE v.start < (v.salt_day - 1) * {DAY} OR v."end" >= (v.salt_day + 2) * {DAY} ON CONFLICT DO NOTHING
    """


class PostgresqlTarget:
    """Implements `Target`. An empty database gets its schema."""

    tables: Sequence[str] = (*TABLES, *SERVERS_ALONE)

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError when somebody else copies into the database; StorageUnavailable."""
        self._connection = work_connection(url, UNPACK_ALL)  # a slice that changed may be packed by now
        self._aside = work_connection(url)  # makes partitions
        self.identity = identity_of(self._connection)
        self._partitions = Partitions()
        self._columns: dict[str, dict[str, str]] = {}
        if not self._value("SELECT pg_try_advisory_lock(%s)", _LOCK):
            self.close()
            raise ConfigurationError(f"another process copies into {self.identity}")
        migrate(url)
        self._connection.execute("SET statement_timeout = 0")

    def unfinished(self) -> str | None:
        return self._value(SELECT_MARK)  # type: ignore[no-any-return]

    def is_empty(self) -> bool:
        tables = ("project", "account", "visit", "event")
        return not any(self._value(f"SELECT EXISTS (SELECT 1 FROM {table})") for table in tables)

    def transact(self, work: Callable[[], T]) -> T:
        with self._connection.transaction():
            return work()

    def begin(self, identity: str) -> None:
        self._note(MARK, identity)

    def done(self) -> dict[Slice, str]:
        found = self._connection.execute(f"SELECT name, value FROM meta WHERE {_IS_NOTE}".encode())
        return {Slice(*map(int, name.removeprefix(SLICE_NOTE).split("/"))): value for name, value in found}

    def note(self, slice_: Slice, digest: str) -> None:
        self._note(f"{SLICE_NOTE}{slice_.project_id}/{slice_.day}", digest)

    def drop(self, slices: Sequence[Slice]) -> None:
        execute = self._connection.execute
        # A visit that was copied is placed where it starts.
        of_slice = "project_id = %(project)s AND placed >= %(start)s AND placed < %(end)s"
        for slice_ in slices:
            values = {"project": slice_.project_id, "start": slice_.start, "end": slice_.end}
            execute(
                "DELETE FROM event WHERE project_id = %(project)s AND time >= %(start)s AND time < %(until)s"
                f" AND visit_id IN (SELECT id FROM visit WHERE {of_slice})".encode(),
                values | {"until": slice_.end + SPAN},
            )
            execute(f"DELETE FROM visit WHERE {of_slice}".encode(), values)
            execute("DELETE FROM meta WHERE name = %s", (f"{SLICE_NOTE}{slice_.project_id}/{slice_.day}",))

    def add_visits(self, rows: Sequence[Row]) -> None:
        self._partitions.ensure(self._aside, "visit", {row[START] for row in rows})
        self._copy("visit", (*VISIT, "placed"), [(*row, row[START]) for row in rows])

    def add_events(self, rows: Sequence[Row]) -> None:
        self._partitions.ensure(self._aside, "event", {row[TIME] for row in rows})
        self._copy("event", EVENTS, [_with_bytes(row, EVENT_ID) for row in rows])

    def columns(self, table: str) -> Sequence[str]:
        return [name for name in self._types(table) if (table, name) not in MADE]

    def clear(self, table: str) -> None:
        self._connection.execute(f"DELETE FROM {table} AS t WHERE {carried(table)}".encode())

    def add(self, table: str, rows: Sequence[Row]) -> None:
        columns = list(self.columns(table))
        if table == "dictionary":
            text = columns.index("text")
            columns, rows = [*columns, "digest"], [(*row, digest(row[text])) for row in rows]
        elif table == "seen":
            place = columns.index("event_id")
            rows = [_with_bytes(row, place) for row in rows]
        elif table == "dead_letter":
            place = columns.index("error")  # the text of an exception, which may have what no text here can
            rows = [(*row[:place], row[place].replace("\0", "\\0"), *row[place + 1 :]) for row in rows]
        elif table == "rollup":
            snapshot = self._value("SELECT CAST(pg_current_snapshot() AS TEXT)")
            columns, rows = [*columns, "snapshot"], [(*row, snapshot) for row in rows]
        self._copy(table, columns, rows)

    def wipe(self) -> None:
        self._connection.execute("TRUNCATE event, visit")
        self._connection.execute(f"DELETE FROM meta WHERE {_IS_NOTE}".encode())

    def totals(self) -> Mapping[int, Totals]:
        return totals(self._connection)

    def count(self, table: str) -> int:
        return count_carried(self._connection, table)

    def finish(self, newest: Mapping[str, int]) -> None:
        for table, number in newest.items():
            # The next one that is given begins a block of ids where the sequence gives several at once.
            self._connection.execute("SELECT setval(CAST(%s AS regclass), %s, false)", (sequence(table), number + 1))
        self._connection.execute(_NOTE_WANDERERS.encode())
        self._connection.execute("DELETE FROM meta WHERE substr(name, 1, 5) = 'copy_'")
        self._connection.execute("ANALYZE visit, event, dictionary, seen")

    def close(self) -> None:
        self._connection.close()
        self._aside.close()

    def _note(self, name: str, value: str) -> None:
        self._connection.execute(
            "INSERT INTO meta (name, value) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def _value(self, select: str, *values: Any) -> Any:
        row = self._connection.execute(select.encode(), values).fetchone()
        return row[0] if row else None

    def _types(self, table: str) -> dict[str, str]:
        if table not in self._columns:
            self._columns[table] = types_of(self._connection, table)
        return self._columns[table]

    def _copy(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        if not rows:
            return
        types = self._types(table)
        statement = f"COPY {table} ({names(columns)}) FROM STDIN (FORMAT BINARY)"
        with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as out:
            out.set_types([types[name] for name in columns])
            for row in rows:
                out.write_row(row)


def _with_bytes(row: Row, place: int) -> Row:
    return (*row[:place], as_bytes(row[place]), *row[place + 1 :])
