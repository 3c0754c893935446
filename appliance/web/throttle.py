"""How often a password may be tried, and how often the same thing is reported. In memory, bounded, per
process."""

from collections import OrderedDict
from typing import NamedTuple

from appliance.clock import DAY, HOUR, MICROSECONDS

REMEMBERED_MAX = 10_000
ACCOUNT_FREE = 5  # attempts on one account from one address before there is any waiting
ADDRESS_FREE = 30  # attempts from one address on any accounts
WAIT_MAX = 300 * MICROSECONDS  # nobody can keep an owner out for longer than this
FORGET_AFTER = HOUR


class _Attempts(NamedTuple):
    failed: int
    last_at: int
    not_before: int


class LoginThrottle:
    """Counts attempts per account and address, and per address alone; above a few, each wait is twice the
    last.

    An attempt counts as failed from its start, so that attempts sent side by side do not slip through;
    `succeeded` takes it back. An account that does not exist is counted like any other, so the answer tells
    nothing about it.
    """

    def __init__(self) -> None:
        self._attempts: OrderedDict[tuple[str, str], _Attempts] = OrderedDict()

    def attempt(self, account: str, address: str, now: int) -> int:
        """0 if a password may be tried now, else seconds to wait (then nothing is counted). `now` in
        microseconds."""
        limits = (((account, address), ACCOUNT_FREE), (("", address), ADDRESS_FREE))
        wait = max(self._get(key, now).not_before - now for key, _ in limits)
        if wait > 0:
            return -(-wait // MICROSECONDS)
        for key, free in limits:
            failed = self._get(key, now).failed + 1
            self._put(key, _Attempts(failed, now, now + _wait(failed - free)))
        return 0

    def succeeded(self, account: str, address: str) -> None:
        """The password was right: forget the failures of this account from here, and this attempt of the
        address."""
        self._attempts.pop((account, address), None)
        key = ("", address)
        if (known := self._attempts.get(key)) is not None:
            self._attempts[key] = known._replace(failed=max(0, known.failed - 1), not_before=0)

    def _get(self, key: tuple[str, str], now: int) -> _Attempts:
        known = self._attempts.get(key)
        # A clock that was set back must not make a wait longer.
        if known is None or not known.last_at <= now <= known.last_at + FORGET_AFTER:
            return _Attempts(0, now, 0)
        return known

    def _put(self, key: tuple[str, str], attempts: _Attempts) -> None:
        self._attempts[key] = attempts
        self._attempts.move_to_end(key)
        while len(self._attempts) > REMEMBERED_MAX:
            self._attempts.popitem(last=False)


class OncePerDay:
    """Says of a thing whether it is seen for the first time in a day, so that a report of it cannot flood a
    table."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, int] = OrderedDict()

    def first(self, thing: str, now: int) -> bool:
        """True at most once a day for each thing. `now` in microseconds."""
        before = self._seen.get(thing)
        if before is not None and now - before < DAY:
            return False
        self._seen[thing] = now
        self._seen.move_to_end(thing)
        if len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)
        return True


def _wait(surplus: int) -> int:
    """Microseconds to wait after a failure: 1, 2, 4, ... seconds from the first surplus one on."""
    if surplus < 0:
        return 0
    return min(WAIT_MAX, MICROSECONDS << min(surplus, 20))
