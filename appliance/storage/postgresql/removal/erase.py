"""Erasing people: everything that is stored of those whom table `erasure` names goes, step by step.

Every step is one transaction of bounded size, so that it may be killed at any instant and run again; what is still to
do stands in the database. First it is found out who they are. Then their visits go, and their dead letters. Drains may
store more of them all the while; so then, while no drain is at work, what came since goes, and that it was they is
forgotten: the user's text makes way for one of chance, and nobody ever stores under its code again. What others' visits
have under that code, which imports alone can bring about, goes last: it takes a look at every event of the project, and
drains should not wait for that.

Rows of `seen` stay, with no event: they hold no one's data, and without them a retry would bring an event back.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

from appliance.clock import now
from appliance.storage.postgresql.dictionary import digest
from appliance.storage.postgresql.exclusion import keep_drains_out
from appliance.storage.postgresql.removal.letters import take_letters, take_some
from appliance.storage.postgresql.removal.person import USER, Known, Person, find_out
from appliance.storage.postgresql.removal.steps import Connection, Transact, fetch
from appliance.storage.postgresql.removal.taking import Found, Removed, steps_of, take_out, tell
from appliance.storage.row_columns import SPAN

VISITS_FOUND: Final = 10_000  # by one look

_OF_VISITORS: Final = f"""
    SELECT v.id, v.visitor, v.placed, v.placed, v.events FROM visit v
    WHERE v.project_id = %s AND v.visitor = ANY(CAST(%s AS BIGINT[])) ORDER BY v.visitor, v.placed LIMIT {VISITS_FOUND}
    """
_OF_USERS: Final = f"""
    SELECT v.id, v.visitor, v.placed, v.placed, v.events FROM visit v
    WHERE v.project_id = %s AND v."user" = ANY(CAST(%s AS INTEGER[])) ORDER BY v.placed LIMIT {VISITS_FOUND}
    """
# A user may have an event in a visit that is not theirs only where an import says so; that visit goes too.
_WITH_USERS: Final = f"""
    SELECT e.visit_id, e.visitor, max(e.time) - {SPAN}, min(e.time) + {SPAN}, count(*) FROM event e
    WHERE e.project_id = %s AND e."user" = ANY(CAST(%s AS INTEGER[])) GROUP BY e.visit_id, e.visitor
    LIMIT {VISITS_FOUND}
    """

_FINAL: Final = (
    "SELECT 1 FROM erasure e JOIN rollup r ON r.project_id = e.project_id WHERE e.id = %s AND r.final = 1 LIMIT 1"
)

Look = Callable[[Connection, int], Awaitable[list[Found]]]


async def erase_all(
    transact: Transact, take_from_rollups: Callable[[int], Awaitable[object]] | None = None
) -> AsyncIterator[Removed]:
    """Carry out all erasures that were asked for; each thing that comes out is a committed step that took rows out.

    `take_from_rollups` takes those whom an erasure is about out of what is kept of purged days, before it is forgotten
    who they are.
    """
    while (erasure_id := await transact(_next)) is not None:
        await find_out(transact, erasure_id)
        async for removed in _take_all(transact, erasure_id, _of_visitors):
            yield removed
        await take_letters(transact, erasure_id)
        if take_from_rollups is not None and await transact(partial(_has_final, erasure_id=erasure_id)):
            await take_from_rollups(erasure_id)
        if (removed := await transact(partial(_forget, erasure_id=erasure_id))).visits:
            yield removed
        async for removed in _take_all(transact, erasure_id, _of_codes_or_end):
            yield removed


async def _has_final(connection: Connection, erasure_id: int) -> bool:
    return bool(await fetch(connection, _FINAL, (erasure_id,)))


async def _next(connection: Connection) -> int | None:
    ((erasure_id,),) = await fetch(connection, "SELECT min(e.id) FROM erasure e WHERE e.erased_at IS NULL")
    return None if erasure_id is None else int(erasure_id)


async def _take_all(transact: Transact, erasure_id: int, look: Look) -> AsyncIterator[Removed]:
    """Take out what a look finds, until it finds nothing."""
    while found := await transact(lambda connection: look(connection, erasure_id)):
        for some in steps_of(found):
            yield await transact(partial(_take, erasure_id=erasure_id, found=some))


async def _take(connection: Connection, erasure_id: int, found: list[Found]) -> Removed:
    person = await Person.read(connection, erasure_id)
    removed = await take_out(connection, person.project_id, found)
    count = "UPDATE erasure SET visits = visits + %s, events = events + %s WHERE id = %s"
    await connection.execute(count, (*removed, erasure_id))
    return removed


async def _of_visitors(connection: Connection, erasure_id: int) -> list[Found]:
    person = await Person.read(connection, erasure_id)
    rows = await fetch(connection, _OF_VISITORS, (person.project_id, list(person.visitors)))
    return [Found(*row) for row in rows]


async def _of_codes_or_end(connection: Connection, erasure_id: int) -> list[Found]:
    """What is left under the codes of a person who is forgotten. Where there is nothing, they are erased."""
    person = await Person.read(connection, erasure_id)
    values = (person.project_id, await person.codes(connection))
    found: list[Found] = []
    if values[1]:
        rows = await fetch(connection, _OF_USERS, values) or await fetch(connection, _WITH_USERS, values)
        found = [Found(*row) for row in rows]
    if not found:
        await person._replace(users=frozenset()).write(connection)
        await connection.execute("UPDATE erasure SET erased_at = %s WHERE id = %s", (now(), erasure_id))
    return found


async def _forget(connection: Connection, erasure_id: int) -> Removed:
    """Take out what came until now, what is stored beside visits, and that it was they."""
    person = await Person.read(connection, erasure_id)
    if person.known == Known.FORGOTTEN:
        return Removed(0, 0)
    await keep_drains_out(connection)
    removed = Removed(0, 0)
    while found := await _of_visitors(connection, erasure_id):
        visits, events = await _take(connection, erasure_id, found)
        removed = Removed(removed.visits + visits, removed.events + events)
    last: int | None = 0
    while last is not None:
        last = await take_some(connection, person, last)
    project_id, visitors = person.project_id, list(person.visitors)
    for table in ("alias", "claim", "wanderer"):
        delete = f"DELETE FROM {table} WHERE project_id = %s AND visitor = ANY(CAST(%s AS BIGINT[]))"
        await connection.execute(delete, (project_id, visitors))
    await connection.execute("DELETE FROM notice")  # which would go in a minute, and whoever wanted one has read it
    names = []
    for code in await person.codes(connection):
        await connection.execute('DELETE FROM user_trait WHERE project_id = %s AND "user" = %s', (project_id, code))
        names.append(f"erased {secrets.token_hex(8)}")
        # The row stays, so that no other user is ever given this code.
        rename = "UPDATE dictionary SET text = %s, digest = %s WHERE project_id = %s AND dimension = %s AND code = %s"
        await connection.execute(rename, (names[-1], digest(names[-1]), project_id, USER, code))
    forgotten = person._replace(users=frozenset(names), visitors=frozenset(), known=Known.FORGOTTEN)
    await forgotten.write(connection)
    await tell(connection)
    return removed
