"""Which chunks there are. Without numpy: the drain asks it for every visitor, and nearly never needs a chunk."""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple


class Chunk(NamedTuple):
    """What is known of a chunk without reading its columns. Times are UTC microseconds."""

    id: int
    project_id: int
    day: int  # days since 1970 in the project's calendar; its visits started on it
    visits: int
    events: int
    start: int  # the earliest of its visits
    last_start: int
    end: int  # the latest of its visits
    first_visit: int  # smallest and largest ids
    last_visit: int
    first_event: int
    last_event: int
    timezone: str = ""  # whose calendar `day` counts
    sampled: bool = False  # whether some visit or event has another rate than UNSAMPLED


_COLUMNS: Final = ", ".join(f'c."{name}"' for name in Chunk._fields)
_INSERTED: Final = ", ".join(f'"{name}"' for name in Chunk._fields[1:])
_INSERT: Final = f"INSERT INTO chunk ({_INSERTED}) VALUES ({', '.join('?' * (len(Chunk._fields) - 1))})"


def chunks(connection: sqlite3.Connection, where: str, parameters: Sequence[int | str]) -> list[Chunk]:
    """Chunks (alias c) that the condition names, in the order of their start."""
    select = f'SELECT {_COLUMNS} FROM chunk c WHERE {where} ORDER BY c."start", c.id'
    return [Chunk(*row) for row in connection.execute(select, parameters)]


def add_chunk(connection: sqlite3.Connection, chunk: Chunk) -> Chunk:
    """The chunk with the id that it gets; its columns are stored apart."""
    chunk_id = connection.execute(_INSERT, chunk[1:]).lastrowid
    assert chunk_id is not None
    return chunk._replace(id=chunk_id)


def delete_chunk(connection: sqlite3.Connection, chunk_id: int) -> None:
    """Remove a chunk and its columns."""
    connection.execute("DELETE FROM chunk_column WHERE chunk_id = ?", (chunk_id,))
    connection.execute("DELETE FROM chunk WHERE id = ?", (chunk_id,))
