"""Which days and months have rollups."""

from collections.abc import Iterable, Iterator
from typing import Final

from appliance.storage.calendar import Span, days_of_month

# Months answer what lies further back; the days of a range's edges are then read from chunks.
DAYS_KEPT: Final = 100


def wanted(sealed_days: Iterable[int], closed_day: int) -> Iterator[Span]:
    """The days and months with sealed visits that are over when `closed_day` is; days only of the last DAYS_KEPT."""
    days = sorted(day for day in set(sealed_days) if day <= closed_day)
    yield from (Span(day, 1) for day in days if day > closed_day - DAYS_KEPT)
    months = dict.fromkeys(days_of_month(day) for day in days)
    yield from (month for month in months if month.first_day + month.days - 1 <= closed_day)
