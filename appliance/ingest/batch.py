"""One drained batch, applied inside one transaction: deduplicate, place in visits, store.

Events are taken one at a time in journal order, so it does not matter how the journal was cut into batches.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import NamedTuple

import msgspec

from appliance.clock import DAY, HOUR
from appliance.ingest.early_engagement import EarlyEngagement, IdKey, pageview_key, pageview_keys
from appliance.ingest.imports.package import OfVisit
from appliance.ingest.visits import Rule, VisitBook, rule_of
from appliance.model import ACQUISITION_FIELDS, Event, Flag, Kind, ProjectSettings, Visit
from appliance.storage import imports
from appliance.storage.dimensions import DICTIONARIES
from appliance.storage.event_ids import pack
from appliance.storage.interface import DrainTransaction, Known, StoredEvent

_USER = DICTIONARIES["user"]
_CONTEXT = DICTIONARIES["context"]
_ALL_FIRST = tuple((index, name, DICTIONARIES[name]) for index, name in enumerate(ACQUISITION_FIELDS))
_DEVICE_AND_PLACE = _ALL_FIRST[ACQUISITION_FIELDS.index("country") :]
_device_of = attrgetter(*(name for _, name, _ in _DEVICE_AND_PLACE))
_all_of = attrgetter(*ACQUISITION_FIELDS)
SAID_MAX = 20_000
# Looking up members of enumerations is slow in Python 3.11.
_MINTED, _IMPORTED = int(Flag.MINTED), int(Flag.IMPORTED)
_ENGAGEMENT, _IDENTIFY, _RESET, _ALIAS = (
    int(kind) for kind in (Kind.ENGAGEMENT, Kind.IDENTIFY, Kind.RESET, Kind.ALIAS)
)

# Texts that repeat together from event to event; their codes are remembered together.
_TOGETHER = ("name", "source", "hostname", "path", "title", "currency")
_TEXTS = tuple(DICTIONARIES[name] for name in _TOGETHER)
_texts_of = attrgetter("project_id", *_TOGETHER)
CODES_MAX = 20_000
SOURCES_MAX = 20_000
QUARTER = HOUR // 4


class Placed(NamedTuple):
    """A stored event, and its visit: the visitor it belongs to, and the session id that clients call it by."""

    event: Event
    visit_id: int
    visitor: int
    session_id: str


class Applied(msgspec.Struct):
    """What a batch did. `duplicates` includes `conflicts`: the same id with other content."""

    stored: list[Placed]
    duplicates: int
    conflicts: int
    refused: list[tuple[Event, str]]  # events that could not be placed, with the reason

    def add(self, other: "Applied") -> None:
        """Take in what another batch did."""
        self.stored += other.stored
        self.duplicates += other.duplicates
        self.conflicts += other.conflicts
        self.refused += other.refused


class Batch:
    """Applies events; keeps the visit book, and the engagement that came early, from one batch to the next."""

    def __init__(self, settings_of: Callable[[int], ProjectSettings]) -> None:
        self._settings_of = settings_of
        self._book = VisitBook()
        self._early = EarlyEngagement()
        self._sources: dict[tuple[int, str], int] = {}  # the day (since 1970) of which it is noted that they were seen
        self._codes: dict[tuple[object, ...], tuple[int, ...]] = {}
        self._said: dict[int, tuple[str, ...]] = {}  # by visit: what an event said last that said nothing more
        self._generation = 0

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._book.forget()
        self._early.forget()
        self._sources.clear()
        self._codes.clear()
        self._said.clear()

    def apply(self, tx: DrainTransaction, events: Iterable[Event], *, live: bool = True) -> Applied:
        """Store the events that are new. Runs on the writer thread, inside its transaction.

        Unless they are `live`, their times of receipt say nothing of what else was received.
        """
        self._remember_since(tx)
        events = list(events)
        keys: list[IdKey | None] = [
            None if event.flags & _MINTED else (event.project_id, pack(event.event_id)) for event in events
        ]
        pageviews = [key for event in events if event.pageview_id for key in pageview_keys(event)]
        self._early.begin(tx)
        if live and self._early.may_be_overdue(max((event.received for event in events), default=0)):
            pageviews += self._early.by_pageview  # by now another drain may have stored them
        known: dict[IdKey, Known] = tx.known([key for key in keys if key is not None] + pageviews)
        self._book.begin(tx)
        self._book.drop(tx.prepare(events, self._book.visitors))
        waiting = self._early.by_pageview
        applied = Applied([], 0, 0, [])
        rows: list[StoredEvent] = []
        row_of: dict[int, StoredEvent] = {}
        seen: list[tuple[int, bytes | str, int, int, int]] = []
        for event, key in zip(events, keys, strict=True):
            if waiting and live and event.received > self._early.due:
                self._give_up(tx, event.received, known, row_of, applied)
            fingerprint = 0
            if key is not None:
                fingerprint = _fingerprint(event)
                if (before := known.get(key)) is not None and self._in_window(event, before):
                    applied.duplicates += 1
                    applied.conflicts += before.fingerprint != fingerprint
                    continue
            row = self._take(tx, event, key, known, row_of, applied)
            if row is not None:
                rows.append(row)
                row_of[row.id] = row
            called = [] if key is None else [(key, fingerprint)]
            if row is not None and event.pageview_id:
                called.append((pageview_key(event), 0))  # of the page views with this name it is the newest
            for name, mark in called:
                day = event.received // DAY
                known[name] = Known(day, mark, row.id if row else 0, row.visit_id if row else 0)
                seen.append((*name, day, mark, row.id if row else 0))
                if waiting and name in waiting:
                    rule = rule_of(self._settings_of(event.project_id))
                    for early in self._early.leave(name):
                        self._engage(tx, early, known, row_of, rule, applied)
        tx.add_events(rows)
        self._book.save()
        self._early.save()
        tx.remember(seen)
        # Last: whoever else counts the same project's events waits until this transaction has ended.
        tx.add_usage(_by_quarter(applied.stored))
        return applied

    def restore(self, tx: DrainTransaction, import_id: str, events: list[Event], visits: list[OfVisit]) -> Applied:
        """Store events in the visits that their file says, of each one, although other rules might place them
        elsewhere today. None is a duplicate: what was read of the file is known by its place there."""
        if not events:
            return Applied([], 0, 0, [])
        self._remember_since(tx)
        known = imports.visits(tx, import_id, {said.number for said in visits})
        self._book.begin(tx)
        self._book.drop(tx.prepare(events, self._book.visitors, dict(known.values())))
        new: dict[int, Visit] = {}
        rows: list[StoredEvent] = []
        applied = Applied([], 0, 0, [])
        for event, said in zip(events, visits, strict=True):
            self._know_source(tx, event)
            before = new[said.number].id if said.number in new else known.get(said.number, (0, 0))[0]
            visit = self._book.restore(event, before, said.end, said.user_id)
            if visit.id != before:
                new[said.number] = visit
            rows.append(self._row(tx, event, visit, None))
            applied.stored.append(Placed(event, visit.id, visit.visitor, visit.session_id))
        tx.add_events(rows)
        self._book.save()
        tx.remember([])
        imports.note_visits(tx, import_id, new)
        return applied

    def may_expire(self, received: int) -> bool:
        """False: `expire` would find nothing. Needs no transaction."""
        return self._early.may_be_overdue(received)

    def expire(self, tx: DrainTransaction, received: int) -> Applied:
        """Refuse the engagement that an event received at that time (UTC microseconds) would find overdue."""
        applied = Applied([], 0, 0, [])
        self._early.begin(tx)
        known = tx.known(list(self._early.by_pageview))
        self._book.begin(tx)
        self._book.drop(tx.prepare([]))
        self._give_up(tx, received, known, {}, applied)
        self._book.save()
        self._early.save()
        tx.remember([])
        return applied

    def _remember_since(self, tx: DrainTransaction) -> None:
        """Drop what is remembered of before something stored was removed."""
        if tx.generation != self._generation:
            self.forget()
            self._generation = tx.generation

    def _give_up(
        self,
        tx: DrainTransaction,
        received: int,
        known: dict[IdKey, Known],
        row_of: dict[int, StoredEvent],
        applied: Applied,
    ) -> None:
        """Refuse engagement that waited too long, unless its page view was stored by another drain."""
        for event in self._early.overdue(received):
            if pageview_key(event) in known:
                rule = rule_of(self._settings_of(event.project_id))
                self._engage(tx, event, known, row_of, rule, applied)
            else:
                _refuse([event], applied)

    def _in_window(self, event: Event, before: Known) -> bool:
        days = self._settings_of(event.project_id).deduplication_days
        return event.received // DAY - before.received_day <= days

    def _take(
        self,
        tx: DrainTransaction,
        event: Event,
        key: IdKey | None,
        known: dict[IdKey, Known],
        row_of: dict[int, StoredEvent],
        applied: Applied,
    ) -> StoredEvent | None:
        """Let one new event take effect; its row when it is one that is stored as a row."""
        rule = rule_of(self._settings_of(event.project_id))
        if (event.traits or event.traits_once) and event.user_id:
            user = tx.code(event.project_id, _USER, event.user_id)
            tx.merge_traits(event.project_id, user, event.traits or "{}", event.traits_once or "{}", event.time)
        if event.kind in (_IDENTIFY, _ALIAS):
            self._book.identify(event, rule)
            return None
        if event.kind == _RESET:
            self._book.reset(event)
            return None
        if event.kind == _ENGAGEMENT:
            self._engage(tx, event, known, row_of, rule, applied)
            return None
        self._know_source(tx, event)
        visit = self._book.place(event, rule)
        row = self._row(tx, event, visit, key)
        applied.stored.append(Placed(event, visit.id, visit.visitor, visit.session_id))
        return row

    def _know_source(self, tx: DrainTransaction, event: Event) -> None:
        if event.source:
            source, day = (event.project_id, event.source), event.received // DAY
            if self._sources.get(source, -1) < day:
                if len(self._sources) > SOURCES_MAX:
                    self._sources.clear()
                tx.add_source(*source, event.received)
                self._sources[source] = day

    def _row(self, tx: DrainTransaction, event: Event, visit: Visit, key: IdKey | None) -> StoredEvent:
        texts = _texts_of(event)
        codes = self._codes.get(texts)
        if codes is None:
            if len(self._codes) > CODES_MAX:
                self._codes.clear()
            project_id = event.project_id
            pairs = zip(_TEXTS, texts[1:], strict=True)
            codes = self._codes[texts] = tuple([tx.code(project_id, dimension, text) for dimension, text in pairs])
        name, source, hostname, path, title, currency = codes
        # Positional, in the order of StoredEvent's fields: names would cost as much as the rest.
        return StoredEvent(
            tx.next_event_id(),
            event.project_id,
            key[1] if key is not None else pack(event.event_id),
            visit.id,
            event.time,
            event.received,
            event.kind,
            event.flags,
            event.rate,
            name,
            source,
            hostname,
            path,
            title,
            tx.code(event.project_id, _USER, event.user_id) if event.user_id else 0,
            event.scroll_depth,
            event.engaged_ms,
            event.revenue,
            currency,
            self._context(tx, event, visit),
            event.properties or None,
        )

    def _context(self, tx: DrainTransaction, event: Event, visit: Visit) -> int:
        """Code of what the event says of acquisition, place and device beyond what its visit says, 0 when it says
        nothing more. It is kept so that an export gives back what was sent."""
        if visit.events == 1:
            return 0
        direct = event.channel in ("", "Direct")
        said: tuple[str, ...] = _device_of(event) if direct else _all_of(event)
        if self._said.get(visit.id) == said or (direct and not any(said)):
            return 0
        project_id = event.project_id
        own = {
            name: text
            for (index, name, dimension), text in zip(_DEVICE_AND_PLACE if direct else _ALL_FIRST, said, strict=True)
            if text and tx.code(project_id, dimension, text) != visit.first[index]
        }
        if not own:
            if len(self._said) > SAID_MAX:
                self._said.clear()
            self._said[visit.id] = said
            return 0
        return tx.code(project_id, _CONTEXT, msgspec.json.encode(own).decode())

    def _engage(
        self,
        tx: DrainTransaction,
        event: Event,
        known: dict[IdKey, Known],
        row_of: dict[int, StoredEvent],
        rule: Rule,
        applied: Applied,
    ) -> None:
        pageview = next((known[key] for key in pageview_keys(event) if key in known), None)
        if pageview is None:
            _refuse(self._early.add(event), applied)
            return
        if not pageview.visit_id or not self._book.engage(pageview.visit_id, event.time, rule):
            _refuse([event], applied)
            return
        row = row_of.get(pageview.event)
        if row is None:
            tx.engage(event.project_id, pageview.event, event.scroll_depth, event.engaged_ms)
        else:
            row.scroll_depth = max(row.scroll_depth, event.scroll_depth)
            row.engaged_ms += event.engaged_ms


def _by_quarter(stored: Iterable[Placed]) -> Counter[tuple[int, int]]:
    """Numbers of events by project and the quarter of an hour in which they were received, as the time when it begins:
    no zone begins a month within one. Imported ones, which were not sent this month, are left out."""
    return Counter(
        [
            (event.project_id, event.received - event.received % QUARTER)
            for event, _, _, _ in stored
            if not event.flags & _IMPORTED
        ]
    )


def _refuse(engagement: list[Event], applied: Applied) -> None:
    applied.refused += [(event, "no_pageview") for event in engagement]


def _fingerprint(event: Event) -> int:
    """CRC-32 of what the client said, to tell a retry from other content under the same id."""
    named = event.pageview_id if event.kind == _ENGAGEMENT else ""  # of a page view it is no word of the client's
    content = (event.kind, event.name, event.path, event.user_id, event.revenue, event.properties, named)
    return zlib.crc32(msgspec.msgpack.encode(content))
