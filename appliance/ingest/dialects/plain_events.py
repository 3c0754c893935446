"""Events of systems that know names and properties, and no pages: A, B and D.

Their names mean what they say. Only a page view is one by its name; what is called `identify`, `engagement` or `reset`
is an event like any other. The page and the referrer of a page view are looked for among its properties, because that
is where clients of these systems have them.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from appliance.ingest.dialects import bodies
from appliance.ingest.sent import Rejection, Sent
from appliance.ingest.surrogates import mend_surrogates

T = TypeVar("T")

PAGEVIEWS = frozenset(("pageview", "page_view", "$pageview"))
_PLACES = ("/", "http://", "https://")


class _Said(msgspec.Struct, gc=False):
    url: Any = None
    page: Any = None
    path: Any = None
    referrer: Any = None


_decode = msgspec.json.Decoder(_Said).decode


def read_single(body: bytes, decode: Callable[[bytes], T], sent_of: Callable[[T], Sent]) -> Sent | Rejection:
    """The event of a body that is one, or why it is not. Raises Invalid (400 malformed, 422 no object)."""
    text = mend_surrogates(body)
    try:
        event = decode(text)
    except bodies.FAULTS as error:
        return bodies.fault_of_single(text, error)
    return plain(sent_of(event))


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
