"""A zip archive of CSV files as one stream: its members one after the other, in the order of their names.

Before each stands a line with its name, so that whoever reads lines knows whose they are, and the same members make the
same stream whenever they were packed.
"""

import io
import zipfile
from typing import IO, BinaryIO, Final

from appliance.errors import Invalid

MEMBERS_MAX: Final = 1000
MEMBER_MARK: Final = "#member "


def is_archive(magic: bytes) -> bool:
    """Whether a file begins as a zip archive does."""
    return magic.startswith((b"PK\x03\x04", b"PK\x05\x06"))


class Archive(io.RawIOBase):
    """The members that are CSV, decompressed. `read_compressed` counts the bytes that were read of the archive."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises Invalid for what is no archive, or has too many members."""
        try:
            self._archive = zipfile.ZipFile(file)
        except zipfile.BadZipFile as error:
            raise Invalid(f"the zip archive cannot be read: {error}", code="damaged_file") from error
        if any(member.flag_bits & 1 for member in self._archive.infolist()):
            raise Invalid("the zip archive is encrypted", code="damaged_file")
        members = [member for member in self._archive.infolist() if member.filename.lower().endswith(".csv")]
        if len(members) > MEMBERS_MAX:
            raise Invalid(f"the archive has more than {MEMBERS_MAX} files", code="too_large")
        self._members = sorted(members, key=lambda member: member.filename, reverse=True)
        self._current: _Joined | None = None
        self._ends_with_newline = True
        self._size = 0
        self.read_compressed = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._read(len(buffer))
        except zipfile.BadZipFile as error:
            raise Invalid(f"the zip archive is damaged: {error}", code="damaged_file") from error
        if data:
            self._ends_with_newline = data.endswith(b"\n")
        buffer[: len(data)] = data
        return len(data)

    def _read(self, nbytes: int) -> bytes:
        while True:
            if self._current is not None and (data := self._current.read(nbytes)):
                return data
            if not self._ends_with_newline:
                return b"\n"  # the last line of a member may have none
            if not self._members:
                return b""
            self._next()

    def _next(self) -> None:
        self.read_compressed += self._size
        member = self._members.pop()
        self._size = member.compress_size
        name = member.filename.rpartition("/")[2]
        self._current = _Joined(f"{MEMBER_MARK}{name}\n".encode(), self._archive.open(member))


class _Joined:
    """A line, and a file behind it."""

    def __init__(self, line: bytes, file: IO[bytes]) -> None:
        self._line = io.BytesIO(line)
        self._file = file

    def read(self, nbytes: int) -> bytes:
        return self._line.read(nbytes) or self._file.read(nbytes)
