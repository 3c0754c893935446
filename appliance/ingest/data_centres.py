"""Addresses of data centres, from a file of the operator's: nobody reads a page there, so what comes from there is no
visitor.

One network or address a line, IPv4 or IPv6; what stands behind # is a remark. Read again when the file has changed.
"""

import asyncio
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import structlog

from appliance.clock import now
from appliance.ingest.networks import ADDRESSES_CACHED_MAX, Network, Ranges, packed, read_network

log = structlog.get_logger(__name__)

_Signature = tuple[int, int, int]  # of a file: when it was changed, its length, which file it is


class Reading(NamedTuple):
    """What was read of the file: when (UTC microseconds), and how many networks it names. `error` says why what stands
    there now is not used, '' when it is."""

    at: int
    networks: int
    error: str = ""


class DataCentres:
    """Asked for each event, so it only looks at what was read. Without a path there are none."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises ValueError, naming the file and the line, when it cannot be used."""
        self.path = path
        self.reading: Reading | None = None
        self._has: Callable[[str], bool] = lambda address: False
        self._seen: _Signature | None = None
        if path is not None:
            self._seen = _signature(path)
            self._use(*_read(path))

    def __bool__(self) -> bool:
        return self.path is not None

    def __contains__(self, address: str) -> bool:
        return self._has(address)

    def _use(self, ranges: Ranges, networks: int) -> None:
        def has(address: str) -> bool:
            number = packed(address)
            return number is not None and number in ranges

        self._has = lru_cache(ADDRESSES_CACHED_MAX)(has)
        self.reading = Reading(now(), networks)

    async def refresh(self) -> None:
        """Read the file again if it has changed. One that cannot be used leaves what was read before in force, and is
        said once."""
        if self.path is None or self.reading is None:
            return
        try:
            signature = _signature(self.path)
            if signature == self._seen:
                return
            self._seen = signature
            ranges, networks = await asyncio.to_thread(_read, self.path)
        except ValueError as error:
            if self.reading.error != str(error):
                log.warning("the addresses of data centres stay as they were", error=str(error))
            self.reading = self.reading._replace(error=str(error))
        else:
            self._use(ranges, networks)


def _signature(path: Path) -> _Signature:
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> tuple[Ranges, int]:
    """The networks of a file, and their number. Raises ValueError."""
    try:
        text = path.read_text("utf-8-sig", "replace")
    except OSError as error:
        raise _unreadable(path, error) from error
    networks = list(_networks(path, text))
    return Ranges(networks), len(networks)


def _networks(path: Path, text: str) -> Iterator[Network]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        try:
            yield read_network(words)
        except ValueError:
            raise ValueError(f"{path}, line {number}: {words[:100]!r} is no network") from None


def _unreadable(path: Path, error: OSError) -> ValueError:
    return ValueError(f"{path} cannot be read: {error.strerror}")
