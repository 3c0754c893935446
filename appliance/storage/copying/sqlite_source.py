"""A SQLite file to copy from: one snapshot of it, rows and chunks.

What is hot has no index by start or by visit. So the ids of hot visits and events are laid out by slice first, in
temporary tables on disk: two numbers a row, and every slice is found at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from appliance.clock import DAY, now
from appliance.errors import ConfigurationError
from appliance.storage.copying.ends import BATCH_ROWS, Piece, Row, Slice, Totals, batch_rows
from appliance.storage.copying.sqlite_ends import check_version, count_carried, identity_of, newest_ids, totals
from appliance.storage.copying.sqlite_seen import places_of_seen
from appliance.storage.copying.tables import TABLES, carried
from appliance.storage.row_columns import EVENT, OF_VISIT, VISIT, names
from appliance.storage.sqlite.chunks.columns import EVENT_COLUMNS, VISIT_COLUMNS, ChunkReader
from appliance.storage.sqlite.chunks.index import Chunk, chunks
from appliance.storage.sqlite.chunks.visits import SealedVisits
from appliance.storage.sqlite.writer import connect
from appliance.storage.unfinished import SELECT_MARK, refuse

# Floor division: that of SQL goes towards zero.
_DAY_OF_START: Final = f"CASE WHEN v.start < 0 THEN (v.start + 1) / {DAY} - 1 ELSE v.start / {DAY} END"
_LAY_OUT: Final = (
    "CREATE TEMP TABLE hot_visit (project_id INT, day INT, id INT, PRIMARY KEY (project_id, day, id)) WITHOUT ROWID",
    f"INSERT INTO temp.hot_visit SELECT v.project_id, {_DAY_OF_START}, v.id FROM visit v ORDER BY 1, 2, 3",
    "CREATE TEMP TABLE hot_event (visit_id INTEGER, id INTEGER, PRIMARY KEY (visit_id, id)) WITHOUT ROWID",
    "INSERT INTO temp.hot_event SELECT e.visit_id, e.id FROM event e ORDER BY 1, 2",
)


_VISITS: Final = (
    f"SELECT {names(VISIT, 'v.')} FROM temp.hot_visit h CROSS JOIN visit v ON v.id = h.id"
    " WHERE h.project_id = ? AND h.day = ?"
)
_EVENTS: Final = (
    f"SELECT {names(EVENT, 'e.')}, {names(OF_VISIT, 'v.')} FROM temp.hot_visit h CROSS JOIN visit v ON v.id = h.id"
    " CROSS JOIN temp.hot_event x ON x.visit_id = h.id CROSS JOIN event e ON e.id = x.id"
    " WHERE h.project_id = ? AND h.day = ?"
)
_START, *_CARRIED = (VISIT_COLUMNS.index(name) for name in ("start", *OF_VISIT))
_CHUNKS_KEPT: Final = 2  # as rows; 50 MB each when full. Neighbouring days may share one.
_VISIT_ID: Final = EVENT_COLUMNS.index("visit_id")


class SqliteSource:
    """Implements `Source`. The connection's transaction is open until it is closed."""

    tables: Sequence[str] = TABLES

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError when there is no database of this version, or an unfinished copy."""
        if not path.is_file():
            raise ConfigurationError(f"there is no database {path}")
        self.identity = identity_of(path)
        self._connection = connect(path, read_only=True)
        try:
            self._connection.execute("PRAGMA temp_store=FILE")
            self._connection.execute("BEGIN")
            check_version(self._connection, path)
            refuse(self._connection.execute(SELECT_MARK).fetchall())
            self._chunks = chunks(self._connection, "1", ())
            for statement in _LAY_OUT:
                self._connection.execute(statement)
        except BaseException:
            self._connection.close()
            raise
        self._by_slice: dict[Slice, list[Chunk]] = {}
        for chunk in self._chunks:
            for day in range(chunk.start // DAY, chunk.last_start // DAY + 1):
                self._by_slice.setdefault(Slice(chunk.project_id, day), []).append(chunk)
        self._rows_of = lru_cache(_CHUNKS_KEPT)(self._read_chunk)

    def events(self) -> int:
        ((hot,),) = self._connection.execute("SELECT count(*) FROM event")
        return int(hot) + sum(chunk.events for chunk in self._chunks)

    def slices(self) -> list[Slice]:
        hot = self._connection.execute("SELECT DISTINCT h.project_id, h.day FROM temp.hot_visit h")
        return sorted({*self._by_slice, *(Slice(*row) for row in hot)})

    def rows_of(self, slice_: Slice) -> Iterator[Piece]:
        for chunk in self._by_slice.get(slice_, ()):
            visits, events = self._rows_of(chunk)
            yield Piece(visits.get(slice_.day, ()), events.get(slice_.day, ()))
        for rows in self._batches(_VISITS, slice_):
            yield Piece(rows, ())
        for rows in self._batches(_EVENTS, slice_):
            yield Piece((), rows)

    def table(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[Row]]:
        if table == "seen" and "visit_id" in columns:
            yield from places_of_seen(self._connection, self._chunks, columns, BATCH_ROWS)
            return
        found = self._batches(_select(table, columns), rows=batch_rows(table))
        if table == "alias" and "near" in columns:
            sealed, place = SealedVisits(), columns.index("near")
            for rows in found:
                yield [(*row[:place], self._near(sealed, row[place]), *row[place + 1 :]) for row in rows]
            return
        yield from found

    def newest(self) -> Mapping[str, int]:
        return newest_ids(self._connection)

    def totals(self) -> Mapping[int, Totals]:
        return totals(self._connection)

    def count(self, table: str) -> int:
        return count_carried(self._connection, table)

    def close(self) -> None:
        self._connection.close()

    def _batches(self, select: str, values: Sequence[int] = (), rows: int = BATCH_ROWS) -> Iterator[Sequence[Row]]:
        cursor = self._connection.execute(select, values)
        while batch := cursor.fetchmany(rows):
            yield batch

    def _read_chunk(self, chunk: Chunk) -> tuple[dict[int, list[Row]], dict[int, list[Row]]]:
        """Its visits and events by the UTC day on which the visit starts. Raises ChunkDamaged."""
        reader = ChunkReader(self._connection, chunk)
        by_id: dict[int, tuple[int, Row]] = {}
        visits: dict[int, list[Row]] = {}
        for row in reader.rows("visit"):
            day = row[_START] // DAY
            by_id[row[0]] = day, tuple([row[place] for place in _CARRIED])
            visits.setdefault(day, []).append((row[0], chunk.project_id, *row[1:]))
        events: dict[int, list[Row]] = {}
        for row in reader.rows("event"):
            day, of_visit = by_id[row[_VISIT_ID]]
            events.setdefault(day, []).append((row[0], chunk.project_id, *row[1:], *of_visit))
        return visits, events

    def _near(self, sealed: SealedVisits, visit_id: int) -> int:
        """A time in the span of a visit. One that is gone will have been over for long enough in two days."""
        row = self._connection.execute("SELECT v.start FROM visit v WHERE v.id = ?", (visit_id,)).fetchone()
        if row is not None:
            return int(row[0])
        found = sealed.visit(self._connection, visit_id)
        return int(found[1][_START]) if found else now()


def _select(table: str, columns: Sequence[str]) -> str:
    """The rows of a table that are carried; what PostgreSQL has beside is told from the rest."""
    beside = {
        ("alias", "near"): "t.visit_id",
        # There is one drain, and what waits is of the journal that it empties.
        ("early_engagement", "journal_id"): (
            "coalesce((SELECT c.journal_id FROM checkpoint c ORDER BY c.at DESC LIMIT 1), x'')"
        ),
    }
    listed = ", ".join(beside.get((table, name), f't."{name}"') for name in columns)
    return f"SELECT {listed} FROM {table} t WHERE {carried(table)}"
