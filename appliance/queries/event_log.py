"""The event log: matching events one by one, the newest first, in pages that begin where the one before ended.

Events at the same time come in the reverse order of storing. What identifies people (users) or was sent along
(properties) is in the log: it is for those who may see raw data.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from appliance.queries.conditions import PAGEVIEW_KIND
from appliance.queries.question import Scope
from appliance.queries.relations import Relations
from appliance.queries.reports import Reports, Statements
from appliance.queries.selection import events, whole
from appliance.storage.dimensions import dictionary_of
from appliance.storage.evaluation import Cell, CodeSet
from appliance.storage.interface import Database, Row

PAGE_ROWS: Final = 50


class Cursor(NamedTuple):
    """A place in the log: the time (UTC microseconds) and id of the event that it comes after."""

    time: int
    id: int


class Entry(msgspec.Struct, frozen=True):
    """An event. Texts are '' where there is no value; `user` is the visit's, `source` what the visit came from."""

    id: int
    time: int
    visit_id: int
    is_pageview: bool
    name: str
    path: str
    hostname: str
    title: str
    user: str
    source: str
    country: str
    browser: str
    os: str
    device: str

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.time, self.id)


class Log(msgspec.Struct, frozen=True):
    """A page of the log, and where the next one begins; None: this is the last. `sampled`: some events of the range
    were not kept."""

    entries: tuple[Entry, ...]
    older: Cursor | None
    sampled: bool = False


class Sent(msgspec.Struct, frozen=True):
    """What else is stored of an event. `revenue` is in minor units of `currency`; `source` the part that sent it."""

    source: str
    revenue: int | None
    currency: str
    scroll_depth: int
    engaged_ms: int
    properties: Mapping[str, Any]


_EVENT_TEXTS: Final = ("name", "path", "hostname", "title")
_VISIT_TEXTS: Final = ("user", "referrer_source", "country", "browser", "os", "device")


async def ask(
    reports: Reports,
    scope: Scope,
    *,
    before: Cursor | None = None,
    user: str | None = None,
    rows: int = PAGE_ROWS,
    offset: int = 0,
) -> Log:
    """A page of the log, from after a cursor or after so many newer events; `user` keeps the visits of one user.
    Raises as `Reports` does."""
    (found,), sampled = await reports.rows(
        scope, lambda relations: _statements(relations, before, user, rows + 1, offset)
    )
    entries = tuple(_entry(cells) for cells in found[:rows])
    return Log(entries, entries[-1].cursor if len(found) > rows else None, sampled)


async def count(reports: Reports, scope: Scope, *, user: str | None = None) -> int:
    """How many events the log has. Raises as `Reports` does."""

    def statements(relations: Relations) -> Statements:
        matching = events(relations, {"one": "1"}, where=_of_user(relations, user))
        return Statements(("SELECT count(*) FROM matching m",), (("matching", matching),), by_visit=1)

    ((((number,),),), _) = await reports.rows(scope, statements)
    return whole(number)


async def sent(database: Database, project_id: int, entries: Sequence[Entry]) -> dict[int, Sent]:
    """What was sent with events of a project, by id; without those that are sealed in a file. Raises
    StorageUnavailable."""
    if not entries:
        return {}
    names = {f"id_{index}": entry.id for index, entry in enumerate(entries)}
    times = {"first": min(entry.time for entry in entries), "last": max(entry.time for entry in entries)}
    rows = await database.read(
        f"{_SENT} AND e.id IN ({', '.join(f':{name}' for name in names)}) AND e.time BETWEEN :first AND :last",
        {"project_id": project_id, **names, **times},
    )
    return dict(map(_sent, rows))


async def sent_with(database: Database, project_id: int, entry: Entry) -> Sent:
    """What was sent with one event, sealed or not; nothing where it is gone by now. Raises StorageUnavailable."""
    select = f"{_SENT} AND e.time >= :start AND e.time < :end"
    found: dict[int, Sent] = {}
    async for rows in database.stream_stored(select, project_id, entry.time, entry.time + 1):
        found |= dict(map(_sent, rows))
    return found.get(entry.id, Sent("", None, "", 0, 0, {}))


def _select_sent() -> str:
    joins = " ".join(
        f"LEFT JOIN dictionary {name} ON {name}.project_id = e.project_id"
        f" AND {name}.dimension = {dictionary_of(name)} AND {name}.code = e.{name}"
        for name in ("source", "currency")
    )
    return (
        "SELECT e.id, coalesce(source.text, ''), e.revenue, coalesce(currency.text, ''), e.scroll_depth, e.engaged_ms,"
        f" e.properties FROM event e {joins} WHERE e.project_id = :project_id"
    )


_SENT: Final = _select_sent()


def _sent(row: Row) -> tuple[int, Sent]:
    id_, source, revenue, currency, scroll, engaged, properties = row
    stated = msgspec.json.decode(properties) if properties else {}
    return id_, Sent(source, revenue, currency, scroll, engaged, stated)


def _of_user(relations: Relations, user: str | None) -> list[str]:
    bind = relations.bindings
    return [] if user is None else [bind.among(bind.visit("user"), CodeSet(dictionary_of("user"), "is", (user,)))]


def _statements(relations: Relations, before: Cursor | None, user: str | None, limit: int, offset: int) -> Statements:
    bind = relations.bindings
    columns = {name: bind.event(name) for name in ("id", "time", "visit_id", "kind", *_EVENT_TEXTS)}
    # `user` is a word of SQL.
    columns |= {f"of_{name}": bind.visit(name) for name in _VISIT_TEXTS}
    where = _of_user(relations, user)
    if before is not None:
        time, last = bind.number(before.time), bind.number(before.id)
        where.append(f"({columns['time']} < {time} OR ({columns['time']} = {time} AND {columns['id']} < {last}))")
    first = f"LIMIT {bind.number(limit + offset)}"
    newest = f"{events(relations, columns, where=where)} ORDER BY time DESC, id DESC {first}"
    texts, joins = [], []
    for column, name in [*((name, name) for name in _EVENT_TEXTS), *((f"of_{name}", name) for name in _VISIT_TEXTS)]:
        dictionary = bind.dictionary(dictionary_of(name))
        joins.append(f"LEFT JOIN {dictionary} d_{name} ON d_{name}.code = p.{column}")
        texts.append(f"coalesce(d_{name}.text, '')")
    select = (
        f"SELECT p.id, p.time, p.visit_id, p.kind, {', '.join(texts)} FROM newest p {' '.join(joins)}"
        f" ORDER BY p.time DESC, p.id DESC LIMIT {bind.number(limit)} OFFSET {bind.number(offset)}"
    )
    # Made of parts of the visits, `newest` has the newest events of each.
    return Statements((select,), (("newest", newest),), by_visit=1)


def _entry(cells: tuple[Cell, ...]) -> Entry:
    id_, time, visit_id, kind = (whole(cell) for cell in cells[:4])
    name, path, hostname, title, user, source, country, browser, os, device = (str(cell) for cell in cells[4:])
    is_pageview = kind == PAGEVIEW_KIND
    return Entry(
        id_, time, visit_id, is_pageview, name, path, hostname, title, user, source, country, browser, os, device
    )
