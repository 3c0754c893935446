"""Purging by raw retention: visits that ended before the days that a project keeps go with all their events.

N days are the N whole local days before the running one, so that a question about the last N days finds all it asks
for. Every step is one transaction of bounded size, which also notes up to when something may be missing; it may be
killed at any instant and run again. Ids for deduplication and texts stay.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from appliance.errors import ChunkDamaged
from appliance.model import ProjectSettings
from appliance.storage.calendar import day_start, local_day
from appliance.storage.retention import horizon
from appliance.storage.sqlite.chunks.columns import ChunkReader
from appliance.storage.sqlite.chunks.index import chunks
from appliance.storage.sqlite.removal.taking import Removed, remove_chunk, remove_from_chunk, remove_rows
from appliance.storage.sqlite.rollups.index import Unit, final_units, is_final, raw_purged_before
from appliance.storage.sqlite.steps import Transact

_FIRST: Final = "c.id = (SELECT min(o.id) FROM chunk o WHERE o.project_id = ? AND {})"
_VISITS: Final = 'SELECT v.id, v.events FROM visit v WHERE v.project_id = ? AND v."end" < ? ORDER BY v.id'
_NOTE: Final = (
    "UPDATE project SET raw_purged_before = max(coalesce(raw_purged_before, :before), :before) WHERE id = :project"
)


def purge_all(transact: Transact, now: int) -> Iterator[Removed]:
    """Purge every project that keeps its raw data for some days only; `now` is in UTC microseconds.

    Each thing that comes out is a committed step that took rows out.
    """
    select = "SELECT id, timezone, settings FROM project ORDER BY id"
    for project_id, timezone, settings in transact(lambda connection: connection.execute(select).fetchall()):
        days = msgspec.json.decode(settings, type=ProjectSettings).raw_retention_days
        if days:
            zone = ZoneInfo(timezone)
            yield from purge(transact, project_id, horizon(now, days, zone), zone)


def purge(transact: Transact, project_id: int, before: int, zone: ZoneInfo | None = None) -> Iterator[Removed]:
    """Take out a project's visits that ended before that time.

    With a time zone: no further than to the first local day whose rollups are not final.
    """
    purging = _Purging(project_id, before, zone)
    while (removed := transact(purging.step)) is not None:
        if removed.visits:
            yield removed


class _Purging:
    """One purge of one project. After a step that failed it is not used any more."""

    def __init__(self, project_id: int, before: int, zone: ZoneInfo | None) -> None:
        self._project_id = project_id
        self._before = before
        self._zone = zone
        self._chunk = 0  # up to here chunks of which a part may go were looked at; those made since have larger ids

    def step(self, connection: sqlite3.Connection) -> Removed | None:
        """One step. None: nothing is left to do."""
        if self._zone is not None:
            self._before = final_until(connection, self._project_id, self._zone, self._before)
        removed = self._whole_chunk(connection) or self._part_of_chunk(connection) or self._rows(connection)
        if removed is not None and removed.visits:
            connection.execute(_NOTE, {"before": self._before, "project": self._project_id})
        return removed

    def _whole_chunk(self, connection: sqlite3.Connection) -> Removed | None:
        over = chunks(connection, _FIRST.format('o."end" < ?'), (self._project_id, self._before))
        return remove_chunk(connection, over[0]) if over else None

    def _part_of_chunk(self, connection: sqlite3.Connection) -> Removed | None:
        condition = _FIRST.format("o.start < ? AND o.id > ?")
        for chunk in chunks(connection, condition, (self._project_id, self._before, self._chunk)):
            self._chunk = chunk.id
            # One that is damaged goes as soon as all of it is over, without being read.
            with suppress(ChunkDamaged):
                reader = ChunkReader(connection, chunk)
                over = reader.visit("id")[np.asarray(reader.visit("end")) < self._before].tolist()
                return remove_from_chunk(connection, chunk, over) if over else Removed(0, 0)
            return Removed(0, 0)
        return None

    def _rows(self, connection: sqlite3.Connection) -> Removed | None:
        visits = connection.execute(_VISITS, (self._project_id, self._before)).fetchall()
        return remove_rows(connection, visits) if visits else None


def final_until(connection: sqlite3.Connection, project_id: int, zone: ZoneInfo, before: int) -> int:
    """The first local day, up to `before`, with raw data of which rollups do not say all, as UTC microseconds."""
    purged = raw_purged_before(connection, project_id)
    if purged >= before:
        return before
    there = chunks(connection, "c.project_id = ?", (project_id,))
    known = final_units(connection, project_id, zone.key)
    oldest = "SELECT min(v.start) FROM visit v WHERE v.project_id = ?"
    starts = [chunk.start for chunk in there[:1]]
    starts += [start for (start,) in connection.execute(oldest, (project_id,)) if start is not None]
    first = max(min(starts, default=before), purged)
    for day in range(local_day(first, zone), local_day(before, zone)):
        start, end = max(day_start(day, zone), purged), day_start(day + 1, zone)
        unit = known.get(start) or Unit(0, project_id, day, 1, start, end, zone.key, 0, 0, 0, False, True)
        if not is_final(connection, unit, there):
            return min(before, start)
    return before
