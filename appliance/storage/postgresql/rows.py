"""The rows of events and visits as the drain writes them: PostgreSQL's side of `DrainTransaction`.

Whatever a batch may ask for is fetched for all of it at once (`prepare`), and what it changes is written at its end: a
server that is a millisecond away must not cost a millisecond an event.
"""

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import tuple_row

from appliance.clock import DAY, now
from appliance.errors import CheckpointMoved, TryAgain
from appliance.model import ACQUISITION_FIELDS, Event, Kind, Visit
from appliance.storage.calendar import local_month
from appliance.storage.dimensions import DICTIONARIES
from appliance.storage.event_ids import as_bytes
from appliance.storage.interface import SOURCES_MAX, Elsewhere, Known, Params, Position, Row, StoredEvent
from appliance.storage.postgresql import statements as sql
from appliance.storage.postgresql.announcements import announce
from appliance.storage.postgresql.changes import Engagement, VisitGone, change_visits, engage, grow_visits
from appliance.storage.postgresql.claims import Claims, Visitor
from appliance.storage.postgresql.connection import storage_error, translated
from appliance.storage.postgresql.dictionary import Codes
from appliance.storage.postgresql.exclusion import enter
from appliance.storage.postgresql.identities import Identities
from appliance.storage.postgresql.partitions import Partitions
from appliance.storage.postgresql.rollups.marks import Marks
from appliance.storage.row_columns import SPAN, WAITING, engagement_of, names, visit_of, waiting_of

Connection = psycopg.Connection[tuple[Any, ...]]

# Visits that start so much before the first event of a batch, or after its last, are fetched one visitor at a time.
AROUND: Final = 3 * DAY

# Texts that repeat together: of the page, of whoever comes, and what is like neither.
_TOGETHER: Final = (
    ("hostname", "path", "title", "name", "source", "currency"),
    tuple(name for name in ACQUISITION_FIELDS if name not in ("referrer", "click_id")),
    ("referrer",),
    ("click_id",),
)
_GROUPS: Final = tuple(
    (tuple(DICTIONARIES[name] for name in names), attrgetter("project_id", *names)) for names in _TOGETHER
)
_USER: Final = DICTIONARIES["user"]


class AnotherDrain(TryAgain):
    """Another drain stored one of these events at the same moment; tried again, it is found."""


class DrainRows:
    """Implements `DrainTransaction` for the connections it was last given by `begin`.

    Codes, ids and claims live on between transactions; `forget` drops them after one that was rolled back.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._codes = Codes()
        self.code = self._codes.code  # called ten times an event: without a step in between
        self._claims = Claims()
        self._partitions = Partitions()
        self.marks = Marks()
        self.timezones: Mapping[int, str] = {}  # of projects
        self._visit_ids: Iterator[int] = iter(())
        self._event_ids: Iterator[int] = iter(())
        self._connection: Connection
        self._aside: Connection
        self._journal_id = b""
        self._new_transaction()

    def begin(self, connection: Connection, aside: Connection, journal_id: bytes) -> None:
        """Work on this connection, inside the transaction that is open on it; `aside` has none, and mints codes and
        makes partitions."""
        self._connection, self._aside, self._journal_id = connection, aside, journal_id
        self._codes.connection = aside
        self._new_transaction()
        self._codes.make_room()
        generation = enter(connection)
        if generation != self.generation:
            self.forget()
            self.generation = generation

    def forget(self) -> None:
        """Drop what is remembered of the database."""
        self._codes.forget()
        self._claims.forget()
        self._partitions.forget()

    def _new_transaction(self) -> None:
        self._known_days: dict[tuple[int, bytes], int] = {}
        self._events: dict[int, tuple[int, int]] = {}  # that are known: visit, time
        self._of_visits: dict[int, int] = {}  # by visit: the time of an event of it
        self._rows: list[StoredEvent] = []
        self._stored: dict[int, StoredEvent] = {}
        self._engaged: dict[int, tuple[int, int, int]] = {}  # by event: project, scroll depth, milliseconds
        self._aliases: dict[Visitor, tuple[int, int]] = {}
        self._asked_aliases: set[Visitor] = set()
        self._visits: dict[Visitor, list[Visit]] = {}  # of the visitors that were fetched
        self._by_id: dict[int, Visit] = {}
        self._window = (0, 0)
        self._identities = Identities()

    # ------------------------------------------------------------------ what a batch asks

    def known(self, ids: Sequence[tuple[int, bytes | str]]) -> dict[tuple[int, bytes | str], Known]:
        by_key = {(project_id, as_bytes(event_id)): (project_id, event_id) for project_id, event_id in ids}
        if not by_key:
            return {}
        found = {}
        rows = self._all(sql.KNOWN, sql.columns_of(by_key))
        for project_id, event_id, day, fingerprint, event, visit_id, time in rows:
            self._known_days[project_id, event_id] = day
            if event:
                self._events[event] = (visit_id, time)
                self._of_visits[visit_id] = time
            found[by_key[project_id, event_id]] = Known(day, fingerprint, event, visit_id)
        return found

    def prepare(
        self, events: Sequence[Event], remembered: Container[Visitor] = (), places: Mapping[int, int] = {}
    ) -> Elsewhere:
        if not events and not self._of_visits:
            return Elsewhere()
        self._visits, self._by_id = {}, {}  # what was there before, if this transaction has changed it since
        self._codes.prepare(_texts(events))
        times = [event.time for event in events] or list(self._of_visits.values())
        self._window = (min(times) - AROUND, max(times) + AROUND)
        visitors = {
            (event.project_id, visitor)
            for event in events
            if event.kind != Kind.ENGAGEMENT
            for visitor in (event.visitor, event.visitor_yesterday, event.anonymous)
            if visitor is not None
        }
        at = now()
        foreign = set(self._claims.take(self._connection, visitors, at))
        # Visits that are engaged with, and those that others are aliases of, may be somebody else's.
        self._fetch_aliases(visitors)
        places = {**self._of_visits, **dict(self._aliases.values()), **places}
        self._fetch_by_id(places)
        held = visitors
        while owners := {(visit.project_id, visit.visitor) for visit in self._by_id.values()} - held:
            foreign |= set(self._claims.take(self._connection, owners, at))
            held |= owners
            self._fetch_by_id(places)  # as they are now that those are held
        self._fetch_visits(foreign | {visitor for visitor in visitors if visitor not in remembered})
        found = [*self._by_id.values(), *chain.from_iterable(self._visits.values())]
        return Elsewhere(foreign, found)

    def visits_of(self, project_id: int, visitor: int, since: int, until: int) -> list[Visit]:
        visits = self._visits.get((project_id, visitor))
        if visits is None or since < self._window[0] or until > self._window[1]:
            values = sql.around([(project_id, visitor)], since, until + SPAN)
            visits = list(map(visit_of, self._all(sql.OF_VISITORS, values)))
        found = [visit for visit in visits if since <= visit.start <= until]
        return found if len(found) < 2 else sorted(found, key=attrgetter("start", "id"))

    def visit(self, visit_id: int) -> Visit | None:
        return self._by_id.get(visit_id)

    def alias_of(self, project_id: int, visitor: int) -> int | None:
        key = (project_id, visitor)
        if key not in self._asked_aliases:
            self._fetch_aliases([key])
            if key in self._aliases:
                self._fetch_by_id(dict([self._aliases[key]]))
        return self._aliases[key][0] if key in self._aliases else None

    def next_visit_id(self) -> int:
        number = next(self._visit_ids, None)
        if number is None:
            self._visit_ids = self._block("visit_id")
            number = next(self._visit_ids)
        return number

    def next_event_id(self) -> int:
        number = next(self._event_ids, None)
        if number is None:
            self._event_ids = self._block("event_id")
            number = next(self._event_ids)
        return number

    # ------------------------------------------------------------------ what a batch changes

    def add_events(self, rows: Sequence[StoredEvent]) -> None:
        self._rows += rows  # with what they carry of their visits: `save_visits` has those
        self._stored.update((row.id, row) for row in rows)

    def save_visits(self, new: Sequence[Visit], grown: Sequence[Visit], changed: Sequence[Visit]) -> None:
        starts = {visit.start for visit in new}
        self._copy("visit", sql.COPY_VISITS, sql.VISIT_TYPES, map(sql.row_of_visit, new), starts)
        grow_visits(self._connection, grown)
        change_visits(self._connection, changed)
        self._by_id |= {visit.id: visit for visit in changed}
        visits = {visit.id: visit for of in (new, grown, changed) for visit in of}
        rows = (sql.row_of_event(row, visits[row.visit_id]) for row in self._rows)
        self._copy("event", sql.COPY_EVENTS, sql.EVENT_TYPES, rows, {row.time for row in self._rows})
        self._rows = []
        self.marks.write(self._connection, (*new, *grown, *changed), now())

    def remember(self, seen: Sequence[tuple[int, bytes | str, int, int, int]]) -> None:
        rows = {}
        for project_id, packed, day, fingerprint, event in seen:
            event_id, stored = as_bytes(packed), self._stored.get(event)
            visit_id, time = (stored.visit_id, stored.time) if stored is not None else (0, 0)
            rows[project_id, event_id] = (project_id, event_id, day, fingerprint, event, visit_id, time)
        again = sorted(rows.keys() & self._known_days.keys())
        if again:
            lists = sql.columns_of((*rows.pop(key), self._known_days[key]) for key in again)
            if self._connection.execute(sql.SEE_AGAIN, lists).rowcount != len(again):
                raise AnotherDrain("another appliance stored one of these events just now")
        if rows:
            # In order, which spares the index pages; where another drain has just stored one, the copy fails.
            try:
                self._write(sql.COPY_SEEN, sql.SEEN_TYPES, sorted(rows.values()))
            except psycopg.errors.UniqueViolation as error:
                raise AnotherDrain("another appliance stored one of these events just now") from error
        self._write_engagement()
        self._identities.write(self._connection)

    def engage(self, project_id: int, event: int, scroll_depth: int, engaged_ms: int) -> None:
        _, depth, milliseconds = self._engaged.get(event, (project_id, 0, 0))
        self._engaged[event] = (project_id, max(depth, scroll_depth), milliseconds + engaged_ms)

    def set_aside(self, numbered: Sequence[tuple[int, Event]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(
                sql.INSERT_WAITING, [(self._journal_id, number, *waiting_of(event)) for number, event in numbered]
            )

    def waiting(self) -> list[tuple[int, Event]]:
        select = f"SELECT id, {names(WAITING)} FROM early_engagement WHERE journal_id = %s ORDER BY id"
        return [(number, engagement_of(kept)) for number, *kept in self._all(select, (self._journal_id,))]

    def release(self, numbers: Sequence[int]) -> None:
        delete = "DELETE FROM early_engagement WHERE journal_id = %s AND id = ANY(CAST(%s AS bigint[]))"
        self._connection.execute(delete, (self._journal_id, list(numbers)))

    def add_alias(self, project_id: int, visitor: int, visit: Visit) -> None:
        self._aliases[project_id, visitor] = found = (visit.id, visit.start)
        self._asked_aliases.add((project_id, visitor))
        self._identities.alias(project_id, visitor, found)

    def drop_alias(self, project_id: int, visitor: int) -> None:
        self._aliases.pop((project_id, visitor), None)
        self._asked_aliases.add((project_id, visitor))
        self._identities.alias(project_id, visitor, None)

    def add_source(self, project_id: int, name: str, at: int) -> None:
        seen = "UPDATE source SET seen_at = greatest(seen_at, %s) WHERE project_id = %s AND name = %s"
        if self._connection.execute(seen, (at, project_id, name)).rowcount:
            return
        self._connection.execute(
            "INSERT INTO source (project_id, name, created_at, seen_at)"
            " SELECT %(id)s, %(name)s, CAST(%(at)s AS BIGINT), CAST(%(at)s AS BIGINT)"
            f" WHERE (SELECT count(*) FROM source WHERE project_id = %(id)s) < {SOURCES_MAX} ON CONFLICT DO NOTHING",
            {"id": project_id, "name": name, "at": at},
        )

    def add_usage(self, events: Mapping[tuple[int, int], int]) -> None:
        by_month: Counter[tuple[int, int]] = Counter()
        for (project_id, received), number in events.items():
            by_month[project_id, local_month(received, self.timezones.get(project_id, "UTC"))] += number
        if by_month:
            # In one order, so that two drains never wait for each other.
            rows = sorted((*key, number) for key, number in by_month.items())
            self._connection.execute(sql.ADD_USAGE, sql.columns_of(rows))

    def merge_traits(self, project_id: int, user: int, traits: str, once: str, at: int) -> None:
        self._identities.state(project_id, user, traits, once, at)

    def add_dead_letter(self, at: int, event: Event, error: str) -> None:
        insert = "INSERT INTO dead_letter (at, project_id, error, event) VALUES (%s, %s, %s, %s)"
        without_nul = error.replace("\0", "\\0")
        self._connection.execute(insert, (at, event.project_id, without_nul, msgspec.msgpack.encode(event)))

    def execute(self, sql: str, params: Params = {}) -> list[Row]:
        cursor = self._connection.execute(translated(sql), params)
        return cursor.fetchall() if cursor.description else []

    def announce(self, report: Callable[[Collection[int]], Sequence[bytes]]) -> None:
        announce(self._connection, self._journal_id, report)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        try:
            with self._connection.transaction():
                yield
        except Exception as error:
            self.forget()
            self._new_transaction()
            if isinstance(error, psycopg.Error):
                raise storage_error(error) from error
            raise

    def checkpoint(self, journal_id: bytes, before: Position | None, after: Position, at: int) -> None:
        values = {"id": journal_id, "segment": after.segment, "position": after.offset, "at": at}
        if before is None:
            change = (
                "INSERT INTO checkpoint (journal_id, segment, position, at)"
                " VALUES (%(id)s, %(segment)s, %(position)s, %(at)s) ON CONFLICT DO NOTHING"
            )
        else:
            values |= {"last_segment": before.segment, "last_position": before.offset}
            change = (
                "UPDATE checkpoint SET segment = %(segment)s, position = %(position)s, at = %(at)s"
                " WHERE journal_id = %(id)s AND segment = %(last_segment)s AND position = %(last_position)s"
            )
        if self._connection.execute(change, values).rowcount != 1:
            raise CheckpointMoved

    # ------------------------------------------------------------------ rows

    def _all(self, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    def _block(self, sequence: str) -> Iterator[int]:
        # Not in the transaction's way: what a sequence gave is gone, whatever becomes of the transaction.
        select = f"SELECT nextval('{sequence}'), (SELECT increment_by FROM pg_sequences WHERE sequencename = %s)"
        row = self._connection.execute(select, (sequence,)).fetchone()
        assert row is not None
        return iter(range(row[0], row[0] + row[1]))

    def _fetch_aliases(self, visitors: Iterable[Visitor]) -> None:
        wanted = [key for key in visitors if key not in self._asked_aliases]
        self._asked_aliases.update(wanted)
        if wanted:
            for project_id, visitor, *visit_near in self._all(sql.ALIASES, sql.columns_of(wanted)):
                self._aliases[project_id, visitor] = (visit_near[0], visit_near[1])

    def _fetch_by_id(self, places: dict[int, int]) -> None:
        """Visits by id; each has a time that lies in its span."""
        if places:
            low, high = min(places.values()) - SPAN, max(places.values()) + SPAN
            for row in self._all(sql.BY_ID, (sql.array_of(places), low, high)):
                self._by_id[row[0]] = visit_of(row)

    def _fetch_visits(self, visitors: Collection[Visitor]) -> None:
        self._visits.update((visitor, []) for visitor in visitors)
        if visitors:
            low, high = self._window
            for row in self._all(sql.OF_VISITORS, sql.around(visitors, low, high + SPAN)):
                visit = visit_of(row)
                self._visits[visit.project_id, visit.visitor].append(visit)

    def _copy(
        self, table: str, copy: str, types: Sequence[str], rows: Iterator[tuple[Any, ...]], times: Collection[int]
    ) -> None:
        if times:
            self._partitions.ensure(self._aside, table, times)
            self._write(copy, types, rows)

    def _write(self, copy: str, types: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        with self._connection.cursor(row_factory=tuple_row) as cursor, cursor.copy(copy) as out:
            out.set_types(types)
            for row in rows:
                out.write_row(row)

    def _write_engagement(self) -> None:
        engagement = []
        for event, (project_id, *said) in self._engaged.items():
            visit_id, time = self._events[event]
            if visit_id not in self._by_id:
                raise VisitGone
            engagement.append(Engagement(project_id, self._by_id[visit_id].visitor, time, event, *said))
        engage(self._connection, engagement)
        self._engaged = {}


def _texts(events: Sequence[Event]) -> Iterator[tuple[int, int, str]]:
    for project_id, user in {(event.project_id, event.user_id) for event in events if event.user_id}:
        yield project_id, _USER, user
    stored = [event for event in events if event.kind <= Kind.CUSTOM]
    for dimensions, texts_of in _GROUPS:
        for project_id, *texts in set(map(texts_of, stored)):
            for dimension, text in zip(dimensions, texts, strict=True):
                if text:
                    yield project_id, dimension, text
