"""Taking visits with all their events out of a database, sealed or not: what erasing and purging share.

Each function works inside the transaction that is open, and tells those who keep rows in memory.
"""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from appliance.storage.sqlite.chunks.columns import EVENT_COLUMNS, VISIT_COLUMNS, ChunkReader, columns_of, write_chunk
from appliance.storage.sqlite.chunks.index import Chunk, delete_chunk
from appliance.storage.sqlite.steps import AMONG, fitting, listed, note_newest

# Of rows in one transaction, unless one visit has more.
STEP_EVENTS: Final = 25_000

_EVENT_ID, _OF_VISIT = map(EVENT_COLUMNS.index, ("event_id", "visit_id"))


class Removed(NamedTuple):
    """How much one step took out. `ids`: event row and stored event id of each event, where they were read."""

    visits: int
    events: int
    ids: Sequence[tuple[int, bytes | str]] = ()


def remove_chunk(connection: sqlite3.Connection, chunk: Chunk) -> Removed:
    """Take out a chunk with everything in it."""
    delete_chunk(connection, chunk.id)
    tell(connection)
    return Removed(chunk.visits, chunk.events)


def remove_from_chunk(connection: sqlite3.Connection, chunk: Chunk, visit_ids: Collection[int]) -> Removed:
    """Put a chunk without those visits in the place of one with them. Raises ChunkDamaged."""
    gone = set(visit_ids)
    reader = ChunkReader(connection, chunk)
    visits = [row for row in reader.rows("visit") if row[0] not in gone]
    events = reader.rows("event")
    kept = [row for row in events if row[_OF_VISIT] not in gone]
    ids = [(row[0], row[_EVENT_ID]) for row in events if row[_OF_VISIT] in gone]
    delete_chunk(connection, chunk.id)
    if visits:
        columns = columns_of(VISIT_COLUMNS, visits), columns_of(EVENT_COLUMNS, kept)
        write_chunk(connection, chunk.project_id, chunk.day, *columns, timezone=chunk.timezone)
    tell(connection)
    return Removed(chunk.visits - len(visits), len(ids), ids)


def remove_rows(connection: sqlite3.Connection, visits: Sequence[tuple[int, int]]) -> Removed:
    """Take out hot visits (id, number of events), the first of them, as many as one step takes; and their aliases."""
    ids = listed(visit_id for visit_id, _ in visits[: fitting((events for _, events in visits), STEP_EVENTS)])
    select = f"SELECT e.id, e.event_id FROM event e WHERE e.visit_id IN {AMONG}"
    events = connection.execute(select, (ids,)).fetchall()
    note_newest(connection)
    connection.execute(f"DELETE FROM event WHERE id IN {AMONG}", (listed(row[0] for row in events),))
    connection.execute(f"DELETE FROM alias WHERE visit_id IN {AMONG}", (ids,))
    count = connection.execute(f"DELETE FROM visit WHERE id IN {AMONG}", (ids,)).rowcount
    tell(connection)
    return Removed(count, len(events), events)


def tell(connection: sqlite3.Connection) -> None:
    """Let readers and the drain drop what they remember: rows that they may have in memory are gone."""
    connection.execute(
        "INSERT INTO meta (name, value) VALUES ('hot_generation', '1')"
        " ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
    )
