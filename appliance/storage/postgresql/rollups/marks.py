"""What whoever writes visits leaves for rollups: where old ones came or changed, and who was met outside his day.

Nothing else tells that a rollup is out of date. The marks are written in the transaction that writes the visits, so a
reader sees both or neither.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg

from appliance.clock import HOUR
from appliance.model import Visit
from appliance.storage.calendar import day_start

# Rollups are made of local days that ended at least 25 hours ago (SETTLED_AFTER), of what an earlier snapshot shows. So
# what starts later than this needs no mark, unless a transaction or the difference of two clocks takes five hours.
OLD: Final = 20 * HOUR
SETTLED_AFTER: Final = 25 * HOUR
_BOUNDS_KEPT: Final = 10_000
_UTC: Final = ZoneInfo("UTC")

TOUCH: Final = (
    "INSERT INTO touched (project_id, low, high, xid) VALUES (%s, %s, %s, pg_current_xact_id())"
    " ON CONFLICT (project_id, xid) DO UPDATE SET low = least(touched.low, excluded.low),"
    " high = greatest(touched.high, excluded.high)"
)
# Removes rollups of a stretch of time that can be made anew, because what they hold of somebody has to go: a project,
# the last and the first instant. Beside TOUCH, in one transaction: a unit that is just being made is not seen here, but
# never answers.
DROP: Final = 'DELETE FROM rollup r WHERE r.project_id = %s AND r.final = 0 AND r.start <= %s AND r."end" > %s'
_WANDER: Final = (
    "INSERT INTO wanderer (project_id, salt_day, visitor) SELECT u.project_id, u.salt_day, u.visitor"
    " FROM unnest(CAST(%s AS bigint[]), CAST(%s AS bigint[]), CAST(%s AS bigint[])) u (project_id, salt_day, visitor)"
    " ON CONFLICT DO NOTHING"
)

Connection = psycopg.Connection[tuple[Any, ...]]


def touch(connection: Connection, project_id: int, low: int, high: int) -> None:
    """Let no rollup that was made before this transaction answer for a time in [low, high] (UTC microseconds).

    For every transaction that adds, changes or removes visits of days that are over; `low` is where the first of them
    starts, `high` where the last one ends, before or after the change, whichever is further.
    """
    connection.execute(TOUCH, (project_id, low, high))


class Marks:
    """Writes both for the visits of a batch."""

    def __init__(self) -> None:
        self._zones: dict[int, ZoneInfo] = {}
        self._bounds: dict[tuple[int, int], tuple[int, int]] = {}  # of a project's day: where it begins and ends

    def set_zones(self, timezones: Mapping[int, str]) -> None:
        """The time zones of all projects, by which their days are told."""
        self._zones = {project_id: ZoneInfo(name) for project_id, name in timezones.items()}
        self._bounds.clear()

    def write(self, connection: Connection, visits: Iterable[Visit], at: int) -> None:
        """Mark visits that the open transaction writes at UTC microseconds `at`."""
        old = at - OLD
        spans: dict[int, tuple[int, int]] = {}
        wanderers: set[tuple[int, int, int]] = set()
        for visit in visits:
            if visit.start < old:
                low, high = spans.get(visit.project_id, (visit.start, visit.end))
                spans[visit.project_id] = (min(low, visit.start), max(high, visit.end))
            if visit.salt_day is not None:
                start, end = self._day(visit.project_id, visit.salt_day)
                if visit.start < start or visit.end >= end:
                    wanderers.add((visit.project_id, visit.salt_day, visit.visitor))
        for project_id, span in sorted(spans.items()):
            touch(connection, project_id, *span)
        if wanderers:
            connection.execute(_WANDER, [list(column) for column in zip(*sorted(wanderers), strict=True)])

    def _day(self, project_id: int, day: int) -> tuple[int, int]:
        found = self._bounds.get((project_id, day))
        if found is None:
            if len(self._bounds) >= _BOUNDS_KEPT:
                self._bounds.clear()
            zone = self._zones.get(project_id, _UTC)
            found = self._bounds[project_id, day] = (day_start(day, zone), day_start(day + 1, zone))
        return found
