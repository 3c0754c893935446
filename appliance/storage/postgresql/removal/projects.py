"""Deleted projects, once nobody may bring them back any more: all their rows go, in bounded steps.

Every table with a column `project_id` is emptied of the project, so that a table that is added later is not forgotten.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from appliance.storage.catalogue_version import BUMP
from appliance.storage.memberships import CONFINE
from appliance.storage.postgresql.connection import translated
from appliance.storage.postgresql.exclusion import keep_drains_out
from appliance.storage.postgresql.partitions import COLUMNS, PARTITION
from appliance.storage.postgresql.removal.steps import Connection, Transact, fetch, has_timescaledb
from appliance.storage.postgresql.removal.taking import tell
from appliance.storage.projects import DELETED_KEPT, DELETED_MARK

STEP_ROWS: Final = 10_000

_DUE: Final = f"""
    SELECT CAST(substr(m.name, {len(DELETED_MARK) + 1}) AS BIGINT) AS id FROM meta m
    WHERE starts_with(m.name, '{DELETED_MARK}') AND CAST(m.value AS BIGINT) < %s ORDER BY id
    """
# Without partitions, chunks and views, whose rows are their tables'.
_TABLES: Final = """
    SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND pg_table_is_visible(c.oid)
      AND a.attname = 'project_id' AND NOT a.attisdropped
    ORDER BY c.relname
    """
_COMPRESSED: Final = """
    SELECT format('%I.%I', c.chunk_schema, c.chunk_name) FROM timescaledb_information.chunks c
    WHERE c.is_compressed AND c.hypertable_name IN ('event', 'visit') ORDER BY c.chunk_schema, c.chunk_name
    """


async def remove_deleted(transact: Transact, now: int) -> AsyncIterator[int]:
    """Remove what was deleted long enough before `now` (UTC microseconds).

    After each committed step the number of projects that it finished comes out, which is 0 or 1.
    """
    for project_id in await transact(partial(_due, before=now - DELETED_KEPT)):
        if not await transact(partial(_seize, project_id=project_id)):
            continue  # brought back just now
        for chunk in await transact(_compressed_chunks):
            await transact(partial(_remove_segments, project_id=project_id, chunk=chunk))
            yield 0
        while not await transact(partial(_finish, project_id=project_id)):
            while await transact(partial(_remove_some, project_id=project_id)):
                yield 0
        yield 1


async def _due(connection: Connection, before: int) -> list[int]:
    return [project_id for (project_id,) in await fetch(connection, _DUE, (before,))]


async def _seize(connection: Connection, project_id: int) -> bool:
    """From now on nobody finds the project to bring it back, because a part of it is missing. False: it is back."""
    await connection.execute(translated(BUMP[0]), BUMP[1])  # first: so nobody brings it back meanwhile
    if not await fetch(connection, "SELECT 1 FROM meta WHERE name = %s", (f"{DELETED_MARK}{project_id}",)):
        return False
    await connection.execute(
        "UPDATE project SET public_id = 'removed/' || id, name = 'removed', domains = '[]' WHERE id = %s", (project_id,)
    )
    await connection.execute(translated(CONFINE), {"project": project_id})
    return True


async def _compressed_chunks(connection: Connection) -> list[str]:
    if not await has_timescaledb(connection):
        return []
    return [chunk for (chunk,) in await fetch(connection, _COMPRESSED)]


async def _remove_segments(connection: Connection, project_id: int, chunk: str) -> None:
    """Remove the project from a compressed chunk. Asked for by nothing else, its columns go without being rows first,
    which takes milliseconds however many there are."""
    await connection.execute(f"DELETE FROM {chunk} WHERE project_id = %s", (project_id,))


async def _remove_some(connection: Connection, project_id: int) -> bool:
    """Remove some rows of one table. False: there are none left."""
    for (table,) in await fetch(connection, _TABLES):
        if table in COLUMNS:
            removed = await _remove_stretch(connection, project_id, table, COLUMNS[table])
        else:
            some = f"SELECT t.ctid FROM {table} t WHERE t.project_id = %(project)s LIMIT {STEP_ROWS}"
            delete = f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({some})) AND project_id = %(project)s"
            removed = (await connection.execute(delete, {"project": project_id})).rowcount
        if removed:
            return True
    return False


async def _remove_stretch(connection: Connection, project_id: int, table: str, column: str) -> int:
    """Remove the oldest rows of a table that is cut by time."""
    oldest = f"SELECT t.{column} FROM {table} t WHERE t.project_id = %s ORDER BY t.{column} LIMIT {STEP_ROWS}"
    ((first, last),) = await fetch(
        connection, f"SELECT min(o.{column}), max(o.{column}) FROM ({oldest}) o", (project_id,)
    )
    if first is None:
        return 0
    values = (project_id, first, min(last, first + PARTITION))
    delete = f"DELETE FROM {table} WHERE project_id = %s AND {column} >= %s AND {column} <= %s"
    return (await connection.execute(delete, values)).rowcount


async def _finish(connection: Connection, project_id: int) -> bool:
    """Remove the project itself. False: some of it is left, or has just been stored."""
    await keep_drains_out(connection)
    for (table,) in await fetch(connection, _TABLES):
        if await fetch(connection, f"SELECT 1 FROM {table} WHERE project_id = %s LIMIT 1", (project_id,)):
            return False
    await connection.execute(translated(BUMP[0]), BUMP[1])  # drains take nothing of it any more
    await connection.execute("DELETE FROM project WHERE id = %s", (project_id,))
    await connection.execute("DELETE FROM meta WHERE name = %s", (f"{DELETED_MARK}{project_id}",))
    await tell(connection)
    return True
