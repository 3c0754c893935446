"""Stored events and visits as rows, streamed: what a CSV or NDJSON export holds.

Columns carry the native field names (docs/api.md); revenue is in units of its currency, as it is sent. What an import
has to know to store the same again is there too: the visit, its end and its user, the visitor and the day of its salt,
`rate` and `flags`, times to the microsecond. The rate is not called `sample`, which asks for sampling: what is stored
was sampled already.

Visits keep their events together once their day is sealed; what came last comes in the order in which it was stored.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec

from appliance.currencies import units
from appliance.model import ACQUISITION_FIELDS, Flag, Kind
from appliance.storage.dimensions import dictionary_of
from appliance.storage.event_ids import unpack
from appliance.storage.interface import Database, Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {int(kind): kind.name.lower() for kind in Kind}

_EVENT_TEXTS = ("name", "source", "hostname", "path", "title", "user", "currency", "context")
_VISIT_TEXTS = ("user", "entry_path", "entry_hostname", "exit_path", "exit_hostname", *ACQUISITION_FIELDS)
_EVENT_NUMBERS = (
    "event_id", "kind", "time", "received", "flags", "rate", "scroll_depth", "engaged_ms", "revenue", "properties",
    "visit_id",
)  # fmt: skip

EVENT_COLUMNS = (
    "event_id", "event", "timestamp", "received_at", "kind", "source", "user_id", "session_id", "visit_id", "visit_end",
    "visit_user_id", "visitor", "salt_day",
    "hostname", "path", "title", *ACQUISITION_FIELDS, "scroll_depth", "engaged_ms", "revenue", "currency",
    "rate", "flags", "interactive", "properties",
)  # fmt: skip
VISIT_COLUMNS = (
    "visit_id", "visitor", "user_id", "session_id", "start", "end", "duration_seconds", "pageviews", "events", "bounce",
    "entry_hostname", "entry_path", "exit_hostname", "exit_path", *ACQUISITION_FIELDS, "rate",
)  # fmt: skip

DATASETS = {"events": EVENT_COLUMNS, "visits": VISIT_COLUMNS}


async def rows(
    database: Database, dataset: str, project_id: int, start: int, end: int
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Batches of rows of DATASETS[dataset] with a time in [start, end), in UTC microseconds."""
    select, shape = (_EVENTS, _event) if dataset == "events" else (_VISITS, _visit)
    async for batch in database.stream_stored(select, project_id, start, end):
        yield [shape(row) for row in batch]


def as_object(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """A row for NDJSON: without empty values, `properties` as the object it is."""
    found = {name: value for name, value in zip(columns, row, strict=True) if value not in (None, "")}
    if "properties" in found:
        found["properties"] = msgspec.Raw(found["properties"].encode())
    return found


def _joins(alias: str, columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Select list and joins that turn codes into texts."""
    selected, joined = [], []
    for column in columns:
        name = f"{alias}_{column}"
        selected.append(f"coalesce({name}.text, '')")
        joined.append(
            f"LEFT JOIN dictionary {name} ON {name}.project_id = {alias}.project_id"
            f" AND {name}.dimension = {dictionary_of(column)} AND {name}.code = {alias}.{_quoted(column)}"
        )
    return selected, joined


def _quoted(column: str) -> str:
    return f'"{column}"'


def _events_sql() -> str:
    texts, event_joins = _joins("e", _EVENT_TEXTS)
    firsts, visit_joins = _joins("v", ("user", *ACQUISITION_FIELDS))
    numbers = [f"e.{_quoted(name)}" for name in _EVENT_NUMBERS]
    return " ".join(
        [
            "SELECT",
            ", ".join([*numbers, 'v."end"', "v.visitor", "v.salt_day", "v.session_id", *texts, *firsts]),
            "FROM event e JOIN visit v ON v.id = e.visit_id",
            *event_joins,
            *visit_joins,
            "WHERE e.project_id = :project_id AND e.time >= :start AND e.time < :end ORDER BY e.id",
        ]
    )


def _visits_sql() -> str:
    texts, joins = _joins("v", _VISIT_TEXTS)
    numbers = ("id", "visitor", "session_id", "start", "end", "pageviews", "events", "interactive", "rate")
    return " ".join(
        [
            "SELECT",
            ", ".join([*(f"v.{_quoted(name)}" for name in numbers), *texts]),
            "FROM visit v",
            *joins,
            "WHERE v.project_id = :project_id AND v.start >= :start AND v.start < :end ORDER BY v.id",
        ]
    )


_EVENTS = _events_sql()
_VISITS = _visits_sql()


def _event(row: Row) -> tuple[Any, ...]:
    event_id, kind, time, received, flags, rate, scroll, engaged, revenue, properties, visit_id = row[:11]
    visit_end, visitor, salt_day, session_id = row[11:15]
    name, source, hostname, path, title, user, currency, context, visit_user = row[15:24]
    first = row[24:]
    if context:
        own = msgspec.json.decode(context)
        first = tuple(own.get(field, value) for field, value in zip(ACQUISITION_FIELDS, first, strict=True))
    return (
        unpack(event_id),
        name,
        _iso(time),
        _iso(received),
        _KINDS[kind],
        source,
        user,
        session_id,
        visit_id,
        _iso(visit_end),
        visit_user,
        _visitor(visitor),
        None if salt_day is None else _day(salt_day),
        hostname,
        path,
        title,
        *first,
        scroll,
        engaged,
        None if revenue is None else units(revenue, currency),
        currency,
        rate,
        _flags(flags),
        0 if flags & Flag.PASSIVE else 1,
        properties or "",
    )


def _visit(row: Row) -> tuple[Any, ...]:
    visit_id, visitor, session_id, start, end, pageviews, events, interactive, rate = row[:9]
    user, entry_path, entry_hostname, exit_path, exit_hostname, *first = row[9:]
    bounce = 1 if pageviews == 1 and not interactive else 0
    return (
        visit_id,
        _visitor(visitor),
        user,
        session_id,
        _iso(start),
        _iso(end),
        (end - start) / 1_000_000,
        pageviews,
        events,
        bounce,
        entry_hostname,
        entry_path,
        exit_hostname,
        exit_path,
        *first,
        rate,
    )


@cache
def _flags(flags: int) -> str:
    """Their names with a blank between."""
    return " ".join(flag.name.lower() for flag in Flag if flags & flag)


def _visitor(number: int) -> str:
    """16 hexadecimal digits: no sign that looks like a formula, no digits that a spreadsheet or JSON would round."""
    return f"{number & 0xFFFF_FFFF_FFFF_FFFF:016x}"


@cache
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).date().isoformat()


def _iso(time: int) -> str:
    return (_EPOCH + timedelta(microseconds=time)).isoformat(timespec="microseconds").replace("+00:00", "Z")
