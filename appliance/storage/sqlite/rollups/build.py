"""Makes the rollups of a unit from its chunks. For processes that have numpy."""

import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np

from appliance.storage.rollup import Rollup
from appliance.storage.sqlite.chunks.columns import ChunkReader
from appliance.storage.sqlite.chunks.index import Chunk
from appliance.storage.sqlite.rollups.index import Unit, fingerprint, wanderers
from appliance.storage.units.facts import counted


def built(
    connection: sqlite3.Connection,
    unit: Unit,
    sources: Sequence[Chunk],
    catalog: Sequence[Rollup],
    others: Sequence[Chunk] = (),
) -> tuple[Unit, dict[str, bytes]]:
    """The unit as its chunks say, in the snapshot that is open on the connection, and its columns by name.

    `sources` are those chunks, at least one, and `others` those that reach into it. Raises ChunkDamaged.
    """
    known = wanderers(connection, unit.project_id, unit.first_day, unit.days)
    chunks, newest = fingerprint(sources)
    unit = unit._replace(chunks=chunks, newest_chunk=newest, wanderers=len(known))
    by_identity = [*known, *_in_others(connection, unit, others)]
    columns = counted([ChunkReader(connection, chunk) for chunk in sources], unit, by_identity, catalog)
    return unit._replace(usable=columns is not None), columns or {}


def _in_others(connection: sqlite3.Connection, unit: Unit, others: Sequence[Chunk]) -> Iterator[int]:
    """Visitors of visits inside a unit that stand in chunks which reach beyond it, as chunks of several days do: those
    visits are counted beside it, where nobody may be new who is known here.

    They get into such a chunk, or out of it, only by way of a chunk that is the unit's own.
    """
    for chunk in others:
        reader = ChunkReader(connection, chunk)
        inside = (reader.visit("start") >= unit.start) & (reader.visit("end") < unit.end)
        yield from np.asarray(reader.visit("visitor"))[np.asarray(inside)].tolist()
