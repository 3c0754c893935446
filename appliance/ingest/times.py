"""Reads the times that clients send."""

from datetime import UTC, datetime, timedelta

from appliance.clock import DAY, MICROSECONDS
from appliance.ingest.visitor import local_day
from appliance.model import Project

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_9999 = 253_402_300_800  # seconds; a number above is milliseconds, above a thousand times that microseconds
_ONE = timedelta(microseconds=1)


def read_time(value: float | str) -> int:
    """UTC microseconds of an epoch in seconds, milliseconds or microseconds, as number or digits, or of an ISO 8601
    text (without an offset: UTC). Raises ValueError with what is wrong."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            raise ValueError("it is empty")
        if text[4:5] == "-" or "T" in text:
            return _iso(text)
        try:
            value = float(text)
        except ValueError:
            return _iso(text)
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("it is not a finite number")
    if value < 0:
        raise ValueError("it lies before 1970")
    # 1e11 seconds is the year 5138, 1e11 milliseconds is March 1973: no real clock is read wrongly.
    if value < 1e11:
        return round(value * MICROSECONDS)
    if value < 1e14:
        return round(value * 1000)
    if value < _YEAR_9999 * MICROSECONDS:
        return round(value)
    raise ValueError("it lies too far in the future")


def is_kept(project: Project, time: int, now: int) -> bool:
    """Whether raw data of that time are kept (times in UTC microseconds): by the days that a purge counts, whatever
    number of hours they have. Of what was purged while fewer days were kept, nothing more is taken: it would count
    nowhere."""
    if project.raw_purged_before is not None and time < project.raw_purged_before:
        return False
    days = project.settings.raw_retention_days
    if not days or time > now - (days - 1) * DAY:
        return True
    if time < now - (days + 2) * DAY:
        return False
    return local_day(project.timezone, time)[0] >= local_day(project.timezone, now)[0] - days


def _iso(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("it is neither ISO 8601 nor an epoch in seconds or milliseconds") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return (moment - _EPOCH) // _ONE
    except OverflowError:
        raise ValueError("it lies outside the years 1 to 9999") from None
