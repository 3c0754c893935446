"""What is stored of events and visits and no report needs: their ids as sent, sources, sessions, properties.

It is read by id. What is sealed costs the reading of its whole day.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from appliance.clock import HOUR
from appliance.queries.event_log import Entry
from appliance.storage.dimensions import dictionary_of
from appliance.storage.event_ids import unpack
from appliance.storage.interface import Database, Row

APART_MAX: Final = HOUR  # of sealed rows that are read together


class StoredEvent(msgspec.Struct, frozen=True):
    """`received` in UTC microseconds; `source` and `session_id` as sent, '' without; `properties` JSON text or ''."""

    event_id: str
    received: int
    source: str
    session_id: str
    properties: str


async def of_entries(database: Database, project_id: int, entries: Sequence[Entry]) -> dict[int, StoredEvent]:
    """What is stored of entries of the log, by their ids; without those that are gone by now.

    Raises StorageUnavailable, ChunkDamaged.
    """
    rows = await _read(database, project_id, _EVENT, "e.id", {entry.id: entry.time for entry in entries})
    return {
        id_: StoredEvent(unpack(event_id), received, source, session_id, properties or "")
        for id_, event_id, received, source, session_id, properties in rows
    }


async def session_ids(database: Database, project_id: int, visits: Mapping[int, int]) -> dict[int, str]:
    """The session ids that visits were sent with, '' without; `visits` has a time of each by its id.

    Raises StorageUnavailable, ChunkDamaged.
    """
    return dict(await _read(database, project_id, _VISIT, "v.id", visits))


async def _read(database: Database, project_id: int, select: str, key: str, times: Mapping[int, int]) -> list[Row]:
    """The rows that a SELECT gives for these ids, which come first in each; each stands at a time."""
    if not times:
        return []
    names = {f"id_{place}": id_ for place, id_ in enumerate(times)}
    span = {"start": min(times.values()), "end": max(times.values()) + 1}
    by_id = f"{select} AND {key} IN ({', '.join(f':{name}' for name in names)})"
    found = await database.read(by_id, {"project_id": project_id, **names, **span})
    sealed = times.keys() - {row[0] for row in found}
    for first, last in _spans([times[id_] for id_ in sealed]):
        async for batch in database.stream_stored(select, project_id, first, last + 1):
            found += [row for row in batch if row[0] in sealed]
            sealed -= {row[0] for row in batch}  # a visit may touch several spans
    return found


def _spans(times: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of the times that stand together, the latest first."""
    ordered = sorted(times, reverse=True)
    begins = 0
    for place, time in enumerate(ordered):
        if place + 1 == len(ordered) or time - ordered[place + 1] > APART_MAX:
            yield time, ordered[begins]
            begins = place + 1


_EVENT: Final = (
    "SELECT e.id, e.event_id, e.received, coalesce(source.text, ''), v.session_id, e.properties"
    " FROM event e JOIN visit v ON v.id = e.visit_id"
    " LEFT JOIN dictionary source ON source.project_id = e.project_id"
    f" AND source.dimension = {dictionary_of('source')} AND source.code = e.source"
    " WHERE e.project_id = :project_id AND e.time >= :start AND e.time < :end"
)
_VISIT: Final = (
    'SELECT v.id, v.session_id FROM visit v WHERE v.project_id = :project_id AND v.start < :end AND v."end" >= :start'
)
