"""What worlds stored in a SQLite file, in a PostgreSQL database as the drain would have stored it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

from appliance.model import ACQUISITION_FIELDS
from appliance.storage.event_ids import as_bytes
from appliance.storage.postgresql.dictionary import digest
from appliance.storage.postgresql.migrate import migrate
from appliance.storage.postgresql.partitions import Partitions


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
        partitions = Partitions()
        partitions.ensure(target, "visit", [visit["placed"] for visit in visits])
        partitions.ensure(target, "event", [event["time"] for event in events])
        for table, rows in (("visit", visits), ("event", events)):
            if rows:
                fill(target, table, list(rows[0]), [tuple(row.values()) for row in rows])


def fill(target: psycopg.Connection, table: str, columns: list[str], rows: list[tuple]) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    with target.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as out:
        for row in rows:
            out.write_row(row)
