"""The range that a range is compared with (SEMANTICS.md, Time)."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from appliance.queries.localtime import add_months, to_utc, to_wall
from appliance.queries.period import Dates, Range, resolve


class Comparison(msgspec.Struct, frozen=True):
    """What to compare with; `custom` needs `dates`. `match_weekday` does nothing to custom dates."""

    mode: Literal["previous_period", "year_over_year", "custom"] = "previous_period"
    match_weekday: bool = True
    dates: Dates | None = None


def compared(there: Range, comparison: Comparison) -> Range:
    """The range to compare with.

    The period before is as long in the unit that the range is counted in: six months before six months, the seven days
    before seven. A running month or year moves by whole days, so that its last hours meet the same hours.
    """
    if comparison.mode == "custom" and comparison.dates is not None:
        return resolve(comparison.dates, there.timezone, there.now)
    before = _previous(there) if comparison.mode == "previous_period" else _year_before(there)
    return _on_same_weekday(there, before) if comparison.match_weekday and has_weekdays(there) else before


def has_weekdays(there: Range) -> bool:
    """Whether matching weekdays means anything: whole months are compared with whole months."""
    return there.unit != "month"


def _previous(there: Range) -> Range:
    if there.unit == "microsecond":
        return msgspec.structs.replace(there, start=there.start - there.count, end=there.start)
    if there.unit == "month":
        return _moved(there, lambda wall: _at(add_months(wall.date(), -there.count), wall))
    return _by_days(there, -there.count)


def _year_before(there: Range) -> Range:
    if there.unit == "day" and to_wall(there.end, there.zone).time() == datetime.min.time():
        # By its last day, not by the midnight after: a year before 29 February is 28 February.
        first, last = add_months(there.first_day, -12), add_months(there.last_day, -12)
        return resolve(Dates(first, last), there.timezone, there.now)
    return _moved(there, lambda wall: _at(add_months(wall.date(), -12), wall))


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
    return _moved(there, lambda wall: wall + timedelta(days))


def _at(day: date, wall: datetime) -> datetime:
    return datetime.combine(day, wall.time())


def _moved(there: Range, move: Callable[[datetime], datetime]) -> Range:
    zone: ZoneInfo = there.zone
    start, end = (to_utc(move(to_wall(edge, zone)), zone) for edge in (there.start, there.end))
    return msgspec.structs.replace(there, start=start, end=end)
