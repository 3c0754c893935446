"""The dataset in a PostgreSQL database, written as the drain would have stored it."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import psycopg

from appliance.model import ACQUISITION_FIELDS
from appliance.storage.dimensions import DICTIONARIES
from appliance.storage.postgresql.dictionary import digest
from appliance.storage.postgresql.migrate import migrate
from appliance.storage.postgresql.partitions import Partitions
from perf.dataset import DAY, PROPERTIES, Dataset
from perf.stored import PROJECT, ids, properties_of, text

BLOCK_ROWS = 50_000
_TYPES = {
    "event_id": "bytea", "properties": "text", "kind": "smallint", "flags": "smallint", "scroll_depth": "smallint",
    **dict.fromkeys(("id", "project_id", "visit_id", "visitor", "time", "received", "engaged_ms", "revenue", "start",
                     "end", "entry_at", "exit_at", "placed"), "bigint"),
}  # fmt: skip


def fill(url: str, data: Dataset) -> None:
    """Make the schema and write everything; nothing is in the columnstore yet."""
    migrate(url)
    with psycopg.connect(url, autocommit=True) as database:
        database.execute(
            "INSERT INTO project (id, public_id, name, created_at, updated_at) VALUES (%s, 'perf', 'Perf', 1, 1)",
            (PROJECT,),
        )
        columns = {**data.visit, **data.event}
        with database.cursor() as cursor:
            for column in DICTIONARIES.keys() & columns.keys():
                texts = [(code, text(column, code)) for code in range(1, int(columns[column].max()) + 1)]
                rows = [(PROJECT, DICTIONARIES[column], code, name, digest(name)) for code, name in texts]
                cursor.executemany("INSERT INTO dictionary VALUES (%s, %s, %s, %s, %s)", rows)
        partitions = Partitions()
        days = range(int(data.visit["start"].min()), int(data.event["time"].max()) + DAY, DAY)
        for table in ("visit", "event"):
            partitions.ensure(database, table, days)
        constants: dict[str, Any] = {"project_id": PROJECT, "rate": 1_000_000}
        firsts = dict.fromkeys(ACQUISITION_FIELDS, 0)
        visit: dict[str, Any] = {**data.visit, "placed": data.visit["start"]}
        _copy(database, "visit", visit, firsts | constants, {"salt_day": -1})
        of_visit = np.asarray(data.event["visit_id"]) - 1
        event: dict[str, Any] = {name: values for name, values in data.event.items() if name != "chance"}
        event["event_id"] = ids(data)
        for name in ACQUISITION_FIELDS:
            if name in data.visit:
                event[name] = np.asarray(data.visit[name])[of_visit]
        objects = np.array([*map(properties_of, range(PROPERTIES)), None], object)
        _copy(database, "event", event, {"flags": 0, **firsts, **constants}, {"revenue": -1}, {"properties": objects})
        database.execute("ANALYZE")


def compress(url: str) -> None:
    """Move all chunks into the columnstore, as the policy does with what is over."""
    with psycopg.connect(url, autocommit=True) as database:
        for table in ("visit", "event"):
            for (chunk,) in database.execute("SELECT CAST(c AS TEXT) FROM show_chunks(%s) c", (table,)).fetchall():
                database.execute("SELECT compress_chunk(CAST(%s AS regclass))", (chunk,))
        database.execute("VACUUM ANALYZE")


def _copy(
    database: psycopg.Connection[Any],
    table: str,
    columns: Mapping[str, Any],
    constants: Mapping[str, int],
    nulls: Mapping[str, int],
    objects: Mapping[str, Any] = {},
) -> None:
    constants = {name: value for name, value in constants.items() if name not in columns}
    names = [*columns, *constants]
    listed = ", ".join(f'"{name}"' for name in names)
    fixed = tuple(constants.values())
    with database.cursor() as cursor, cursor.copy(f"COPY {table} ({listed}) FROM STDIN (FORMAT BINARY)") as out:
        out.set_types([_TYPES.get(name, "integer") for name in names])
        for low in range(0, len(columns["id"]), BLOCK_ROWS):
            for row in _rows(columns, low, nulls, objects):
                out.write_row(row + fixed)


def _rows(
    columns: Mapping[str, Any], low: int, nulls: Mapping[str, int], objects: Mapping[str, Any]
) -> Iterator[tuple[Any, ...]]:
    lists = []
    for name, values in columns.items():
        block = values[low : low + BLOCK_ROWS]
        if name in objects:
            block = objects[name][block]
        found = block.tolist()
        if name in nulls:
            found = [None if value == nulls[name] else value for value in found]
        lists.append(found)
    return zip(*lists, strict=True)
