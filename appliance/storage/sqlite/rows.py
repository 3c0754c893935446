"""The hot tier's rows as the drain writes them: SQLite's side of `DrainTransaction`.

Visits that are sealed are found like the others; when one is to be changed, its chunk becomes rows again.
"""

import sqlite3
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from operator import attrgetter

import msgspec

from appliance.errors import CheckpointMoved
from appliance.model import Event, Visit
from appliance.storage.calendar import local_month
from appliance.storage.dimensions import is_missing
from appliance.storage.interface import SOURCES_MAX, Elsewhere, Known, Params, Position, Row, StoredEvent
from appliance.storage.row_columns import (
    EVENT,
    GROWING,
    MUTABLE,
    VISIT,
    WAITING,
    engagement_of,
    names,
    visit_of,
    waiting_of,
)
from appliance.storage.sqlite.chunks.visits import SealedVisits
from appliance.storage.sqlite.writer import storage_error

# Codes kept in memory. A text costs some 150 bytes; paths and referrers are what there is much of.
CODES_CACHED_MAX = 60_000
# Transactions whose changes are kept for readers; a reader that is further behind reads everything anew.
CHANGES_KEPT = 2_000


def _assignments(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}" = ?' for name in columns)


_INSERT_EVENT = f"INSERT INTO event ({names(EVENT)}) VALUES ({', '.join('?' * len(EVENT))})"
_INSERT_VISIT = f"INSERT INTO visit ({names(VISIT)}) VALUES ({', '.join('?' * len(VISIT))})"
_GROW_VISIT = f"UPDATE visit SET {_assignments(GROWING)} WHERE id = ?"
_UPDATE_VISIT = f"UPDATE visit SET {_assignments(MUTABLE)} WHERE id = ?"
_SELECT_VISIT = f"SELECT {names(VISIT)} FROM visit"
_INSERT_WAITING = f"INSERT INTO early_engagement (id, {names(WAITING)}) VALUES (?{', ?' * len(WAITING)})"
_SELECT_WAITING = f"SELECT id, {names(WAITING)} FROM early_engagement ORDER BY id"
_growth = attrgetter(*GROWING, "id")
_changes = attrgetter(*MUTABLE, "id")
_ids = attrgetter("id")
_start = attrgetter("start", "id")


def _sealed_visit(project_id: int, row: tuple) -> Visit:  # type: ignore[type-arg]
    return visit_of((row[0], project_id, *row[1:]))


class VisitGone(Exception):
    """A visit that the drain remembers was removed meanwhile; what it stored now would belong to nothing."""


class HotRows:
    """Implements `DrainTransaction` for the connection it was last given by `begin`.

    Codes and the next ids live on between transactions, because only the writer makes any; `forget` drops them after
    a transaction that was rolled back.
    """

    def __init__(self) -> None:
        self._codes: dict[tuple[int, int], dict[str, int]] = {}
        self._cached = 0
        self._newest: dict[tuple[int, int], int] = {}
        self._visit_ids: count[int] | None = None
        self._event_ids: count[int] | None = None
        self._changed_visits: list[int] = []  # in this transaction
        self._changed_events: list[int] = []
        self._connection: sqlite3.Connection
        self._sealed = SealedVisits()
        self.timezones: Mapping[int, str] = {}  # of projects
        self.generation = 0

    def begin(self, connection: sqlite3.Connection) -> None:
        """Work on this connection, inside the transaction that is open on it."""
        self._connection = connection
        self._changed_visits.clear()
        self._changed_events.clear()
        if self._cached > CODES_CACHED_MAX:
            self._codes.clear()
            self._cached = 0
        generation = connection.execute("SELECT value FROM meta WHERE name = 'hot_generation'").fetchone()
        if generation and int(generation[0]) != self.generation:
            self.forget()
            self.generation = int(generation[0])

    def forget(self) -> None:
        """Drop what is remembered of the database."""
        self._codes.clear()
        self._cached = 0
        self._newest.clear()
        self._visit_ids = self._event_ids = None
        self._sealed.forget()

    def known(self, ids: Sequence[tuple[int, bytes | str]]) -> dict[tuple[int, bytes | str], Known]:
        select = (
            "SELECT seen.received_day, seen.fingerprint, seen.event, coalesce(event.visit_id, 0)"
            " FROM seen LEFT JOIN event ON event.id = seen.event WHERE seen.project_id = ? AND seen.event_id = ?"
        )
        found = {}
        execute = self._connection.execute
        for key in ids:
            if row := execute(select, key).fetchone():
                known = Known(*row)
                if known.event and not known.visit_id:
                    known = known._replace(visit_id=self._sealed.visit_of_event(self._connection, known.event))
                found[key] = known
        return found

    def prepare(
        self, events: Sequence[Event], remembered: Container[tuple[int, int]] = (), places: Mapping[int, int] = {}
    ) -> Elsewhere:
        return Elsewhere()  # there is one drain, and asking costs little

    def visits_of(self, project_id: int, visitor: int, since: int, until: int) -> list[Visit]:
        where = " WHERE project_id = ? AND visitor = ? AND start >= ? AND start <= ?"
        wanted = (project_id, visitor, since, until)
        hot = [visit_of(row) for row in self._connection.execute(_SELECT_VISIT + where, wanted)]
        sealed = [_sealed_visit(project_id, row) for row in self._sealed.visits_of(self._connection, *wanted)]
        # In the order of the index, as if all were rows.
        return sorted(hot + sealed, key=_start) if sealed else hot

    def visit(self, visit_id: int) -> Visit | None:
        row = self._connection.execute(_SELECT_VISIT + " WHERE id = ?", (visit_id,)).fetchone()
        if row:
            return visit_of(row)
        sealed = self._sealed.visit(self._connection, visit_id)
        return _sealed_visit(sealed[0].project_id, sealed[1]) if sealed else None

    def alias_of(self, project_id: int, visitor: int) -> int | None:
        select = "SELECT visit_id FROM alias WHERE project_id = ? AND visitor = ?"
        row = self._connection.execute(select, (project_id, visitor)).fetchone()
        return row[0] if row else None

    def code(self, project_id: int, dimension: int, text: str) -> int:
        if is_missing(dimension, text):
            return 0
        codes = self._codes.get((project_id, dimension))
        if codes is None:
            codes = self._codes[(project_id, dimension)] = {}
        code = codes.get(text)
        if code is None:
            code = codes[text] = self._find_or_mint(project_id, dimension, text)
            self._cached += 1
        return code

    def next_visit_id(self) -> int:
        if self._visit_ids is None:
            self._visit_ids = self._ids_after("visit")
        return next(self._visit_ids)

    def next_event_id(self) -> int:
        if self._event_ids is None:
            self._event_ids = self._ids_after("event")
        return next(self._event_ids)

    def add_events(self, rows: Sequence[StoredEvent]) -> None:
        self._connection.executemany(_INSERT_EVENT, map(msgspec.structs.astuple, rows))

    def remember(self, seen: Sequence[tuple[int, bytes | str, int, int, int]]) -> None:
        columns = "project_id, event_id, received_day, fingerprint, event"
        self._connection.executemany(f"INSERT OR REPLACE INTO seen ({columns}) VALUES (?, ?, ?, ?, ?)", seen)

    def save_visits(self, new: Sequence[Visit], grown: Sequence[Visit], changed: Sequence[Visit]) -> None:
        rows = ((*(row := msgspec.structs.astuple(visit))[:-1], *row[-1]) for visit in new)
        self._connection.executemany(_INSERT_VISIT, rows)
        self._update_visits(_GROW_VISIT, list(map(_growth, grown)))
        self._update_visits(_UPDATE_VISIT, list(map(_changes, changed)))
        self._changed_visits += map(_ids, grown)
        self._changed_visits += map(_ids, changed)

    def engage(self, project_id: int, event: int, scroll_depth: int, engaged_ms: int) -> None:
        update = "UPDATE event SET scroll_depth = max(scroll_depth, ?), engaged_ms = engaged_ms + ? WHERE id = ?"
        engagement = (scroll_depth, engaged_ms, event)
        if not self._connection.execute(update, engagement).rowcount:
            visit_id = self._sealed.visit_of_event(self._connection, event)
            if self._sealed.bring_back(self._connection, [visit_id]):
                self._connection.execute(update, engagement)
        self._changed_events.append(event)

    def set_aside(self, numbered: Sequence[tuple[int, Event]]) -> None:
        self._connection.executemany(_INSERT_WAITING, ((number, *waiting_of(event)) for number, event in numbered))

    def waiting(self) -> list[tuple[int, Event]]:
        return [(number, engagement_of(kept)) for number, *kept in self._connection.execute(_SELECT_WAITING)]

    def release(self, numbers: Sequence[int]) -> None:
        delete = "DELETE FROM early_engagement WHERE id = ?"
        self._connection.executemany(delete, ((number,) for number in numbers))

    def add_alias(self, project_id: int, visitor: int, visit: Visit) -> None:
        self._connection.execute("INSERT OR REPLACE INTO alias VALUES (?, ?, ?)", (project_id, visitor, visit.id))

    def drop_alias(self, project_id: int, visitor: int) -> None:
        self._connection.execute("DELETE FROM alias WHERE project_id = ? AND visitor = ?", (project_id, visitor))

    def add_source(self, project_id: int, name: str, at: int) -> None:
        seen = "UPDATE source SET seen_at = max(seen_at, ?) WHERE project_id = ? AND name = ?"
        if self._connection.execute(seen, (at, project_id, name)).rowcount:
            return
        self._connection.execute(
            "INSERT INTO source (project_id, name, created_at, seen_at) SELECT :id, :name, :at, :at"
            f" WHERE (SELECT count(*) FROM source WHERE project_id = :id) < {SOURCES_MAX}",
            {"id": project_id, "name": name, "at": at},
        )

    def add_usage(self, events: Mapping[tuple[int, int], int]) -> None:
        self._connection.executemany(
            "INSERT INTO monthly_usage (project_id, month, events) VALUES (?, ?, ?)"
            " ON CONFLICT (project_id, month) DO UPDATE SET events = events + excluded.events",
            [
                (project_id, local_month(received, self.timezones.get(project_id, "UTC")), number)
                for (project_id, received), number in events.items()
            ],
        )

    def merge_traits(self, project_id: int, user: int, traits: str, once: str, at: int) -> None:
        self._connection.execute(
            "INSERT INTO user_trait (project_id, user, traits, updated_at)"
            " VALUES (:project, :user, json_patch(:once, :traits), :at)"
            " ON CONFLICT (project_id, user) DO UPDATE"
            " SET traits = json_patch(json_patch(:once, traits), :traits), updated_at = :at",
            {"project": project_id, "user": user, "traits": traits, "once": once, "at": at},
        )

    def add_dead_letter(self, at: int, event: Event, error: str) -> None:
        insert = "INSERT INTO dead_letter (at, project_id, error, event) VALUES (?, ?, ?, ?)"
        self._connection.execute(insert, (at, event.project_id, error, msgspec.msgpack.encode(event)))

    def execute(self, sql: str, params: Params = {}) -> list[Row]:
        return self._connection.execute(sql, params).fetchall()

    def announce(self, report: Callable[[Collection[int]], Sequence[bytes]]) -> None:
        pass  # nobody else is there

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._connection.execute("SAVEPOINT one")
        try:
            yield
        except Exception as error:
            self.forget()
            self._connection.execute("ROLLBACK TO one")
            self._connection.execute("RELEASE one")
            if isinstance(error, sqlite3.Error):
                raise storage_error(error) from error
            raise
        self._connection.execute("RELEASE one")

    def checkpoint(self, journal_id: bytes, before: Position | None, after: Position, at: int) -> None:
        select = "SELECT segment, position FROM checkpoint WHERE journal_id = ?"
        if self._connection.execute(select, (journal_id,)).fetchone() != before:
            raise CheckpointMoved
        self._connection.execute(
            "INSERT OR REPLACE INTO checkpoint (journal_id, segment, position, at) VALUES (?, ?, ?, ?)",
            (journal_id, after.segment, after.offset, at),
        )

    def finish(self) -> None:
        """Note, at the end of the transaction, what it changed in place."""
        if self._changed_visits or self._changed_events:
            self._note_changes()

    def _update_visits(self, update: str, rows: list[tuple]) -> None:  # type: ignore[type-arg]
        """Run an update whose last value is the id. Raises VisitGone."""
        if not rows or self._connection.executemany(update, rows).rowcount == len(rows):
            return
        self._sealed.bring_back(self._connection, (row[-1] for row in rows))
        if self._connection.executemany(update, rows).rowcount != len(rows):
            raise VisitGone

    def _note_changes(self) -> None:
        visits, events = (msgspec.json.encode(ids).decode() for ids in (self._changed_visits, self._changed_events))
        insert = "INSERT INTO change (visits, events) VALUES (?, ?)"
        newest = self._connection.execute(insert, (visits, events)).lastrowid or 0
        self._connection.execute("DELETE FROM change WHERE seq <= ?", (newest - CHANGES_KEPT,))

    def _ids_after(self, table: str) -> "count[int]":
        # Those that were sealed are noted: an id is never given twice.
        select = (
            f"SELECT max((SELECT coalesce(max(id), 0) FROM {table}),"
            " coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = ?), 0))"
        )
        newest: int = self._connection.execute(select, (f"newest_{table}",)).fetchone()[0]
        return count(newest + 1)

    def _find_or_mint(self, project_id: int, dimension: int, text: str) -> int:
        select = "SELECT code FROM dictionary WHERE project_id = ? AND dimension = ? AND text = ?"
        if row := self._connection.execute(select, (project_id, dimension, text)).fetchone():
            code: int = row[0]
            return code
        key = (project_id, dimension)
        if key not in self._newest:
            newest = "SELECT coalesce(max(code), 0) FROM dictionary WHERE project_id = ? AND dimension = ?"
            self._newest[key] = self._connection.execute(newest, key).fetchone()[0]
        self._newest[key] += 1
        self._connection.execute("INSERT INTO dictionary VALUES (?, ?, ?, ?)", (*key, self._newest[key], text))
        return self._newest[key]
