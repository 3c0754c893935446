"""What worlds stored in a SQLite file, in a PostgreSQL database as the drain would have stored it."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from appliance.model import ACQUISITION_FIELDS
from appliance.queries.conditions import Names
from appliance.queries.reports import Reports
from appliance.storage.calendar import local_day
from appliance.storage.event_ids import as_bytes
from appliance.storage.postgresql.database import PostgresqlDatabase
from appliance.storage.postgresql.dictionary import digest
from appliance.storage.postgresql.evaluator import PostgresqlEvaluator
from appliance.storage.postgresql.migrate import migrate
from appliance.storage.postgresql.partitions import Partitions
from tests.postgresql import Server


def move(path: Path, url: str) -> None:
    """Copy texts, visits and events of a file, of which nothing is sealed, into an empty database."""
    migrate(url)
    with closing(sqlite3.connect(path)) as source, psycopg.connect(url, autocommit=True) as target:
        source.row_factory = sqlite3.Row
        texts = [(*row, digest(row["text"])) for row in source.execute("SELECT * FROM dictionary")]
        fill(target, "dictionary", ["project_id", "dimension", "code", "text", "digest"], texts)
        visits = [dict(row) for row in source.execute("SELECT * FROM visit")]
        by_id = {visit["id"]: visit for visit in visits}
        for visit in visits:
            visit["placed"] = visit["start"]
        events = [dict(row) for row in source.execute("SELECT * FROM event")]
        for event in events:
            event["event_id"] = as_bytes(event["event_id"])
            event |= {name: by_id[event["visit_id"]][name] for name in ("visitor", *ACQUISITION_FIELDS)}
        zones = dict(source.execute("SELECT id, timezone FROM project").fetchall())
        projects = [dict(row) for row in source.execute("SELECT * FROM project")]
        partitions = Partitions()
        partitions.ensure(target, "visit", [visit["placed"] for visit in visits])
        partitions.ensure(target, "event", [event["time"] for event in events])
        for table, rows in (("visit", visits), ("event", events), ("project", projects)):
            if rows:
                fill(target, table, list(rows[0]), [tuple(row.values()) for row in rows])
        away = {
            (visit["project_id"], visit["salt_day"], visit["visitor"])
            for visit in visits
            if visit["salt_day"] is not None and is_away(visit, ZoneInfo(zones.get(visit["project_id"], "UTC")))
        }
        fill(target, "wanderer", ["project_id", "salt_day", "visitor"], sorted(away))
        for sequence in ("visit_id", "event_id"):  # what a drain takes next is nobody's
            target.execute("SELECT setval(%s, 1000000)", (sequence,))


def is_away(visit: dict[str, Any], zone: ZoneInfo) -> bool:
    """Whether a rotating visitor's visit lies outside the day of the salt, or reaches out of it."""
    return any(local_day(visit[edge], zone) != visit["salt_day"] for edge in ("start", "end"))


def fill(target: psycopg.Connection[Any], table: str, columns: list[str], rows: Sequence[Sequence[Any]]) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    with target.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as out:
        for row in rows:
            out.write_row(row)


def compress(url: str) -> int:
    """With TimescaleDB, move all visits and every other chunk of events into the columnstore; how many chunks."""
    with psycopg.connect(url, autocommit=True) as target:
        if target.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is None:
            return 0
        chunks = []
        for table, step in (("visit", 1), ("event", 2)):
            found = target.execute("SELECT CAST(c AS TEXT) FROM show_chunks(%s) c ORDER BY 1", (table,)).fetchall()
            chunks += [chunk for (chunk,) in found[::step]]
        for chunk in chunks:
            target.execute("SELECT compress_chunk(CAST(%s AS regclass))", (chunk,))
        return len(chunks)


@asynccontextmanager
async def asked(path: Path, server: Server, names: Names) -> AsyncIterator[tuple[Reports, PostgresqlDatabase]]:
    """Reports over what is in a file, of which nothing is sealed, from a database of a server."""
    url = server.new_database()
    move(path, url)
    compress(url)
    database, engine = PostgresqlDatabase(url), PostgresqlEvaluator(url)
    await database.open()
    try:
        yield Reports(engine, names), database
    finally:
        await engine.close()
        await database.close()
