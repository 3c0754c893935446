"""Which days and months have rollups."""

from collections.abc import Iterable, Iterator
from typing import Final

from appliance.storage.calendar import Span, days_of_month

# Months answer what lies further back; the days of a range's edges are then read from chunks.
DAYS_KEPT: Final = 100
# On a server those days are read from rows, which takes a hundred times as long as a rollup.
DAYS_KEPT_ON_SERVERS: Final = 400


def wanted(stored_days: Iterable[int], closed_day: int) -> Iterator[Span]:
    """The days and months with such visits that are over when `closed_day` is; days only of the last DAYS_KEPT."""
    return _wanted(stored_days, closed_day, DAYS_KEPT)


def wanted_on_servers(stored_days: Iterable[int], closed_day: int) -> Iterator[Span]:
    """The same with days of the last DAYS_KEPT_ON_SERVERS."""
    return _wanted(stored_days, closed_day, DAYS_KEPT_ON_SERVERS)


def _wanted(stored_days: Iterable[int], closed_day: int, days_kept: int) -> Iterator[Span]:
    days = sorted(day for day in set(stored_days) if day <= closed_day)
    yield from (Span(day, 1) for day in days if day > closed_day - days_kept)
    months = dict.fromkeys(days_of_month(day) for day in days)
    yield from (month for month in months if month.first_day + month.days - 1 <= closed_day)
