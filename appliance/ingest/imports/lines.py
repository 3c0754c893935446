"""The records of a file, line by line or as CSV, with the byte at which the next one begins.

Memory is bounded by the longest line that is read whole; what is longer is passed over and reported.
"""

import csv
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, BinaryIO, Final

from appliance.ingest.pipeline import Rejected
from appliance.storage.imports import DIGEST_BYTES

LINE_BYTES_MAX: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"


class Lines:
    """Lines of a stream. `position` is the byte behind what was taken, `line` how many lines that is, `hasher` has
    seen all of it; `unfinished`: the last line has no end yet and was left."""

    def __init__(self, stream: BinaryIO, *, whole: bool) -> None:
        """Unless the stream is `whole`, a last line without a newline may still be written to, and is left."""
        self._stream = stream
        self._whole = whole
        self.hasher = blake2b(digest_size=DIGEST_BYTES)
        self.position = 0
        self.line = 0
        self.unfinished = False

    def skip(self, position: int, line: int) -> bool:
        """Pass over what was taken before. False when the stream is shorter."""
        while self.position < position:
            block = self._stream.read(min(position - self.position, 1 << 18))
            if not block:
                return False
            self._take(block)
        self.line = line
        return True

    def take_unfinished(self) -> None:
        """From now on a last line without an end is a line."""
        self._whole = True

    def next(self) -> bytes | None:
        """The next line with its end, None at the end of the stream. Raises Rejected for one that is too long."""
        line = self._stream.readline(LINE_BYTES_MAX)
        self.unfinished = False
        if not line:
            return None
        if not line.endswith(b"\n"):
            if len(line) == LINE_BYTES_MAX:
                self._pass_over(line)
                raise Rejected("line_too_long", "", f"the line is longer than {LINE_BYTES_MAX:,} bytes")
            if not self._whole:
                self._stream.seek(self.position)
                self.unfinished = True
                return None
        self._take(line)
        self.line += 1
        return line

    def _pass_over(self, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            self._take(line)
            line = self._stream.readline(LINE_BYTES_MAX)
        self._take(line)
        self.line += 1

    def _take(self, piece: bytes) -> None:
        self.hasher.update(piece)
        self.position += len(piece)


def text_lines(lines: Lines) -> Iterator[str | Rejected]:
    """Lines as text, without their ends; those that are empty are left out."""
    while True:
        try:
            raw = lines.next()
        except Rejected as fault:
            yield fault
            continue
        if raw is None:
            return
        if lines.position == len(raw):
            raw = raw.removeprefix(_BOM)
        if text := raw.decode("utf-8", "replace").rstrip("\r\n"):
            yield text


def csv_rows(lines: Lines) -> Iterator[list[str] | Rejected]:
    """CSV records (RFC 4180), which may go over several lines; those that are empty are left out."""
    while True:
        rows = csv.reader(_texts(lines))
        try:
            yield from filter(None, rows)
        except (csv.Error, Rejected) as fault:
            # What was read of the record is passed over; the next line begins another one.
            yield fault if isinstance(fault, Rejected) else Rejected("malformed_csv", "", f"no CSV: {fault}")
        else:
            return


def _texts(lines: Lines) -> Iterator[str]:
    while (raw := lines.next()) is not None:
        if lines.position == len(raw):
            raw = raw.removeprefix(_BOM)
        yield raw.decode("utf-8", "replace")


def records(lines: Lines, kind: str) -> Iterator[Any]:
    """`text_lines` or `csv_rows`, by the kind of a format's records."""
    return csv_rows(lines) if kind == "csv" else text_lines(lines)
