"""How many requests may come: sliding windows by client address and by project.

A request comes in unless as many as the limit came in during the ten seconds before it. One that is refused does not
count. So in no ten seconds, wherever they begin, come more than the limit, and a place is free again exactly ten
seconds after it was taken. That takes the times of what came in, and nothing else: a look at one of them and an append
a request. Who sends nothing for ten to twenty seconds is forgotten, whoever it was.

Times are those of the monotonic clock, so that setting the machine's clock lets nobody in and keeps nobody out. Limits
hold for one process; several appliances have one each.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Hashable
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

import structlog

from appliance.errors import TooMany
from appliance.ingest.arrival import Allowance, Arrival
from appliance.model import Project

log = structlog.get_logger(__name__)

SECOND: Final = 1_000_000_000  # nanoseconds, in which the monotonic clock counts
WINDOW_SECONDS: Final = 10
# Who comes while so many others did in the same ten seconds is not counted, which costs the appliance less than
# remembering everybody of a flood: 50,000 take some 12 MB, twice.
KEYS_MAX: Final = 50_000
LOG_SECONDS: Final = 60

_WINDOW: Final = WINDOW_SECONDS * SECOND
_IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"

Clock = Callable[[], int]


class SlidingWindows:
    """One window a key. Two generations of keys: every ten seconds those of whom nothing was heard meanwhile go."""

    def __init__(self, clock: Clock = time.monotonic_ns, keys_max: int = KEYS_MAX) -> None:
        self._clock = clock
        self._keys_max = keys_max
        self._young: dict[Hashable, list[int]] = {}
        self._old: dict[Hashable, list[int]] = {}
        self._turn_at = clock() + _WINDOW

    def enter(self, key: Hashable, limit: int) -> int:
        """0 when one more may come in, which is then counted; else the nanoseconds until one may. `limit` is at least
        1 and may be another one each time."""
        now = self._clock()
        if now >= self._turn_at:
            self._old, self._young = self._young, {}
            self._turn_at = now + _WINDOW
        times = self._young.get(key)
        if times is None:
            times = self._old.pop(key, None)
            if times is None:
                if len(self._young) < self._keys_max:
                    self._young[key] = [now]
                return 0
            self._young[key] = times
            del times[: bisect_right(times, now - _WINDOW)]
        if len(times) >= limit and (wait := times[-limit] + _WINDOW - now) > 0:
            return wait
        times.append(now)
        return 0

    def allowance(self, key: Hashable, limit: int) -> Allowance:
        """How many more may come in now, and when the next place is free again."""
        now = self._clock()
        times = self._young.get(key) or self._old.get(key) or []
        gone = bisect_right(times, now - _WINDOW)
        counted = len(times) - gone
        return Allowance(limit, max(limit - counted, 0), _seconds(times[gone] + _WINDOW - now) if counted else 0)


class RateLimits:
    """The limits of one appliance: `address` and `project` are requests in ten seconds, 0 for any number.

    What goes wrong here lets requests through and is logged once in a while.
    """

    def __init__(self, *, address: int, project: int, clock: Clock = time.monotonic_ns) -> None:
        self._address = address
        self._project = project
        self._clock = clock
        self._addresses = SlidingWindows(clock)
        self._projects = SlidingWindows(clock)
        self._quiet_until = clock()

    def check_address(self, arrival: Arrival) -> None:
        """Raises TooMany. A connection without an address (a Unix socket) passes."""
        limit = self._address
        if not limit or not arrival.address:
            return
        try:
            wait = self._addresses.enter(network_of(arrival.address), limit)
        except Exception as error:
            self._let_through(error)
            return
        if wait:
            raise _too_many(arrival, limit, wait, "this address")

    def check_project(self, arrival: Arrival, project: Project) -> None:
        """Raises TooMany; else the arrival has what is left of the limit, for the answer."""
        limit = project.settings.rate_limit
        if limit is None:
            limit = self._project
        if not limit:
            return
        try:
            wait = self._projects.enter(project.id, limit)
            arrival.allowance = self._projects.allowance(project.id, limit)
        except Exception as error:
            self._let_through(error)
            return
        if wait:
            raise _too_many(arrival, limit, wait, "this project's clients")

    def of_address(self, address: str) -> Allowance | None:
        """What is left of an address's limit; None where there is no limit."""
        if not self._address or not address:
            return None
        return self._addresses.allowance(network_of(address), self._address)

    def _let_through(self, error: Exception) -> None:
        if (now := self._clock()) >= self._quiet_until:
            self._quiet_until = now + LOG_SECONDS * SECOND
            log.error("a rate limit failed; requests are let through", error=repr(error))


def network_of(address: str) -> str | bytes:
    """Whom an address is counted as: an IPv4 address itself, of IPv6 the /64, through which one client can roam."""
    if ":" not in address:
        return address
    try:
        packed = inet_pton(AF_INET6, address.partition("%")[0])
    except (OSError, ValueError):
        return address
    return inet_ntop(AF_INET, packed[12:]) if packed.startswith(_IPV4_MAPPED) else packed[:8]


def _too_many(arrival: Arrival, limit: int, wait: int, whose: str) -> TooMany:
    seconds = _seconds(wait)
    arrival.allowance = Allowance(limit, 0, seconds)
    why = f"more than {limit} requests in {WINDOW_SECONDS} seconds from {whose}"
    return TooMany(why, retry_after_seconds=seconds)


def _seconds(nanoseconds: int) -> int:
    return -(-nanoseconds // SECOND)
