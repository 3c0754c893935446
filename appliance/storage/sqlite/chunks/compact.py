"""Compaction: the small chunks of a month that is long over become few large ones.

A day of a small site is some hundred events, of which the heads of a chunk and its columns would be most. Visits that
reach over the month's end stay apart, so that the others add up to the month (rollups).
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Final
from zoneinfo import ZoneInfo

from appliance.clock import DAY
from appliance.errors import ChunkDamaged
from appliance.storage.calendar import day_start, days_of_month, local_day, month_of
from appliance.storage.sqlite.chunks.columns import EVENT_COLUMNS, VISIT_COLUMNS, ChunkReader, columns_of, write_chunk
from appliance.storage.sqlite.chunks.index import Chunk, chunks, delete_chunk
from appliance.storage.sqlite.chunks.seal import CHUNK_EVENTS_MAX
from appliance.storage.sqlite.steps import Transact

# Days of which rollups of their own are kept (rollups/units.py) keep chunks of their own, and then some.
COMPACTED_AFTER: Final = 110 * DAY
# Joining what is large already would only write it again.
SMALL_EVENTS: Final = CHUNK_EVENTS_MAX // 4

_VISIT_ID: Final = EVENT_COLUMNS.index("visit_id")


def compact_settled(transact: Transact, now: int) -> Iterator[Chunk]:
    """Join the small chunks of every month that ended long enough before `now` (UTC microseconds), step by step.

    `transact` runs work in a write transaction; each chunk that comes out is committed.
    """
    projects = transact(lambda connection: connection.execute("SELECT id, timezone FROM project").fetchall())
    for project_id, timezone in projects:
        find = partial(joinable, project_id=project_id, zone=ZoneInfo(timezone), before=now - COMPACTED_AFTER)
        for ids in transact(find):
            with suppress(ChunkDamaged):  # it stays as it is, beside the others
                if chunk := transact(partial(join, ids=ids)):
                    yield chunk


def joinable(connection: sqlite3.Connection, project_id: int, zone: ZoneInfo, before: int) -> list[list[int]]:
    """Ids of chunks to be joined, two or more at a time: of one month, inside it or not, as many as fit in one."""
    found: list[list[int]] = []
    where = "c.project_id = ? AND c.timezone = ? AND c.events < ?"
    small = [
        (month_of(chunk.day), _reaches_over(chunk, zone), chunk)
        for chunk in chunks(connection, where, (project_id, zone.key, SMALL_EVENTS))
        if _month_end(chunk.day, zone) <= before
    ]
    for _, group in groupby(sorted(small, key=itemgetter(0, 1)), key=itemgetter(0, 1)):
        parts: list[list[Chunk]] = [[]]
        for _, _, chunk in group:
            if sum(other.events for other in parts[-1]) + chunk.events > CHUNK_EVENTS_MAX:
                parts.append([])
            parts[-1].append(chunk)
        found += [[chunk.id for chunk in part] for part in parts if len(part) > 1]
    return found


def join(connection: sqlite3.Connection, ids: Sequence[int]) -> Chunk | None:
    """Make one chunk of several, inside the transaction that is open; None when one of them is gone meanwhile.

    Raises ChunkDamaged.
    """
    marks = ", ".join("?" * len(ids))
    there = chunks(connection, f"c.id IN ({marks})", ids)
    if len(there) < len(ids):
        return None
    readers = [ChunkReader(connection, chunk) for chunk in there]
    visits = sorted((row for reader in readers for row in reader.rows("visit")), key=itemgetter(0))
    events = sorted((row for reader in readers for row in reader.rows("event")), key=itemgetter(_VISIT_ID, 0))
    columns = columns_of(VISIT_COLUMNS, visits), columns_of(EVENT_COLUMNS, events)
    first = there[0]
    joined = write_chunk(connection, first.project_id, first.day, *columns, timezone=first.timezone)
    for chunk in there:
        delete_chunk(connection, chunk.id)
    return joined


def _month_end(day: int, zone: ZoneInfo) -> int:
    """UTC microseconds at which the calendar month of a day (since 1970) is over."""
    month = days_of_month(day)
    return day_start(month.first_day + month.days, zone)


def _reaches_over(chunk: Chunk, zone: ZoneInfo) -> bool:
    """Whether one of its visits ends in another month than its day's."""
    return month_of(local_day(chunk.end, zone)) != month_of(chunk.day)
