"""Journal to database: takes what the journal holds, batch by batch, each in one transaction with its checkpoint.

A batch and the journal position after it commit together, so replaying after a crash starts exactly where the
database stands: nothing is lost, nothing counts twice. Synchronous: it runs in a process of its own
(`drain_worker.py`), or in the command line's.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from appliance.clock import now
from appliance.errors import StorageUnavailable, TryAgain
from appliance.ingest import progress
from appliance.ingest.batch import Applied, Batch
from appliance.ingest.imports.package import Package
from appliance.ingest.journal_reader import JournalReader
from appliance.ingest.segment import Damage
from appliance.model import Event
from appliance.storage import imported_figures, imports
from appliance.storage.interface import DrainStore, DrainTransaction, Position

T = TypeVar("T")
log = structlog.get_logger(__name__)

# Of one batch. Where many wait, a large one costs less: a visit is written once, however many of its events there are.
BATCH_EVENTS_MAX = 16_000
READ_BYTES_MAX = 4 << 20
ATTEMPTS = 5  # of a batch that others were in the way of
_NOWHERE = Position(0, 0)  # where imports are in the journal

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Event]).decode


def encode_events(events: list[Event]) -> bytes:
    """The payload of a journal record: the events of one request, MessagePack."""
    return _encode(events)


def encode_event(event: Event) -> bytes:
    """One event, for `join_events`."""
    return _encode(event)


def join_events(events: list[bytes]) -> bytes:
    """The payload of a record of events that are encoded already."""
    return _encode([msgspec.Raw(event) for event in events])


class Drain:
    """Drains one journal into one store. `position` is where the database stands: everything before is in it."""

    def __init__(self, folder: Path, journal_id: bytes, store: DrainStore) -> None:
        """Raises StorageUnavailable."""
        self._reader = JournalReader(folder, self._report)
        self._journal_id = journal_id
        self._store = store
        self._batch = Batch(store.settings_of)
        # Where the database stands, and what was done, if the last transaction was committed although nobody said so.
        self._unsure: tuple[Position, Applied] | None = None
        self.position = store.position(journal_id)

    def step(self, end: Position) -> Applied | None:
        """Commit the next batch before `end`; None when there is none.

        Raises StorageUnavailable when the database is away: call again later. Events that the database refuses for
        other reasons go to the dead letters, and one bad event never blocks the others.
        """
        if (applied := self._committed_after_all()) is not None:
            return applied
        taken = self._take(end)
        if taken is None:
            return None
        events, position = taken
        try:
            applied = self._transact(lambda tx: self._together(tx, events, position))
        except StorageUnavailable:
            raise
        except Exception as error:
            log.error("a batch was refused; its events are tried one by one", error=repr(error), events=len(events))
            applied = self._transact(lambda tx: self._singly(tx, events, position))
        self.position = position
        self._unsure = None
        return applied

    def expire(self, received: int) -> Applied | None:
        """Refuse engagement that waits although everything received up to that time (UTC microseconds) is drained, as
        the next event would; None when there is none.

        Raises StorageUnavailable.
        """
        position = self.position
        if position is None or not self._batch.may_expire(received):
            return None
        applied = self._transact(lambda tx: self._expire(tx, received, position))
        return applied if applied.refused else None

    def take_package(self, package: Package) -> Applied | None:
        """Commit a piece of an import; None where nothing of it may be stored, because it was already, or the import
        was stopped. Raises as `step` does."""
        try:
            return self._transact(lambda tx: self._import(tx, package, self._all_of))
        except StorageUnavailable:
            raise
        except Exception as error:
            log.error("a piece of an import was refused; its events are tried one by one", error=repr(error))
            return self._transact(lambda tx: self._import(tx, package, self._one_by_one))

    def _committed_after_all(self) -> Applied | None:
        """What a batch did whose transaction ended with the connection, when it turns out to be in the database."""
        if self._unsure is None:
            return None
        position, applied = self._unsure
        there = self._store.position(self._journal_id)
        self._unsure = None
        if there != position:
            return None
        self.position = position
        return applied

    def _take(self, end: Position) -> tuple[list[Event], Position] | None:
        """The next events in journal order, and the position after them."""
        events: list[Event] = []
        position = None
        for payload, position in self._reader.read(self.position, end, bytes_max=READ_BYTES_MAX):
            if payload:
                try:
                    events += _decode(payload)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    # Whole by its checksum and yet no record of ours: say so and go on.
                    log.error("journal record not understood", position=position, error=str(error))
            if len(events) >= BATCH_EVENTS_MAX:
                break
        return None if position is None else (events, position)

    def _transact(self, work: Callable[[DrainTransaction], T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._store.transact(work)
            except BaseException as error:
                self._batch.forget()
                if not isinstance(error, TryAgain) or attempt == ATTEMPTS:
                    raise
        raise AssertionError

    def _together(self, tx: DrainTransaction, events: list[Event], position: Position) -> Applied:
        self._unsure = None
        applied = self._apply(tx, events)
        tx.announce(lambda watched: progress.announced(applied, position, watched))
        tx.checkpoint(self._journal_id, self.position, position, now())
        self._unsure = (position, applied)
        return applied

    def _apply(self, tx: DrainTransaction, events: list[Event]) -> Applied:
        """Store events, but for those of projects that were removed meanwhile: nobody would ever remove them."""
        gone = {number for number in {event.project_id for event in events} if not self._store.has_project(number)}
        if not gone:
            return self._batch.apply(tx, events)
        applied = self._batch.apply(tx, [event for event in events if event.project_id not in gone])
        applied.refused += [(event, "no_project") for event in events if event.project_id in gone]
        return applied

    def _singly(self, tx: DrainTransaction, events: list[Event], position: Position) -> Applied:
        """Event by event in savepoints; what the database refuses goes to the dead letters, with the error."""
        self._unsure = None
        total = self._each(tx, events, lambda event: self._apply(tx, [event]))
        tx.announce(lambda watched: progress.announced(total, position, watched))
        tx.checkpoint(self._journal_id, self.position, position, now())
        self._unsure = (position, total)
        return total

    def _each(self, tx: DrainTransaction, events: list[Event], apply: Callable[[Event], Applied]) -> Applied:
        total = Applied([], 0, 0, [])
        for event in events:
            try:
                with tx.savepoint():
                    applied = apply(event)
            except StorageUnavailable:
                raise
            except Exception as error:
                self._batch.forget()
                tx.add_dead_letter(now(), event, f"{type(error).__name__}: {error}")
                total.refused.append((event, "dead_letter"))
            else:
                total.add(applied)
        return total

    def _import(
        self, tx: DrainTransaction, package: Package, apply: Callable[[DrainTransaction, Package], Applied]
    ) -> Applied | None:
        counts = imports.enter(tx, package.step, now())
        if counts is None:
            return None
        applied = apply(tx, package)
        if package.figures:
            imported_figures.add(tx, package.project_id, package.step.import_id, package.figures)
        counts.add(package.step.counts)
        counts.add(
            imports.Counts(stored=len(applied.stored), duplicates=applied.duplicates, refused=len(applied.refused))
        )
        imports.leave(tx, package.step.import_id, counts)
        recent = progress.lately(applied, now())
        tx.announce(lambda watched: progress.announced(recent, _NOWHERE, watched))
        return applied

    def _all_of(self, tx: DrainTransaction, package: Package) -> Applied:
        applied = self._batch.restore(tx, package.step.import_id, package.exact, package.visits)
        if package.events:
            applied.add(self._batch.apply(tx, package.events, live=False))
        return applied

    def _one_by_one(self, tx: DrainTransaction, package: Package) -> Applied:
        visits = iter(package.visits)
        import_id = package.step.import_id
        applied = self._each(tx, package.exact, lambda e: self._batch.restore(tx, import_id, [e], [next(visits)]))
        applied.add(self._each(tx, package.events, lambda e: self._batch.apply(tx, [e], live=False)))
        return applied

    def _expire(self, tx: DrainTransaction, received: int, position: Position) -> Applied:
        applied = self._batch.expire(tx, received)
        if applied.refused:
            tx.checkpoint(self._journal_id, position, position, now())  # only if nobody else drains this journal
        return applied

    def _report(self, path: Path, damage: Damage) -> None:
        log.warning(
            "journal bytes left out", file=path.name, offset=damage.offset, bytes=damage.length, reason=damage.reason
        )
