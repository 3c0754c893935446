"""One import from where it stands to the end of its file, in whichever process.

The reading, which takes long, goes on in a thread; what is asked of the database before and after is asked here.
"""

import asyncio
import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from appliance.clock import now
from appliance.errors import ApplianceError, Invalid, StorageUnavailable
from appliance.ingest.data_centres import DataCentres
from appliance.ingest.geo import Locator
from appliance.ingest.imports import formats, queue
from appliance.ingest.imports.delivery import Delivery, Void
from appliance.ingest.imports.format import Context, Format, Head, Reader
from appliance.ingest.imports.identify import LOOK_BYTES
from appliance.ingest.imports.lines import Lines, records
from appliance.ingest.imports.opening import Opened, read_head, telling_of_damage
from appliance.ingest.imports.reading import Reading, sender_of
from appliance.ingest.imports.salts import ImportSalts
from appliance.ingest.pipeline import Dropped, Rejected
from appliance.ingest.visitor import Salts, local_day
from appliance.model import Project
from appliance.storage import exclusions, imports, projects
from appliance.storage.imports import Counts, Import, State
from appliance.storage.interface import Database

ATTEMPTS_MAX: Final = 3  # without getting any further
QUIET_SECONDS: Final = 2.0  # after which a last line without an end is no line that is being written
FOLLOW_SECONDS: Final = 0.5
SALT_SECONDS: Final = 900.0
END_SECONDS: Final = 300.0

# Told as it goes on: bytes read, bytes in all, and what became of the lines that this run has read.
Tell = Callable[[int, int, Counts], None]


class Where(NamedTuple):
    """What an import works with: the data folder, the database's URL, and the files with places and with networks of
    data centres, where there are any."""

    data_dir: Path
    database: str
    geo: Path | None = None
    data_centres: Path | None = None


class Plan(NamedTuple):
    """What reading rests on."""

    found: Import
    context: Context
    salts: ImportSalts


class Claim:
    """Of an import: while it is open, nobody else on this data folder works on the same. A lock of the operating system
    on one byte of one file, the byte being the import's."""

    def __init__(self, data_dir: Path, import_id: str) -> None:
        """Raises Invalid (409) where somebody works on it."""
        path = _lock_path(data_dir)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = path.open("a")
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, UUID(import_id).int >> 66)
        except OSError:
            self._file.close()
            raise Invalid("The file is being imported right now.", code="import_running", status=409) from None

    def close(self) -> None:
        self._file.close()


def prepare(data_dir: Path) -> None:
    """Make what importers share, so that it belongs to the server, whoever imports first. Raises OSError."""
    queue.folder_of(data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    _lock_path(data_dir).touch(mode=0o600)


def is_held(data_dir: Path, import_id: str) -> bool:
    """Whether somebody works on an import."""
    try:
        Claim(data_dir, import_id).close()
    except Invalid:
        return True
    return False


def _lock_path(data_dir: Path) -> Path:
    return data_dir / "imports" / "lock"


async def run(
    db: Database,
    where: Where,
    import_id: str,
    path: Path,
    *,
    alone: bool,
    follow: bool = False,
    tell: Tell = lambda read, total, counts: None,
) -> Import:
    """Import what is left of a file; gives the ledger's record of it.

    `alone`: also without a server. `follow`: at the end wait for more, until the file is replaced by another one.
    When the call is cancelled, what was read is stored, and the import is said to be stopped.
    """
    delivery = Delivery(where.data_dir, where.database, alone=alone)
    stop = threading.Event()
    with closing(Claim(where.data_dir, import_id)):
        attempts, reached = 0, -1
        while True:
            plan = await _plan(db, import_id, path)
            if plan is None:
                break
            attempts = 0 if plan.found.position > reached else attempts + 1
            reached = plan.found.position
            work = _Work(plan, where, path, delivery, stop, follow, tell)
            running = asyncio.ensure_future(asyncio.to_thread(work.run))
            tidying = asyncio.create_task(_forget_salts(db, plan, work))
            state, error, cancelled = await _outcome(running, stop)
            tidying.cancel()
            if state == "done" and not await _stands_at(db, import_id, work.position):
                state = "void"  # a package was lost on its way
            if error is None and cancelled is None and state == "void" and attempts < ATTEMPTS_MAX:
                continue
            if state == "void":
                state, error = "failed", f"the database takes nothing behind line {plan.found.line:,}"
            await _end(db, import_id, "stopped" if cancelled else state, error or "")
            if cancelled is not None:
                raise cancelled
            break
    found = await imports.find(db, import_id)
    if found is None:
        raise Invalid("The import is gone.", code="import_gone", status=410)
    return found


async def _end(db: Database, import_id: str, state: State, error: str) -> None:
    """Say how it ended; a database that is away, or that others write to without a pause, is waited for."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        try:
            await imports.end(db, import_id, state, error=error, at=now())
            return await imports.forget_old_salts(db, import_id, now())
        except StorageUnavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(FOLLOW_SECONDS)


async def _forget_salts(db: Database, plan: Plan, work: "_Work") -> None:
    """An import that follows its file never ends, and keeps its salts no longer than live ones are kept."""
    while True:
        await asyncio.sleep(SALT_SECONDS)
        if work.caught_up:
            plan.salts.forget(imports.oldest_salt_day(now()))
            await imports.forget_old_salts(db, plan.found.id, now())


async def _stands_at(db: Database, import_id: str, position: int) -> bool:
    found = await imports.find(db, import_id)
    return found is not None and found.position == position


async def _outcome(
    running: "asyncio.Future[Any]", stop: threading.Event
) -> tuple[Any, str | None, asyncio.CancelledError | None]:
    """How the thread ended: a state or 'void', what went wrong, and whether it was asked to end."""
    cancelled = None
    while True:
        try:
            return await asyncio.shield(running), None, cancelled
        except asyncio.CancelledError as asked:
            cancelled = asked
            stop.set()
        except (ApplianceError, Rejected) as error:
            return "failed", str(error), cancelled


async def _plan(db: Database, import_id: str, path: Path) -> Plan | None:
    """Where to go on. None where the import is not to go on."""
    if not await imports.begin(db, import_id, at=now()):
        return None
    found = await imports.find(db, import_id)
    project = await projects.by_id(db, found.project_id) if found is not None else None
    if found is None or project is None:
        return None
    shared = Salts()
    await shared.refresh(db, now())
    context = await context_of(db, project, honours=found.honoured)
    return Plan(found, context, ImportSalts(shared.secret, await imports.salts_of(db, import_id)))


async def context_of(db: Database, project: Project, *, honours: bool) -> Context:
    """What the meaning of a project's files rests on."""
    first = await db.first_time(project.id)
    first_day = None if first is None else local_day(project.timezone, first)[0]
    rules = (await exclusions.in_force(db)).get(project.id, ())
    return Context(project, honours, now(), first_day, rules)


def pass_over(file_format: Format, lines: Lines, rows: Iterator[Any], reader: Reader, before: Import) -> bool:
    """Pass over what was imported before. False where it is not what stands there."""
    if file_format.from_start:
        while lines.position < before.position and (record := next(rows, None)) is not None:
            with suppress(Rejected, Dropped):
                reader(record) if not isinstance(record, Rejected) else None
    else:
        lines.skip(before.position, before.line)
    return lines.position == before.position and lines.hasher.digest() == before.digest


class _Work:
    """The part in a thread."""

    def __init__(
        self, plan: Plan, where: Where, path: Path, delivery: Delivery, stop: threading.Event, follow: bool, tell: Tell
    ) -> None:
        self._plan = plan
        self._where = where
        self._path = path
        self._delivery = delivery
        self._stop = stop
        self._follow = follow
        self._tell = tell
        self._counts = Counts(dropped={}, faults=[])
        self.position = plan.found.position
        self.caught_up = False

    def run(self) -> str:
        """'done' at the end of the file, 'void' where the ledger has to be asked again. Raises Invalid for a damaged
        file, StorageUnavailable."""
        try:
            with Opened(self._path) as opened, telling_of_damage():
                self._read(opened)
            self._retrying(self._delivery.finish)
        except Void:
            self._delivery.abandon()
            return "void"
        except BaseException:
            self._delivery.abandon()
            raise
        self._delivery.rest()
        return "done"

    def _read(self, opened: Opened) -> None:
        found = self._plan.found
        file_format = formats.by_name(found.format)
        reader = file_format.reader(Head.of(read_head(opened.stream, LOOK_BYTES)), self._plan.context)
        opened.rewind()
        lines = Lines(opened.stream, whole=opened.whole or file_format.records == "csv")
        rows = records(lines, file_format.records)
        if not pass_over(file_format, lines, rows, reader, found):
            raise Invalid("the file is not the one that was imported so far", code="another_file", status=409)
        where = self._where
        sender = sender_of(self._plan.context, self._plan.salts, Locator(where.geo), DataCentres(where.data_centres))
        while not self._stop.is_set():
            reading = Reading(found.id, found.source, lines, rows, reader, sender, self._plan.salts)
            for package in reading.packages(lambda: opened.read):
                self._retrying(lambda package=package: self._delivery.hand_over(package))  # type: ignore[misc]
                self.position = package.step.after
                self._counts.add(package.step.counts)
                self._tell(package.step.bytes_read, max(opened.total, package.step.bytes_read), self._counts)
                if self._stop.is_set():
                    return
            if self._follow:
                if not self._more(opened):
                    return
            elif not lines.unfinished:
                return
            elif (seconds := opened.quiet_seconds(time.time())) >= QUIET_SECONDS:
                lines.take_unfinished()
            else:
                self._stop.wait(QUIET_SECONDS - seconds)
            rows = records(lines, file_format.records)

    def _more(self, opened: Opened) -> bool:
        """Wait for more of the file. False: another one is in its place now."""
        self._retrying(self._delivery.finish)
        self._delivery.rest()
        self.caught_up = True
        while not self._stop.is_set():
            size = opened.size_now()
            if size > opened.stream.tell():
                return True
            if size < opened.stream.tell() or opened.is_replaced(self._path):
                return False
            self._stop.wait(FOLLOW_SECONDS)
        return False

    def _retrying(self, step: Callable[[], None]) -> None:
        """A database that is away is waited for."""
        while True:
            try:
                return step()
            except StorageUnavailable:
                if self._stop.wait(FOLLOW_SECONDS):
                    raise
