"""The statements with which the drain reads and writes events and visits, and their rows."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from appliance.model import Visit
from appliance.storage.event_ids import as_bytes
from appliance.storage.interface import StoredEvent
from appliance.storage.row_columns import EVENT, GROWING, MUTABLE, OF_VISIT, VISIT, WAITING, names

_BIGINTS: Final = frozenset(
    ("id", "project_id", "visit_id", "visitor", "time", "received", "engaged_ms", "revenue", "start", "end", "entry_at",
     "exit_at", "placed")
)  # fmt: skip
_SMALL: Final = frozenset(("kind", "flags", "scroll_depth"))


def _type(column: str) -> str:
    if column in _BIGINTS:
        return "bigint"
    if column in _SMALL:
        return "smallint"
    return {"event_id": "bytea", "properties": "text", "session_id": "text"}.get(column, "integer")


def _copy(table: str, columns: Sequence[str]) -> str:
    return f"COPY {table} ({names(columns)}) FROM STDIN (FORMAT BINARY)"


def _rows_of(*kinds: str) -> str:
    """Rows of lists that are parameters. The planner is to expect one, as it does of an unknown part of unknown lists:
    for more it would rather read a table that has just been filled than look into an index."""
    lists = ", ".join(f"(SELECT CAST(%b AS {kind}[]))" for kind in kinds)
    return f"(SELECT * FROM unnest({lists}) LIMIT (SELECT 1000000))"


def _update(columns: Sequence[str]) -> str:
    """UPDATE visits that are placed in [%b, %b]; the lists are of `columns`, the id, and the first and last place."""
    assignments = ", ".join(f'"{name}" = u."{name}"' for name in columns)
    rows = _rows_of(*map(_type, columns), "bigint", "bigint", "bigint")
    return (
        f"UPDATE visit v SET {assignments} FROM {rows} u ({names(columns)}, id, low, high)"
        " WHERE v.id = u.id AND v.placed >= u.low AND v.placed <= u.high AND v.placed >= %b AND v.placed <= %b"
    )


def _update_one(columns: Sequence[str]) -> str:
    """UPDATE one visit by constants alone: of the columnstore only the batches that may hold it become rows. It is
    visitor `owner`'s, and placed in [low, high]."""
    assignments = ", ".join(f'"{name}" = %({name})b' for name in columns)
    return (
        f"UPDATE visit SET {assignments} WHERE project_id = %(project_id)b AND visitor = %(owner)b AND id = %(id)b"
        " AND placed >= %(low)b AND placed <= %(high)b"
    )


COPY_EVENTS: Final = _copy("event", (*EVENT, *OF_VISIT))
EVENT_TYPES: Final = [_type(name) for name in (*EVENT, *OF_VISIT)]
COPY_VISITS: Final = _copy("visit", (*VISIT, "placed"))
VISIT_TYPES: Final = [_type(name) for name in (*VISIT, "placed")]
GROW_VISITS: Final = _update(GROWING)
UPDATE_VISITS: Final = _update(MUTABLE)
GROW_VISIT: Final = _update_one(GROWING)
UPDATE_VISIT: Final = _update_one(MUTABLE)
OWNER: Final = (
    "SELECT v.visitor FROM visit v"
    " WHERE v.project_id = %(project_id)b AND v.id = %(id)b AND v.placed >= %(low)b AND v.placed <= %(high)b"
)
_SELECT_VISITS: Final = f"SELECT {names(VISIT, 'v.')} FROM visit v"
# One look into the index for each visitor, however few the planner believes there are.
OF_VISITORS: Final = (
    f"SELECT {names(VISIT, 'f.')}"
    " FROM unnest(CAST(%(projects)b AS bigint[]), CAST(%(visitors)b AS bigint[])) u (project_id, visitor)"
    f" CROSS JOIN LATERAL ({_SELECT_VISITS} WHERE v.project_id = u.project_id AND v.visitor = u.visitor"
    " AND v.placed >= %(low)b AND v.placed <= %(high)b OFFSET 0) f"
)
BY_ID: Final = f"{_SELECT_VISITS} WHERE v.id = ANY(CAST(%b AS bigint[])) AND v.placed >= %b AND v.placed <= %b"
KNOWN: Final = (
    "SELECT s.project_id, s.event_id, s.received_day, s.fingerprint, s.event, s.visit_id, s.time"
    f" FROM {_rows_of('bigint', 'bytea')} u (project_id, event_id)"
    " JOIN seen s ON s.project_id = u.project_id AND s.event_id = u.event_id"
)
_SEEN_COLUMNS: Final = ("project_id", "event_id", "received_day", "fingerprint", "event", "visit_id", "time")
SEEN_TYPES: Final = ["bytea" if name == "event_id" else "bigint" for name in _SEEN_COLUMNS]
COPY_SEEN: Final = _copy("seen", _SEEN_COLUMNS)
# Those whose window is over, and names of page views, of which the newest counts; a row that is not as it was found is
# somebody else's by now. Lists of _SEEN_COLUMNS, and of the day that was found.
SEE_AGAIN: Final = (
    f"UPDATE seen s SET {', '.join(f'{name} = u.{name}' for name in _SEEN_COLUMNS[2:])}"
    f" FROM {_rows_of(*SEEN_TYPES, 'bigint')} u ({names(_SEEN_COLUMNS)}, found_day)"
    " WHERE s.project_id = u.project_id AND s.event_id = u.event_id AND s.received_day = u.found_day"
)
ALIASES: Final = (
    "SELECT a.project_id, a.visitor, a.visit_id, a.near"
    f" FROM {_rows_of('bigint', 'bigint')} u (project_id, visitor)"
    " JOIN alias a ON a.project_id = u.project_id AND a.visitor = u.visitor"
)
DROP_ALIASES: Final = (
    f"DELETE FROM alias a USING {_rows_of('bigint', 'bigint')} u (project_id, visitor)"
    " WHERE a.project_id = u.project_id AND a.visitor = u.visitor"
)
SET_ALIASES: Final = (
    "INSERT INTO alias (project_id, visitor, visit_id, near)"
    f" SELECT * FROM {_rows_of('bigint', 'bigint', 'bigint', 'bigint')} u"
    " ON CONFLICT (project_id, visitor) DO UPDATE SET visit_id = excluded.visit_id, near = excluded.near"
)
_USERS: Final = f"{_rows_of('bigint', 'integer')} u (project_id, number)"
MAKE_TRAITS: Final = (
    'INSERT INTO user_trait (project_id, "user", traits, updated_at)'
    f" SELECT u.project_id, u.number, '{{}}', 0 FROM {_USERS} ON CONFLICT DO NOTHING"
)
HOLD_TRAITS: Final = (
    f'SELECT t.project_id, t."user", t.traits FROM {_USERS}'
    ' JOIN user_trait t ON t.project_id = u.project_id AND t."user" = u.number'
    ' ORDER BY t.project_id, t."user" FOR UPDATE OF t'
)
SET_TRAITS: Final = (
    "UPDATE user_trait t SET traits = u.traits, updated_at = u.updated_at"
    f" FROM {_rows_of('bigint', 'integer', 'text', 'bigint')} u (project_id, number, traits, updated_at)"
    ' WHERE t.project_id = u.project_id AND t."user" = u.number'
)
ADD_USAGE: Final = (
    "INSERT INTO monthly_usage (project_id, month, events)"
    f" SELECT * FROM {_rows_of('bigint', 'bigint', 'bigint')} u"
    " ON CONFLICT (project_id, month) DO UPDATE SET events = monthly_usage.events + excluded.events"
)
ENGAGE: Final = (
    "UPDATE event e SET scroll_depth = greatest(e.scroll_depth, u.scroll_depth),"
    " engaged_ms = e.engaged_ms + u.engaged_ms"
    f" FROM {_rows_of('bigint', 'bigint', 'bigint', 'bigint', 'smallint', 'bigint')}"
    " u (project_id, visitor, time, id, scroll_depth, engaged_ms)"
    " WHERE e.project_id = u.project_id AND e.time = u.time AND e.id = u.id AND e.time >= %b AND e.time <= %b"
)
ENGAGE_ONE: Final = (
    "UPDATE event SET scroll_depth = greatest(scroll_depth, %(scroll_depth)b),"
    " engaged_ms = engaged_ms + %(engaged_ms)b"
    " WHERE project_id = %(project_id)b AND visitor = %(visitor)b AND time = %(time)b AND id = %(event)b"
)
REKEY: Final = (
    "UPDATE event SET visitor = %(visitor)b WHERE project_id = %(project)b AND time >= %(start)b AND time <= %(end)b"
    " AND visit_id = %(id)b AND visitor <> %(visitor)b"
)
REKEY_ONE: Final = (
    "UPDATE event SET visitor = %(visitor)b WHERE project_id = %(project_id)b AND visitor = %(owner)b"
    " AND time >= %(low)b AND time <= %(high)b AND visit_id = %(id)b"
)
INSERT_WAITING: Final = (
    f"INSERT INTO early_engagement (journal_id, id, {names(WAITING)}) VALUES (%s, %s{', %s' * len(WAITING)})"
)


def around(visitors: Iterable[tuple[int, int]], low: int, high: int) -> dict[str, Any]:
    """The values of OF_VISITORS; a visitor is a project and a number."""
    projects, numbers = columns_of(visitors)
    return {"projects": projects, "visitors": numbers, "low": low, "high": high}


def columns_of(rows: Iterable[Sequence[Any]]) -> list[Any]:
    """Rows as arrays of their columns, one a parameter; there has to be a row."""
    return [array_of(column) for column in zip(*rows, strict=True)]


def array_of(values: Iterable[Any]) -> Any:
    """An array as a parameter. Numbers are spelled as PostgreSQL spells them, for psycopg calls a function for each."""
    numbers = list(values)
    if all(type(value) is int or value is None for value in numbers):
        return f"{{{repr(numbers)[1:-1].replace('None', 'NULL')}}}"
    return numbers


def row_of_visit(visit: Visit) -> tuple[Any, ...]:
    """The row of a visit that is stored for the first time: it is placed where it starts now."""
    row = msgspec.structs.astuple(visit)
    return (*row[:-1], *row[-1], visit.start)


def row_of_event(row: StoredEvent, visit: Visit) -> tuple[Any, ...]:
    """The row of an event, with what it carries of its visit."""
    values = msgspec.structs.astuple(row)
    return (*values[:2], as_bytes(row.event_id), *values[3:], visit.visitor, *visit.first)
