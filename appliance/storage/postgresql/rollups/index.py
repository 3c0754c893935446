"""Which rollups there are in a snapshot, and whether they still say what the visits say.

Nothing marks a rollup as out of date. It knows the snapshot in which its visits were read; who writes old visits leaves
a row in `touched` with his transaction (marks.py), and one that the snapshot did not show came later, in whichever
order they were committed. Two facts are no visits of its own: wanderers, who must not be kept by number, and entries
that came into the catalogue. A snapshot that is ahead of the asker's is of another server, from which the database was
copied as text: numbers of transactions mean something else there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from appliance.storage.worker.pipe import Unit

# Beside the rollups of the catalogue: visits that reach across an edge of the unit, and their events (crossing.py).
CROSSING: Final[Mapping[str, str]] = {"visit": "crossing_visit", "event": "crossing_event"}

# Of a project, those that share a time with [low, high): by their start, the longer ones first.
_COLUMNS: Final = 'r.id, r.first_day, r.days, r.start, r."end", r.timezone, r.usable, r.final'
SELECT: Final = f"""
    SELECT {_COLUMNS},
           r.wanderers = (SELECT count(*) FROM wanderer w WHERE w.project_id = r.project_id
                          AND w.salt_day >= r.first_day AND w.salt_day < r.first_day + r.days)
           AND NOT EXISTS (SELECT 1 FROM touched t WHERE t.project_id = r.project_id
                           AND t.low < r."end" AND t.high >= r.start
                           AND NOT pg_visible_in_snapshot(t.xid, CAST(r.snapshot AS pg_snapshot)))
           AND pg_snapshot_xmax(CAST(r.snapshot AS pg_snapshot)) <= pg_snapshot_xmax(pg_current_snapshot())
           AND (r.usable = 0 OR (SELECT count(*) FROM rollup_column c WHERE c.rollup_id = r.id
                                 AND c.name = ANY(CAST(%(names)s AS TEXT[]))) = cardinality(%(names)s))
    FROM rollup r
    WHERE r.project_id = %(project)s AND r.start < %(high)s AND r."end" > %(low)s
    ORDER BY r.start, r.days DESC
    """


class Known(NamedTuple):
    """A unit, and whether it is right in the snapshot that was asked, and has the columns that were asked for."""

    unit: Unit
    is_current: bool


def values_of(project_id: int, names: Iterable[str], low: int, high: int) -> dict[str, Any]:
    """What SELECT needs bound."""
    return {"project": project_id, "names": sorted(set(names)), "low": low, "high": high}


def known(rows: Iterable[Sequence[Any]]) -> list[Known]:
    """The rows of SELECT."""
    return [
        Known(Unit(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]), bool(row[7])), bool(row[8]))
        for row in rows
    ]


def final_starts(there: Iterable[Known], timezone: str) -> set[int]:
    """Where the units start that say all of a day of a time zone that stored visits say, so that they may go."""
    return {u.start for u, is_current in there if u.final and is_current and u.timezone == timezone}
