"""Visits and events as rows: their columns, in the order in which both engines and copies have them."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from appliance.clock import DAY
from appliance.model import ACQUISITION_FIELDS, Event, Kind, Visit
from appliance.storage.interface import StoredEvent

SPAN: Final = DAY  # of a visit, at most (SEMANTICS, Visits)

EVENT: Final = StoredEvent.__struct_fields__
VISIT: Final = (*Visit.__struct_fields__[:-1], *ACQUISITION_FIELDS)
OF_VISIT: Final = ("visitor", *ACQUISITION_FIELDS)  # what an event may carry of its visit
# What a visit's next event changes nearly always, and what else may change.
GROWING: Final = ("end", "exit_at", "exit_path", "exit_hostname", "pageviews", "events", "interactive")
MUTABLE: Final = (*GROWING, "visitor", "salt_day", "user", "start", "entry_at", "entry_path", "entry_hostname")
# What is kept of engagement that waits; each is a field of Event.
WAITING: Final = ("project_id", "name", "path", "time", "received", "pageview_id", "scroll_depth", "engaged_ms")

_FIRST: Final = len(Visit.__struct_fields__) - 1

waiting_of = attrgetter(*WAITING)


def names(columns: Iterable[str], alias: str = "") -> str:
    """Columns as SQL lists them; `alias` with its full stop."""
    return ", ".join(f'{alias}"{name}"' for name in columns)


def visit_of(row: Sequence[Any]) -> Visit:
    """A visit from its row."""
    return Visit(*(*row[:_FIRST], tuple(row[_FIRST:])))


def engagement_of(kept: Sequence[Any]) -> Event:
    """Engagement that waited, from what is kept of it."""
    rest: dict[str, Any] = {"event_id": "", "kind": Kind.ENGAGEMENT, "visitor": 0, "salt_day": None}
    return Event(**rest, **dict(zip(WAITING, kept, strict=True)))
