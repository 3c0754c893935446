"""Sealed visits as the drain looks for them: those of a visitor, one by its id, the one of an event.

A chunk is opened only when something late may belong to a visit in it; numpy is imported then.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from appliance.storage.sqlite.chunks.index import Chunk, chunks

if TYPE_CHECKING:
    from appliance.storage.sqlite.chunks.columns import ChunkReader

CHUNKS_KEPT = 8  # decoded; some 5 MB each when full

Row = tuple[Any, ...]


class SealedVisits:
    """Looks in the chunks that the transaction of the connection sees. Each method raises ChunkDamaged."""

    def __init__(self) -> None:
        self._readers: OrderedDict[int, ChunkReader] = OrderedDict()

    def forget(self) -> None:
        """Drop what is remembered of the database."""
        self._readers.clear()

    def visits_of(
        self, connection: sqlite3.Connection, project_id: int, visitor: int, since: int, until: int
    ) -> list[Row]:
        """Rows of `visit`, without the project, of the visitor's visits that start in [since, until]."""
        where = "c.project_id = ? AND c.start <= ? AND c.last_start >= ?"
        found = []
        for chunk in chunks(connection, where, (project_id, until, since)):
            reader = self._reader(connection, chunk)
            starts = reader.visit("start")
            theirs = (reader.visit("visitor") == visitor) & (starts >= since) & (starts <= until)
            found += reader.visit_rows(theirs.nonzero()[0].tolist())
        return found

    def visit(self, connection: sqlite3.Connection, visit_id: int) -> tuple[Chunk, Row] | None:
        """The chunk that a visit is in, and its row of `visit` without the project."""
        for chunk in chunks(connection, "? BETWEEN c.first_visit AND c.last_visit", (visit_id,)):
            reader = self._reader(connection, chunk)
            for place in (reader.visit("id") == visit_id).nonzero()[0].tolist():
                return chunk, reader.visit_rows([place])[0]
        return None

    def visit_of_event(self, connection: sqlite3.Connection, event: int) -> int:
        """Id of the visit of a sealed event, 0 when it is not sealed."""
        for chunk in chunks(connection, "? BETWEEN c.first_event AND c.last_event", (event,)):
            reader = self._reader(connection, chunk)
            for place in (reader.event("id") == event).nonzero()[0].tolist():
                return int(reader.event("visit_id")[place])
        return 0

    def bring_back(self, connection: sqlite3.Connection, visit_ids: Iterable[int]) -> bool:
        """Unseal the chunks of those visits that are sealed, because they are to be changed. True: there were some."""
        from appliance.storage.sqlite.chunks.seal import unseal

        found = False
        for visit_id in visit_ids:
            if sealed := self.visit(connection, visit_id):
                unseal(connection, sealed[0])
                found = True
        return found

    def _reader(self, connection: sqlite3.Connection, chunk: Chunk) -> "ChunkReader":
        from appliance.storage.sqlite.chunks.columns import ChunkReader

        reader = self._readers.pop(chunk.id, None) or ChunkReader(connection, chunk)
        self._readers[chunk.id] = reader
        if len(self._readers) > CHUNKS_KEPT:
            self._readers.popitem(last=False)
        return reader
