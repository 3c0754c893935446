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

from appliance.storage.rollup import Rollup
from appliance.storage.sqlite.chunk_index import Chunk, chunks
from appliance.storage.sqlite.rollup_build import built
from appliance.storage.sqlite.rollup_index import (
    Unit,
    count_wanderers,
    delete_all,
    delete_unit,
    fingerprint,
    has_columns,
    inside,
    replace_unit,
    units,
)
from appliance.storage.sqlite.seal import SETTLED_AFTER, day_start, local_day
from appliance.storage.sqlite.writer import WriteConnection, connect

Wanted = Callable[[Iterable[int], int], Iterable[tuple[int, int]]]  # sealed days, last closed day: first days, lengths


def refresh(path: Path, catalog: Sequence[Rollup], wanted: Wanted, now: int) -> Iterator[Unit]:
    """Make what is missing, was made of other chunks, or lacks an entry; remove what is not wanted any more.

    Each unit that comes out is stored. Raises StorageUnavailable, ChunkDamaged.
    """
    with closing(connect(path, read_only=True)) as reader, closing(WriteConnection(path)) as writer:
        for project_id, timezone in reader.execute("SELECT p.id, p.timezone FROM project p ORDER BY p.id").fetchall():
            job = _Job(reader, writer, project_id, timezone, catalog)
            yield from job.run(wanted, now)


def forget(path: Path) -> None:
    """Remove all rollups, so that the next refresh makes them anew. Raises StorageUnavailable."""
    with closing(WriteConnection(path)) as writer:
        writer.transaction(delete_all, durable=False)


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
        days = [chunk.day for chunk in chunks_now if chunk.timezone == self._timezone]
        spans = list(wanted(days, local_day(now - SETTLED_AFTER, self._zone) - 1))
        for unit in known:
            if (unit.first_day, unit.days) not in spans:
                self._write(partial(delete_unit, unit=unit))
        current = {(unit.first_day, unit.days): unit for unit in known}
        for first_day, length in spans:
            unit = self._unit(first_day, length)
            there = inside(chunks_now, unit.start, unit.end)
            if not self._is_current(current.get((first_day, length)), there) and (made := self._make(unit)):
                yield made

    def _is_current(self, unit: Unit | None, there: Sequence[Chunk]) -> bool:
        if unit is None or unit.timezone != self._timezone or not unit.is_made_of(there):
            return False
        if count_wanderers(self._reader, unit) != unit.wanderers:
            return False
        return not unit.usable or has_columns(self._reader, unit, [entry.name for entry in self._catalog])

    def _make(self, unit: Unit) -> Unit | None:
        self._reader.execute("BEGIN")
        try:
            there = inside(self._chunks(self._reader), unit.start, unit.end)
            if not there or any(chunk.timezone != self._timezone for chunk in there):
                return None
            unit, columns = built(self._reader, unit, there, self._catalog)
        finally:
            self._reader.execute("ROLLBACK")

        def store(connection: sqlite3.Connection) -> bool:
            same = fingerprint(inside(self._chunks(connection), unit.start, unit.end)) == fingerprint(there)
            if same:
                replace_unit(connection, unit, columns)
            return same

        return unit if self._write(store) else None

    def _unit(self, first_day: int, days: int) -> Unit:
        start, end = (day_start(day, self._zone) for day in (first_day, first_day + days))
        return Unit(0, self._project_id, first_day, days, start, end, self._timezone, 0, 0, 0, False)

    def _chunks(self, connection: sqlite3.Connection) -> list[Chunk]:
        return chunks(connection, "c.project_id = ?", (self._project_id,))

    def _write(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return self._writer.transaction(work, durable=False)
