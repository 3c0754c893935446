"""A file to import, open: what it decompresses to as a stream, whichever way it is compressed."""

import bz2
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from appliance.errors import Invalid
from appliance.ingest.imports.archive import Archive, is_archive

BLOCK_BYTES: Final = 1 << 18
_GZIP: Final = b"\x1f\x8b"
_BZIP2: Final = b"BZh"

# What reading a compressed file raises that is damaged or cut off.
DAMAGED: Final = (EOFError, zlib.error, gzip.BadGzipFile)


class Opened:
    """An open file. `stream` begins where the file begins; `whole` files (archives, compressed ones) do not grow."""

    def __init__(self, path: Path) -> None:
        """Raises Invalid where there is no such file, or it cannot be read."""
        try:
            self._raw = path.open("rb", BLOCK_BYTES)
        except OSError as error:
            raise Invalid(f"{path} cannot be read: {error.strerror}", code="unreadable_file") from error
        self.total = os.fstat(self._raw.fileno()).st_size
        self._magic = self._raw.read(4)
        self.whole = self._magic.startswith((_GZIP, _BZIP2)) or is_archive(self._magic)
        self._archive: Archive | None = None
        self.stream: BinaryIO = self._raw
        self.rewind()

    def rewind(self) -> None:
        """Go back to the beginning. Raises Invalid for a damaged archive."""
        self._raw.seek(0)
        self._archive = Archive(self._raw) if is_archive(self._magic) else None
        if self._archive is not None:
            self.stream = io.BufferedReader(self._archive, BLOCK_BYTES)
        elif self._magic.startswith(_GZIP):
            self.stream = io.BufferedReader(gzip.GzipFile(fileobj=self._raw), BLOCK_BYTES)
        elif self._magic.startswith(_BZIP2):
            self.stream = io.BufferedReader(bz2.BZ2File(self._raw), BLOCK_BYTES)
        else:
            self.stream = self._raw

    @property
    def read(self) -> int:
        """How much of the file as it lies there was read, in bytes."""
        return self._archive.read_compressed if self._archive is not None else self._raw.tell()

    def quiet_seconds(self, now: float) -> float:
        """For how long nobody has written to the file; `now` is a time of day, in seconds."""
        return now - os.fstat(self._raw.fileno()).st_mtime

    def size_now(self) -> int:
        """Bytes of the open file as it is now."""
        return os.fstat(self._raw.fileno()).st_size

    def is_replaced(self, path: Path) -> bool:
        """Whether the path leads to another file by now, in which there is something."""
        try:
            there = path.stat()
        except OSError:
            return False
        here = os.fstat(self._raw.fileno())
        return there.st_size > 0 and (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def close(self) -> None:
        self.stream.close()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def telling_of_damage() -> Iterator[None]:
    """Raises Invalid for what reading a damaged compressed file raises."""
    try:
        yield
    except DAMAGED as error:
        raise Invalid(f"the file is cut off or damaged: {error}", code="damaged_file") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise Invalid(f"the file is damaged: {error}", code="damaged_file") from error  # as bz2 says it


def read_head(stream: BinaryIO, nbytes: int) -> bytes:
    """The first bytes of a stream, fewer where it is shorter. Raises Invalid for a damaged one."""
    with telling_of_damage():
        return stream.read(nbytes) or b""
