"""Time buckets: a range cut at the edges of local minutes, five minutes, hours, days, weeks (Monday) or months.

Days have 23 or 25 hours where the clock changes. A bucket that the range cuts off keeps its own start as its label,
except a week, which then is labelled by the first day of the range.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from appliance.clock import DAY, HOUR, MICROSECONDS, MINUTE
from appliance.errors import Invalid
from appliance.queries.localtime import add_months, day_start, to_wall
from appliance.queries.period import Range

Interval = Literal["minute", "hour", "day", "week", "month"]
INTERVALS: Final[tuple[Interval, ...]] = get_args(Interval)
# How long buckets can be: an interval of charts, or what only figures are grouped by.
Grain = Interval | Literal["5min"]
GRAINS: Final[tuple[Grain, ...]] = (*INTERVALS, "5min")

BUCKETS_MAX: Final = 10_000
_SHORTEST: Final[dict[Grain, int]] = {
    "minute": MINUTE,
    "5min": 5 * MINUTE,
    "hour": HOUR,
    "day": DAY,
    "week": 7 * DAY,
    "month": 28 * DAY,
}

_Calendar = tuple[Callable[[date], date], Callable[[date], date]]  # first day of the bucket; of the one after it
_CALENDARS: Final[dict[str, _Calendar]] = {
    "day": (lambda day: day, lambda day: day + timedelta(1)),
    "week": (lambda day: day - timedelta(day.weekday()), lambda day: day + timedelta(7)),
    "month": (lambda day: day.replace(day=1), lambda day: add_months(day, 1)),
}


class Bucket(msgspec.Struct, frozen=True):
    """`start` <= t < `end` in UTC microseconds. `label` is the local start: a date, or a date and time.

    state: `complete`; `partial` when the range cuts off a part that is over; `running` when it contains now, `future`.
    """

    label: str
    start: int
    end: int
    state: Literal["complete", "partial", "running", "future"]


@lru_cache(maxsize=16)  # one question asks for its buckets several times
def buckets(there: Range, interval: Grain) -> tuple[Bucket, ...]:
    """The buckets of a range in order; together they are the range. Raises Invalid when there are too many."""
    if not fits(there, interval):
        raise _too_many(interval)
    return tuple(_bucket(there, interval, label, start, end) for label, start, end in _edges(there, interval))


def widened(there: Range, interval: Grain) -> Range:
    """The range with the buckets that it cuts off as a whole. Raises Invalid when there are too many."""
    if not fits(there, interval):
        raise _too_many(interval)
    edges = list(_edges(there, interval))
    return msgspec.structs.replace(there, start=edges[0][1], end=edges[-1][2])


def weeks_from(there: Range) -> tuple[Bucket, ...]:
    """Buckets of seven local days, the first of which begins as the range does; together they are the range."""
    days = [there.first_day + timedelta(7 * week) for week in range(-(-there.days // 7))]
    starts = [*(day_start(day, there.zone) for day in days), there.end]
    spans = zip(days, starts, starts[1:], strict=False)
    return tuple(_bucket(there, "day", day.isoformat(), start, end) for day, start, end in spans)


def fits(there: Range, interval: Grain) -> bool:
    """Whether a range has no more buckets than can be asked for."""
    return (there.end - there.start) // _SHORTEST[interval] <= BUCKETS_MAX


def valid_intervals(there: Range) -> list[Interval]:
    """Intervals that make a readable chart of a range: two buckets or more, and no more than some 750.

    Months are the longest, and stand also for what is longer than that.
    """
    length = there.end - there.start
    limits: dict[Interval, tuple[int, int]] = {
        "minute": (2 * MINUTE, 25 * HOUR),
        "hour": (2 * HOUR, 31 * DAY + HOUR),
        "day": (2 * DAY - HOUR, 750 * DAY),
        "week": (14 * DAY - HOUR, 5000 * DAY),
        "month": (45 * DAY, BUCKETS_MAX * 28 * DAY),
    }
    return [name for name, (least, most) in limits.items() if least <= length <= most] or ["day"]


def default_interval(there: Range) -> Interval:
    """What `time` without an interval means."""
    length = there.end - there.start
    if length <= 2 * HOUR:
        return "minute"
    if length <= 2 * DAY + HOUR:
        return "hour"
    return "day" if length <= 93 * DAY + HOUR else "month"


def _too_many(interval: Grain) -> Invalid:
    length = "five minutes" if interval == "5min" else f"one {interval}"
    return Invalid(f"this range has too many buckets of {length}; use a longer interval")


def _edges(there: Range, interval: Grain) -> Iterator[tuple[str, int, int]]:
    """Label, start and end of each bucket that a range touches, as a whole."""
    return _calendar_edges(there, interval) if interval in _CALENDARS else _clock_edges(there, interval)


def _bucket(there: Range, interval: Grain, label: str, start: int, end: int) -> Bucket:
    cut = start < there.start or end > there.end
    if interval == "week" and start < there.start:
        label = there.first_day.isoformat()
    state: Literal["complete", "partial", "running", "future"] = "partial" if cut else "complete"
    if start > there.now:
        state = "future"
    elif end > there.now:
        state = "running"
    return Bucket(label, max(start, there.start), min(end, there.end), state)


def _calendar_edges(there: Range, interval: Grain) -> Iterator[tuple[str, int, int]]:
    floor, after = _CALENDARS[interval]
    zone = there.zone
    day = floor(there.first_day)
    start = day_start(day, zone)
    while start < there.end:
        day, label = after(day), day.isoformat()
        end = day_start(day, zone)
        if end > max(start, there.start):  # a day that a zone skipped has no length
            yield label, start, end
        start = end


def _clock_edges(there: Range, interval: Grain) -> Iterator[tuple[str, int, int]]:
    unit = _SHORTEST[interval]
    zone = there.zone
    label, into = _on_clock(there.start, unit, zone)
    start, into = there.start - into, 0
    while start < there.end:
        end = start + unit - into
        after, into = _on_clock(end, unit, zone)
        # Where the clock changes by part of an hour, an hour may go on after its first sixty minutes, or be left early.
        while into and after == label:
            end += unit - into
            after, into = _on_clock(end, unit, zone)
        yield str(label), start, end
        start, label = end, after


def _on_clock(time: int, unit: int, zone: ZoneInfo) -> tuple[datetime, int]:
    """The local minute, five minutes or hour that a time lies in, and the microseconds since that began."""
    wall = to_wall(time, zone)
    into = ((wall.minute * 60 + wall.second) * MICROSECONDS + wall.microsecond) % unit
    return wall - timedelta(microseconds=into), into
