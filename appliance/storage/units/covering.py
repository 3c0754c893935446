"""Which units answer a question: closed local days and months, or what is known of days whose raw data are gone.

No numpy is needed here.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from appliance.clock import MICROSECONDS
from appliance.errors import RawPurged
from appliance.storage.calendar import day_start, local_day
from appliance.storage.evaluation import BEGINNING, Rolled


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

    `known` come by their first day, the longer ones first. Before the time `purged` final units are taken, which need
    no check; of the others those that fit.
    """
    found: list[U] = []
    for unit in known:
        if unit.start < span[0] or unit.end > span[1] or unit.timezone != asked.timezone or not unit.usable:
            continue
        if found and unit.start < found[-1].end:
            continue
        if unit.final != (unit.end <= purged) or (not unit.final and unit.start < purged):
            continue
        if unit.final or fits(unit):
            found.append(unit)
    return found


def check_purged(asked: Rolled | None, span: tuple[int, int], known: Iterable[Days], purged: int) -> None:
    """Raises RawPurged when a question about a range needs raw data from before the time `purged`.

    Rollups answer for whole days; a day without a final unit had no events.
    """
    start, end = span
    if start >= purged or start == BEGINNING:
        return
    day = f"{datetime.fromtimestamp(purged / MICROSECONDS, UTC):%Y-%m-%d %H:%M} UTC"
    if asked is None or asked.of_visits:
        raise RawPurged(f"events from before {day} are purged: of that time only unfiltered counts are kept")
    zone = ZoneInfo(asked.timezone)
    edges = [start, *([end] if end < purged else [])]
    units = [unit for unit in known if unit.final and unit.start < min(end, purged) and unit.end > start]
    if any(day_start(local_day(edge, zone), zone) != edge for edge in edges) or any(
        unit.timezone != asked.timezone or not unit.usable for unit in units
    ):
        raise RawPurged(f"events from before {day} are purged: of that time only whole days are known")
