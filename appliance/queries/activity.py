"""What visits or users did in a range: how many events, and from when to when; the one that was there last comes first.

Only what is in the range and passes the filter counts. The list of users (users.py) also tells of all time.
"""

from typing import Final, Literal

import msgspec

from appliance.queries.question import Scope
from appliance.queries.relations import Relations
from appliance.queries.reports import Reports, Statements
from appliance.queries.selection import events, whole
from appliance.storage.dimensions import dictionary_of

Of = Literal["visit", "user"]

_USERS: Final = dictionary_of("user")


class Activity(msgspec.Struct, frozen=True):
    """A visit, or a user ('' of a visit of nobody who is known). Times in UTC microseconds; `visits` are those with an
    event here; `visit_id` is one of them."""

    visit_id: int
    user: str
    events: int
    visits: int
    first_seen: int
    last_seen: int


class Activities(msgspec.Struct, frozen=True):
    """A part of the list, and how long all of it is. `sampled`: some events of the range were not kept."""

    rows: tuple[Activity, ...]
    total: int
    sampled: bool = False


async def ask(reports: Reports, scope: Scope, of: Of, *, limit: int, offset: int = 0) -> Activities:
    """Raises as `Reports` does."""
    (rows, ((total,),)), sampled = await reports.rows(
        scope, lambda relations: _statements(relations, of, limit, offset)
    )
    found = tuple(Activity(whole(row[0]), str(row[1]), *map(whole, row[2:])) for row in rows)
    return Activities(found, whole(total), sampled)


def _statements(relations: Relations, of: Of, limit: int, offset: int) -> Statements:
    bind, dialect = relations.bindings, relations.dialect
    person = bind.visit("user")
    columns = {"visit_id": bind.event("visit_id"), "person": person, "time": bind.event("time")}
    matching = events(relations, columns, where=[f"{person} <> 0"] if of == "user" else [])
    key = "m.visit_id" if of == "visit" else "m.person"
    counted = (
        f"SELECT max(m.visit_id) AS visit_id, max(m.person) AS person, count(*) AS events,"
        " count(DISTINCT m.visit_id) AS visits, min(m.time) AS first_seen, max(m.time) AS last_seen"
        f" FROM matching m GROUP BY {key}"
    )
    name = "coalesce(d.text, '')"
    last = "c.visit_id DESC" if of == "visit" else dialect.by_bytes(name)
    select = (
        f"SELECT c.visit_id, {name}, c.events, c.visits, c.first_seen, c.last_seen FROM ({counted}) c"
        f" LEFT JOIN {bind.dictionary(_USERS)} d ON d.code = c.person"
        f" ORDER BY c.last_seen DESC, {last} LIMIT {bind.number(limit)} OFFSET {bind.number(offset)}"
    )
    total = f"SELECT count(DISTINCT {key}) FROM matching m"
    return Statements((select, total), (("matching", matching),), by_visit=1)
