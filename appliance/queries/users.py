"""Identified users: who they are, since when, how much they do, and what was stated about them.

A user has the visits that were identified, with all their events, also those from before the identification. Events
and visits are counted as everywhere: under the filters and in the range; first and last seen are of all time.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from appliance.queries.question import Scope
from appliance.queries.relations import Relations
from appliance.queries.reports import Reports, Statements
from appliance.queries.selection import events, whole
from appliance.storage.dimensions import dictionary_of
from appliance.storage.evaluation import CodeSet
from appliance.storage.interface import Database

PAGE_ROWS: Final = 50
_USERS: Final = dictionary_of("user")


class Cursor(NamedTuple):
    """A place in the list: when the user that it comes after was last seen, and that user."""

    last_seen: int
    user: str


class User(msgspec.Struct, frozen=True):
    """`first_seen`, `last_seen`: UTC microseconds, of all time; `events`, `visits`: in range, under the filters."""

    user: str
    first_seen: int
    last_seen: int
    events: int
    visits: int

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.last_seen, self.user)


class Users(msgspec.Struct, frozen=True):
    """A page of the list, the last seen first, and where the next one begins; None: this is the last. `sampled`: some
    events, of whatever time, were not kept."""

    users: tuple[User, ...]
    older: Cursor | None
    sampled: bool = False


async def ask(
    reports: Reports,
    scope: Scope,
    *,
    before: Cursor | None = None,
    search: str = "",
    user: str | None = None,
    rows: int = PAGE_ROWS,
) -> Users:
    """Users with a matching event in range; `search` keeps those that contain a text, `user` the one who is called so.
    Raises as `Reports` does."""
    wanted = CodeSet(_USERS, "contains", (search,), False) if search else None
    if user is not None:
        wanted = CodeSet(_USERS, "is", (user,))
    (found,), sampled = await reports.rows(scope, lambda relations: _statements(relations, wanted, before, rows + 1))
    users = tuple(User(str(cells[0]), *(whole(cell) for cell in cells[1:])) for cells in found[:rows])
    return Users(users, users[-1].cursor if len(found) > rows else None, sampled)


async def traits(database: Database, project_id: int, users: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """What was stated about users of a project, by user, where anything was. Raises StorageUnavailable."""
    if not users:
        return {}
    names = {f"user_{index}": user for index, user in enumerate(users)}
    rows = await database.read(
        "SELECT d.text, t.traits FROM dictionary d"
        ' JOIN user_trait t ON t.project_id = d.project_id AND t."user" = d.code'
        f" WHERE d.project_id = :project_id AND d.dimension = {_USERS}"
        f" AND d.text IN ({', '.join(f':{name}' for name in names)})",
        {"project_id": project_id, **names},
    )
    return {user: msgspec.json.decode(text) for user, text in rows}


def _statements(relations: Relations, wanted: CodeSet | None, before: Cursor | None, limit: int) -> Statements:
    bind, dialect = relations.bindings, relations.dialect
    person, start = bind.visit("user"), bind.visit("start")
    columns = {"person": person, "visit_id": bind.event("visit_id"), "start": start}
    known = [f"{person} <> 0"]
    if wanted is not None:
        known.append(bind.among(person, wanted))
    counted = (
        "SELECT s.person AS person, count(*) AS events, count(DISTINCT CASE WHEN s.start >="
        f" {bind.number(relations.scope.range.start)} THEN s.visit_id END) AS visits"
        " FROM user_event s GROUP BY s.person"
    )
    visits = (
        f"SELECT {person} AS person, {start} AS start, {bind.visit('end')} AS until"
        f" FROM {dialect.table('visit')} v WHERE {' AND '.join(known)}"
    )
    ever = (
        "SELECT u.person AS person, min(u.start) AS first_seen, max(u.until) AS last_seen"
        " FROM user_visit u GROUP BY u.person"
    )
    made = (("user_event", events(relations, columns, where=known)), ("user_visit", visits))
    name, after = dialect.by_bytes("d.text"), ""
    if before is not None:
        last, text = bind.number(before.last_seen), dialect.by_bytes(f"(SELECT {bind.texts((before.user,))})")
        after = f" WHERE e.last_seen < {last} OR (e.last_seen = {last} AND {name} > {text})"
    select = (
        f"SELECT d.text, e.first_seen, e.last_seen, c.events, c.visits FROM ({counted}) c"
        f" JOIN ({ever}) e ON e.person = c.person JOIN {bind.dictionary(_USERS)} d ON d.code = c.person{after}"
        f" ORDER BY e.last_seen DESC, {name} LIMIT {bind.number(limit)}"
    )
    return Statements((select,), made, all_time=True, by_visit=len(made))
