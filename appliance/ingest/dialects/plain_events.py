"""Events of systems that know names and properties, and no pages: A, B and D.

Their names mean what they say. Only a page view is one by its name; what is called `identify`, `engagement` or `reset`
is an event like any other. The page and the referrer of a page view are looked for among its properties, because that
is where clients of these systems have them.
"""

from typing import Any

import msgspec

from appliance.ingest.sent import Sent

PAGEVIEWS = frozenset(("pageview", "page_view", "$pageview"))
_PLACES = ("/", "http://", "https://")


class _Said(msgspec.Struct, gc=False):
    url: Any = None
    page: Any = None
    path: Any = None
    referrer: Any = None


_decode = msgspec.json.Decoder(_Said).decode


def plain(sent: Sent) -> Sent:
    """The event itself, with its kind, or with its page."""
    if sent.event is None or sent.event.strip() not in PAGEVIEWS:
        sent.kind = "custom"
    elif sent.properties:
        try:
            said = _decode(sent.properties)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return sent  # what is wrong with them is said where they are read
        places = (said.url, said.page, said.path)
        sent.url = next((place for place in places if isinstance(place, str) and place.startswith(_PLACES)), None)
        sent.referrer = said.referrer if isinstance(said.referrer, str) else None
    return sent
