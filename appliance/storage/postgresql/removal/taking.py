"""Taking visits with all their events out of the tables, one by one: what erasing somebody consists of.

Each function works inside the transaction that is open. A drain that is about to add to such a visit waits for its end,
then finds no visit, and does its batch again.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from appliance.storage.postgresql.removal.steps import Connection, fetch
from appliance.storage.postgresql.rollups.marks import DROP, TOUCH

# Of one transaction, unless one visit has more.
STEP_VISITS: Final = 100
STEP_EVENTS: Final = 25_000

_WHERE: Final = "{0}.project_id = %(project)s AND {0}.visitor = %(visitor)s"
# One visit at a time, by constants: so partitions, and batches of the columnstore, are passed over by what they hold.
_DELETE_VISIT: Final = (
    f"DELETE FROM visit v WHERE {_WHERE.format('v')} AND v.id = %(visit)s"
    ' AND v.placed >= %(low)s AND v.placed <= %(high)s RETURNING v.start, v."end"'
)
# The row of `seen` stays, so that a retry brings nothing back; it says no more which event that was, nor when.
_DELETE_EVENTS: Final = f"""
    WITH gone AS (
      DELETE FROM event e
      WHERE {_WHERE.format("e")} AND e.visit_id = %(visit)s AND e.time >= %(start)s AND e.time <= %(end)s
      RETURNING e.id, e.event_id),
    unlinked AS (
      UPDATE seen s SET event = 0, visit_id = 0, time = 0
      FROM gone g WHERE s.project_id = %(project)s AND s.event_id = g.event_id AND s.event = g.id)
    SELECT count(*) FROM gone
    """


class Removed(NamedTuple):
    """How much one step took out."""

    visits: int
    events: int


class Found(NamedTuple):
    """A visit that is to go. It is placed in [low, high] (UTC microseconds), and so are events that it was found by;
    `events` is about how many it has."""

    visit_id: int
    visitor: int
    low: int
    high: int
    events: int


def steps_of(found: Iterable[Found]) -> Iterator[list[Found]]:
    """As many as one step takes, again and again."""
    some: list[Found] = []
    events = 0
    for one in found:
        events += one.events
        if some and (len(some) == STEP_VISITS or events > STEP_EVENTS):
            yield some
            some, events = [], one.events
        some.append(one)
    if some:
        yield some


async def take_out(connection: Connection, project_id: int, found: Sequence[Found]) -> Removed:
    """Delete these visits, where they still are those visitors', with their events and who else is alias of them."""
    visits = events = 0
    days: list[int] = []
    for visit_id, visitor, low, high, _ in found:
        values = {"project": project_id, "visitor": visitor, "visit": visit_id, "low": low, "high": high}
        spans = await fetch(connection, _DELETE_VISIT, values)
        values |= {
            "start": min(low, *(start for start, _ in spans)) if spans else low,
            "end": max(high, *(end for _, end in spans)) if spans else high,
        }
        ((count,),) = await fetch(connection, _DELETE_EVENTS, values)
        visits += len(spans)
        events += count
        days += (values["start"], values["end"])
    if days:
        # Rollups keep some visitors by name: those of these days are made anew.
        await connection.execute(TOUCH, (project_id, min(days), max(days)))
        await connection.execute(DROP, (project_id, max(days), min(days)))
    ids = [one.visit_id for one in found]
    delete = "DELETE FROM alias WHERE project_id = %s AND visit_id = ANY(CAST(%s AS BIGINT[]))"
    await connection.execute(delete, (project_id, ids))
    await tell(connection)
    return Removed(visits, events)


async def tell(connection: Connection) -> None:
    """Let evaluators and drains drop what they remember: rows or texts that they may have in memory are gone.

    To be called last: until the transaction ends, others who remove anything wait.
    """
    await connection.execute(
        "INSERT INTO meta (name, value) VALUES ('hot_generation', '1')"
        " ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(meta.value AS BIGINT) + 1 AS TEXT)"
    )
