"""Brings rollups up to what is sealed. For a process of its own: it needs numpy, and seconds of a CPU.

A unit is made in a snapshot, outside any transaction that writes; then it is stored in a short one, if its chunks are
still the same. So the drain never waits for it, and it may be killed at any instant.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from appliance.errors import ChunkDamaged
from appliance.model import ProjectSettings
from appliance.storage.calendar import day_start, local_day
from appliance.storage.retention import horizon
from appliance.storage.rollup import Rollup
from appliance.storage.sqlite.chunks.index import Chunk, chunks
from appliance.storage.sqlite.chunks.seal import SETTLED_AFTER
from appliance.storage.sqlite.rollups.build import built
from appliance.storage.sqlite.rollups.index import (
    Unit,
    count_wanderers,
    delete_all,
    delete_unit,
    final_units,
    fingerprint,
    has_columns,
    is_final,
    raw_purged_before,
    replace_unit,
    units,
)
from appliance.storage.sqlite.writer import WriteConnection, connect

Wanted = Callable[[Iterable[int], int], Iterable[tuple[int, int]]]  # sealed days, last closed day: first days, lengths


def refresh(path: Path, catalog: Sequence[Rollup], wanted: Wanted, now: int) -> Iterator[Unit]:
    """Make what is missing, was made of other chunks, or lacks an entry; remove what is not wanted any more.

    Each unit that comes out is stored. Raises StorageUnavailable, ChunkDamaged.
    """
    with closing(connect(path, read_only=True)) as reader, closing(WriteConnection(path)) as writer:
        for project_id, timezone, settings in reader.execute(
            "SELECT p.id, p.timezone, p.settings FROM project p ORDER BY p.id"
        ).fetchall():
            job = _Job(reader, writer, project_id, timezone, catalog)
            yield from job.run(wanted, now)
            days = msgspec.json.decode(settings, type=ProjectSettings).raw_retention_days
            if days:
                yield from job.make_final(horizon(now, days, ZoneInfo(timezone)))


def forget(path: Path) -> None:
    """Remove all rollups that the next refresh makes anew. Raises StorageUnavailable."""
    with closing(WriteConnection(path)) as writer:
        writer.step(delete_all)


class _Job:
    """One project's rollups."""

    def __init__(
        self,
        reader: sqlite3.Connection,
        writer: WriteConnection,
        project_id: int,
        timezone: str,
        catalog: Sequence[Rollup],
    ) -> None:
        self._reader, self._writer = reader, writer
        self._project_id, self._timezone = project_id, timezone
        self._zone = ZoneInfo(timezone)
        self._catalog = catalog

    def run(self, wanted: Wanted, now: int) -> Iterator[Unit]:
        chunks_now, known = self._chunks(self._reader), units(self._reader, self._project_id)
        purged = raw_purged_before(self._reader, self._project_id)
        days = [chunk.day for chunk in chunks_now if chunk.timezone == self._timezone]
        spans = list(wanted(days, local_day(now - SETTLED_AFTER, self._zone) - 1))
        for unit in known:
            if not unit.final and (unit.start < purged or (unit.first_day, unit.days) not in spans):
                self._write(partial(delete_unit, unit=unit))
        current = {(unit.first_day, unit.days): unit for unit in known if unit.timezone == self._timezone}
        for first_day, length in spans:
            before, unit = current.get((first_day, length)), self._unit(first_day, length)
            if unit.start < purged or (before is not None and before.final):
                continue
            if not self._is_current(before, unit.sources(chunks_now)) and (made := self._make(unit)):
                yield made

    def make_final(self, before: int) -> Iterator[Unit]:
        """Days before that time, of which raw data are left: what is to be known of them when those are gone."""
        there = [chunk for chunk in self._chunks(self._reader) if chunk.start < before]
        known = final_units(self._reader, self._project_id, self._timezone)
        purged = raw_purged_before(self._reader, self._project_id)
        days = {day for c in there for day in range(self._day(c.start), self._day(min(c.end, before - 1)) + 1)}
        for day in sorted(days):
            unit = self._unit(day, 1)
            unit = unit._replace(start=max(unit.start, purged), final=True)
            if unit.end <= purged or (unit.start in known and is_final(self._reader, known[unit.start], there)):
                continue
            if made := self._make(unit):
                yield made

    def _day(self, time: int) -> int:
        return local_day(time, self._zone)

    def _is_current(self, unit: Unit | None, there: Sequence[Chunk]) -> bool:
        if unit is None or unit.timezone != self._timezone or not unit.is_made_of(there):
            return False
        if count_wanderers(self._reader, unit) != unit.wanderers:
            return False
        return not unit.usable or has_columns(self._reader, unit, [entry.name for entry in self._catalog])

    def _make(self, unit: Unit) -> Unit | None:
        self._reader.execute("BEGIN")
        try:
            chunks = self._chunks(self._reader)
            there = unit.sources(chunks)
            if not there or self._has_other_days(unit, there):
                return None
            unit, columns = self._built(unit, there, unit.others(chunks))
        except ChunkDamaged:
            return None  # who asks is told; its chunks answer for the others
        finally:
            self._reader.execute("ROLLBACK")

        def store(connection: sqlite3.Connection) -> bool:
            same = fingerprint(unit.sources(self._chunks(connection))) == fingerprint(there)
            # A unit of purged days must not make way for one that shares a time with it.
            if is_right := same and unit.start >= raw_purged_before(connection, self._project_id):
                replace_unit(connection, unit, columns)
            return is_right

        return unit if self._write(store) else None

    def _has_other_days(self, unit: Unit, there: Sequence[Chunk]) -> bool:
        """Whether some were sealed by the days of another time zone, and will be sealed again. What cannot be read
        will not."""
        others = [chunk for chunk in there if chunk.timezone != self._timezone]
        return any(not unit.final or self._is_readable(unit, chunk) for chunk in others)

    def _built(self, unit: Unit, sources: Sequence[Chunk], others: Sequence[Chunk]) -> tuple[Unit, dict[str, bytes]]:
        try:
            return built(self._reader, unit, sources, self._catalog, others)
        except ChunkDamaged:
            if not unit.final:
                raise
        # What cannot be read must not keep the rest of its day from going when it is time.
        readable = [chunk for chunk in sources if self._is_readable(unit, chunk)]
        chunks, newest = fingerprint(sources)
        if not readable:
            noted = count_wanderers(self._reader, unit)
            return unit._replace(chunks=chunks, newest_chunk=newest, wanderers=noted, usable=False), {}
        made, columns = built(self._reader, unit, readable, self._catalog)
        return made._replace(chunks=chunks, newest_chunk=newest), columns

    def _is_readable(self, unit: Unit, chunk: Chunk) -> bool:
        try:
            built(self._reader, unit, [chunk], self._catalog)
        except ChunkDamaged:
            return False
        return True

    def _unit(self, first_day: int, days: int) -> Unit:
        start, end = (day_start(day, self._zone) for day in (first_day, first_day + days))
        return Unit(0, self._project_id, first_day, days, start, end, self._timezone, 0, 0, 0, False)

    def _chunks(self, connection: sqlite3.Connection) -> list[Chunk]:
        return chunks(connection, "c.project_id = ?", (self._project_id,))

    def _write(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return self._writer.step(work)
