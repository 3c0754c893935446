"""A PostgreSQL database to copy from: one transaction that sees one snapshot and writes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import islice
from typing import Any, Final

from appliance.clock import DAY
from appliance.errors import ConfigurationError
from appliance.storage.copying.ends import BATCH_ROWS, EVENT_ID, Piece, Row, Slice, Totals, batch_rows
from appliance.storage.copying.postgresql_ends import (
    EVENTS,
    count_carried,
    identity_of,
    sequence,
    totals,
    types_of,
)
from appliance.storage.copying.tables import NUMBERED, SERVERS_ALONE, TABLES, carried
from appliance.storage.event_ids import from_bytes
from appliance.storage.migrations import BASELINE, available
from appliance.storage.postgresql.connection import work_connection
from appliance.storage.row_columns import SPAN, VISIT, names
from appliance.storage.unfinished import SELECT_MARK, refuse

# Floor division: that of SQL goes towards zero.
_SLICES: Final = (
    f"SELECT DISTINCT v.project_id, CASE WHEN v.start < 0 THEN (v.start + 1) / {DAY} - 1 ELSE v.start / {DAY} END"
    " FROM visit v ORDER BY 1, 2"
)
# A visit that grew to earlier is placed where it began at first.
_OF_SLICE: Final = (
    f"v.project_id = {{0.project_id:d}} AND v.placed >= {{0.start:d}} AND v.placed < {{0.end:d}} + {SPAN}"
    " AND v.start >= {0.start:d} AND v.start < {0.end:d}"
)
_VISITS: Final = f"SELECT {names(VISIT, 'v.')} FROM visit v WHERE {_OF_SLICE}"
_EVENTS: Final = (
    f"SELECT {names(EVENTS, 'e.')} FROM event e WHERE e.project_id = {{0.project_id:d}} AND e.time >= {{0.start:d}}"
    f" AND e.time < {{0.end:d}} + {SPAN} AND e.visit_id IN (SELECT v.id FROM visit v WHERE {_OF_SLICE})"
)
_GIVEN: Final = (
    "SELECT CASE WHEN s.is_called THEN s.last_value + p.seqincrement - 1 ELSE s.last_value - 1 END"
    " FROM {0} s, pg_sequence p WHERE p.seqrelid = CAST('{0}' AS regclass)"
)


class PostgresqlSource:
    """Implements `Source`."""

    tables: Sequence[str] = (*TABLES, *SERVERS_ALONE)

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError when there is no database of this version, or an unfinished copy."""
        self._connection = work_connection(url)
        try:
            self.identity = identity_of(self._connection)
            self._connection.execute("SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0")
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._check_version()
            refuse(self._connection.execute(SELECT_MARK).fetchall())
            self._types = {
                "visit": self._typed("visit", VISIT),
                "event": self._typed("event", EVENTS),
            }
        except BaseException:
            self._connection.close()
            raise

    def events(self) -> int:
        return int(self._value("SELECT count(*) FROM event"))

    def slices(self) -> list[Slice]:
        return [Slice(*row) for row in self._connection.execute(_SLICES)]

    def rows_of(self, slice_: Slice) -> Iterator[Piece]:
        for rows in self._batches(_VISITS.format(slice_), self._types["visit"]):
            yield Piece(rows, ())
        for rows in self._batches(_EVENTS.format(slice_), self._types["event"]):
            yield Piece((), [_packed(row, EVENT_ID) for row in rows])

    def table(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[Row]]:
        # In journal order, for an engine that numbers what waits anew.
        order = " ORDER BY t.journal_id, t.id" if table == "early_engagement" else ""
        select = f"SELECT {names(columns, 't.')} FROM {table} t WHERE {carried(table)}{order}"
        found = self._batches(select, self._typed(table, columns), batch_rows(table))
        if table == "seen":
            place = columns.index("event_id")
            found = ([_packed(row, place) for row in rows] for rows in found)
        return found

    def newest(self) -> Mapping[str, int]:
        newest = {}
        for table in (*NUMBERED, "visit", "event"):
            given = int(self._value(_GIVEN.format(sequence(table))))
            newest[table] = max(given, int(self._value(f"SELECT coalesce(max(t.id), 0) FROM {table} t")))
        return newest

    def totals(self) -> Mapping[int, Totals]:
        return totals(self._connection)

    def count(self, table: str) -> int:
        return count_carried(self._connection, table)

    def close(self) -> None:
        self._connection.close()

    def _check_version(self) -> None:
        newest = BASELINE + len(available(files("appliance.storage.postgresql") / "migrations"))
        there = self._value("SELECT to_regclass('meta') IS NOT NULL")
        version = self._value("SELECT m.value FROM meta m WHERE m.name = 'schema_version'") if there else None
        if version is None:
            raise ConfigurationError(f"there is no database of an appliance at {self.identity}")
        if int(version) != newest:
            raise ConfigurationError(
                f"{self.identity} has schema version {version}, this appliance copies from {newest}:"
                " run `appliance migrate` first"
            )

    def _value(self, select: str) -> Any:
        row = self._connection.execute(select.encode()).fetchone()
        return row[0] if row else None

    def _typed(self, table: str, columns: Sequence[str]) -> list[str]:
        types = types_of(self._connection, table)
        return [types[name] for name in columns]

    def _batches(self, select: str, types: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[list[Row]]:
        copy = f"COPY ({select}) TO STDOUT (FORMAT BINARY)".encode()
        with self._connection.cursor() as cursor, cursor.copy(copy) as out:
            out.set_types(types)
            found = out.rows()
            while batch := list(islice(found, rows)):
                yield batch


def _packed(row: Row, place: int) -> Row:
    return (*row[:place], from_bytes(row[place]), *row[place + 1 :])
