"""The journal: what is answered is on disk, what failed is not, and what is there comes back."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.errors import JournalFailed, JournalFull
from appliance.ingest import segment
from appliance.ingest.journal import Journal
from appliance.ingest.journal_folder import ID_FILE, survey
from appliance.ingest.journal_reader import JournalReader
from appliance.storage.interface import Position


@asynccontextmanager
async def running(folder: Path, **options: int) -> AsyncIterator[Journal]:
    journal = Journal(folder, bytes_max=options.pop("bytes_max", 1 << 20), **options)
    journal.open()
    journal.start(asyncio.get_running_loop())
    try:
        yield journal
    finally:
        await asyncio.to_thread(journal.close)


def read_all(journal: Journal, start: Position | None = None) -> list[bytes]:
    payloads = []
    position = start
    reader = JournalReader(journal.folder, lambda path, damage: None)
    while step := list(reader.read(position, journal.end, bytes_max=100)):
        payloads += [payload for payload, _ in step if payload]
        position = step[-1][1]
    return payloads


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*" + segment.SUFFIX))


async def test_appended_payloads_are_read_back_in_order(tmp_path: Path) -> None:
    payloads = [b"payload %d" % n for n in range(50)]
    async with running(tmp_path) as journal:
        places = await asyncio.gather(*(journal.append(p) for p in payloads))
        assert read_all(journal) == payloads
        assert set(places) == {journal.end}, "one group, one sync"
        last = await journal.append(b"last")
        assert read_all(journal, places[0]) == [b"last"]
        assert last == journal.end


async def test_a_restart_goes_on_in_a_new_segment_of_the_same_journal(tmp_path: Path) -> None:
    async with running(tmp_path) as journal:
        await journal.append(b"first")
        first_id = journal.journal_id
    async with running(tmp_path) as journal:
        await journal.append(b"second")
        assert journal.journal_id == first_id
        assert read_all(journal) == [b"first", b"second"]
    assert len(segments(tmp_path)) == 2


async def test_segments_rotate_and_go_when_they_are_drained(tmp_path: Path) -> None:
    async with running(tmp_path, segment_bytes=200) as journal:
        places = [await journal.append(b"x" * 80) for _ in range(12)]
        count = len(segments(tmp_path))
        assert count >= 4
        assert journal.release(places[0]) == 0, "the first segment holds more than was drained"
        freed = journal.release(places[6])
        assert freed > 0
        assert len(segments(tmp_path)) < count
        assert read_all(journal, places[6]) == [b"x" * 80] * 5
        journal.release(journal.end)
        assert len(segments(tmp_path)) == 1, "the open segment stays: it carries the journal's id"
    assert journal.size == segments(tmp_path)[0].stat().st_size


async def test_the_byte_limit_refuses_before_anything_is_taken(tmp_path: Path) -> None:
    async with running(tmp_path, bytes_max=segment.HEADER_BYTES + 200, segment_bytes=100) as journal:
        kept = await journal.append(b"x" * 100)
        with pytest.raises(JournalFull):
            journal.append(b"y" * 100)
        await asyncio.sleep(0)
        assert read_all(journal) == [b"x" * 100]
        await journal.append(b"z" * 10)
        journal.release(kept)
        await journal.append(b"w" * 20)


class Disk:
    """Lets the calls through, or fails them as a full or broken disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fail_write: int | None = None
        self.fail_sync: int | None = None
        self.fail_cut: int | None = None
        self.short = False
        self.room: int | None = None  # bytes that a file may have
        self._pwrite, self._fdatasync, self._ftruncate = os.pwrite, os.fdatasync, os.ftruncate
        monkeypatch.setattr(os, "pwrite", self.pwrite)
        monkeypatch.setattr(os, "fdatasync", self.fdatasync)
        monkeypatch.setattr(os, "ftruncate", self.ftruncate)

    def pwrite(self, file: int, data: bytes, at: int) -> int:
        if self.fail_write is not None:
            self._pwrite(file, bytes(data)[: len(data) // 2], at)
            raise OSError(self.fail_write, os.strerror(self.fail_write))
        if self.room is not None and at + len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.short and len(data) > 7:
            return self._pwrite(file, bytes(data)[:7], at)
        return self._pwrite(file, data, at)

    def fdatasync(self, file: int) -> None:
        if self.fail_sync is not None:
            raise OSError(self.fail_sync, os.strerror(self.fail_sync))
        self._fdatasync(file)

    def ftruncate(self, file: int, length: int) -> None:
        if self.fail_cut is not None:
            raise OSError(self.fail_cut, os.strerror(self.fail_cut))
        self._ftruncate(file, length)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr("appliance.ingest.journal.REOPEN_SECONDS", 0.0)
    return Disk(monkeypatch)


@pytest.mark.parametrize(
    ("attribute", "code"), [("fail_write", errno.ENOSPC), ("fail_write", errno.EIO), ("fail_sync", errno.EIO)]
)
@pytest.mark.parametrize("cut_fails", [False, True])
async def test_a_failed_group_is_refused_whole_and_never_read(
    tmp_path: Path, disk: Disk, attribute: str, code: int, cut_fails: bool
) -> None:
    async with running(tmp_path) as journal:
        await journal.append(b"before")
        setattr(disk, attribute, code)
        disk.fail_cut = errno.EIO if cut_fails else None
        results = await asyncio.gather(*(journal.append(b"lost %d" % n) for n in range(5)), return_exceptions=True)
        assert all(isinstance(result, JournalFailed) for result in results)
        assert journal.failure is not None
        disk.fail_write = disk.fail_sync = disk.fail_cut = None
        await journal.append(b"after")
        assert journal.failure is None
        assert read_all(journal) == [b"before", b"after"]
    async with running(tmp_path) as journal:
        assert read_all(journal) == [b"before", b"after"], "a restart must not find what was refused"


async def test_while_the_disk_stays_full_every_append_fails_and_none_hangs(tmp_path: Path, disk: Disk) -> None:
    async with running(tmp_path) as journal:
        disk.fail_write = errno.ENOSPC
        for _ in range(5):
            with pytest.raises(JournalFailed):
                await asyncio.wait_for(journal.append(b"x"), 5)
        disk.fail_write = None
        await journal.append(b"again")
        assert read_all(journal) == [b"again"]
        assert len(segments(tmp_path)) <= 2, "failed attempts must not leave segments behind"


async def test_a_failure_is_over_in_time_however_many_send_meanwhile(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.ingest.journal.REOPEN_SECONDS", 0.3)
    async with running(tmp_path) as journal:
        disk.fail_write = errno.ENOSPC
        with pytest.raises(JournalFailed):
            await journal.append(b"first")
        disk.fail_write = None
        failure, told = journal.failure, []
        async with asyncio.timeout(5):
            while True:
                try:
                    await journal.append(b"later")
                    break
                except JournalFailed as error:
                    told.append(str(error))
                await asyncio.sleep(0.02)
        assert len(told) > 3
        assert set(told) == {f"the journal could not be written: {failure}"}
        assert journal.failure is None
        assert read_all(journal) == [b"later"]


@pytest.mark.parametrize("bytes_max", [4000, 100_000])
async def test_a_journal_of_any_size_lets_go_of_what_is_drained(tmp_path: Path, bytes_max: int) -> None:
    async with running(tmp_path, bytes_max=bytes_max) as journal:
        for _ in range(40):
            journal.release(await journal.append(b"x" * (bytes_max // 20)))


async def test_short_writes_are_completed(tmp_path: Path, disk: Disk) -> None:
    async with running(tmp_path) as journal:
        disk.short = True
        await journal.append(b"a long payload that the disk takes in pieces")
        assert read_all(journal) == [b"a long payload that the disk takes in pieces"]


async def test_a_tail_torn_at_any_byte_costs_only_what_was_not_whole(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    payloads = [b"first", b"second payload", b"third"]
    async with running(origin) as journal:
        ends = [(await journal.append(p)).offset for p in payloads]
    data = segments(origin)[0].read_bytes()
    for cut in range(segment.HEADER_BYTES, len(data) + 1):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / segment.file_name(1)).write_bytes(data[:cut])
        async with running(folder) as journal:
            kept = sum(end <= cut for end in ends)
            assert read_all(journal) == payloads[:kept]
            told = sum(damage.length for _, damage in journal.dropped)
            torn = data[[segment.HEADER_BYTES, *ends][kept] : cut]
            assert told == len(torn.rstrip(b"\0")), "zeros may as well be bytes that were prepared"
            await journal.append(b"goes on")
            assert read_all(journal) == [*payloads[:kept], b"goes on"]


@pytest.mark.parametrize("torn", [b"", segment.RECORD_MAGIC, segment.encode_records([b"never whole"], 1)[:-3]])
async def test_bytes_prepared_and_not_used_are_no_damage(tmp_path: Path, torn: bytes) -> None:
    payloads = [b"one", b"ends in zeros\0\0\0"]
    crashed = tmp_path / "crashed"
    async with running(tmp_path / "origin") as journal:
        ends = [await journal.append(p) for p in payloads]
        crashed.mkdir()
        data = segments(tmp_path / "origin")[0].read_bytes()
    assert len(data) > ends[-1].offset, "zeros are written ahead"
    torn_at = ends[-1].offset
    data = data[:torn_at] + torn + data[torn_at + len(torn) :]
    (crashed / segment.file_name(1)).write_bytes(data)
    found = survey(crashed)
    assert found is not None
    assert torn_at + len(torn) <= found.sizes[1] < torn_at + 100
    async with running(crashed) as journal:
        assert read_all(journal) == payloads
        assert [damage.offset for _, damage in journal.dropped] == ([torn_at] if torn else [])
        assert segments(crashed)[0].stat().st_size == torn_at
        await journal.append(b"goes on")
        assert read_all(journal) == [*payloads, b"goes on"]


async def test_without_room_to_prepare_it_appends(tmp_path: Path, disk: Disk) -> None:
    async with running(tmp_path) as journal:
        disk.room = 4096
        for n in range(20):
            await journal.append(b"%d" % n)
        assert journal.failure is None
        assert read_all(journal) == [b"%d" % n for n in range(20)]


async def test_a_segment_cut_inside_its_header_is_told_and_left(tmp_path: Path) -> None:
    async with running(tmp_path) as journal:
        await journal.append(b"kept")
        first_id = journal.journal_id
    (tmp_path / segment.file_name(2)).write_bytes(b"APPJ")
    async with running(tmp_path) as journal:
        assert journal.journal_id == first_id
        assert [damage.length for _, damage in journal.dropped] == [4]
        await journal.append(b"more")
        assert read_all(journal) == [b"kept", b"more"]


async def test_a_damaged_header_costs_no_record_and_not_the_identity(tmp_path: Path) -> None:
    async with running(tmp_path) as journal:
        await journal.append(b"kept")
        first_id = journal.journal_id
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    async with running(tmp_path) as journal:
        assert journal.journal_id == first_id
        assert read_all(journal) == [b"kept"]
        assert journal.dropped


async def test_segments_of_two_journals_in_one_folder_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        async with running(tmp_path / name) as journal:
            await journal.append(name.encode())
    (tmp_path / "two" / segment.file_name(1)).rename(tmp_path / "one" / segment.file_name(2))
    with pytest.raises(ValueError, match="another journal"):
        Journal(tmp_path / "one", bytes_max=1 << 20).open()


async def test_a_survey_from_outside_sees_what_is_not_drained(tmp_path: Path) -> None:
    assert survey(tmp_path) is None
    async with running(tmp_path) as journal:
        one = await journal.append(b"first")
        await journal.append(b"second")
        found = survey(tmp_path)
        assert found is not None
        assert found.journal_id == journal.journal_id == bytes.fromhex((tmp_path / ID_FILE).read_text())
        assert found.bytes_after(one) == segment.RECORD_BYTES + len(b"second")
        assert found.bytes_after(journal.end) == 0
