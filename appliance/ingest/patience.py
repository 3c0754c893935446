"""Keeps a client that sends rubbish from slowing others: its answers are held back for twenty times as long as its
rubbish took, so that an address spends no more than a twentieth of the time of this process on it.

Only answers to requests of which nothing was taken are held back: nobody's good event waits, also not behind the same
address. What is usual (a mistake now and then, a burst of them) waits for nothing.
"""

from time import perf_counter

from appliance.ingest.networks import packed

SHARE = 20  # one part of so many is what an address may take for rubbish
REQUEST_SECONDS = 100e-6  # what a request costs besides, on a process with little else to do: waking, reading, writing
CREDIT_SECONDS = 10.0  # of waiting that an address has free: half a second of work
DELAY_SECONDS_MAX = 30.0
HELD_MAX = 200  # answers at a time; more would hold more connections than a process has
ADDRESSES_MAX = 10_000


class Patience:
    """Who has how long to wait. Addresses are kept in memory only, and for seconds."""

    def __init__(self) -> None:
        self._free_at: dict[int, float] = {}  # when an address has waited for all of its rubbish
        self.held = 0  # answers that wait now

    def delay(self, address: str, seconds: float) -> float:
        """For how long the answer is to wait to a request that took so long for nothing. Call `release` after it."""
        now = perf_counter()
        who = packed(address) or 0
        if who >> 32 != 0xFFFF:
            who >>= 64  # an IPv6 client has a whole network
        free_at = max(self._free_at.get(who, 0.0), now - CREDIT_SECONDS) + SHARE * (seconds + REQUEST_SECONDS)
        if len(self._free_at) >= ADDRESSES_MAX:
            self._forget(now)
        self._free_at[who] = min(free_at, now + DELAY_SECONDS_MAX)
        wait = free_at - now
        if wait <= 0 or self.held >= HELD_MAX:
            return 0.0
        self.held += 1
        return min(wait, DELAY_SECONDS_MAX)

    def release(self) -> None:
        """An answer was sent that had waited."""
        self.held -= 1

    def _forget(self, now: float) -> None:
        """Those who have their whole credit again; without any, all: a flood of addresses is not for this to hold."""
        self._free_at = {who: at for who, at in self._free_at.items() if at > now - CREDIT_SECONDS}
        if len(self._free_at) >= ADDRESSES_MAX:
            self._free_at.clear()
