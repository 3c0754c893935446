"""Statements over all stored visits and events, sealed or not, outside the query worker: exports and plain counts.

Each chunk's rows are laid into temporary tables `visit` and `event`, which hide the real ones, and the statement runs
over them; then it runs over the rows that are hot. All of it sees one snapshot, and one chunk at a time is in memory.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from appliance.storage.interface import Counts, Row
from appliance.storage.sqlite.chunks.index import Chunk, chunks


def stored_rows(
    connection: sqlite3.Connection, select: str, project_id: int, start: int, end: int, batch_rows: int
) -> Iterator[list[Row]]:
    """Batches of the rows of a SELECT over `event` and `visit` that takes :project_id, :start and :end and looks at no
    visit that does not touch [start, end). Chunks come by their start, what is hot comes last. Raises ChunkDamaged.

    The connection is used for nothing else, before and after.
    """
    parameters = {"project_id": project_id, "start": start, "end": end}
    connection.execute("BEGIN")
    where = 'c.project_id = ? AND c.start < ? AND c."end" >= ?'
    sealed = chunks(connection, where, (project_id, end, start))
    if sealed:
        for (table,) in connection.execute(
            "SELECT m.sql FROM main.sqlite_master m WHERE m.type = 'table' AND m.name IN ('visit', 'event')"
        ).fetchall():
            connection.execute(table.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
    for chunk in sealed:
        _lay(connection, chunk)
        yield from _batches(connection, select, parameters, batch_rows)
    if sealed:
        connection.execute("DROP TABLE temp.visit")
        connection.execute("DROP TABLE temp.event")
    yield from _batches(connection, select, parameters, batch_rows)
    connection.execute("COMMIT")


def count_stored(connection: sqlite3.Connection, project_id: int) -> Counts:
    """Count what is stored of a project, in the snapshot that is open on the connection. Raises ChunkDamaged."""
    select = """
        SELECT count(*), coalesce(sum(e.kind = 0), 0), (SELECT count(*) FROM visit v WHERE v.project_id = :project),
               min(e.time), max(e.time)
        FROM event e WHERE e.project_id = :project
        """
    events, pageviews, visits, first, last = connection.execute(select, {"project": project_id}).fetchone()
    distinct = "SELECT DISTINCT v.visitor FROM visit v WHERE v.project_id = ?"
    visitors = {visitor for (visitor,) in connection.execute(distinct, (project_id,))}
    times = [] if first is None else [first, last]
    for chunk in chunks(connection, "c.project_id = ?", (project_id,)):
        from appliance.storage.sqlite.chunks.columns import ChunkReader

        reader = ChunkReader(connection, chunk)
        events += chunk.events
        visits += chunk.visits
        pageviews += int((reader.event("kind") == 0).sum())
        visitors.update(reader.visit("visitor").tolist())
        times += [int(reader.event("time").min()), int(reader.event("time").max())]
    return Counts(events, pageviews, visits, len(visitors), min(times, default=None), max(times, default=None))


def _lay(connection: sqlite3.Connection, chunk: Chunk) -> None:
    from appliance.storage.sqlite.chunks.seal import copy_rows

    connection.execute("DELETE FROM temp.visit")
    connection.execute("DELETE FROM temp.event")
    copy_rows(connection, chunk, "temp")


def _batches(
    connection: sqlite3.Connection, select: str, parameters: Mapping[str, Any], batch_rows: int
) -> Iterator[list[Row]]:
    cursor = connection.execute(select, parameters)
    while rows := cursor.fetchmany(batch_rows):
        yield rows
