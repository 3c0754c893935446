"""The serving process's side of the drain: starts its process, tells it of new journal positions, hears what it stored,
and starts it again when it dies."""

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable

import structlog

from appliance.frames import Unframer, frame
from appliance.ingest import progress
from appliance.ingest.journal import Journal
from appliance.ingest.progress import Finish, Part, Reached, Settled, Stored, Stuck, Take, Taken, Until, Watch
from appliance.storage.interface import Position
from appliance.storage.location import DATABASE_VARIABLE

log = structlog.get_logger(__name__)

# How long the first event of a batch waits for company: long enough to share a transaction, too short to notice.
# Under load it is longer, because large batches cost less an event; with a whole batch waiting there is no reason to.
GATHER_SECONDS = 0.03
GATHER_SECONDS_BUSY = 0.1
BUSY_BYTES = 64 << 10
BATCH_BYTES = 1 << 20
RESTART_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
STABLE_SECONDS = 30.0  # a process that lived this long starts the row of delays anew
READ_BYTES = 1 << 18
LONG_BYTES = 1 << 13  # of a report that takes so long that requests should not wait for the next one too


class DrainClient:
    """Drains a journal into the database at a URL.

    Call `run` as a task after the journal is open; `changed` after every append.
    """

    def __init__(
        self, journal: Journal, database: str, on_told: Callable[[Part | Stored], None], log_format: str
    ) -> None:
        self._journal = journal
        self._database = database
        self._on_told = on_told
        self._log_format = log_format
        self._process: asyncio.subprocess.Process | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._told: deque[tuple[Position, float]] = deque()
        self._watched: list[int] = []
        self._finishing = False
        self.position: Position | None = None  # everything before is in the database
        self.error: str | None = "the drain is starting"
        self.stored = 0
        self.duplicates = 0
        self.conflicts = 0
        self.dead_letters = 0
        self.restarts = 0

    @property
    def lag_seconds(self) -> float:
        """How long the oldest event that is not in the database has been waiting, to about 100 ms."""
        return time.monotonic() - self._told[0][1] if self._told else 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def changed(self) -> None:
        """The journal has more. The drain hears of it in a moment, together with what comes meanwhile."""
        if self._telling is None:
            self._told.append((self._journal.end, time.monotonic()))
            busy = BUSY_BYTES < self._journal.backlog(self.position) < BATCH_BYTES
            seconds = GATHER_SECONDS_BUSY if busy else GATHER_SECONDS
            self._telling = asyncio.get_running_loop().call_later(seconds, self._tell)

    def take(self, packages: list[str]) -> None:
        """Packages of imports lie at these paths. May be said again."""
        self._send(progress.encode(Take(packages)))

    def watch(self, projects: Iterable[int]) -> None:
        """Somebody streams the events of these projects: from what is told next on they are in `Stored.whole`."""
        self._watched = sorted(projects)
        self._send(progress.encode(Watch(self._watched)))

    async def run(self) -> None:
        """Keep a drain alive until `stop`."""
        failures = 0  # in a row
        while not self._finishing:
            started = time.monotonic()
            try:
                await self._live()
            except OSError as error:
                self.error = f"the drain cannot be started: {error}"
            if self._finishing:
                return
            failures = 1 if time.monotonic() - started > STABLE_SECONDS else failures + 1
            self.error = self.error or "the drain has ended"
            self.restarts += 1
            log.error("the drain has ended; it is started again", error=self.error)
            await asyncio.sleep(RESTART_SECONDS[min(failures, len(RESTART_SECONDS)) - 1])

    async def stop(self, seconds_max: float, running: "asyncio.Task[None]") -> bool:
        """Let the drain empty the journal and end. False when time ran out: the next start goes on from there."""
        if self._telling is not None:
            self._telling.cancel()
        self._finishing = True
        self._tell()
        self._send(progress.encode(Finish()))
        done, _ = await asyncio.wait([running], timeout=seconds_max)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if not done:
            running.cancel()
        return bool(done) and self.position == self._journal.end

    async def _live(self) -> None:
        """One life of the process, from start to end."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "appliance.ingest.drain_worker",
            str(self._journal.folder),
            self._journal.journal_id.hex(),
            self._log_format,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, DATABASE_VARIABLE: self._database},
        )
        try:
            self.watch(self._watched)
            self._tell()
            assert self._process.stdout is not None
            unframer = Unframer()
            while data := await self._process.stdout.read(READ_BYTES):
                for payload in unframer.feed(data):
                    self._hear(progress.decode_from_drain(payload))
                    if len(payload) > LONG_BYTES:
                        await asyncio.sleep(0)
            await self._process.wait()
        except BaseException:
            self._process.kill()
            raise

    def _tell(self) -> None:
        self._telling = None
        end = self._journal.end
        if not self._told or self._told[-1][0] < end:
            self._told.append((end, time.monotonic()))
        self._send(progress.encode(Until(end)))

    def _send(self, payload: bytes) -> None:
        process = self._process
        if process is not None and process.returncode is None and process.stdin is not None:
            process.stdin.write(frame(payload))

    def _hear(self, report: progress.FromDrain) -> None:
        if isinstance(report, Settled):
            self.error = None
            self._journal.release(report.position)
        elif isinstance(report, Reached):
            self.error = None
            self.position = report.end
        elif isinstance(report, Part):
            self._pass_on(report)
        elif isinstance(report, Stuck):
            if self.error != report.error:
                log.warning("the database takes no events", error=report.error)
            self.error = report.error
        elif isinstance(report, Taken):
            self.error = None
            if report.stored is not None:
                self._count(report.stored)
        else:
            self.error = None
            self.position = report.position
            self._count(report)
        while self._told and self.position is not None and self._told[0][0] <= self.position:
            self._told.popleft()

    def _count(self, stored: Stored) -> None:
        self.stored += stored.events
        self.duplicates += stored.duplicates
        self.conflicts += stored.conflicts
        self.dead_letters += sum(refused.reason == "dead_letter" for refused in stored.refused)
        self._pass_on(stored)

    def _pass_on(self, told: Part | Stored) -> None:
        try:
            self._on_told(told)
        except Exception:
            log.exception("a notice of stored events failed")  # they are stored; nobody must wait for a notice
