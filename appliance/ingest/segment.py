"""One file of the journal: its bytes, nothing about analytics.

    segment  = header record*
    header   = magic "APPJRNL1" | journal id 16 | number u64 | previous end u64 | opened us u64 | crc32 u32     52 bytes
    record   = magic "\\xA7REC" | length u32 | crc32 of payload u32 | crc32 of the 12 bytes before u32 | payload

All integers are little-endian. CRC-32s of a record are seeded with the segment's number, so that bytes of another
segment never pass. "Previous end" says up to which byte the segment before is valid: what lies behind was written,
failed to sync, was refused, and must never be read. Zeros at the end of the newest segment are bytes that its writer
prepared and did not use; they are no damage.

A record whose payload is damaged is skipped; where a header is damaged the reader looks for the next record that is
whole. Both are told, with the number of bytes left out. What cannot be promised: damage that a CRC-32 does not see.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

MAGIC = b"APPJRNL1"
RECORD_MAGIC = b"\xa7REC"
_HEADER = struct.Struct("<8s16sQQQ")
_CRC = struct.Struct("<I")
_RECORD = struct.Struct("<4sII")

HEADER_BYTES = _HEADER.size + _CRC.size
RECORD_BYTES = _RECORD.size + _CRC.size
assert HEADER_BYTES == 52 and RECORD_BYTES == 16

SUFFIX = ".journal"


class SegmentHeader(NamedTuple):
    """First bytes of a segment. `previous_end` is 0 where there is no segment before."""

    journal_id: bytes
    number: int
    previous_end: int
    opened_at: int


class DamagedHeader(ValueError):
    """The segment does not start with a whole header."""


class Damage(NamedTuple):
    """Bytes that the reader had to leave out."""

    offset: int
    length: int
    reason: str


class Record(NamedTuple):
    """One whole record; `end` is the offset of the byte after it."""

    payload: bytes
    end: int


def file_name(number: int) -> str:
    """Name of a segment's file; names sort as their numbers do."""
    return f"{number:016}{SUFFIX}"


def number_of(path: Path) -> int | None:
    """Number of a segment's file, None when the name is not that of a segment."""
    stem = path.name.removesuffix(SUFFIX)
    return int(stem) if path.name.endswith(SUFFIX) and stem.isdecimal() and len(stem) == 16 else None


def encode_header(header: SegmentHeader) -> bytes:
    packed = _HEADER.pack(MAGIC, *header)
    return packed + _CRC.pack(zlib.crc32(packed))


def decode_header(data: bytes) -> SegmentHeader:
    """The header at the start of `data`. Raises DamagedHeader."""
    if len(data) < HEADER_BYTES:
        raise DamagedHeader("the file ends inside its header")
    packed = data[: _HEADER.size]
    magic, *fields = _HEADER.unpack(packed)
    if magic != MAGIC:
        raise DamagedHeader("the file does not begin as a segment does")
    if _CRC.unpack(data[_HEADER.size : HEADER_BYTES])[0] != zlib.crc32(packed):
        raise DamagedHeader("the header's checksum is wrong")
    return SegmentHeader(*fields)


def encode_records(payloads: Iterable[bytes], number: int) -> bytes:
    """Payloads as records of segment `number`."""
    parts: list[bytes] = []
    for payload in payloads:
        head = _RECORD.pack(RECORD_MAGIC, len(payload), zlib.crc32(payload, number))
        parts += (head, _CRC.pack(zlib.crc32(head, number)), payload)
    return b"".join(parts)


def records(data: bytes | memoryview, number: int, start: int, end: int) -> Iterator[Record | Damage]:
    """Every whole record of segment `number` in data[start:end], in order, and what had to be left out."""
    view = memoryview(data)[:end]
    at = start
    while at < end:
        length = _payload_length(view, at, number)
        if length is None:
            resumed = _next_record(view, at + 1, number)
            reason = "torn tail" if resumed == end else "damaged record header"
            yield Damage(at, resumed - at, reason)
            at = resumed
            continue
        payload_at = at + RECORD_BYTES
        payload = bytes(view[payload_at : payload_at + length])
        stop = payload_at + length
        if zlib.crc32(payload, number) == _RECORD.unpack(view[at : at + _RECORD.size])[2]:
            yield Record(payload, stop)
        else:
            yield Damage(at, stop - at, "damaged record")
        at = stop


def content_end(data: bytes | memoryview, number: int) -> int:
    """Offset behind what was written to segment `number`: a writer prepares zeros behind its end."""
    end = min(HEADER_BYTES, len(data))
    for found in records(data, number, end, len(data)):
        if isinstance(found, Record):
            end = found.end
        else:
            end = found.offset + len(bytes(memoryview(data)[found.offset : found.offset + found.length]).rstrip(b"\0"))
    return end


def _payload_length(view: memoryview, at: int, number: int) -> int | None:
    """Length of the payload of the record at that place, None when no whole header with a whole payload is there."""
    if at + RECORD_BYTES > len(view):
        return None
    head = view[at : at + _RECORD.size]
    magic, length, _ = _RECORD.unpack(head)
    if magic != RECORD_MAGIC or at + RECORD_BYTES + length > len(view):
        return None
    if _CRC.unpack(view[at + _RECORD.size : at + RECORD_BYTES])[0] != zlib.crc32(head, number):
        return None
    return int(length)


def _next_record(view: memoryview, at: int, number: int) -> int:
    """Offset of the next record header at or after `at`; the end of the data when there is none."""
    data = bytes(view)
    while (at := data.find(RECORD_MAGIC, at)) != -1:
        if _payload_length(view, at, number) is not None:
            return at
        at += 1
    return len(view)
