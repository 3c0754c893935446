"""Between UTC microseconds and the wall clock of a time zone."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_utc(wall: datetime, zone: ZoneInfo) -> int:
    """UTC microseconds of a naive wall-clock time. In a gap: the instant of the change; of two: the earlier."""
    return (wall.replace(tzinfo=zone, fold=0) - _EPOCH) // _MICROSECOND


def to_wall(at: int, zone: ZoneInfo) -> datetime:
    """Naive wall-clock time of UTC microseconds."""
    return to_aware(at, zone).replace(tzinfo=None, fold=0)


def to_aware(at: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=at)).astimezone(zone)


def day_start(day: date, zone: ZoneInfo) -> int:
    """UTC microseconds at which a local day begins: its first instant, also where midnight does not exist."""
    return to_utc(datetime.combine(day, time.min), zone)


def local_day(at: int, zone: ZoneInfo) -> date:
    return to_wall(at, zone).date()


def add_months(day: date, months: int) -> date:
    """The same day of another month, or that month's last day."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise ValueError(f"no month {months} months from {day}")
