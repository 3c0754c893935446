"""How `event` and `visit` are cut by time: hypertables with TimescaleDB, partitions of PostgreSQL without it.

Times are whole numbers, UTC microseconds. Hypertables make their chunks themselves; other partitions are made when the
first row of their weeks comes.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import psycopg

from appliance.clock import DAY
from appliance.errors import ConfigurationError

# Rows that grow need room beside them: then no index need be told.
FILL: Final = {"visit": 70, "event": 95}
COLUMNS: Final = {"event": "time", "visit": "placed"}
CHUNK: Final = 7 * DAY
# What tells that none of a thousand rows can be meant, so that they are not unpacked.
SPARSE: Final = {
    "visit": 'minmax(rate), minmax(start), minmax("end"), bloom(id)',
    "event": 'minmax(rate), bloom(path), bloom(name), bloom("user"), bloom(visit_id)',
}
# So long after a chunk's end its rows become columns: hardly anything changes them any more.
SETTLED: Final = 3 * DAY
PARTITION: Final = 28 * DAY  # without columns there is less to gain from small ones, and planning takes longer

OLDEST: Final = (2, 22)  # the first version of TimescaleDB that is told of sparse indexes

_NATIVE: Final = re.compile(r"\) PARTITION BY RANGE \(\w+\);")
_LOCK: Final = 0x70617274  # of PostgreSQL's advisory locks; held while a partition is made
_NOW: Final = """
    CREATE FUNCTION appliance_now() RETURNS BIGINT LANGUAGE SQL STABLE AS
    $$ SELECT CAST(extract(epoch FROM now()) * 1000000 AS BIGINT) $$
    """

Connection = psycopg.Connection[tuple[Any, ...]]


class Extension(NamedTuple):
    """TimescaleDB in one database: which version the server has, and which is in use; '' for none."""

    available: str
    installed: str


def extension(connection: Connection) -> Extension:
    """What there is of TimescaleDB."""
    select = "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'timescaledb'"
    available, installed = connection.execute(select).fetchone() or (None, None)
    return Extension(available or "", installed or "")


def add_extension(connection: Connection) -> bool:
    """Have TimescaleDB in an empty database, where the server has it loaded. Gives whether it is there now. Raises
    ConfigurationError where it is too old."""
    found = extension(connection)
    if found.installed:
        _check_version(found.installed)
        return True
    # One that the server did not load at its start ends the connection of who asks for it; it has no settings then.
    select = "SELECT 1 FROM pg_settings WHERE name LIKE 'timescaledb.%'"
    if not found.available or connection.execute(select).fetchone() is None:
        return False
    _check_version(found.available)
    try:
        with connection.transaction():
            connection.execute("CREATE EXTENSION timescaledb")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def _check_version(version: str) -> None:
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ConfigurationError(
            f"TimescaleDB {version} is too old: {oldest} or newer is needed, or a server that does not load it"
        )


def schema_for_hypertables(schema: str) -> str:
    """The schema without partitions of PostgreSQL's."""
    return _NATIVE.sub(");", schema)


def make_hypertables(connection: Connection) -> None:
    """Make hypertables of the empty tables `event` and `visit`."""
    connection.execute(_NOW)
    for table, column in COLUMNS.items():
        connection.execute(f"ALTER TABLE {table} SET (fillfactor = {FILL[table]})")
        connection.execute(
            "SELECT create_hypertable(CAST(%s AS regclass), by_range(%s, CAST(%s AS BIGINT)),"
            " create_default_indexes => false)",
            (table, column, CHUNK),
        )
        connection.execute("SELECT set_integer_now_func(CAST(%s AS regclass), 'appliance_now')", (table,))
        connection.execute(
            f"ALTER TABLE {table} SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'project_id',"
            f" timescaledb.orderby = 'visitor, {column}', timescaledb.sparse_index = '{SPARSE[table]}')"
        )
        connection.execute(f"CALL add_columnstore_policy('{table}', after => CAST({SETTLED:d} AS BIGINT))")


def is_partitioned(connection: Connection, table: str) -> bool:
    """Whether a table has partitions of PostgreSQL's, and so is no hypertable, whatever extensions there are."""
    found = connection.execute("SELECT relkind FROM pg_class WHERE oid = CAST(%s AS regclass)", (table,))
    return found.fetchone() == ("p",)


class Partitions:
    """Makes the partitions that rows need. Remembers those that are there."""

    def __init__(self) -> None:
        self._native: bool | None = None
        self._there: set[tuple[str, int]] = set()

    def forget(self) -> None:
        self._native = None
        self._there.clear()

    def ensure(self, connection: Connection, table: str, times: Iterable[int]) -> None:
        """Have partitions of a table for rows of these times. In a transaction of its own, on an idle connection."""
        if self._native is None:
            self._native = is_partitioned(connection, table)
        if not self._native:
            return
        for number in {time // PARTITION for time in times}:
            if (table, number) not in self._there:
                _make(connection, table, number)
                self._there.add((table, number))


def _make(connection: Connection, table: str, number: int) -> None:
    name = f"{table}_{number}" if number >= 0 else f"{table}_before_{-number}"
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if connection.execute("SELECT to_regclass(%s)", (name,)).fetchone() != (None,):
            return
        # Attached, because a partition made in one step would lock the table against everybody.
        connection.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS) WITH (fillfactor = {FILL[table]})")
        limits = f"FROM ({number * PARTITION:d}) TO ({(number + 1) * PARTITION:d})"
        connection.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {limits}")
