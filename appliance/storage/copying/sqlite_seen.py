"""Which visit each known event id belongs to, and when its event was: what PostgreSQL has with the id, and SQLite finds
in the event's row or chunk."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from appliance.clock import DAY
from appliance.storage.copying.ends import Row
from appliance.storage.sqlite.chunks.columns import ChunkReader
from appliance.storage.sqlite.chunks.index import Chunk

_HOT: Final = (
    "SELECT s.project_id, s.event_id, s.received_day, s.fingerprint, s.event, e.visit_id, e.time"
    " FROM seen s LEFT JOIN event e ON e.id = s.event"
)
_SEALED: Final = (
    "SELECT s.event FROM seen s WHERE s.event <> 0 AND NOT EXISTS (SELECT 1 FROM event e WHERE e.id = s.event)"
    " ORDER BY 1"
)
COLUMNS: Final = ("project_id", "event_id", "received_day", "fingerprint", "event", "visit_id", "time")
_RECEIVED_DAY, _EVENT, _VISIT_ID = map(COLUMNS.index, ("received_day", "event", "visit_id"))


def places_of_seen(
    connection: sqlite3.Connection, there: Sequence[Chunk], columns: Sequence[str], batch_rows: int
) -> Iterator[Sequence[Row]]:
    """Batches of the rows of `seen`, with these of COLUMNS. Raises ChunkDamaged.

    Of an event that was removed meanwhile the id is still known: its visit is 0, as for the drain, and its time the
    day of the receipt, near which it will be looked for in vain.
    """
    wanted = [COLUMNS.index(name) for name in columns]
    events = np.fromiter((event for (event,) in connection.execute(_SEALED)), np.int64)
    visits, times = np.zeros_like(events), np.zeros_like(events)
    for chunk in there:
        low, high = np.searchsorted(events, [chunk.first_event, chunk.last_event + 1])
        if low == high:
            continue
        reader = ChunkReader(connection, chunk)
        ids = np.asarray(reader.event("id"))
        places = low + np.searchsorted(events[low:high], ids)
        known = (places < high) & (events[np.minimum(places, high - 1)] == ids)
        visits[places[known]] = np.asarray(reader.event("visit_id"))[known]
        times[places[known]] = np.asarray(reader.event("time"))[known]
    cursor = connection.execute(_HOT)
    while rows := cursor.fetchmany(batch_rows):
        found = []
        for row in rows:
            if row[_VISIT_ID] is None and row[_EVENT]:
                place = int(np.searchsorted(events, row[_EVENT]))
                time = int(times[place]) if visits[place] else row[_RECEIVED_DAY] * DAY
                row = (*row[:_VISIT_ID], int(visits[place]), time)  # noqa: PLW2901
            found.append(tuple([row[place] or 0 if place >= _VISIT_ID else row[place] for place in wanted]))
        yield found
