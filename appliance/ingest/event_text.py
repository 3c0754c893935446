"""A stored event as those who stream a project's events get it: one JSON object (docs/dialects/systems.md, C)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from appliance.ingest.batch import Placed

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_has_scheme: Final = re.compile(r"[a-z][a-z-]*://").match
_NO_PROPERTIES: Final = msgspec.Raw(b"{}")


class _Told(msgspec.Struct):
    event_id: str
    event_name: str
    distinct_id: str | None
    session_id: str
    properties: msgspec.Raw
    page_url: str | None
    referrer: str | None
    timestamp: datetime
    country: str | None
    browser: str | None
    os: str | None
    device: str | None


_encode = msgspec.json.Encoder().encode


def event_text(placed: Placed) -> bytes:
    """The object, UTF-8 on one line. What is not known is null; a visit without a session id is named by its number."""
    event = placed.event
    told = _Told(
        event.event_id,
        event.name,
        event.user_id or None,
        placed.session_id or str(placed.visit_id),
        msgspec.Raw(event.properties.encode()) if event.properties else _NO_PROPERTIES,
        _url(event.hostname + event.path) if event.hostname else event.path or None,
        _url(event.referrer) if event.referrer else None,
        _EPOCH + timedelta(microseconds=event.time),
        event.country or None,
        event.browser or None,
        event.os or None,
        event.device or None,
    )
    return _encode(told)


def _url(page: str) -> str:
    """Of "host/path", as pages and most referrers are stored: whether it was https was not kept."""
    return page if _has_scheme(page) else f"https://{page}"
