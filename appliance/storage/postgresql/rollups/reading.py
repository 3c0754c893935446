"""Reads visits that touch a stretch of time, with all their events, as arrays. For processes that have numpy."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import psycopg

from appliance.clock import DAY
from appliance.storage.packing import Ints
from appliance.storage.postgresql.arrays import fetch
from appliance.storage.postgresql.rollups.crossing import Rows, Table
from appliance.storage.row_columns import SPAN

# What is read in one go: the time that a partition or a chunk has, about.
PIECE: Final = 8 * DAY

Connection = psycopg.Connection[Any]

_NEAR: Final = "visit x WHERE x.project_id = %(project)s AND x.placed >= %(low)s AND x.placed < %(high)s"
_TOUCHING: Final = 'x.start < %(end)s AND x."end" >= %(start)s'
_VISITS: Final = f"{_NEAR} AND {_TOUCHING}"
_EVENTS: Final = "event x WHERE x.project_id = %(project)s AND x.time >= %(low)s AND x.time < %(high)s"
_OF_VISITS: Final = f"{_EVENTS} AND x.visit_id = ANY(CAST(%(visits)s AS BIGINT[]))"
_OF_DAYS: Final = "x.salt_day BETWEEN %(first)s AND %(last)s"
_AWAY: Final = '(x.start < %(start)s OR x."end" >= %(end)s)'
_WANDERERS: Final = (
    "SELECT w.visitor FROM wanderer w WHERE w.project_id = %(project)s AND w.salt_day BETWEEN %(first)s AND %(last)s"
    f" UNION SELECT x.visitor FROM {_NEAR} AND {_OF_DAYS} AND {_AWAY}"
)
_NOTE_WANDERERS: Final = (
    "INSERT INTO wanderer (project_id, salt_day, visitor)"
    f" SELECT DISTINCT x.project_id, x.salt_day, x.visitor FROM {_NEAR} AND x.salt_day IS NOT NULL"
    f" AND CASE WHEN {_OF_DAYS} THEN {_AWAY} ELSE {_TOUCHING} END"
    " ON CONFLICT DO NOTHING"
)


class TooMuch(Exception):
    """There are more rows than were wanted."""


def read(
    connection: Connection,
    project_id: int,
    span: tuple[int, int],
    visit: Sequence[str],
    event: Sequence[str],
    rows_max: int = 0,
) -> Rows:
    """Visits that touch [start, end), by id, and all their events, visit by visit; `visit_id` is among their columns.

    Raises TooMuch when there are as many as `rows_max` of either; 0: there may be any number, read piece by piece.
    """
    start, end = span
    step = PIECE if rows_max == 0 else end - start + 2 * SPAN
    values = {"project": project_id, "start": start, "end": end}
    visit = tuple(dict.fromkeys(("id", "start", "end", *visit)))
    event = tuple(dict.fromkeys(("visit_id", *event)))
    visits = _joined(
        [
            fetch(connection, visit, _VISITS, values | piece, rows_max)
            for piece in _pieces(start - SPAN, end + SPAN, step)
        ],
        rows_max,
    )
    # All events inside are of these visits; outside are those of visits that reach across an edge.
    parts = [fetch(connection, event, _EVENTS, values | piece, rows_max) for piece in _pieces(start, end, step)]
    for low, high, crossing in (
        (start - SPAN, start, visits["start"] < start),
        (end, end + SPAN, visits["end"] >= end),
    ):
        if crossing.any():
            outside = values | {"low": low, "high": high, "visits": visits["id"][crossing].tolist()}
            parts.append(fetch(connection, event, _OF_VISITS, outside, rows_max))
    events = _joined(parts, rows_max)
    return Rows(_ordered(visits, "id"), _ordered(events, "visit_id"))


def wanderers(
    connection: Connection, project_id: int, days: tuple[int, int], span: tuple[int, int]
) -> tuple[int, list[int]]:
    """Rotating visitors with a salt of these days (first and last) who were met outside of it; how many are noted.

    Those that nobody noted, because the days had other edges when they came, lie near [start, end).
    """
    count = "SELECT count(*) FROM wanderer w WHERE w.project_id = %s AND w.salt_day BETWEEN %s AND %s"
    ((noted,),) = connection.execute(count, (project_id, *days)).fetchall()
    return noted, [visitor for (visitor,) in connection.execute(_WANDERERS, _near(project_id, days, span))]


def note_wanderers(connection: Connection, project_id: int, days: tuple[int, int], span: tuple[int, int]) -> None:
    """Note those among `wanderers` that nobody noted, and whoever is met in [start, end) with a salt of another day.

    Once these visits are purged nothing else tells it to the units of the days that their salts are of.
    """
    connection.execute(_NOTE_WANDERERS, _near(project_id, days, span))


def _near(project_id: int, days: tuple[int, int], span: tuple[int, int]) -> dict[str, int]:
    start, end = span
    return {
        "project": project_id, "first": days[0], "last": days[1], "start": start, "end": end,
        "low": start - 2 * DAY, "high": end + 2 * DAY,
    }  # fmt: skip


def _pieces(low: int, high: int, step: int) -> Iterator[dict[str, int]]:
    for start in range(low, high, step):
        yield {"low": start, "high": min(start + step, high)}


def _joined(parts: Sequence[Table], rows_max: int) -> Table:
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if rows_max and any(len(values) >= rows_max for values in table.values()):
        raise TooMuch
    return table


def _ordered(table: Table, by: str) -> Table:
    order: Ints = np.argsort(table[by], kind="stable")
    return {name: values[order] for name, values in table.items()}
