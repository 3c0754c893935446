"""Takes erased visitors out of rollups whose raw data are gone. For processes that have numpy."""

from collections.abc import Collection
from typing import Any, Final

import psycopg

from appliance.errors import ChunkDamaged
from appliance.storage.units.erasing import without

_FINAL: Final = (
    "SELECT r.id FROM rollup r WHERE r.project_id = %s AND r.final = 1 AND r.usable = 1 ORDER BY r.first_day"
)
_COLUMNS: Final = "SELECT c.name, c.data FROM rollup_column c WHERE c.rollup_id = %s"
# Under an id that was never given, because workers keep what they read of the old one.
_RENUMBER: Final = (
    "UPDATE rollup SET id = nextval(pg_get_serial_sequence('rollup', 'id')), usable = %s WHERE id = %s RETURNING id"
)

Connection = psycopg.Connection[Any]


def erase_from_final(connection: Connection, project_id: int, gone: Collection[int]) -> int:
    """Take visitors out of all final units of a project, each in a transaction of its own; how many units had them.

    A unit that cannot be read is not used any more.
    """
    changed = 0
    for (unit_id,) in connection.execute(_FINAL, (project_id,)).fetchall():
        with connection.transaction():
            changed += _erase(connection, unit_id, gone)
    return changed


def _erase(connection: Connection, unit_id: int, gone: Collection[int]) -> bool:
    columns = dict(connection.execute(_COLUMNS, (unit_id,)).fetchall())
    try:
        left = without(columns, gone)
    except ChunkDamaged:
        left, columns = {}, {}
    if left is None:
        return False
    connection.execute("DELETE FROM rollup_column WHERE rollup_id = %s", (unit_id,))
    ((new_id,),) = connection.execute(_RENUMBER, (1 if left else 0, unit_id)).fetchall()
    insert = "INSERT INTO rollup_column (rollup_id, name, data) VALUES (%s, %s, %s)"
    with connection.cursor() as cursor:
        cursor.executemany(insert, [(new_id, name, data) for name, data in left.items()])
    return True
