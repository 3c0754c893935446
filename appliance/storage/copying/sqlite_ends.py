"""What a SQLite file is asked on either side of a copy."""

import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.errors import ConfigurationError
from appliance.storage.copying.ends import Totals
from appliance.storage.copying.tables import NUMBERED, carried
from appliance.storage.migrations import BASELINE, available
from appliance.storage.sqlite.chunks.columns import ChunkReader
from appliance.storage.sqlite.chunks.index import chunks

_TABLES: Final = ("visit", "event")


def identity_of(path: Path) -> str:
    return f"sqlite:{path.resolve()}"


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raises ConfigurationError when a file has not the schema of this version."""
    newest = BASELINE + len(available(files("appliance.storage.sqlite") / "migrations"))
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != newest:
        raise ConfigurationError(
            f"{path} has schema version {version}, this appliance copies from {newest}: run `appliance migrate` first"
        )


def count_carried(connection: sqlite3.Connection, table: str) -> int:
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {table} t WHERE {carried(table)}")
    return int(rows)


def newest_ids(connection: sqlite3.Connection) -> dict[str, int]:
    """By table the largest id that was ever given, as far as that is known."""
    given = dict(connection.execute("SELECT s.name, s.seq FROM sqlite_sequence s"))
    given |= {
        name.removeprefix("newest_"): int(value)
        for name, value in connection.execute(
            "SELECT m.name, m.value FROM meta m WHERE m.name LIKE 'newest\\_%' ESCAPE '\\'"
        )
    }
    newest = {}
    for table in (*NUMBERED, *_TABLES):
        ((largest,),) = connection.execute(f"SELECT coalesce(max(t.id), 0) FROM {table} t")
        newest[table] = max(largest, given.get(table, 0))
    for table in _TABLES:
        ((largest,),) = connection.execute(f"SELECT coalesce(max(c.last_{table}), 0) FROM chunk c")
        newest[table] = max(newest[table], largest)
    return newest


def totals(connection: sqlite3.Connection) -> dict[int, Totals]:
    """By project, rows and chunks counted. Raises ChunkDamaged."""
    projects = (
        "SELECT project_id FROM visit UNION SELECT project_id FROM event UNION SELECT project_id FROM chunk ORDER BY 1"
    )
    return {project: _totals(connection, project) for (project,) in connection.execute(projects).fetchall()}


def _totals(connection: sqlite3.Connection, project: int) -> Totals:
    # Of revenue the high and the low part, since what is summed here has 64 bits.
    of_events = (
        "SELECT count(*), coalesce(sum(e.engaged_ms), 0), coalesce(sum(e.revenue >> 32), 0),"
        " coalesce(sum(e.revenue & 0xFFFFFFFF), 0) FROM event e WHERE e.project_id = ?"
    )
    events, engaged, high, low = connection.execute(of_events, (project,)).fetchone()
    of_visits = "SELECT v.visitor FROM visit v WHERE v.project_id = ?"
    rows = (visitor for (visitor,) in connection.execute(of_visits, (project,)))
    hot: NDArray[np.int64] = np.fromiter(rows, np.int64)
    visits, visitors = len(hot), [np.unique(hot)]
    for chunk in chunks(connection, "c.project_id = ?", (project,)):
        reader = ChunkReader(connection, chunk)
        visits += len(reader.visit("id"))
        visitors.append(np.unique(np.asarray(reader.visit("visitor"))))
        events += len(reader.event("time"))
        engaged += int(reader.event("engaged_ms").sum())
        revenue = np.ma.filled(reader.event("revenue"), 0)
        high, low = high + int((revenue >> 32).sum()), low + int((revenue & 0xFFFFFFFF).sum())
    return Totals(visits, len(np.unique(np.concatenate(visitors))), events, engaged, (high << 32) + low)
