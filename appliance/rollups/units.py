"""Which days and months have rollups."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Final, NamedTuple

# Months answer what lies further back; the days of a range's edges are then read from chunks.
DAYS_KEPT: Final = 100

_EPOCH: Final = date(1970, 1, 1)


class Span(NamedTuple):
    """Local days: the first one, since 1970, and how many."""

    first_day: int
    days: int


def month_of(day: int) -> Span:
    """The calendar month that a day (since 1970) lies in."""
    first = (_EPOCH + timedelta(day)).replace(day=1)
    after = (first + timedelta(31)).replace(day=1)
    return Span((first - _EPOCH).days, (after - first).days)


def wanted(sealed_days: Iterable[int], closed_day: int) -> Iterator[Span]:
    """The days and months with sealed visits that are over when `closed_day` is; days only of the last DAYS_KEPT."""
    days = sorted(day for day in set(sealed_days) if day <= closed_day)
    yield from (Span(day, 1) for day in days if day > closed_day - DAYS_KEPT)
    months = dict.fromkeys(month_of(day) for day in days)
    yield from (month for month in months if month.first_day + month.days - 1 <= closed_day)
