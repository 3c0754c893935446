"""Which units answer a question: closed local days and months, or what is known of days whose raw data are gone.

No numpy is needed here.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from appliance.clock import MICROSECONDS
from appliance.errors import RawPurged
from appliance.storage.calendar import local_day
from appliance.storage.evaluation import BEGINNING, Rolled
from appliance.storage.rollup import BY_CALENDAR


class Days(Protocol):
    """Local days that are counted together. Times are UTC microseconds."""

    @property
    def id(self) -> int: ...  # never used again
    @property
    def first_day(self) -> int: ...  # since 1970, in the calendar of the time zone
    @property
    def days(self) -> int: ...
    @property
    def last_day(self) -> int: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def timezone(self) -> str: ...
    @property
    def usable(self) -> bool: ...
    @property
    def final(self) -> bool: ...


U = TypeVar("U", bound=Days)


def chosen(asked: Rolled, span: tuple[int, int], known: Iterable[U], purged: int, fits: Callable[[U], bool]) -> list[U]:
    """The units to answer with in a range: they lie in it and do not overlap.

    `known` come by their start, the longer ones first. Before the time `purged` final units are taken, which need no
    check, whichever time zone their days are of; of the others those that fit.
    """
    found: list[U] = []
    for unit in known:
        if unit.start < span[0] or unit.end > span[1] or not unit.usable:
            continue
        if found and unit.start < found[-1].end:
            continue
        if unit.final != (unit.end <= purged) or (not unit.final and unit.start < purged):
            continue
        if unit.final or (unit.timezone == asked.timezone and fits(unit)):
            found.append(unit)
    return found


def check_purged(asked: Rolled | None, span: tuple[int, int], known: Iterable[Days], purged: int) -> None:
    """Raises RawPurged when a question about a range needs raw data from before the time `purged`.

    Final units answer for ranges that they lie in; where there is none there were no events. Of days, weeks and months
    only those tell that lie in a day of the asker's time zone too.
    """
    start, end = span
    if start >= purged or start == BEGINNING:
        return
    day = f"{datetime.fromtimestamp(purged / MICROSECONDS, UTC):%Y-%m-%d %H:%M} UTC"
    if asked is None or asked.of_visits:
        raise RawPurged(f"events from before {day} are purged: of that time only unfiltered counts are kept")
    by_calendar = not BY_CALENDAR.isdisjoint(asked.names)
    for unit in known:
        if not unit.final or unit.end > purged or unit.start >= end or unit.end <= start:
            continue
        if not unit.usable:
            raise RawPurged(f"events from before {day} are purged: of days with sampled events no counts are kept")
        inside = start <= unit.start and unit.end <= end
        if not inside or (by_calendar and not _in_day(unit, asked.timezone)):
            whole = "whole days" if unit.timezone == asked.timezone else f"whole days of {unit.timezone}"
            raise RawPurged(f"events from before {day} are purged: of that time only {whole} are known")


def _in_day(unit: Days, timezone: str) -> bool:
    """Whether a unit of one day lies in the day of that number in another time zone."""
    if unit.timezone == timezone:
        return True
    zone = ZoneInfo(timezone)
    return local_day(unit.start, zone) == unit.first_day == local_day(unit.end - 1, zone)
