"""The one source of "now", so that tests can hold time still."""

import time

MICROSECONDS = 1_000_000
MILLISECOND = MICROSECONDS // 1000
MINUTE = 60 * MICROSECONDS
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def now() -> int:
    """Current time as UTC microseconds since 1970."""
    return time.time_ns() // 1000
