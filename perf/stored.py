"""The dataset as a file of the appliance: written as the drain would have stored it, then sealed and rolled up by the
product's own jobs. What is no column of the comparison has its usual size all the same."""

import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from appliance.clock import now
from appliance.model import ACQUISITION_FIELDS
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted
from appliance.storage.dimensions import DICTIONARIES
from appliance.storage.sqlite.chunks.seal import seal_settled
from appliance.storage.sqlite.migrate import migrate
from appliance.storage.sqlite.rollups.job import refresh
from appliance.storage.sqlite.writer import WriteConnection
from perf.dataset import NAMES, PROPERTIES, Dataset, Ints

PROJECT = 1
BLOCK_ROWS = 100_000
PAGEVIEW = "pageview"


def make_file(path: Path, data: Dataset) -> None:
    """Write, seal, roll up; says how long the jobs took and what the file costs."""
    events = len(data.event["id"])
    _write(path, data)
    began = time.perf_counter()
    _seal(path)
    sealed = time.perf_counter()
    bytes_sealed = path.stat().st_size
    for _ in refresh(path, CATALOG, wanted, now()):
        pass
    rolled = time.perf_counter()
    connection = WriteConnection(path)
    connection.settle("TRUNCATE")
    connection.close()
    bytes_rolled = path.stat().st_size - bytes_sealed
    print(
        f"sealed in {sealed - began:.0f} s, {bytes_sealed / events:.1f} bytes an event;"
        f" rolled up in {rolled - sealed:.0f} s, {bytes_rolled / events:.1f} more"
    )


def text(column: str, code: int) -> str:
    """The text of a code."""
    if column == "country":  # two letters
        return chr(65 + code // 26) + chr(65 + code % 26)
    if column == "name":
        return PAGEVIEW if code == 1 else f"event {code - 1}"
    if column == "currency":
        return "EUR"
    return f"/page/{code}" if column == "path" else f"{column} {code}"


def _write(path: Path, data: Dataset) -> None:
    migrate(path, path.parent)
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-200000; PRAGMA wal_autocheckpoint=100000;")
    database.execute("BEGIN")
    database.execute(
        "INSERT INTO project (id, public_id, name, created_at, updated_at) VALUES (?, 'perf', 'Perf', 1, 1)", (PROJECT,)
    )
    columns = {**data.visit, **data.event}
    for column in DICTIONARIES.keys() & columns.keys():
        codes = range(1, int(columns[column].max()) + 1)
        texts = [(PROJECT, DICTIONARIES[column], code, text(column, code)) for code in codes]
        database.executemany("INSERT INTO dictionary VALUES (?, ?, ?, ?)", texts)
    visit = dict.fromkeys(ACQUISITION_FIELDS, 0) | {"project_id": PROJECT, "rate": 1_000_000}
    salt = _or_null(data.visit["salt_day"])
    _insert(database, "visit", data.visit | {"salt_day": salt}, visit)
    objects = np.array([*(properties_of(number) for number in range(PROPERTIES)), None], object)
    event = {name: values for name, values in data.event.items() if name not in ("visitor", "chance")}
    event |= {"properties": objects[event["properties"]], "revenue": _or_null(event["revenue"]), "event_id": ids(data)}
    _insert(database, "event", event, {"flags": 0, "project_id": PROJECT, "rate": 1_000_000})
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def properties_of(number: int) -> str:
    """One of PROPERTIES objects of custom events, as JSON."""
    return f'{{"plan":"plan {number % 7}","button":"the {number}th button of {NAMES}"}}'


def _or_null(values: Ints) -> Any:
    found = values.astype(object)
    found[values < 0] = None
    return found


def ids(data: Dataset) -> Any:
    """Event ids of our own form: six bytes of milliseconds, four of chance."""
    milliseconds = (data.event["time"] // 1000).astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
    chance = data.event["chance"].astype(">u4").view(np.uint8).reshape(-1, 4)
    return np.ascontiguousarray(np.hstack((milliseconds, chance))).view("V10").ravel()


def _seal(path: Path) -> None:
    connection = WriteConnection(path)
    for _ in seal_settled(connection.step, now()):
        pass
    connection.settle("TRUNCATE")
    connection.close()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("VACUUM")  # the rows were never there in a real file, where days are sealed as they pass
    database.close()


def _insert(
    database: sqlite3.Connection, name: str, columns: Mapping[str, Any], constants: Mapping[str, object]
) -> None:
    constants = {column: value for column, value in constants.items() if column not in columns}
    names = ", ".join(f'"{column}"' for column in (*columns, *constants))
    marks = ", ".join("?" * (len(columns) + len(constants)))
    fixed = tuple(constants.values())
    for low in range(0, len(columns["id"]), BLOCK_ROWS):
        rows = zip(*(values[low : low + BLOCK_ROWS].tolist() for values in columns.values()), strict=True)
        database.executemany(f"INSERT INTO {name} ({names}) VALUES ({marks})", (row + fixed for row in rows))
