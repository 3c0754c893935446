"""Uploads on the disk: whole or not there, within limits, gone when they are not needed."""

import errno
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import AskerGone, StorageFull, TooLarge
from appliance.ingest.imports import spool
from appliance.ingest.imports.spool import Spool


async def pieces(*data: bytes, end: Exception | None = None) -> AsyncIterator[bytes]:
    for one in data:
        yield one
    if end is not None:
        raise end


def left(folder: Path) -> list[Path]:
    return [path for path in (folder / "imports").glob("*") if path.is_file()]


async def test_what_arrives_is_kept_whole_and_readable_by_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "WRITE_BYTES", 4)
    there = Spool(tmp_path)
    part = await there.receive(pieces(b"ab", b"cdefg", b"", b"h"), expected=8, bytes_max=8)
    assert part.read_bytes() == b"abcdefgh"
    assert part.stat().st_mode & 0o777 == 0o600
    there.place(part, "i-1")
    assert (there.ids(), there.path("i-1").read_bytes()) == (["i-1"], b"abcdefgh")
    await there.receive(pieces(b"x"), expected=0, bytes_max=0)
    there.clear_parts()
    assert left(tmp_path) == [there.path("i-1")]


@pytest.mark.parametrize(
    ("data", "expected", "fault"),
    [((b"abc", b"de"), 0, TooLarge), ((), 5, TooLarge), ((b"abc",), 0, AskerGone)],
)
async def test_what_is_too_large_or_breaks_off_leaves_nothing(
    tmp_path: Path, data: tuple[bytes, ...], expected: int, fault: type[Exception]
) -> None:
    end = AskerGone() if fault is AskerGone else None
    with pytest.raises(fault):
        await Spool(tmp_path).receive(pieces(*data, end=end), expected=expected, bytes_max=4)
    assert left(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(descriptor: int, data: bytes) -> None:
        raise OSError(number, "full")

    monkeypatch.setattr(spool, "_write_all", full)
    with pytest.raises(StorageFull) as fault:
        await Spool(tmp_path).receive(pieces(b"a"), expected=1, bytes_max=0)
    assert fault.value.status == 507
    assert left(tmp_path) == []


@pytest.mark.parametrize("expected", [0, 1000])
async def test_room_is_left_for_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: int) -> None:
    monkeypatch.setattr(spool, "WRITE_BYTES", 100)
    free = iter([spool.FREE_BYTES_MIN + 500, spool.FREE_BYTES_MIN + 50])
    usage = shutil.disk_usage(tmp_path)

    def usage_of(path: Path) -> Any:
        return usage._replace(free=next(free))

    monkeypatch.setattr(spool.shutil, "disk_usage", usage_of)
    with pytest.raises(StorageFull):
        await Spool(tmp_path).receive(pieces(b"x" * 200), expected=expected, bytes_max=0)
    assert left(tmp_path) == []
