"""Deleted projects, once nobody may bring them back any more: all their rows go, in bounded steps.

Every table with a column `project_id` is emptied of the project, so that a table that is added later is not forgotten.
"""

import sqlite3
from collections.abc import Iterator
from functools import partial
from typing import Final

from appliance.storage.catalogue_version import BUMP
from appliance.storage.memberships import CONFINE
from appliance.storage.projects import DELETED_KEPT, DELETED_MARK
from appliance.storage.sqlite.steps import Transact, note_newest

STEP_ROWS: Final = 5_000
# Tables whose rows have parts elsewhere: where, and by which column. These go one row in a step, because of the parts.
_PARTS: Final = {"chunk": ("chunk_column", "chunk_id"), "rollup": ("rollup_column", "rollup_id")}


def remove_deleted(transact: Transact, now: int) -> Iterator[int]:
    """Remove what was deleted long enough before `now` (UTC microseconds).

    After each committed step the number of projects that it finished comes out, which is 0 or 1.
    """
    for project_id in transact(partial(_due, before=now - DELETED_KEPT)):
        if not transact(partial(_seize, project_id=project_id)):
            continue  # brought back just now
        while transact(partial(_remove_some, project_id=project_id)):
            yield 0
        transact(partial(_finish, project_id=project_id))
        yield 1


def _due(connection: sqlite3.Connection, before: int) -> list[int]:
    select = (
        f"SELECT CAST(substr(m.name, {len(DELETED_MARK) + 1}) AS INTEGER) FROM meta m"
        f" WHERE m.name LIKE '{DELETED_MARK}%' AND CAST(m.value AS INTEGER) < ? ORDER BY 1"
    )
    return [project_id for (project_id,) in connection.execute(select, (before,))]


def _seize(connection: sqlite3.Connection, project_id: int) -> bool:
    """From now on nobody finds the project to bring it back, because a part of it is missing. False: it is back."""
    if not connection.execute("SELECT 1 FROM meta WHERE name = ?", (f"{DELETED_MARK}{project_id}",)).fetchone():
        return False
    connection.execute(
        "UPDATE project SET public_id = 'removed/' || id, name = 'removed', domains = '[]' WHERE id = ?", (project_id,)
    )
    connection.execute(CONFINE, {"project": project_id})
    note_newest(connection)
    return True


def _remove_some(connection: sqlite3.Connection, project_id: int) -> bool:
    """Remove some rows of one table. False: there are none left."""
    for table, key in _tables(connection):
        select = f"SELECT {key} FROM {table} WHERE project_id = ? LIMIT {1 if table in _PARTS else STEP_ROWS}"
        rows = connection.execute(select, (project_id,)).fetchall()
        if rows:
            if table in _PARTS:
                parts, column = _PARTS[table]
                connection.executemany(f"DELETE FROM {parts} WHERE {column} = ?", rows)
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"DELETE FROM {table} WHERE ({key}) = ({marks})", rows)
            return True
    return False


def _tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Tables with rows of projects, and the columns of their primary keys."""
    select = (
        "SELECT m.name, group_concat('\"' || k.name || '\"', ', ') FROM sqlite_master m, pragma_table_info(m.name) k"
        " WHERE m.type = 'table' AND k.pk > 0"
        " AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) c WHERE c.name = 'project_id')"
        " GROUP BY m.name ORDER BY m.name"
    )
    return connection.execute(select).fetchall()


def _finish(connection: sqlite3.Connection, project_id: int) -> None:
    connection.execute("DELETE FROM project WHERE id = ?", (project_id,))
    connection.execute("DELETE FROM meta WHERE name = ?", (f"{DELETED_MARK}{project_id}",))
    connection.execute(*BUMP)  # drains take nothing of it any more
