"""Which units a question is answered with: those that still say what their chunks say. For the query worker only.

A visitor kept by number alone must be in no visit outside his unit: units with a wanderer unknown to them, or whose
days' salts are met in hot rows, are left out.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from appliance.storage.evaluation import Rolled
from appliance.storage.packing import Ints
from appliance.storage.rollup import stored
from appliance.storage.sqlite.chunks.index import Chunk
from appliance.storage.sqlite.rollups.index import Unit, count_wanderers, has_columns
from appliance.storage.units.covering import chosen


class Cover(NamedTuple):
    """Units that lie in a range and do not overlap, and the chunks that they are made of."""

    units: tuple[Unit, ...]
    chunks: frozenset[int]


def cover(
    connection: sqlite3.Connection,
    asked: Rolled,
    span: tuple[int, int],
    known: Sequence[Unit],
    there: Sequence[Chunk],
    hot_salts: Ints,
    purged: int,
) -> Cover:
    """The units to answer with in a range, in the snapshot that is open. `hot_salts`: salt days of hot visits.

    Before the time `purged` those are final units, which need no check.
    """
    made_of: dict[int, list[Chunk]] = {}

    def fits(unit: Unit) -> bool:
        sources = made_of[unit.id] = unit.sources(there)
        if not unit.is_made_of(sources) or count_wanderers(connection, unit) != unit.wanderers:
            return False
        if not has_columns(connection, unit, map(stored, asked.names)):
            return False
        return not ((hot_salts >= unit.first_day) & (hot_salts <= unit.last_day)).any()

    found = chosen(asked, span, known, purged, fits)
    covered = (chunk.id for unit in found if not unit.final for chunk in made_of[unit.id])
    return Cover(tuple(found), frozenset(covered))
