"""What a rollup is: the visits of a closed day or month, counted by one column beforehand (list: rollups/catalog.py).

A rollup speaks of whole visits, those that lie inside its days; whatever reaches across an edge, is not sealed yet, or
came late is counted from its rows beside it. So its figures add up with those of other days and of rows. Only visitors
do not: one that may also be elsewhere (a persistent one, or a rotating one that was seen outside the day of its salt)
is kept by identity, the others by number.
"""

from typing import Final, Literal

import msgspec

from appliance.clock import MINUTE

Measure = Literal["visitors", "events", "pageviews", "visits", "bounces", "duration", "visit_pageviews"]

# What is stored per value, in that order. All but the visitors may be summed.
MEASURES: Final[tuple[Measure, ...]] = (
    "visitors", "events", "pageviews", "visits", "bounces", "duration", "visit_pageviews",
)  # fmt: skip

PAGEVIEW_CODE: Final = -1  # of event:name: every pageview, whatever name it was sent with

EVENT_COUNTS: Final = "event_counts"  # the entry of the catalogue that has several columns
SLOT: Final = 5 * MINUTE  # of event counts
MONTH: Final = "month"  # no entry: what is told by the units themselves; months of the calendar since 1970
BY_CALENDAR: Final = frozenset(("day", "week", MONTH))  # what a unit says of the days of its own time zone alone


class Rollup(msgspec.Struct, frozen=True, array_like=True):
    """Counts by the codes of a column of `visit` or `event`, or by time: local days since 1970, weeks (Monday; the one
    with 1970-01-01 is 0), or all in one, with the code 0. Or, of `counts`, numbers of events by several columns at once
    in every slot of five minutes, from which those of hours and days are summed."""

    name: str
    of: Literal["visit", "event", "time", "counts"]
    column: str


def stored(name: str) -> str:
    """The column of a unit that has what is asked for by this name."""
    return "total" if name == MONTH else name
