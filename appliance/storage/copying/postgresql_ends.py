"""What a PostgreSQL database is asked on either side of a copy."""

from typing import Any, Final

import psycopg

from appliance.storage.copying.ends import NOTHING, Totals
from appliance.storage.copying.tables import NUMBERED, carried
from appliance.storage.row_columns import EVENT, OF_VISIT

Connection = psycopg.Connection[tuple[Any, ...]]

EVENTS: Final = (*EVENT, *OF_VISIT)
# What is made in this database: of the rest of the row, or at the moment of the copy.
MADE: Final = {("dictionary", "digest"), ("rollup", "snapshot")}


def identity_of(connection: Connection) -> str:
    info = connection.info
    return f"postgresql://{info.host}:{info.port}/{info.dbname}"


def sequence(table: str) -> str:
    """What gives a table's ids."""
    return f"{table}_id_seq" if table in NUMBERED else f"{table}_id"


def types_of(connection: Connection, table: str) -> dict[str, str]:
    """The types of a table's columns, by name and in order."""
    select = (
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a"
        " WHERE a.attrelid = CAST(%s AS regclass) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    )
    return dict(connection.execute(select, (table,)).fetchall())


def count_carried(connection: Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table} t WHERE {carried(table)}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def totals(connection: Connection) -> dict[int, Totals]:
    """By project."""
    found = {}
    select = "SELECT v.project_id, count(*), count(DISTINCT v.visitor) FROM visit v GROUP BY 1"
    for project, visits, visitors in connection.execute(select):
        found[project] = NOTHING._replace(visits=visits, visitors=visitors)
    select = (
        "SELECT e.project_id, count(*), coalesce(sum(e.engaged_ms), 0), coalesce(sum(e.revenue), 0)"
        " FROM event e GROUP BY 1"
    )
    for project, events, engaged_ms, revenue in connection.execute(select):
        sums = {"events": events, "engaged_ms": engaged_ms, "revenue": revenue}
        found[project] = found.get(project, NOTHING)._replace(**sums)
    return found
