"""The write-ahead journal: what is appended here and answered is on disk.

One thread writes. It takes whatever waits, writes it in one call, syncs once, and answers all of it: group commit
without a timer, so a lone event waits for nobody and a crowd shares one sync. A write or sync that fails fails its
whole group: the segment is cut back to the last synced byte (or, when even that fails, given up: the next segment's
header says up to where it holds), and the group is never written again.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import structlog

from appliance.clock import now
from appliance.errors import JournalFailed, JournalFull
from appliance.ingest import segment
from appliance.ingest.journal_folder import bytes_after, mint_id, read_id, survey, sync_folder, write_id
from appliance.ingest.segment import Damage, SegmentHeader
from appliance.storage.interface import Position

log = structlog.get_logger(__name__)

SEGMENT_BYTES = 16 << 20
GATHER_TURNS = 2  # of the loop
PENDING_BYTES_MAX = 64 << 20  # of memory, while the disk does not keep up
REOPEN_SECONDS = 1.0  # after a failure, how long appends are refused before the disk is tried again


class Appended(NamedTuple):
    """Where a payload lies: its record is the bytes from `start` to `end`, in one segment."""

    start: Position
    end: Position


class _Waiting(NamedTuple):
    payload: bytes
    future: asyncio.Future[Appended]


class Journal:
    """A folder of segments, appended to by one process.

    `bytes_max` bounds all segments together. `sync` False answers after the write, without fdatasync. Futures are
    resolved on the loop that `start` was given.
    """

    def __init__(self, folder: Path, *, bytes_max: int, sync: bool = True, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.journal_id = b""
        self.failure: str | None = None  # why the last group failed; None while all is well
        self.dropped: list[tuple[Path, Damage]] = []  # what recovery had to leave out
        self._bytes_max = bytes_max
        self._sync = sync
        self._segment_bytes = segment_bytes
        self._sizes: dict[int, int] = {}  # valid bytes of each segment on disk, the open one included
        self._sizes_lock = threading.Lock()  # the writer grows them, the loop lets go of them
        self._bytes = 0
        self._pending_bytes = 0
        self._end = Position(0, 0)  # newest segment and its synced end; replaced whole, so any thread may read it
        self._file: int | None = None
        self._failed_at = float("-inf")
        self._waiting: list[_Waiting] = []  # appended, not handed to the writer yet
        self._writing = False  # the writer has a group
        self._groups: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop

    # ------------------------------------------------------------------ life

    def open(self) -> None:
        """Look at what is there, cut a torn tail, open a new segment. Raises OSError, ValueError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._survey()
        self.journal_id = self.journal_id or read_id(self.folder) or mint_id()
        if read_id(self.folder) != self.journal_id:
            write_id(self.folder, self.journal_id)
        self._open_segment()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to take appends from that loop."""
        self._loop = loop
        self._thread = threading.Thread(target=self._write_groups, name="journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write and sync what waits, then stop."""
        if self._thread is not None:
            if self._waiting:
                self._groups.put(self._waiting)
            self._groups.put(None)
            self._thread.join()
            self._thread = None
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # ------------------------------------------------------------------ appending

    def append(self, payload: bytes) -> asyncio.Future[Appended]:
        """Durably append one record; called on the loop. The future fails with JournalFailed.

        Raises JournalFull before anything is taken, when the byte limit would be passed.
        """
        size = len(payload) + segment.RECORD_BYTES
        if self._bytes + self._pending_bytes + size > self._bytes_max:
            raise JournalFull
        if self._pending_bytes > PENDING_BYTES_MAX:
            raise JournalFailed("the disk is too slow: too much waits for it already")
        self._pending_bytes += size
        future: asyncio.Future[Appended] = self._loop.create_future()
        self._waiting.append(_Waiting(payload, future))
        if not self._writing:
            # Whatever else this turn of the loop appends goes along.
            self._writing = True
            self._loop.call_soon(self._hand_over)
        return future

    @property
    def end(self) -> Position:
        """Where the next record will go: everything before is synced."""
        return self._end

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._bytes

    def _hand_over(self) -> None:
        """Give the writer all that waits. It has one group at a time: what comes meanwhile is the next group."""
        self._writing = bool(self._waiting)
        if self._writing:
            group, self._waiting = self._waiting, []
            self._groups.put(group)

    def _hand_over_after(self, turns: int) -> None:
        """The next group goes a few turns of the loop after the last was answered: whoever was answered sends again by
        then, and goes along. Turns are short when little is to do and long when much is, which no timer knows."""
        if turns:
            self._loop.call_soon(self._hand_over_after, turns - 1)
        else:
            self._hand_over()

    def _write_groups(self) -> None:
        while (group := self._groups.get()) is not None:
            self._settle_group(group)

    def _settle_group(self, group: list[_Waiting]) -> None:
        answer: Callable[[], None]
        try:
            places = self._write(group)
        except OSError as error:
            self.failure = f"{type(error).__name__}: {error}"
            log.error("journal write failed", error=self.failure, requests=len(group))
            self._cut()
            reason = self.failure
            answer = lambda: self._fail(group, reason)  # noqa: E731
        else:
            self.failure = None
            answer = lambda: self._answer(group, places)  # noqa: E731
        with suppress(RuntimeError):  # the loop is closed: nobody waits for the answer any more
            self._loop.call_soon_threadsafe(answer)

    def _write(self, group: list[_Waiting]) -> list[Appended]:
        if self._file is None:
            if time.monotonic() - self._failed_at < REOPEN_SECONDS:
                raise OSError(self.failure or "the journal is closed")
            self._open_segment()
        elif self._end.offset >= self._segment_bytes:
            self._close_segment()
            self._open_segment()
        file = self._file
        number, offset = self._end
        assert file is not None
        places = []
        parts = []
        for waiting in group:
            record = segment.encode_record(waiting.payload, number)
            parts.append(record)
            places.append(Appended(Position(number, offset), Position(number, offset + len(record))))
            offset += len(record)
        data = memoryview(b"".join(parts))
        at = self._end.offset
        while data:
            written = os.pwrite(file, data, at)
            data = data[written:]
            at += written
        if self._sync:
            os.fdatasync(file)
        self._grow(number, offset)
        return places

    def _answer(self, group: list[_Waiting], places: list[Appended]) -> None:
        for waiting, place in zip(group, places, strict=True):
            self._pending_bytes -= len(waiting.payload) + segment.RECORD_BYTES
            if not waiting.future.done():
                waiting.future.set_result(place)
        self._hand_over_after(GATHER_TURNS)

    def _fail(self, group: list[_Waiting], reason: str) -> None:
        for waiting in group:
            self._pending_bytes -= len(waiting.payload) + segment.RECORD_BYTES
            if not waiting.future.done():
                waiting.future.set_exception(JournalFailed(f"the journal could not be written: {reason}"))
        self._hand_over_after(GATHER_TURNS)

    def _cut(self) -> None:
        """After a failure: take back what was not synced and leave the segment; the next group opens a new one."""
        self._failed_at = time.monotonic()
        if self._file is None:
            return
        try:
            os.ftruncate(self._file, self._end.offset)
            os.fdatasync(self._file)
        except OSError as error:
            log.warning("journal segment given up", file=self._path(self._end.segment).name, error=str(error))
        self._close_segment()

    # ------------------------------------------------------------------ segments

    def _path(self, number: int) -> Path:
        return self.folder / segment.file_name(number)

    def _open_segment(self) -> None:
        """Start the segment after the newest. Raises OSError; then no segment is open and the number is unused."""
        number = self._end.segment + 1
        path = self._path(number)
        header = SegmentHeader(self.journal_id, number, self._end.offset, now())
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            if os.pwrite(file, segment.encode_header(header), 0) != segment.HEADER_BYTES:
                raise OSError("the disk took only a part of a segment header")
            if self._sync:
                os.fsync(file)
                sync_folder(self.folder)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        self._file = file
        self._grow(number, segment.HEADER_BYTES)

    def _grow(self, number: int, end: int) -> None:
        with self._sizes_lock:
            self._bytes += end - self._sizes.get(number, 0)
            self._sizes[number] = end
        self._end = Position(number, end)

    def _close_segment(self) -> None:
        if self._file is not None:
            try:
                os.close(self._file)
            except OSError as error:
                log.warning("journal segment did not close", file=self._path(self._end.segment).name, error=str(error))
            self._file = None

    def _survey(self) -> None:
        """Take up the segments that are there."""
        found = survey(self.folder)
        if found is None:
            return
        if not found.journal_id:
            raise ValueError(f"{self.folder}: no segment has a whole header, and the id file is gone too")
        for number, damage in found.damaged:
            self._report(self._path(number), damage)
            if number not in found.sizes:
                self._path(number).unlink()
        self.journal_id = found.journal_id
        self._sizes = dict(found.sizes)
        self._end = Position(found.newest, 0)
        if found.newest in self._sizes:
            self._cut_torn_tail(found.newest)
            self._end = Position(found.newest, self._sizes[found.newest])
        self._bytes = sum(self._sizes.values())

    def _cut_torn_tail(self, number: int) -> None:
        """What a crash left half-written at the end of the newest segment goes, so that it is told once."""
        path = self._path(number)
        end = self._sizes[number]
        data = path.read_bytes()[:end]
        last = None
        for found in segment.records(data, number, min(segment.HEADER_BYTES, end), end):
            last = found
        if isinstance(last, Damage) and last.reason == "torn tail":
            self._report(path, last)
            os.truncate(path, last.offset)
            self._sizes[number] = last.offset

    def _report(self, path: Path, damage: Damage) -> None:
        self.dropped.append((path, damage))
        log.warning(
            "journal bytes left out", file=path.name, offset=damage.offset, bytes=damage.length, reason=damage.reason
        )

    # ------------------------------------------------------------------ letting go

    def backlog(self, drained: Position | None) -> int:
        """Bytes of records behind `drained`, which are not in the database yet."""
        return bytes_after(self._sizes, drained)

    def release(self, drained: Position) -> int:
        """Delete the closed segments that lie wholly before `drained`; the caller has made their events durable in
        the database. Gives the number of bytes freed."""
        freed = 0
        for number in sorted(self._sizes):
            if number >= self._end.segment:
                break
            if number > drained.segment or (number == drained.segment and drained.offset < self._sizes[number]):
                break
            self._path(number).unlink(missing_ok=True)
            with self._sizes_lock:
                size = self._sizes.pop(number)
                self._bytes -= size
            freed += size
        return freed
