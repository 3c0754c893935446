"""Makes a unit from the rows of a snapshot. For processes that have numpy."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import psycopg
from numpy.typing import NDArray

from appliance.storage.packing import Ints
from appliance.storage.postgresql.rollups.crossing import Rows, Table, pack
from appliance.storage.postgresql.rollups.index import CROSSING
from appliance.storage.postgresql.rollups.reading import note_wanderers, read, wanderers
from appliance.storage.rollup import Rollup
from appliance.storage.units.facts import counted
from appliance.storage.worker.pipe import Unit

# What units are counted from beside the columns of the catalogue. Statements beside rollups read nothing else either.
_OF_VISITS: Final = ("id", "visitor", "salt_day", "start", "end", "pageviews", "events", "interactive", "rate")
_OF_EVENTS: Final = ("visit_id", "time", "kind", "rate", "name", "source")

_INSERT: Final = (
    'INSERT INTO rollup (project_id, first_day, days, start, "end", timezone, wanderers, usable, final, snapshot)'
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id"
)

Connection = psycopg.Connection[Any]


class _Reader:
    """Visits and their events, which are in that order, as `counted` reads them."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def visit(self, name: str) -> Ints:
        if name == "stored_events":
            places = np.searchsorted(self._rows.visit["id"], self._rows.event["visit_id"])
            return np.bincount(places, minlength=len(self._rows.visit["id"]))
        return self._rows.visit[name]

    def event(self, name: str) -> Ints:
        return self._rows.event[name]


def build(connection: Connection, project_id: int, unit: Unit, catalog: Sequence[Rollup]) -> Unit:
    """Count a unit and store it in place of those of as many days that share a time with it. Gives it with its id.

    All in the transaction that is open, which has to see one snapshot.
    """
    ((snapshot,),) = connection.execute("SELECT CAST(pg_current_snapshot() AS TEXT)").fetchall()
    span = (unit.start, unit.end)
    days = (unit.first_day, unit.last_day)
    if unit.final:
        note_wanderers(connection, project_id, days, span)
    noted, wandering = wanderers(connection, project_id, days, span)
    rows = read(connection, project_id, span, *_columns(catalog))
    inside = (rows.visit["start"] >= unit.start) & (rows.visit["end"] < unit.end)
    whole = rows if unit.final else _of(rows, inside)
    columns = counted([_Reader(whole)], unit, wandering, catalog)
    unit = msgspec.structs.replace(unit, usable=columns is not None)
    if columns is not None and not unit.final:
        crossing = _of(rows, ~inside)
        columns |= {CROSSING["visit"]: pack(crossing.visit), CROSSING["event"]: pack(crossing.event)}
    values = (*span, unit.timezone, noted, unit.usable, unit.final, snapshot)
    return _replace(connection, project_id, unit, values, columns or {})


def names(catalog: Iterable[Rollup]) -> list[str]:
    """What a unit that is not final has to have of a catalogue."""
    return [*(entry.name for entry in catalog), *CROSSING.values()]


def _columns(catalog: Sequence[Rollup]) -> tuple[Sequence[str], Sequence[str]]:
    of_visits = [entry.column for entry in catalog if entry.of == "visit"]
    of_events = [entry.column for entry in catalog if entry.of == "event"]
    return tuple(dict.fromkeys((*_OF_VISITS, *of_visits))), tuple(dict.fromkeys((*_OF_EVENTS, *of_events)))


def _of(rows: Rows, which: NDArray[np.bool]) -> Rows:
    """Some of the visits, and their events."""
    visit: Table = {name: values[which] for name, values in rows.visit.items()}
    there = np.isin(rows.event["visit_id"], visit["id"])
    return Rows(visit, {name: values[there] for name, values in rows.event.items()})


def _replace(
    connection: Connection, project_id: int, unit: Unit, values: Sequence[Any], columns: dict[str, bytes]
) -> Unit:
    others = 'DELETE FROM rollup r WHERE r.project_id = %s AND r.days = %s AND r.start < %s AND r."end" > %s'
    connection.execute(others, (project_id, unit.days, unit.end, unit.start))
    ((unit_id,),) = connection.execute(_INSERT, (project_id, unit.first_day, unit.days, *values)).fetchall()
    insert = "INSERT INTO rollup_column (rollup_id, name, data) VALUES (%s, %s, %s)"
    with connection.cursor() as cursor:
        cursor.executemany(insert, [(unit_id, name, data) for name, data in columns.items()])
    return msgspec.structs.replace(unit, id=unit_id)
