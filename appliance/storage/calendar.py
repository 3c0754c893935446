"""Local days, weeks and months as numbers: how stored days are counted. A day counts from 1 January 1970."""

from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from appliance.clock import MICROSECONDS

_EPOCH: Final = date(1970, 1, 1)


class Span(NamedTuple):
    """Local days: the first one, since 1970, and how many."""

    first_day: int
    days: int


def local_day(time: int, zone: ZoneInfo) -> int:
    """The local day at UTC microseconds."""
    wall = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)
    return (wall.astimezone(zone).date() - _EPOCH).days


def day_start(day: int, zone: ZoneInfo) -> int:
    """UTC microseconds at which a local day begins."""
    midnight = datetime.combine(_EPOCH + timedelta(days=day), datetime.min.time(), zone)
    return int(midnight.timestamp()) * MICROSECONDS


def local_month(time: int, timezone: str) -> int:
    """The calendar month of a zone (an IANA name) at UTC microseconds; January 1970 is 0."""
    return month_of(local_day(time, ZoneInfo(timezone)))


def month_start(month: int, timezone: str) -> int:
    """UTC microseconds at which a month begins in a zone; January 1970 is 0."""
    first = date(_EPOCH.year + month // 12, month % 12 + 1, 1)
    return day_start((first - _EPOCH).days, ZoneInfo(timezone))


def week_of(day: int) -> int:
    """The week (Monday to Sunday) that a day lies in; the one with 1 January 1970 is 0."""
    return (day + 3) // 7


def month_of(day: int) -> int:
    """The calendar month that a day lies in; January 1970 is 0."""
    there = _EPOCH + timedelta(day)
    return (there.year - _EPOCH.year) * 12 + there.month - 1


def days_in_words(first: int, last: int) -> str:
    """Days as messages name them: `2026-03-09`, `2026-03-09 to 2026-03-11`."""
    dates = [str(_EPOCH + timedelta(day)) for day in (first, last)]
    return dates[0] if first == last else " to ".join(dates)


def days_of_month(day: int) -> Span:
    """The calendar month that a day lies in, as its days."""
    first = (_EPOCH + timedelta(day)).replace(day=1)
    after = (first + timedelta(31)).replace(day=1)
    return Span((first - _EPOCH).days, (after - first).days)
