"""Brings rollups up to the visits that are stored. For a process of its own: it needs numpy, and seconds of a CPU.

A unit is read, counted and stored in one transaction that sees one snapshot, so the job may be killed at any instant.
Of several appliances one at a time makes the units of a project.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import psycopg

from appliance.model import ProjectSettings
from appliance.storage.calendar import day_start, local_day
from appliance.storage.evaluation import BEGINNING, END
from appliance.storage.postgresql.connection import storage_errors, work_connection
from appliance.storage.postgresql.rollups.build import build, names
from appliance.storage.postgresql.rollups.index import SELECT, Known, final_starts, known, values_of
from appliance.storage.postgresql.rollups.marks import SETTLED_AFTER
from appliance.storage.retention import horizon
from appliance.storage.rollup import Rollup
from appliance.storage.worker.pipe import Unit

Wanted = Callable[[Iterable[int], int], Iterable[tuple[int, int]]]  # days, last closed day: first days, lengths

_LOCK: Final = 0x726F6C6C  # of PostgreSQL's advisory locks, with the project
_FIRST: Final = "SELECT e.time FROM event e WHERE e.project_id = %s ORDER BY e.time LIMIT 1"
# Only who makes the units of a project removes its marks: no unit is being made of an older snapshot meanwhile. Units
# of days that are purged answer whatever the marks say.
_FORGET: Final = """
    DELETE FROM touched t WHERE t.project_id = %(project)s AND NOT EXISTS (
        SELECT 1 FROM rollup r JOIN project p ON p.id = r.project_id
        WHERE r.project_id = t.project_id AND r.start <= t.high AND r."end" > t.low
        AND r."end" > coalesce(p.raw_purged_before, r.start)
        AND NOT pg_visible_in_snapshot(t.xid, CAST(r.snapshot AS pg_snapshot)))
    """

Connection = psycopg.Connection[Any]


def refresh(url: str, catalog: Sequence[Rollup], wanted: Wanted, now: int) -> Iterator[Unit]:
    """Make what is missing or not right any more; remove what is not wanted. Each unit that comes out is stored.

    Projects whose units another appliance makes just now are left to it. Raises StorageUnavailable.
    """
    with storage_errors(), closing(work_connection(url)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        select = "SELECT p.id, p.timezone, p.settings FROM project p ORDER BY p.id"
        for project_id, timezone, settings in connection.execute(select).fetchall():
            lock = (_LOCK, project_id)
            if connection.execute("SELECT pg_try_advisory_lock(%s, CAST(%s AS INTEGER))", lock).fetchone() != (True,):
                continue
            job = _Job(connection, project_id, timezone, catalog)
            yield from job.run(wanted, now)
            days = msgspec.json.decode(settings, type=ProjectSettings).raw_retention_days
            if days:
                yield from job.make_final(horizon(now, days, ZoneInfo(timezone)))
            connection.execute(_FORGET, {"project": project_id})
            connection.execute("SELECT pg_advisory_unlock(%s, CAST(%s AS INTEGER))", lock)


def forget(url: str) -> None:
    """Remove all rollups that can be made anew. Raises StorageUnavailable."""
    delete_all = (
        "DELETE FROM rollup r USING project p WHERE p.id = r.project_id"
        " AND (p.raw_purged_before IS NULL OR r.start >= p.raw_purged_before)"
    )
    with storage_errors(), closing(work_connection(url)) as connection:
        connection.execute(delete_all)


class _Job:
    """One project's rollups."""

    def __init__(self, connection: Connection, project_id: int, timezone: str, catalog: Sequence[Rollup]) -> None:
        self._connection = connection
        self._project_id, self._timezone = project_id, timezone
        self._zone = ZoneInfo(timezone)
        self._catalog = catalog

    def run(self, wanted: Wanted, now: int) -> Iterator[Unit]:
        """The days and months that are wanted."""
        first, purged = self._first_event(), self._purged_before()
        closed_day = local_day(now - SETTLED_AFTER, self._zone) - 1
        days = range(local_day(first, self._zone), closed_day + 1) if first is not None else range(0)
        known = self._known(names(self._catalog))
        spans = dict.fromkeys(wanted(days, closed_day))
        for unit, _ in known:
            if not unit.final and ((unit.first_day, unit.days) not in spans or unit.start < purged):
                self._connection.execute("DELETE FROM rollup r WHERE r.id = %s", (unit.id,))
        there = {(one.unit.first_day, one.unit.days): one for one in known if one.unit.timezone == self._timezone}
        for first_day, length in spans:
            before, unit = there.get((first_day, length)), self._unit(first_day, length)
            if unit.start < purged or (before is not None and before.unit.final):
                continue
            if before is None or not before.is_current:
                yield from self._make(unit)

    def make_final(self, before: int) -> Iterator[Unit]:
        """Days before that time, of which raw data are left: what is to be known of them when those are gone."""
        first, purged = self._first_event(), self._purged_before()
        if first is None:
            return
        there = final_starts(self._known(entry.name for entry in self._catalog), self._timezone)
        for day in range(local_day(first, self._zone), local_day(before - 1, self._zone) + 1):
            unit = self._unit(day, 1)
            unit = msgspec.structs.replace(unit, start=max(unit.start, purged), final=True)
            if unit.end > purged and unit.start not in there:
                yield from self._make(unit)

    def _make(self, unit: Unit) -> Iterator[Unit]:
        try:
            with self._connection.transaction():
                if unit.start < self._purged_before():
                    return
                made = build(self._connection, self._project_id, unit, self._catalog)
                # A unit of purged days must not make way for one that shares a time with it: fails if more was purged
                # meanwhile, and lets nobody purge before this is committed.
                self._connection.execute("SELECT FROM project p WHERE p.id = %s FOR SHARE", (self._project_id,))
        except psycopg.errors.SerializationFailure:
            return  # somebody removed the same unit, or wrote to the project; the next run makes it
        yield made

    def _known(self, wanted: Iterable[str]) -> list[Known]:
        values = values_of(self._project_id, wanted, BEGINNING, END)
        return known(self._connection.execute(SELECT, values).fetchall())

    def _first_event(self) -> int | None:
        row = self._connection.execute(_FIRST, (self._project_id,)).fetchone()
        return None if row is None else row[0]

    def _purged_before(self) -> int:
        select = "SELECT p.raw_purged_before FROM project p WHERE p.id = %s"
        row = self._connection.execute(select, (self._project_id,)).fetchone()
        return BEGINNING if row is None or row[0] is None else int(row[0])

    def _unit(self, first_day: int, days: int) -> Unit:
        start, end = (day_start(day, self._zone) for day in (first_day, first_day + days))
        return Unit(0, first_day, days, start, end, self._timezone, usable=False, final=False)
