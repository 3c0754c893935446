"""Purging by raw retention: visits that ended before the days that a project keeps go with all their events.

N days are the N whole local days before the running one, so that a question about the last N days finds all it asks
for. Every step is one transaction of bounded size, which also notes up to when something may be missing; it may be
killed at any instant and run again. Ids for deduplication and texts stay.

Rows are deleted, and whole chunks not dropped: a chunk holds all projects, and a visit at its edge has events in two.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from appliance.model import ProjectSettings
from appliance.storage.calendar import day_start, local_day
from appliance.storage.evaluation import BEGINNING
from appliance.storage.postgresql.aggregates import KEY, bucket_of
from appliance.storage.postgresql.partitions import PARTITION
from appliance.storage.postgresql.removal.steps import Connection, Transact, fetch
from appliance.storage.postgresql.removal.taking import STEP_EVENTS, Removed, tell
from appliance.storage.postgresql.rollups.index import SELECT, final_starts, known, values_of
from appliance.storage.retention import horizon
from appliance.storage.rollup import SLOT

STEP_VISITS: Final = 5_000

# In the order of their places, so that each step looks at a short stretch of time.
_NEXT: Final = """
    SELECT v.placed, v.events FROM visit v
    WHERE v.project_id = %(project)s AND v.placed >= %(since)s AND v.placed < %(before)s AND v."end" < %(before)s
    ORDER BY v.placed LIMIT %(most)s
    """
_DELETE_VISITS: Final = """
    DELETE FROM visit v
    WHERE v.project_id = %(project)s AND v.placed >= %(first)s AND v.placed <= %(last)s AND v."end" < %(before)s
    RETURNING v.id, v.start, v."end"
    """
# Views for others go on counting them.
_DELETE_EVENTS: Final = f"""
    WITH gone AS (
      DELETE FROM event e
      WHERE e.project_id = %(project)s AND e.time >= %(start)s AND e.time <= %(end)s
        AND e.visit_id = ANY(CAST(%(visits)s AS BIGINT[]))
      RETURNING {bucket_of("e.time", SLOT)} AS bucket, {KEY}),
    kept AS (
      INSERT INTO purged_count (bucket, {KEY}, events)
      SELECT g.bucket, {KEY}, count(*) FROM gone g GROUP BY g.bucket, {KEY}
      ON CONFLICT (project_id, bucket, source, name, kind, rate)
      DO UPDATE SET events = purged_count.events + excluded.events)
    SELECT count(*) FROM gone
    """
# Who makes units waits: what is final stays so until what is taken out is noted.
_PURGED: Final = "SELECT p.raw_purged_before FROM project p WHERE p.id = %s FOR NO KEY UPDATE"
_FIRST: Final = "SELECT e.time FROM event e WHERE e.project_id = %s ORDER BY e.time LIMIT 1"
# Once, for who is making a unit meanwhile has to begin anew.
_NOTE: Final = """
    UPDATE project SET raw_purged_before = %(before)s
    WHERE id = %(project)s AND (raw_purged_before IS NULL OR raw_purged_before < %(before)s)
    """


class _Step(NamedTuple):
    """What one step did, and where the next one goes on; None: there is nothing more."""

    removed: Removed
    since: int | None


async def purge_all(transact: Transact, now: int) -> AsyncIterator[Removed]:
    """Purge every project that keeps its raw data for some days only; `now` is in UTC microseconds.

    Each thing that comes out is a committed step that took rows out.
    """
    for project_id, timezone, settings in await transact(_projects):
        days = msgspec.json.decode(settings, type=ProjectSettings).raw_retention_days
        if days:
            zone = ZoneInfo(timezone)
            async for removed in purge(transact, project_id, horizon(now, days, zone), zone):
                yield removed


async def purgeable_until(connection: Connection, project_id: int, zone: ZoneInfo, before: int) -> int:
    """The first local day, up to `before`, with raw data of which rollups do not say all; UTC microseconds.

    It stays right until the transaction that is open ends.
    """
    purged = next((time for (time,) in await fetch(connection, _PURGED, (project_id,)) if time is not None), BEGINNING)
    if purged >= before or not (left := await fetch(connection, _FIRST, (project_id,))):
        return before
    there = known(await fetch(connection, SELECT, values_of(project_id, (), BEGINNING, before)))
    final = final_starts(there, zone.key)
    for day in range(local_day(max(left[0][0], purged), zone), local_day(before, zone)):
        start = max(day_start(day, zone), purged)
        if start not in final:
            return min(before, start)
    return before


async def purge(transact: Transact, project_id: int, before: int, zone: ZoneInfo) -> AsyncIterator[Removed]:
    """Take out a project's visits that ended before that time, no further than to the first local day whose rollups
    are not final."""
    take = partial(_take, project_id=project_id, before=before, zone=zone)
    since: int | None = BEGINNING
    while since is not None:
        removed, since = await transact(partial(take, since=since))
        if removed.visits:
            yield removed


async def _projects(connection: Connection) -> list[tuple[Any, ...]]:
    return await fetch(connection, "SELECT id, timezone, settings FROM project ORDER BY id")


async def _take(connection: Connection, project_id: int, before: int, zone: ZoneInfo, since: int) -> _Step:
    before = await purgeable_until(connection, project_id, zone, before)
    values: dict[str, Any] = {"project": project_id, "before": before, "since": since, "most": STEP_VISITS}
    due = await fetch(connection, _NEXT, values)
    if not due:
        return _Step(Removed(0, 0), None)
    first = last = due[0][0]
    events = 0
    for placed, count in due:
        events += count
        if placed > last and (events > STEP_EVENTS or placed >= first + PARTITION):
            break
        last = placed
    # Of those found, some may have been lengthened meanwhile; others, as old, may have come.
    gone = await fetch(connection, _DELETE_VISITS, values | {"first": first, "last": last})
    if not gone:
        return _Step(Removed(0, 0), last + 1)
    ids, starts, ends = (list(column) for column in zip(*gone, strict=True))
    values |= {"start": min(starts), "end": max(ends), "visits": ids}
    ((count,),) = await fetch(connection, _DELETE_EVENTS, values)
    await connection.execute(_NOTE, values)
    await tell(connection)
    return _Step(Removed(len(ids), count), last + 1)
