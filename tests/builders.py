"""Small events with sensible defaults, so that a test names only what it is about. Times are minutes from START."""

from itertools import count
from typing import Any

from appliance.clock import DAY, MINUTE
from appliance.model import Event, Kind
from appliance.storage.event_ids import mint

START = 1_772_452_800_000_000  # 2026-03-02 12:00 UTC, a Monday
ANN, BOB, CAT = 101, 202, 303  # three visitors
_ids = count(1)


def at(minutes: float) -> int:
    """UTC microseconds that many minutes after START."""
    return START + round(minutes * MINUTE)


def event(minutes: float = 0, visitor: int = ANN, **fields: Any) -> Event:
    """A custom event of a rotating visitor of project 1, with an id of its own."""
    time = fields.pop("time", at(minutes))
    values: dict[str, Any] = {
        "project_id": 1,
        "event_id": f"event-{next(_ids)}",
        "kind": Kind.CUSTOM,
        "name": "click",
        "time": time,
        "received": time,
        "visitor": visitor,
        "salt_day": time // DAY,
        "hostname": "example.com",
        "path": "/",
        "channel": "Direct",
        "country": "DE",
        "browser": "Firefox",
    }
    return Event(**(values | fields))


def pageview(minutes: float = 0, path: str = "/", visitor: int = ANN, **fields: Any) -> Event:
    return event(minutes, visitor, kind=Kind.PAGEVIEW, name="pageview", path=path, **fields)


def engagement(minutes: float, of: Event, scroll_depth: int = 0, engaged_ms: int = 0, **fields: Any) -> Event:
    """Engagement with a pageview."""
    values = {"name": "engagement", "kind": Kind.ENGAGEMENT, "pageview_id": of.event_id}
    return event(minutes, of.visitor, scroll_depth=scroll_depth, engaged_ms=engaged_ms, **(values | fields))


def user_event(minutes: float, user: str, anonymous: int | None = ANN, **fields: Any) -> Event:
    """What a browser sends once its visitor is identified: the user's visitor, and the anonymous one beside."""
    values = {"user_id": user, "visitor": user_visitor(user), "salt_day": None, "anonymous": anonymous}
    return event(minutes, **(values | fields))


def user_visitor(user: str) -> int:
    return sum(map(ord, user)) * 1_000_003


def own_id(minutes: float) -> str:
    """An id of our own form."""
    return mint(at(minutes) // 1000)
