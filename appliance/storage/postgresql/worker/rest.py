"""What the units that answer a question do not speak of, as arrays: visits and their events. For the query worker only.

Visits across the edges of units are in the units themselves; those of the stretches that no unit covers are read.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg

from appliance.storage.dimensions import CARRIED
from appliance.storage.evaluation import NotRolledUp, Plan
from appliance.storage.postgresql.rollups.crossing import Rows, together, unpack
from appliance.storage.postgresql.rollups.index import CROSSING
from appliance.storage.postgresql.rollups.reading import TooMuch, read
from appliance.storage.worker.pipe import Unit

COVERS_KEPT: Final = 16
# Of visits, what tells who is counted twice.
_OF_REST: Final = ("visitor", "start", "end")

Connection = psycopg.Connection[Any]


def blobs(connection: Connection, ids: Sequence[int], name: str) -> list[bytes]:
    """The columns of that name, packed, of units that have it."""
    select = (
        "SELECT c.data FROM unnest(CAST(%s AS BIGINT[])) WITH ORDINALITY u (id, place)"
        " JOIN rollup_column c ON c.rollup_id = u.id AND c.name = %s ORDER BY u.place"
    )
    found = [data for (data,) in connection.execute(select, (list(ids), name))]
    if len(found) != len(ids):
        raise NotRolledUp
    return found


def stretches(span: tuple[int, int], units: Sequence[Unit]) -> Iterator[tuple[int, int]]:
    """The parts of a range that no unit covers; units come in their order."""
    low, high = span
    for unit in units:
        if low < unit.start:
            yield low, unit.start
        low = max(low, unit.end)
    if low < high:
        yield low, high


class Crossings:
    """Visits across the edges of units, kept by the units that a question was answered with."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, ...], list[Rows]] = OrderedDict()

    def forget(self) -> None:
        """Drop all: codes may mean something else now."""
        self._kept.clear()

    @property
    def nbytes(self) -> int:
        return sum(
            values.nbytes
            for parts in self._kept.values()
            for rows in parts
            for table in rows
            for values in table.values()
        )

    def of(self, connection: Connection, units: Sequence[Unit]) -> list[Rows]:
        """Those of units that are not final. Raises ChunkDamaged."""
        ids = tuple([unit.id for unit in units if not unit.final])
        if ids not in self._kept:
            visits, events = (blobs(connection, ids, CROSSING[table]) for table in ("visit", "event"))
            parts = [Rows(unpack(visit), unpack(event)) for visit, event in zip(visits, events, strict=True)]
            # One part instead of many, without what several of them have.
            named = [(tuple(parts[0].visit), tuple(parts[0].event))] if parts else []
            alike = all((tuple(part.visit), tuple(part.event)) == named[0] for part in parts)
            self._kept[ids] = [together(parts, *named[0])] if parts and alike else parts
            if len(self._kept) > COVERS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(ids)
        return self._kept[ids]


def rest(
    connection: Connection,
    plan: Plan,
    span: tuple[int, int],
    units: Sequence[Unit],
    crossing: Sequence[Rows],
    rows_max: int,
) -> Rows:
    """The columns that a plan names of the visits that touch a range and lie inside none of these units, and of all
    their events.

    Raises NotRolledUp when a stretch has as many as `rows_max` visits or events, or units lack a column.
    """
    visit = tuple(dict.fromkeys((*plan.rest_visit, *_OF_REST)))
    event = tuple(dict.fromkeys(("visit_id", *plan.rest_event)))
    of_visits = (*visit, *(name for name in event if name in CARRIED))
    of_events = tuple(name for name in event if name not in CARRIED)
    try:
        parts = [
            read(connection, plan.project_id, stretch, of_visits, of_events, rows_max)
            for stretch in stretches(span, units)
        ]
        return together([*parts, *crossing], visit, event)
    except (TooMuch, KeyError) as error:
        raise NotRolledUp from error
