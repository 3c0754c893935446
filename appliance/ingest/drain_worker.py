"""The drain's own process: `python -m appliance.ingest.drain_worker JOURNAL_FOLDER JOURNAL_ID`.

Where the database is says a variable (storage/location.py): a password must not stand in a list of processes.

It has a process to itself because the serving process may not wait for the interpreter while a batch is placed into
visits: that cost requests more than all their own work (docs/decisions/0001). It hears of new journal positions on
standard input, tells what it stored on standard output, and ends when standard input closes, which is also what
happens when the serving process dies, however it dies.
"""

import fcntl
import gc
import itertools
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import structlog

from appliance import telemetry
from appliance.clock import now
from appliance.errors import CheckpointMoved, StorageUnavailable
from appliance.frames import Unframer, frame
from appliance.ingest import progress
from appliance.ingest.batch import Applied
from appliance.ingest.drain import Drain
from appliance.ingest.early_engagement import WAIT_MAX
from appliance.ingest.imports import queue
from appliance.ingest.progress import Finish, FromDrain, Reached, Settled, Stored, Stuck, Take, Taken, Watch
from appliance.storage.interface import DrainStore, Position
from appliance.storage.location import DATABASE_VARIABLE, drain_store_at

log = structlog.get_logger(__name__)

RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
# How much may be drained before the database is made to put it on disk and the journal may let go of it.
SETTLE_BYTES = 48 << 20
SETTLE_SECONDS = 30.0
LOCK_FILE = "drain.lock"
GC_OBJECTS = 50_000  # new objects between two looks for cycles, of which a batch makes hardly any
NICE = 5  # where CPUs are few, answering comes before storing
NOWHERE = Position(0, 0)  # before every record
TURNS = 8  # where the journal never ends, imports get every so many-th step
PAUSE_SECONDS = 0.02  # between two packages, in which others may write to the database
EVENT_BYTES = 300  # what an event of an import adds to what is not settled, about


class Gone(Exception):
    """The serving process is not there any more."""


class Worker:
    """Drains whenever there is something to drain, and listens in between."""

    def __init__(self, folder: Path, journal_id: bytes, store: DrainStore, commands: int, reports: IO[bytes]) -> None:
        self._drain = Drain(folder, journal_id, store)
        self._store = store
        self._commands = commands
        self._reports = reports
        self._unframer = Unframer()
        self._end = NOWHERE
        self._quiet = False  # the serving process has said up to where the journal goes, and nothing since
        self._finishing = False
        self._unsettled_bytes = 0
        self._settled_at = time.monotonic()
        self._settled: Position | None = None
        self._failures = 0
        self._reached: Position | None = None
        self._packages: dict[str, None] = {}  # of imports, in order
        self._watched: list[int] = []  # projects whose events are told in full
        self._passed_over = 0  # steps of the journal since one was taken

    def run(self) -> None:
        """Work until told to finish, or until nobody is there."""
        self._settle()  # what a drain before this one has stored may not be on disk yet
        while True:
            busy = self._step()
            more = self._take_package(busy)
            self._settle_when_due()
            if self._finishing and not busy and not self._failures:
                self._settle()
                self._store.close()
                return
            self._listen(0.0 if busy else PAUSE_SECONDS if more else self._patience())

    def _step(self) -> bool:
        """Drain one batch; whether there may be more."""
        before = self._drain.position
        try:
            applied = self._drain.step(self._end) or self._expire()
        except StorageUnavailable as error:
            self._failures += 1
            self._reached = None  # said again as soon as it is so, or the serving process would not hear of the end
            self._say(Stuck(str(error)))
            return False
        self._failures = 0
        position = self._drain.position
        if applied is None or position is None:
            if self._reached != self._end:
                self._reached = self._end
                self._say(Reached(self._end))
            return False
        same = before is not None and before.segment == position.segment
        self._unsettled_bytes += position.offset - (before.offset if before is not None and same else 0)
        self._say(self._parts(applied, position))
        return True

    def _take_package(self, busy: bool) -> bool:
        """Store a piece of an import, when the journal leaves time for it; whether there may be more."""
        self._passed_over += 1
        if not self._packages or self._finishing or (busy and self._passed_over < TURNS):
            return False
        self._passed_over = 0
        name = next(iter(self._packages))
        path = Path(name)
        package = applied = None
        try:
            package = queue.read(path)
            if package is not None:
                applied = self._drain.take_package(package)
        except StorageUnavailable as error:
            self._failures += 1
            self._say(Stuck(str(error)))
            return False
        except Exception:
            log.exception("a piece of an import cannot be stored", package=path.name)
        del self._packages[name]
        queue.settle(path, stored=applied is not None)
        self._unsettled_bytes += package.size * EVENT_BYTES if package is not None else 0
        told = None
        if applied is not None:
            told = self._parts(progress.lately(applied, now()), NOWHERE)
            told.events = len(applied.stored)
        self._say(Taken(name, told))
        return bool(self._packages)

    def _parts(self, applied: Applied, position: Position) -> Stored:
        """Say all of a batch but what is given back, which is to be said last."""
        more, told = progress.parts(applied, position, self._watched)
        for part in more:
            self._say(part)
        return told

    def _expire(self) -> Applied | None:
        """Where nothing comes any more, refuse the engagement that has waited too long."""
        if not self._quiet:
            return None  # what it waits for may be in the journal
        # As long again is left for requests under way: they have their time of receipt, and no place in the journal.
        return self._drain.expire(now() - WAIT_MAX)

    def _patience(self) -> float:
        """How long to listen when there is nothing to drain, or the database is away."""
        if self._failures:
            return RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1]
        return 60.0 if self._settled == self._drain.position else SETTLE_SECONDS / 4

    def _listen(self, seconds: float) -> None:
        readable, _, _ = select.select([self._commands], [], [], seconds)
        self._quiet = not readable and self._end != NOWHERE
        if not readable:
            return
        data = os.read(self._commands, 1 << 16)
        if not data:
            raise Gone
        for payload in self._unframer.feed(data):
            command = progress.decode_to_drain(payload)
            if isinstance(command, Finish):
                self._finishing = True
            elif isinstance(command, Take):
                self._packages |= dict.fromkeys(command.paths)
            elif isinstance(command, Watch):
                self._watched = command.projects
            else:
                self._end = command.end

    def _settle_when_due(self) -> None:
        if self._settled == self._drain.position and not self._unsettled_bytes:
            return
        if self._unsettled_bytes > SETTLE_BYTES or time.monotonic() - self._settled_at > SETTLE_SECONDS:
            self._settle()

    def _settle(self) -> None:
        position = self._drain.position
        self._settled_at = time.monotonic()
        self._unsettled_bytes = 0
        if position is None:
            return
        try:
            self._store.settle()
        except StorageUnavailable as error:
            self._say(Stuck(str(error)))  # tried again when it is due
            return
        self._settled = position
        self._say(Settled(position))

    def _say(self, report: FromDrain) -> None:
        say(self._reports, report)


def say(reports: IO[bytes], report: FromDrain) -> None:
    """Tell the serving process. Raises Gone."""
    try:
        reports.write(frame(progress.encode(report)))
        reports.flush()
    except BrokenPipeError:
        raise Gone from None


def _start(folder: Path, journal_id: bytes, url: str) -> Worker:
    """A worker, as soon as the database answers."""
    for failures in itertools.count():
        try:
            return Worker(folder, journal_id, drain_store_at(url), sys.stdin.fileno(), sys.stdout.buffer)
        except StorageUnavailable as error:
            say(sys.stdout.buffer, Stuck(str(error)))
            time.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
    raise AssertionError


def main(arguments: list[str]) -> None:
    folder, journal_id = Path(arguments[0]), bytes.fromhex(arguments[1])
    # Asked to end, the whole group gets the signal; but the serving process decides when the drain is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(NICE)
    gc.set_threshold(GC_OBJECTS, 20, 100)
    telemetry.configure_logs(arguments[2] if len(arguments) > 2 else "json")
    with (folder / LOCK_FILE).open("a") as lock:
        # The drain of a serving process that was killed a moment ago may still be finishing its batch.
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(Gone, CheckpointMoved):
            _start(folder, journal_id, os.environ[DATABASE_VARIABLE]).run()


if __name__ == "__main__":
    main(sys.argv[1:])
