"""How a drain changes visits and events that are stored: recent ones together, old ones one at a time.

What is old may be in the columnstore. What is changed there becomes rows first, and so do all rows that may be meant as
far as constants tell: by project, visitor and time a batch or two, by a join the whole chunk.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import psycopg

from appliance.clock import now
from appliance.errors import TryAgain
from appliance.model import Visit
from appliance.storage.postgresql import statements as sql
from appliance.storage.postgresql.partitions import SETTLED
from appliance.storage.row_columns import GROWING, MUTABLE

Connection = psycopg.Connection[tuple[Any, ...]]


class VisitGone(TryAgain):
    """A visit that the drain remembers was removed just now; what it stored now would belong to nothing."""


class Engagement(NamedTuple):
    """What is added to a stored event."""

    project_id: int
    visitor: int
    time: int
    event: int
    scroll_depth: int
    engaged_ms: int


def grow_visits(connection: Connection, visits: Sequence[Visit]) -> None:
    """Write what a next event usually changes of visits. Raises VisitGone."""
    recent, old = _by_age(visits)
    _update(connection, sql.GROW_VISITS, GROWING, recent)
    for visit in old:
        if not connection.execute(sql.GROW_VISIT, _values(GROWING, visit)).rowcount:
            raise VisitGone


def change_visits(connection: Connection, visits: Sequence[Visit]) -> None:
    """Write all that changed of visits, and whose their events are. Raises VisitGone."""
    recent, old = _by_age(visits)
    _update(connection, sql.UPDATE_VISITS, MUTABLE, recent)
    for visit in recent:
        values = {"visitor": visit.visitor, "project": visit.project_id, "id": visit.id}
        connection.execute(sql.REKEY, values | {"start": visit.start, "end": visit.end})
    for visit in old:
        values = _values(MUTABLE, visit)
        if connection.execute(sql.UPDATE_VISIT, values).rowcount:
            continue
        before = connection.execute(sql.OWNER, values).fetchone()  # it was another visitor's until now
        if before is None:
            raise VisitGone
        values["owner"] = before[0]
        if not connection.execute(sql.UPDATE_VISIT, values).rowcount:
            raise VisitGone
        connection.execute(sql.REKEY_ONE, values)


def engage(connection: Connection, engagement: Sequence[Engagement]) -> None:
    """Add to events what was said of them."""
    since = now() - SETTLED
    recent = [said for said in engagement if said.time >= since]
    for said in engagement:
        if said.time < since:
            connection.execute(sql.ENGAGE_ONE, said._asdict())
    if recent:
        times = [said.time for said in recent]
        connection.execute(sql.ENGAGE, (*sql.columns_of(recent), min(times), max(times)))


def _by_age(visits: Iterable[Visit]) -> tuple[list[Visit], list[Visit]]:
    """Recent ones and old ones."""
    since = now() - SETTLED
    parts: tuple[list[Visit], list[Visit]] = ([], [])
    for visit in visits:
        parts[visit.start < since].append(visit)
    return parts


def _update(connection: Connection, update: str, columns: Sequence[str], visits: Sequence[Visit]) -> None:
    if visits:
        lists = sql.columns_of(map(attrgetter(*columns, "id", "start", "end"), visits))
        bounds = (min(visit.start for visit in visits), max(visit.end for visit in visits))
        if connection.execute(update, (*lists, *bounds)).rowcount != len(visits):
            raise VisitGone


def _values(columns: Sequence[str], visit: Visit) -> dict[str, Any]:
    """The values with which one visit is changed, unless it was another visitor's until now."""
    values = {name: getattr(visit, name) for name in (*columns, "project_id", "id")}
    return values | {"owner": visit.visitor, "low": visit.start, "high": visit.end}
