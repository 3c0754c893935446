"""Periods as people name them, and the half-open range of UTC microseconds that each is in a project's time zone.

The rules are SEMANTICS.md "Time". "Now" is the end of the running minute, so that what was just stored is in, and the
pages of one list that are fetched within a minute speak of the same range.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from appliance.clock import DAY, MINUTE
from appliance.errors import Invalid
from appliance.queries.localtime import add_months, day_start, local_day, to_wall
from appliance.spelling import spelled

_DAYS: Final = {"7d": 7, "28d": 28, "30d": 30, "91d": 91}
_MONTHS: Final = {"6mo": 6, "12mo": 12}
_ROLLING: Final = {"30m": 30 * MINUTE, "24h": DAY}
NAMES: Final = (*_ROLLING, "day", *_DAYS, "month", "year", *_MONTHS, "all")

_YEARS: Final = (1970, 2200)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Named(msgspec.Struct, frozen=True):
    """One of NAMES, as it was on the local day `anchor` (None: today)."""

    name: str
    anchor: date | None = None


class Dates(msgspec.Struct, frozen=True):
    """From one local day to another, both included."""

    first: date
    last: date


class Times(msgspec.Struct, frozen=True):
    """Half-open, UTC microseconds."""

    start: int
    end: int


Period = Named | Dates | Times


class Range(msgspec.Struct, frozen=True):
    """A period resolved: `start` <= t < `end` in UTC microseconds, with the time zone whose calendar it follows.

    It is `count` of `unit` long: what the step to a neighbour and the comparison with the period before go by.
    """

    start: int
    end: int
    timezone: str
    now: int
    unit: Literal["microsecond", "day", "month"]
    count: int

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def first_day(self) -> date:
        """Local day in which it begins."""
        return local_day(self.start, self.zone)

    @property
    def last_day(self) -> date:
        """Local day in which it ends."""
        return local_day(self.end - 1, self.zone)

    @property
    def is_running(self) -> bool:
        return self.start <= self.now < self.end

    @property
    def so_far(self) -> "Range":
        """What of it has passed: up to the end of the running minute, where it goes on after that."""
        edge = _edge(self.now)
        return msgspec.structs.replace(self, end=edge) if self.start < edge < self.end else self

    @property
    def days(self) -> int:
        """Local days that it touches."""
        return (self.last_day - self.first_day).days + 1


def named(name: str, anchor: date | None = None) -> Named:
    """Raises Invalid for a name that is none."""
    if name not in NAMES:
        raise Invalid(f"{spelled(name)} is not a period; use one of {', '.join(NAMES)}, two dates or two timestamps")
    return Named(name, anchor)


def between(first: str, last: str) -> Dates | Times:
    """A pair of ISO dates (both included) or of ISO timestamps with an offset (half-open). Raises Invalid."""
    if _DATE.fullmatch(first) and _DATE.fullmatch(last):
        period = Dates(parse_date(first), parse_date(last))
        if period.first > period.last:
            raise Invalid(f"{first} is after {last}")
        return period
    times = Times(_parse_time(first), _parse_time(last))
    if times.start >= times.end:
        raise Invalid(f"{first} is not before {last}")
    return times


def parse_date(text: str) -> date:
    """Raises Invalid unless this is an ISO date of a year that can be asked for."""
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not _YEARS[0] <= day.year <= _YEARS[1]:
        raise Invalid(f"{spelled(text)} is not a date such as 2026-01-31")
    return day


def _parse_time(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None or not _YEARS[0] < time.year < _YEARS[1]:
        raise Invalid(f"{spelled(text)} is not a timestamp with an offset such as 2026-01-31T12:00:00+01:00")
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def resolve(period: Period, timezone: str, now: int, first_event: int | None = None) -> Range:
    """The range that a period is in a time zone (IANA name) at `now`.

    `first_event` is the time of the project's first event, which only `all` needs.
    """
    zone = ZoneInfo(timezone)
    if isinstance(period, Times):
        return Range(period.start, period.end, timezone, now, "microsecond", period.end - period.start)
    if isinstance(period, Dates):
        return _of_days(period.first, (period.last - period.first).days + 1, zone, now)
    name = period.name
    edge = _edge(now)
    if name in _ROLLING:
        return Range(edge - _ROLLING[name], edge, timezone, now, "microsecond", _ROLLING[name])
    today = period.anchor or local_day(now, zone)
    if name == "day":
        return _of_days(today, 1, zone, now)
    if name in _DAYS:
        return _of_days(today - timedelta(_DAYS[name]), _DAYS[name], zone, now)
    if name in _MONTHS:
        return _of_months(add_months(today.replace(day=1), 1 - _MONTHS[name]), _MONTHS[name], zone, now)
    if name == "all":
        first = today if first_event is None else local_day(first_event, zone)
        return _of_days(first, max((today - first).days, 0) + 1, zone, now)
    whole = (
        _of_months(today.replace(day=1), 1, zone, now)
        if name == "month"
        else _of_months(today.replace(month=1, day=1), 12, zone, now)
    )
    return _until(edge, whole) if whole.start < edge < whole.end else whole


def _edge(now: int) -> int:
    return (now // MINUTE + 1) * MINUTE


def _of_days(first: date, count: int, zone: ZoneInfo, now: int) -> Range:
    end = day_start(first + timedelta(count), zone)
    return Range(day_start(first, zone), end, zone.key, now, "day", count)


def _of_months(first: date, count: int, zone: ZoneInfo, now: int) -> Range:
    end = day_start(add_months(first, count), zone)
    return Range(day_start(first, zone), end, zone.key, now, "month", count)


def _until(edge: int, whole: Range) -> Range:
    """The part of a running month or year up to now."""
    days = (local_day(edge - 1, whole.zone) - whole.first_day).days + 1
    return Range(whole.start, edge, whole.timezone, whole.now, "day", days)


def neighbour(period: Period, timezone: str, now: int, step: int) -> Period | None:
    """The period one length before (`step` -1) or after (+1); None after now, before 1970, and for `all`."""
    zone = ZoneInfo(timezone)
    try:
        other = _shifted(period, zone, now, step)
        if other is None:
            return None
        there = resolve(other, timezone, now)
    except (OverflowError, ValueError):
        return None
    if there.start > now or there.first_day.year < _YEARS[0]:
        return None
    if isinstance(other, Named) and there.start == resolve(Named(other.name), timezone, now).start:
        return Named(other.name)
    return other


def _shifted(period: Period, zone: ZoneInfo, now: int, step: int) -> Period | None:
    if isinstance(period, Times):
        length = period.end - period.start
        return Times(period.start + step * length, period.end + step * length)
    if isinstance(period, Dates):
        days = timedelta(step * ((period.last - period.first).days + 1))
        return Dates(period.first + days, period.last + days)
    if period.name in _ROLLING:
        here = resolve(period, zone.key, now)
        return _shifted(Times(here.start, here.end), zone, now, step)
    anchor = period.anchor or local_day(now, zone)
    if period.name == "all":
        return None
    if period.name in ("month", "year"):
        return Named(period.name, add_months(anchor.replace(day=1), step * (1 if period.name == "month" else 12)))
    if period.name in _MONTHS:
        return Named(period.name, add_months(anchor.replace(day=1), step * _MONTHS[period.name]))
    return Named(period.name, anchor + timedelta(step * _DAYS.get(period.name, 1)))


def label(there: Range) -> str:
    """A range in English words for titles and exports: `10 Mar 2026`, `March 2026`, `1 Feb – 2 Mar 2026`."""
    start, end = to_wall(there.start, there.zone), to_wall(there.end, there.zone)
    if there.unit == "microsecond":
        return f"{start:%-d %b %Y %H:%M} – {end:%-d %b %Y %H:%M}"
    first, last = there.first_day, there.last_day
    if there.unit == "month" and there.count == 1:
        return f"{first:%B %Y}"
    if there.unit == "month" and there.count == 12 and first.month == 1:
        return f"{first:%Y}"
    if first == last:
        return f"{first:%-d %b %Y}"
    return f"{first:%-d %b}{'' if first.year == last.year else f' {first:%Y}'} – {last:%-d %b %Y}"
