"""What a dashboard's URL says: period, filters, comparison, interval. Read, and written back the same.

period=30d          one of period.NAMES; without one `30d`, or the two dates
date=2026-03-10     the period as it was on that local day
from=, to=          two dates (both included), or two timestamps with an offset (half-open)
f=                  a filter, any number of times (filters.py)
compare=            off, previous_period (the default), year_over_year, custom
compare_from=, compare_to=    the dates of `custom`
weekday=off         compare without matching weekdays
interval=           minute, hour, day, week, month; without one the one that suits the period
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec

from appliance.errors import Invalid
from appliance.queries import filters
from appliance.queries.comparison import Comparison
from appliance.queries.filters import EVERYTHING, AllOf, Check
from appliance.queries.intervals import INTERVALS, Interval
from appliance.queries.localtime import to_aware
from appliance.queries.period import Dates, Named, Period, Times, between, named, parse_date
from appliance.spelling import spelled

DEFAULT_PERIOD: Final = Named("30d")

T = TypeVar("T")

Parameters = list[tuple[str, str]]


class View(msgspec.Struct, frozen=True):
    """The state of a dashboard. `comparison` None: nothing is compared. `interval` None: what suits the period."""

    period: Period = DEFAULT_PERIOD
    filter: AllOf = EVERYTHING
    comparison: Comparison | None = Comparison()
    interval: Interval | None = None


def read(parameters: Iterable[tuple[str, str]], check: Check | None = None) -> View:
    """The view that the decoded parameters of a URL name; others are ignored. Raises Invalid with the field.

    `check` is for comparisons in filters, `filters.checked` unless another is given.
    """
    pairs = list(parameters)
    first = {name: value for name, value in reversed(pairs) if value}
    return View(
        _in_field("period", lambda: _period(first)),
        filters.from_url((value for name, value in pairs if name == "f" and value), check),
        _in_field("compare", lambda: _comparison(first)),
        _interval(first.get("interval")),
    )


def write(view: View) -> Parameters:
    """The parameters of a URL that `read` makes this view of, without what is the default."""
    parameters = _written_period(view.period)
    parameters += [("f", value) for value in filters.to_url(view.filter)]
    parameters += _written_comparison(view.comparison)
    if view.interval is not None:
        parameters.append(("interval", view.interval))
    return parameters


def _period(first: dict[str, str]) -> Period:
    name = first.get("period")
    if "from" in first and "to" in first and name in (None, "custom"):
        return between(first["from"], first["to"])
    if name is None:
        return DEFAULT_PERIOD
    return named(name, parse_date(first["date"]) if "date" in first else None)


def _written_period(period: Period) -> Parameters:
    if isinstance(period, Dates):
        return [("from", period.first.isoformat()), ("to", period.last.isoformat())]
    if isinstance(period, Times):
        return [("from", _timestamp(period.start)), ("to", _timestamp(period.end))]
    parameters = [] if period == DEFAULT_PERIOD else [("period", period.name)]
    if period.anchor is not None:
        parameters = [("period", period.name), ("date", period.anchor.isoformat())]
    return parameters


def _timestamp(time: int) -> str:
    at: datetime = to_aware(time, UTC)
    return at.isoformat().replace("+00:00", "Z")  # a plus sign would have to be escaped


def _comparison(first: dict[str, str]) -> Comparison | None:
    mode = first.get("compare", "previous_period")
    match_weekday = first.get("weekday") != "off"
    if mode == "off":
        return None
    if mode == "custom":
        dates = between(first.get("compare_from", ""), first.get("compare_to", ""))
        if isinstance(dates, Dates):
            return Comparison("custom", match_weekday, dates)
    elif mode == "previous_period":
        return Comparison("previous_period", match_weekday)
    elif mode == "year_over_year":
        return Comparison("year_over_year", match_weekday)
    raise Invalid("compare with off, previous_period, year_over_year, or custom and two dates")


def _written_comparison(comparison: Comparison | None) -> Parameters:
    if comparison is None:
        return [("compare", "off")]
    parameters: Parameters = [] if comparison.mode == "previous_period" else [("compare", comparison.mode)]
    if comparison.dates is not None:
        first, last = comparison.dates.first, comparison.dates.last
        parameters += [("compare_from", first.isoformat()), ("compare_to", last.isoformat())]
    return parameters if comparison.match_weekday else [*parameters, ("weekday", "off")]


def _interval(name: str | None) -> Interval | None:
    if name is None:
        return None
    for interval in INTERVALS:
        if interval == name:
            return interval
    raise Invalid(f"{spelled(name)} is not an interval; use one of {', '.join(INTERVALS)}", field="interval")


def _in_field(field: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except Invalid as error:
        raise Invalid(str(error), field=field) from None
