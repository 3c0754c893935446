"""One column of a chunk as bytes: numbers, numbers with NULLs, texts, and event ids. For processes that have numpy.

A blob begins with a CRC-32 of the rest and a byte for its form. Numbers are stored as differences from their smallest
(of the values, or of their steps, whichever is smaller), divided by what divides them all, cut to the bytes they need,
and compressed by zstd, mostly byte plane by byte plane: the high bytes of neighbours are alike.
"""

import struct
import threading
import zlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import zstandard
from numpy.typing import NDArray

from appliance.errors import ChunkDamaged

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]  # the same numbers modulo 2^64: differences wrap and come back
Text = str | bytes | None

ZSTD_LEVEL: Final = 15  # 7 % smaller than 3, and read as fast; 0.1 s for a full chunk

_NUMBERS, _OPTIONAL, _TEXTS, _EVENT_IDS = range(1, 5)
_PLANES, _STEPS, _ROWS = range(3)  # layouts of numbers: planes of values, planes of their steps, values as they stand

_HEAD: Final = struct.Struct("<IB")
_LENGTH: Final = struct.Struct("<I")
_NUMBERS_HEAD: Final = struct.Struct("<BBIIqqQ")  # layout, bytes a value, values, bytes after, first, smallest, divisor

# Of event ids: our own form (its milliseconds and its chance apart), 16 bytes, and anything else.
_OWN, _UUID, _OTHER = range(3)
_OWN_BYTES, _UUID_BYTES = 10, 16

# These hold working memory: one thread of a process packs, and each that unpacks has its own.
_compress = zstandard.ZstdCompressor(ZSTD_LEVEL, write_content_size=True).compress
_own = threading.local()


def pack_numbers(values: Ints) -> bytes:
    """A blob of 64-bit integers; NULLs are the masked values of a masked array."""
    if not isinstance(values, np.ma.MaskedArray):
        return _closed(_NUMBERS, _numbers(values))
    absent = np.ma.getmaskarray(values)
    return _closed(_OPTIONAL, _numbers(absent.astype(np.int64)) + _numbers(values.data[~absent]))


def unpack_numbers(blob: bytes) -> Ints:
    """What `pack_numbers` was given. Raises ChunkDamaged."""
    form, reader = _opened(blob, _NUMBERS, _OPTIONAL)
    if form == _NUMBERS:
        return reader.numbers()
    absent = reader.numbers().astype(bool)
    values = np.zeros(len(absent), np.int64)
    values[~absent] = reader.numbers()
    return np.ma.MaskedArray(values, absent)


def pack_texts(values: Sequence[Text]) -> bytes:
    """A blob of texts, bytes and NULLs."""
    return _closed(_TEXTS, _texts(values))


def unpack_texts(blob: bytes) -> list[Text]:
    """What `pack_texts` was given. Raises ChunkDamaged."""
    return _opened(blob, _TEXTS)[1].texts()


def pack_event_ids(ids: Sequence[str | bytes], near: Ints) -> bytes:
    """A blob of stored event ids (event_ids.py); our own begin with milliseconds that are near `near`."""
    forms = np.array([_form(event_id) for event_id in ids], np.int64)
    own = np.frombuffer(b"".join(_of_form(ids, forms, _OWN)), np.uint8).reshape(-1, _OWN_BYTES)
    milliseconds, chance = _big_endian(own[:, :6]), _big_endian(own[:, 6:])
    uuids = np.frombuffer(b"".join(_of_form(ids, forms, _UUID)), np.uint64).view(np.int64)
    parts = (forms, milliseconds - near[forms == _OWN], chance, uuids)
    return _closed(_EVENT_IDS, b"".join(map(_numbers, parts)) + _texts(_of_form(ids, forms, _OTHER)))


def unpack_event_ids(blob: bytes, near: Ints) -> list[str | bytes]:
    """What `pack_event_ids` was given. Raises ChunkDamaged."""
    reader = _opened(blob, _EVENT_IDS)[1]
    forms = reader.numbers()
    milliseconds = reader.numbers() + near[forms == _OWN]
    own = np.empty((len(milliseconds), _OWN_BYTES), np.uint8)
    own[:, :6] = milliseconds.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
    own[:, 6:] = reader.numbers().astype(">u4").view(np.uint8).reshape(-1, 4)
    uuids = reader.numbers().tobytes()
    found = {
        _OWN: iter(_cut(own.tobytes(), _OWN_BYTES)),
        _UUID: iter(_cut(uuids, _UUID_BYTES)),
        _OTHER: iter(reader.texts()),
    }
    return [next(found[form]) for form in forms.tolist()]  # type: ignore[misc]


def _form(event_id: str | bytes) -> int:
    if isinstance(event_id, str):
        return _OTHER
    return {_OWN_BYTES: _OWN, _UUID_BYTES: _UUID}.get(len(event_id), _OTHER)


def _of_form(ids: Sequence[Any], forms: Ints, form: int) -> list[Any]:
    return [ids[place] for place in np.flatnonzero(forms == form).tolist()]


def _big_endian(digits: NDArray[np.uint8]) -> Ints:
    padded = np.zeros((len(digits), 8), np.uint8)
    padded[:, 8 - digits.shape[1] :] = digits
    return padded.view(">i8").ravel().astype(np.int64)


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _closed(form: int, body: bytes) -> bytes:
    body = bytes([form]) + body
    return zlib.crc32(body).to_bytes(4, "little") + body


def _opened(blob: bytes, *forms: int) -> "tuple[int, _Reader]":
    if len(blob) < _HEAD.size:
        raise ChunkDamaged(f"{len(blob)} bytes are no column")
    checksum, form = _HEAD.unpack_from(blob)
    if zlib.crc32(memoryview(blob)[4:]) != checksum:
        raise ChunkDamaged("the checksum of a column does not fit")
    if form not in forms:
        raise ChunkDamaged(f"a column has form {form}")
    return form, _Reader(blob, _HEAD.size)


def _numbers(values: Ints) -> bytes:
    words = np.ascontiguousarray(values, np.int64).view(np.uint64)
    if not len(words):
        return _NUMBERS_HEAD.pack(_PLANES, 0, 0, 0, 0, 0, 1)
    steps = np.diff(words)
    plain = _Narrow(words)
    choices = [(_PLANES, plain, plain.planes()), (_ROWS, plain, plain.rows())]
    if len(steps):
        stepping = _Narrow(steps)
        choices.append((_STEPS, stepping, stepping.planes()))
    layout, narrow, data = min(choices, key=lambda choice: len(choice[2]))
    first = int(words[:1].view(np.int64)[0])
    head = _NUMBERS_HEAD.pack(layout, narrow.width, len(words), len(data), first, narrow.smallest, narrow.divisor)
    return head + data


class _Narrow:
    """Numbers as multiples of a divisor above the smallest of them, in as few bytes as the largest needs."""

    def __init__(self, words: Words) -> None:
        self.smallest = int(words.view(np.int64).min())
        offsets = words - np.int64(self.smallest).view(np.uint64)
        # Most columns have no common divisor, which a few values tell.
        self.divisor = int(np.gcd.reduce(offsets[:32])) or 1
        if self.divisor > 1:
            self.divisor = int(np.gcd.reduce(offsets)) or 1
            offsets //= np.uint64(self.divisor)
        self.width = (int(offsets.max()).bit_length() + 7) // 8
        self._bytes = offsets.astype("<u8").view(np.uint8).reshape(-1, 8)[:, : self.width]

    def planes(self) -> bytes:
        return _compressed(np.ascontiguousarray(self._bytes.T).tobytes())

    def rows(self) -> bytes:
        return _compressed(np.ascontiguousarray(self._bytes).tobytes())


def _compressed(data: bytes) -> bytes:
    return _compress(data) if data else b""


def _decompressed(data: bytes) -> bytes:
    if not hasattr(_own, "decompressor"):
        _own.decompressor = zstandard.ZstdDecompressor()
    plain: bytes = _own.decompressor.decompress(data)
    return plain


def _texts(values: Sequence[Text]) -> bytes:
    kinds = np.array([0 if v is None else 1 if isinstance(v, str) else 2 for v in values], np.int64)
    encoded = [b"" if v is None else v.encode() if isinstance(v, str) else v for v in values]
    lengths = np.array([len(v) for v in encoded], np.int64)
    data = _compressed(b"".join(encoded))
    return _numbers(kinds) + _numbers(lengths) + _LENGTH.pack(len(data)) + data


class _Reader:
    """Reads the parts of a blob one after the other."""

    def __init__(self, blob: bytes, offset: int) -> None:
        self._blob = blob
        self._offset = offset

    def numbers(self) -> Ints:
        layout, width, count, size, first, smallest, divisor = _NUMBERS_HEAD.unpack_from(self._blob, self._offset)
        self._offset += _NUMBERS_HEAD.size
        data = self._taken(size)
        stored = count - 1 if layout == _STEPS else count
        padded = np.zeros((stored, 8), np.uint8)
        if width:
            narrow = np.frombuffer(data, np.uint8)
            padded[:, :width] = narrow.reshape(-1, width) if layout == _ROWS else narrow.reshape(width, -1).T
        words = padded.view("<u8").ravel()
        if divisor > 1:
            words *= np.uint64(divisor)
        words += np.int64(smallest).view(np.uint64)
        if layout == _STEPS:
            values = np.empty(count, np.uint64)
            values[0] = np.int64(first).view(np.uint64)
            values[1:] = words
            words = np.cumsum(values, dtype=np.uint64)
        return words.view(np.int64)

    def texts(self) -> list[Text]:
        kinds, lengths = self.numbers().tolist(), self.numbers().tolist()
        (size,) = _LENGTH.unpack_from(self._blob, self._offset)
        self._offset += _LENGTH.size
        data, start = self._taken(size), 0
        values: list[Text] = []
        for kind, length in zip(kinds, lengths, strict=True):
            value = data[start : start + length]
            start += length
            values.append(None if kind == 0 else value.decode() if kind == 1 else value)
        return values

    def _taken(self, size: int) -> bytes:
        data = self._blob[self._offset : self._offset + size]
        self._offset += size
        return _decompressed(data) if data else b""
