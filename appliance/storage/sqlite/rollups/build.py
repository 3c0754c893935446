"""Makes the rollups of a unit from its chunks. For processes that have numpy."""

import sqlite3
from collections.abc import Sequence

from appliance.storage.rollup import Rollup
from appliance.storage.sqlite.chunks.columns import ChunkReader
from appliance.storage.sqlite.chunks.index import Chunk
from appliance.storage.sqlite.rollups.index import Unit, fingerprint, wanderers
from appliance.storage.units.facts import counted


def built(
    connection: sqlite3.Connection, unit: Unit, sources: Sequence[Chunk], catalog: Sequence[Rollup]
) -> tuple[Unit, dict[str, bytes]]:
    """The unit as its chunks say, in the snapshot that is open on the connection, and its columns by name.

    `sources` are those chunks, at least one. Raises ChunkDamaged.
    """
    known = wanderers(connection, unit.project_id, unit.first_day, unit.days)
    chunks, newest = fingerprint(sources)
    unit = unit._replace(chunks=chunks, newest_chunk=newest, wanderers=len(known))
    columns = counted([ChunkReader(connection, chunk) for chunk in sources], unit, known, catalog)
    return unit._replace(usable=columns is not None), columns or {}
