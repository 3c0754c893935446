"""Uploads on the disk: written as they arrive, kept under the import's id until they are imported."""

import asyncio
import errno
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from appliance.errors import StorageFull, TooLarge
from appliance.ingest.journal_folder import sync_folder

FREE_BYTES_MIN: Final = 500 << 20  # left for events
WRITE_BYTES: Final = 1 << 20
_PART: Final = ".part"
_WHOLE: Final = ".upload"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Spool:
    """The folder of uploads in a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "imports"

    def path(self, import_id: str) -> Path:
        """Where the file of an import is."""
        return self._folder / f"{import_id}{_WHOLE}"

    def ids(self) -> list[str]:
        """Imports whose files are here."""
        return [path.name.removesuffix(_WHOLE) for path in self._folder.glob(f"*{_WHOLE}")]

    def clear_parts(self) -> None:
        """Remove what was arriving when the process ended."""
        for path in self._folder.glob(f"*{_PART}"):
            path.unlink(missing_ok=True)

    async def receive(self, chunks: AsyncIterator[bytes], *, expected: int, bytes_max: int) -> Path:
        """Write a file as it arrives, durably; gives where it is. `expected` is how many bytes there will be, 0 where
        nobody said; `bytes_max` 0: no limit. Memory does not grow with it. Raises TooLarge, StorageFull."""
        if bytes_max and expected > bytes_max:
            raise _too_large(bytes_max)
        path = self._folder / f"{secrets.token_hex(16)}{_PART}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_room(expected)
            await self._write(path, chunks, bytes_max)
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno in _FULL:
                raise StorageFull from error
            raise
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def place(self, part: Path, import_id: str) -> None:
        """Keep a file that has arrived under the id of an import."""
        part.replace(self.path(import_id))
        sync_folder(self._folder)

    async def _write(self, path: Path, chunks: AsyncIterator[bytes], bytes_max: int) -> None:
        size = weight = 0
        waiting: list[bytes] = []
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            async for chunk in chunks:
                size += len(chunk)
                if bytes_max and size > bytes_max:
                    raise _too_large(bytes_max)
                waiting.append(chunk)
                weight += len(chunk)
                if weight >= WRITE_BYTES:
                    self._check_room(weight)
                    await asyncio.to_thread(_write_all, descriptor, b"".join(waiting))
                    waiting, weight = [], 0
            await asyncio.to_thread(_write_all, descriptor, b"".join(waiting))
            await asyncio.to_thread(os.fsync, descriptor)
        finally:
            os.close(descriptor)

    def _check_room(self, nbytes: int) -> None:
        if shutil.disk_usage(self._folder).free < nbytes + FREE_BYTES_MIN:
            raise StorageFull


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _too_large(bytes_max: int) -> TooLarge:
    return TooLarge(f"the file is larger than {bytes_max:,} bytes", code="upload_too_large")
