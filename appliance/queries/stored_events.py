"""What is stored of the events of a page of the log and no report needs: their ids, sources, sessions, properties."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from appliance.clock import HOUR
from appliance.queries.event_log import Entry
from appliance.storage.dimensions import dictionary_of
from appliance.storage.event_ids import unpack
from appliance.storage.interface import Database, Row

APART_MAX: Final = HOUR  # of sealed events that are read together


class StoredEvent(msgspec.Struct, frozen=True):
    """`received` in UTC microseconds; `source` and `session_id` as sent, '' without; `properties` JSON text or ''."""

    event_id: str
    received: int
    source: str
    session_id: str
    properties: str


async def of_entries(database: Database, project_id: int, entries: Sequence[Entry]) -> dict[int, StoredEvent]:
    """By the entry's id, without those that are gone by now. Entries come in the log's order.

    What is sealed costs the reading of its whole day. Raises StorageUnavailable, ChunkDamaged.
    """
    if not entries:
        return {}
    ids = {f"id_{index}": entry.id for index, entry in enumerate(entries)}
    span = {"start": entries[-1].time, "end": entries[0].time + 1}
    rows = await database.read(
        f"{_SELECT} AND e.id IN ({', '.join(f':{name}' for name in ids)})", {"project_id": project_id, **ids, **span}
    )
    found = dict(map(_stored, rows))
    sealed = {entry.id: entry for entry in entries if entry.id not in found}
    for first, last in _spans([entry.time for entry in sealed.values()]):
        async for batch in database.stream_stored(_SELECT, project_id, first, last + 1):
            found |= dict(_stored(row) for row in batch if row[0] in sealed)
    return found


def _spans(times: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of the times that stand together; they come descending."""
    begins = 0
    for place, time in enumerate(times):
        if place + 1 == len(times) or time - times[place + 1] > APART_MAX:
            yield time, times[begins]
            begins = place + 1


def _stored(row: Row) -> tuple[int, StoredEvent]:
    id_, event_id, received, source, session_id, properties = row
    return id_, StoredEvent(unpack(event_id), received, source, session_id, properties or "")


_SELECT: Final = (
    "SELECT e.id, e.event_id, e.received, coalesce(source.text, ''), v.session_id, e.properties"
    " FROM event e JOIN visit v ON v.id = e.visit_id"
    " LEFT JOIN dictionary source ON source.project_id = e.project_id"
    f" AND source.dimension = {dictionary_of('source')} AND source.code = e.source"
    " WHERE e.project_id = :project_id AND e.time >= :start AND e.time < :end"
)
