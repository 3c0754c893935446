"""The range that a range is compared with (SEMANTICS.md, Time)."""

from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from appliance.queries.localtime import add_months, to_utc, to_wall
from appliance.queries.period import Dates, Named, Period, Range, resolve


class Comparison(msgspec.Struct, frozen=True):
    """What to compare with; `custom` needs `dates`. `match_weekday` does nothing to custom dates."""

    mode: Literal["previous_period", "year_over_year", "custom"] = "previous_period"
    match_weekday: bool = True
    dates: Dates | None = None


def is_comparable(period: Period, comparison: Comparison) -> bool:
    """Whether there is such a thing: before all time was nothing. It is compared with dates that somebody chose."""
    return comparison.mode == "custom" or not (isinstance(period, Named) and period.name == "all")


def compared(there: Range, comparison: Comparison) -> Range:
    """The whole range to compare with.

    The period before is as long in the unit that the range is counted in: six months before six months, the seven days
    before seven. A running month or year moves by whole days, so that its last hours meet the same hours.
    """
    if comparison.mode == "custom" and comparison.dates is not None:
        return resolve(comparison.dates, there.timezone, there.now)
    before = _previous(there) if comparison.mode == "previous_period" else _year_before(there)
    return _on_same_weekday(there, before) if comparison.match_weekday and has_weekdays(there) else before


def compared_so_far(there: Range, comparison: Comparison) -> Range:
    """The part of it that figures are compared with: while a range runs, up to the same point.

    A morning against a whole day would always be a loss. Dates of somebody's own are cut where they are as many days.
    """
    so_far = there.so_far
    if comparison.mode != "custom":
        return compared(so_far, comparison)
    whole = compared(there, comparison)
    if not there.is_running or whole.days not in (there.days, so_far.days):
        return whole
    moved = _by_days(so_far, (whole.first_day - there.first_day).days)
    return msgspec.structs.replace(whole, end=min(whole.end, moved.end)) if moved.end > whole.start else whole


def has_weekdays(there: Range) -> bool:
    """Whether matching weekdays means anything: whole months are compared with whole months."""
    return there.unit != "month"


def _previous(there: Range) -> Range:
    if there.unit == "microsecond":
        return msgspec.structs.replace(there, start=there.start - there.count, end=there.end - there.count)
    if there.unit == "month":
        return _by_months(there, -there.count)
    return _by_days(there, -there.count)


def _year_before(there: Range) -> Range:
    if there.unit == "day" and to_wall(there.end, there.zone).time() == time():
        # By its last day, not by the midnight after: a year before 29 February is 28 February.
        first, last = add_months(there.first_day, -12), add_months(there.last_day, -12)
        return resolve(Dates(first, last), there.timezone, there.now)
    return _by_months(there, -12)


def _on_same_weekday(there: Range, before: Range) -> Range:
    """Moved to the nearest days that begin on the same weekday, and are not the range itself."""
    behind = (there.first_day.weekday() - before.first_day.weekday()) % 7
    if behind == 0:
        return before
    shifts = sorted((behind, behind - 7), key=abs)
    day = before.first_day
    shift = next(shift for shift in shifts if day + timedelta(shift) != there.first_day)
    return _by_days(before, shift)


def _by_days(there: Range, days: int) -> Range:
    return _between(there, *(wall + timedelta(days) for wall in _walls(there)))


def _by_months(there: Range, months: int) -> Range:
    """By calendar months. Where the other month is too short for the last day, it is met to its end."""
    start, end = _walls(there)
    first, last = (datetime.combine(add_months(wall.date(), months), wall.time()) for wall in (start, end))
    if last.day != end.day:
        last = min(first + (end - start), datetime.combine(last.date(), time()) + timedelta(1))
    return _between(there, first, last)


def _walls(there: Range) -> tuple[datetime, datetime]:
    return to_wall(there.start, there.zone), to_wall(there.end, there.zone)


def _between(there: Range, first: datetime, last: datetime) -> Range:
    zone: ZoneInfo = there.zone
    return msgspec.structs.replace(there, start=to_utc(first, zone), end=to_utc(last, zone))
