"""The folder through which importers hand packages to the drain, whichever process they run in.

A package is a file that appears whole. It is gone once it is stored; where nothing of it may be stored it gets another
ending, so that its importer looks again where the database stands. Nothing here needs to be durable: what is lost is
read from the imported file once more.
"""

import os
import zlib
from pathlib import Path
from typing import Final

import msgspec

from appliance.errors import StorageUnavailable
from appliance.ingest.imports import package
from appliance.ingest.imports.package import Package

_ENDING: Final = ".package"
_VOID: Final = ".void"
_CHECKSUM_BYTES: Final = 4


def folder_of(data_dir: Path) -> Path:
    """Where the queue is in a data folder."""
    return data_dir / "imports" / "queue"


def put(folder: Path, one: Package) -> Path:
    """Let a package appear. One of the same import that began at the same byte is replaced. Raises StorageUnavailable
    where the disk is full."""
    payload = package.encode(one)
    path = folder / f"{one.step.import_id}-{one.step.before:020d}{_ENDING}"
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished.write_bytes(zlib.crc32(payload).to_bytes(_CHECKSUM_BYTES, "little") + payload)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise StorageUnavailable(f"{folder} cannot be written to: {error.strerror}") from error
    return path


def waiting(folder: Path) -> list[str]:
    """The packages that wait, those of one import in order."""
    try:
        return sorted(entry.path for entry in os.scandir(folder) if entry.name.endswith(_ENDING))
    except FileNotFoundError:
        return []


def read(path: Path) -> Package | None:
    """A package; None when there is none any more, or it is not whole, as after a loss of power."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    payload = data[_CHECKSUM_BYTES:]
    if zlib.crc32(payload) != int.from_bytes(data[:_CHECKSUM_BYTES], "little"):
        return None
    try:
        return package.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # of another version


def settle(path: Path, *, stored: bool) -> None:
    """A package was stored, or may not be."""
    try:
        if stored:
            path.unlink()
        else:
            path.replace(path.with_suffix(_VOID))
    except FileNotFoundError:
        pass


def is_void(path: Path) -> bool:
    """Whether a package may not be stored; its trace is removed."""
    try:
        path.with_suffix(_VOID).unlink()
    except FileNotFoundError:
        return False
    return True


def clear(folder: Path) -> None:
    """Remove what importers left behind that are gone."""
    for path in folder.glob("*"):
        if not path.name.endswith(_ENDING):
            path.unlink(missing_ok=True)
