"""Sealing: visits of days that are over move from rows into chunks, and back when something late changes them.

A visit belongs to the project-local day of its start, and goes with all its events. Visits that reach into the next day
have chunks of their own, so that the others add up to days and months (rollups). Every step is one transaction of
bounded size, in which the rows go and the chunk comes, so that it may be killed at any instant and run again. A step is
right whenever it is taken; when a day is due is only a matter of cost, because the drain unseals what it has to change.
"""

import sqlite3
from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from appliance.clock import DAY, HOUR, MINUTE
from appliance.errors import ChunkDamaged
from appliance.storage.calendar import day_start, local_day
from appliance.storage.sqlite.chunks.columns import EVENT_COLUMNS, VISIT_COLUMNS, ChunkReader, columns_of, write_chunk
from appliance.storage.sqlite.chunks.index import Chunk, chunks, delete_chunk
from appliance.storage.sqlite.steps import AMONG, Transact, fitting, listed, note_newest

# A chunk holds no more unless one visit does. Small parts of a day that came late are joined with those before.
CHUNK_EVENTS_MAX: Final = 50_000
SMALL_EVENTS: Final = CHUNK_EVENTS_MAX // 4
# After its last event a visit is left alone for as long as events on time may look for it: the drain asks for visits of
# the last 48 hours, and aliases are kept as long.
SETTLED_AFTER: Final = 2 * DAY
RECEIVED_BEFORE_MAX: Final = HOUR  # how long before its time an event can be received, and more (ingest: 5 minutes)

_QUARTER: Final = 15 * MINUTE  # local days begin at one of them


def _quoted(names: tuple[str, ...], alias: str = "") -> str:
    return ", ".join(f'{alias}"{name}"' for name in names)


_VISITS: Final = (
    f"SELECT {_quoted(VISIT_COLUMNS, 'v.')} FROM visit v WHERE v.project_id = :project"
    ' AND v.start >= :start AND v.start < :end AND v.events > 0 ORDER BY v."end" >= :end, v.id LIMIT :limit'
)
# In the order of ids, and no further than the last one that is wanted.
_EVENTS: Final = (
    f"SELECT {_quoted(EVENT_COLUMNS, 'e.')} FROM event e WHERE e.id >= ? AND e.project_id = ?"
    f" AND e.visit_id IN {AMONG} ORDER BY e.id LIMIT ?"
)


def seal_settled(transact: Transact, now: int) -> Iterator[Chunk]:
    """Seal every day whose visits all ended long enough before `now` (UTC microseconds), step by step.

    `transact` runs work in a write transaction; each chunk that comes out is committed.
    """
    projects = transact(lambda connection: connection.execute("SELECT id, timezone FROM project").fetchall())
    for project_id, timezone in projects:
        zone, before = ZoneInfo(timezone), now - SETTLED_AFTER
        yield from _seal_due(transact, project_id, zone, before)
        # One after the other, so that there are never many rows.
        for _ in _unsealed(transact, "c.project_id = ? AND c.timezone <> ?", (project_id, timezone)):
            yield from _seal_due(transact, project_id, zone, before)


def _seal_due(transact: Transact, project_id: int, zone: ZoneInfo, before: int) -> Iterator[Chunk]:
    for day in transact(partial(due_days, project_id=project_id, zone=zone, before=before)):
        join_parts(transact, project_id, day)
        while chunk := transact(partial(seal, project_id=project_id, day=day, zone=zone)):
            yield chunk


def join_parts(transact: Transact, project_id: int, day: int) -> None:
    """Bring the small chunks of a day back to rows, to be sealed together with what came late."""
    for _ in _unsealed(transact, "c.project_id = ? AND c.day = ? AND c.events < ?", (project_id, day, SMALL_EVENTS)):
        pass


def _unsealed(transact: Transact, where: str, parameters: tuple[int | str, ...]) -> Iterator[Chunk]:
    """Make rows of the chunks that a condition names, each in a transaction. One that is damaged stays as it is: it
    must not keep others from being sealed."""
    first = f"c.id = (SELECT min(c.id) FROM chunk c WHERE {where} AND c.id > ?)"
    last = 0

    def step(connection: sqlite3.Connection) -> Chunk | None:
        nonlocal last
        for chunk in chunks(connection, first, (*parameters, last)):
            last = chunk.id
            unseal(connection, chunk)
            return chunk
        return None

    while True:
        try:
            chunk = transact(step)
        except ChunkDamaged:
            continue
        if chunk is None:
            return
        yield chunk


def due_days(connection: sqlite3.Connection, project_id: int, zone: ZoneInfo, before: int) -> list[int]:
    """Local days (since 1970) with rows of visits that all ended before that time, in order."""
    select = f'SELECT v.start / {_QUARTER}, max(v."end") FROM visit v WHERE v.project_id = ? GROUP BY 1'
    ends: dict[int, int] = {}
    for quarter, end in connection.execute(select, (project_id,)):
        day = local_day(quarter * _QUARTER, zone)
        ends[day] = max(end, ends.get(day, end))
    return sorted(day for day, end in ends.items() if end < before)


def seal(connection: sqlite3.Connection, project_id: int, day: int, zone: ZoneInfo) -> Chunk | None:
    """Move visits that started on a local day, as many as a chunk takes, inside the transaction that is open.

    None when there are none: the day is sealed.
    """
    start, end = day_start(day, zone), day_start(day + 1, zone)
    span = {"project": project_id, "start": start, "end": end, "limit": CHUNK_EVENTS_MAX}
    found = connection.execute(_VISITS, span).fetchall()
    inside = sum(row[_END] < end for row in found)
    found = found[:inside] or found
    visits = found[: fitting((row[_EVENT_COUNT] for row in found), CHUNK_EVENTS_MAX)]
    events = _events_of(connection, project_id, visits)
    if not events:
        return None
    with_events = {row[_VISIT_ID] for row in events}
    visits = [row for row in visits if row[0] in with_events]
    columns = columns_of(VISIT_COLUMNS, visits), columns_of(EVENT_COLUMNS, events)
    chunk = write_chunk(connection, project_id, day, *columns, timezone=zone.key)
    connection.executemany(
        "INSERT OR IGNORE INTO wanderer (project_id, salt_day, visitor) VALUES (?, ?, ?)",
        (
            (project_id, row[_SALT_DAY], row[_VISITOR])
            for row in visits
            if row[_SALT_DAY] is not None and (row[_SALT_DAY] != day or row[_END] >= end)
        ),
    )
    note_newest(connection)
    for table, rows in (("visit", visits), ("event", events)):
        connection.execute(f"DELETE FROM {table} WHERE id IN {AMONG}", (listed(row[0] for row in rows),))
    return chunk


def unseal(connection: sqlite3.Connection, chunk: Chunk) -> None:
    """Make a chunk's visits and events rows again, inside the transaction that is open. Raises ChunkDamaged."""
    copy_rows(connection, chunk, "main")
    delete_chunk(connection, chunk.id)


def copy_rows(connection: sqlite3.Connection, chunk: Chunk, schema: Literal["main", "temp"]) -> None:
    """Insert a chunk's visits and events as rows into the tables of a schema. Raises ChunkDamaged."""
    reader = ChunkReader(connection, chunk)
    for table, columns in (("visit", VISIT_COLUMNS), ("event", EVENT_COLUMNS)):
        names, marks = _quoted(("project_id", *columns)), ", ".join("?" * (len(columns) + 1))
        rows = ((chunk.project_id, *row) for row in reader.rows(table))
        connection.executemany(f"INSERT INTO {schema}.{table} ({names}) VALUES ({marks})", rows)


_EVENT_COUNT, _START, _END, _SALT_DAY, _VISITOR = map(
    VISIT_COLUMNS.index, ("events", "start", "end", "salt_day", "visitor")
)
_VISIT_ID: Final = EVENT_COLUMNS.index("visit_id")


def _events_of(connection: sqlite3.Connection, project_id: int, visits: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """All events of visits, by visit and id.

    Nothing is received long before its time, and ids follow the receipt, unless a clock was set back: then not all are
    found where they should begin, and everything is looked through.
    """
    if not visits:
        return []
    visit_ids = listed([row[0] for row in visits])
    expected = sum(row[_EVENT_COUNT] for row in visits)
    begin = _first_received(connection, min(row[_START] for row in visits) - RECEIVED_BEFORE_MAX)
    found: list[tuple[Any, ...]] = []
    for after in (begin, 0):
        if len(found) < expected:
            found = connection.execute(_EVENTS, (after, project_id, visit_ids, expected)).fetchall()
    return sorted(found, key=itemgetter(_VISIT_ID, 0))


def _first_received(connection: sqlite3.Connection, time: int) -> int:
    """Where among the ids of events those received at that time or later begin, as far as ids follow the receipt."""
    (low, high) = connection.execute(
        "SELECT coalesce(min(e.id), 0), (SELECT max(l.id) FROM event l) FROM event e"
    ).fetchone()
    while low < (high or 0):
        middle = (low + high) // 2
        row = connection.execute("SELECT e.received FROM event e WHERE e.id >= ? ORDER BY e.id LIMIT 1", (middle,))
        if row.fetchone()[0] < time:
            low = middle + 1
        else:
            high = middle
    return int(low)
