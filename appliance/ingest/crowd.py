"""How many addresses browsers seem to come from: behind a proxy that is not known as one, everybody has its address.

Only hashes that mean nothing outside this process, and the newest address itself, in memory.
"""

from collections import deque
from typing import NamedTuple

from appliance.clock import HOUR
from appliance.ingest.networks import is_private

REQUESTS_KEPT = 200
REQUESTS_MIN = 20  # fewer may well be one person who tries something


class Look(NamedTuple):
    """Of the last hour: how many of the newest 200 requests of browsers, from how many addresses; `private`: the newest
    of these is one of a local network."""

    requests: int
    addresses: int
    private: bool

    @property
    def is_one(self) -> bool:
        """Whether everybody seems to be at one address."""
        return self.addresses == 1 and self.requests >= REQUESTS_MIN


class Crowd:
    """The newest requests of browsers."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque(maxlen=REQUESTS_KEPT)
        self._newest = ""

    def add(self, address: str, now: int) -> None:
        self._seen.append((now, hash(address)))
        self._newest = address

    def look(self, now: int) -> Look:
        recent = [address for at, address in self._seen if at > now - HOUR]
        return Look(len(recent), len(set(recent)), is_private(self._newest))
