"""The write-ahead journal: what is appended here and answered is on disk.

One thread writes. It takes whatever waits, writes it in one call, syncs once, and answers all of it: group commit
without a timer, so a lone event waits for nobody and a crowd shares one sync. A write or sync that fails fails its
whole group: the segment is cut back to the last synced byte (or, when even that fails, given up: the next segment's
header says up to where it holds), and the group is never written again.

Segments are written into bytes that were prepared as zeros a while before: to sync an overwrite is two to four times
cheaper than to sync a file that grows, whose new length must be synced as well.
"""

import asyncio
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import structlog

from appliance.clock import now
from appliance.errors import JournalFailed, JournalFull
from appliance.ingest import segment
from appliance.ingest.journal_folder import bytes_after, mint_id, read_id, survey, sync_folder, write_id
from appliance.ingest.segment import Damage, Record, SegmentHeader
from appliance.storage.interface import Position

log = structlog.get_logger(__name__)

SEGMENT_BYTES = 16 << 20
GATHER_TURNS = 2  # of the loop
PREPARED_BYTES = 1 << 20  # zeros that are written ahead at a time
PENDING_BYTES_MAX = 64 << 20  # of memory, while the disk does not keep up
REOPEN_SECONDS = 1.0  # after a failure, how long appends are refused before the disk is tried again


class _Group:
    """What is written and synced together; all who wait for it share one future."""

    __slots__ = ("future", "payloads", "size")

    def __init__(self, future: asyncio.Future[Position]) -> None:
        self.future = future
        self.payloads: list[bytes] = []
        self.size = 0  # bytes of its records


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
        self._segment_bytes = min(segment_bytes, bytes_max // 4)  # only closed ones are let go of
        self._sizes: dict[int, int] = {}  # valid bytes of each segment on disk, the open one included
        self._sizes_lock = threading.Lock()  # the writer grows them, the loop lets go of them
        self._bytes = 0
        self._pending_bytes = 0
        self._end = Position(0, 0)  # newest segment and its synced end; replaced whole, so any thread may read it
        self._prepared = 0  # length of the open file: behind the end are zeros
        self._file: int | None = None
        self._failed_at = float("-inf")
        self._gathering: _Group | None = None  # appended, not handed to the writer yet
        self._writing = False  # the writer has a group
        self._groups: SimpleQueue[_Group | None] = SimpleQueue()
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
            if self._gathering is not None:
                self._groups.put(self._gathering)
            self._groups.put(None)
            self._thread.join()
            self._thread = None
        self._close_segment()

    # ------------------------------------------------------------------ appending

    def append(self, payload: bytes) -> asyncio.Future[Position]:
        """Durably append one record; called on the loop. The future gives a position behind the record, or fails with
        JournalFailed; it is shared with others and must not be cancelled.

        Raises JournalFull before anything is taken, when the byte limit would be passed.
        """
        size = len(payload) + segment.RECORD_BYTES
        if self._bytes + self._pending_bytes + size > self._bytes_max:
            raise JournalFull
        if self._pending_bytes > PENDING_BYTES_MAX:
            raise JournalFailed("the disk is too slow: too much waits for it already")
        self._pending_bytes += size
        group = self._gathering
        if group is None:
            group = self._gathering = _Group(self._loop.create_future())
            if not self._writing:
                # Whatever else this turn of the loop appends goes along.
                self._writing = True
                self._loop.call_soon(self._hand_over)
        group.payloads.append(payload)
        group.size += size
        return group.future

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
        group, self._gathering = self._gathering, None
        self._writing = group is not None
        if group is not None:
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

    def _settle_group(self, group: _Group) -> None:
        if self._file is None and time.monotonic() - self._failed_at < REOPEN_SECONDS:
            reason = self.failure  # no failure of its own, or under load there would never be another try
        else:
            try:
                self._write(group)
            except OSError as error:
                self.failure = f"{type(error).__name__}: {error}"
                log.error("journal write failed", error=self.failure, requests=len(group.payloads))
                self._cut()
            else:
                self.failure = None
            reason = self.failure
        with suppress(RuntimeError):  # the loop is closed: nobody waits for the answer any more
            self._loop.call_soon_threadsafe(self._answer, group, self._end, reason)

    def _write(self, group: _Group) -> None:
        if self._file is None:
            self._open_segment()
        elif self._end.offset >= self._segment_bytes:
            self._close_segment()
            self._open_segment()
        file = self._file
        assert file is not None
        number, at = self._end
        end = at + group.size
        if self._sync and end > self._prepared:
            self._prepare(file, end)
        data = memoryview(segment.encode_records(group.payloads, number))
        while data:
            written = os.pwrite(file, data, at)
            data = data[written:]
            at += written
        self._prepared = max(self._prepared, at)
        if self._sync:
            os.fdatasync(file)
        self._grow(number, end)

    def _prepare(self, file: int, end: int) -> None:
        """Write zeros ahead, up to some way behind `end`. Where there is no room for them, it goes without."""
        at = self._prepared
        zeros = bytes(end + PREPARED_BYTES - at)
        with suppress(OSError):
            self._prepared += os.pwrite(file, zeros, at)

    def _answer(self, group: _Group, end: Position, reason: str | None) -> None:
        self._pending_bytes -= group.size
        if not group.future.done():
            if reason is None:
                group.future.set_result(end)
            else:
                group.future.set_exception(JournalFailed(f"the journal could not be written: {reason}"))
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
        self._prepared = segment.HEADER_BYTES
        self._grow(number, segment.HEADER_BYTES)

    def _grow(self, number: int, end: int) -> None:
        with self._sizes_lock:
            self._bytes += end - self._sizes.get(number, 0)
            self._sizes[number] = end
        self._end = Position(number, end)

    def _close_segment(self) -> None:
        """Leave the open segment without the zeros behind its end, where they can be taken back."""
        if self._file is None:
            return
        name = self._path(self._end.segment).name
        try:
            os.ftruncate(self._file, self._end.offset)
        except OSError as error:
            log.warning("journal segment keeps its unused bytes", file=name, error=str(error))
        try:
            os.close(self._file)
        except OSError as error:
            log.warning("journal segment did not close", file=name, error=str(error))
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
        """What a crash left half-written at the end of the newest segment goes, so that it is told once; with it the
        zeros that were prepared."""
        path = self._path(number)
        end = self._sizes[number]
        whole = min(segment.HEADER_BYTES, end)
        for found in segment.records(path.read_bytes(), number, whole, end):
            if isinstance(found, Record):
                whole = found.end
        if whole < end:
            self._report(path, Damage(whole, end - whole, "torn tail"))
            self._sizes[number] = whole
        os.truncate(path, whole)

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
