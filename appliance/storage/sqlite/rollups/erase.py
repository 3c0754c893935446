"""Takes erased visitors out of rollups whose raw data are gone. For processes that have numpy.

Such rollups cannot be made anew. Of a visitor they hold the identity, which goes, and sums over everybody, which stay.
"""

import sqlite3
from collections.abc import Iterable

from appliance.errors import ChunkDamaged
from appliance.storage.sqlite.rollups.index import Unit, delete_unit, insert_unit, units
from appliance.storage.units.erasing import without


def final_after(connection: sqlite3.Connection, project_id: int, start: int) -> Unit | None:
    """The next final unit after that which starts then, None after the last."""
    return next((unit for unit in units(connection, project_id) if unit.final and unit.start > start), None)


def erase_from(connection: sqlite3.Connection, unit: Unit, gone: Iterable[int]) -> None:
    """Take visitors out of a unit, inside the transaction that is open. One that cannot be read is removed."""
    select = "SELECT c.name, c.data FROM rollup_column c WHERE c.rollup_id = ?"
    columns = dict(connection.execute(select, (unit.id,)).fetchall())
    try:
        left = without(columns, gone)
    except ChunkDamaged:
        unit, left = unit._replace(usable=False), {}
    if left is not None:
        delete_unit(connection, unit)
        insert_unit(connection, unit, left)
