"""System D, the Custom Analytics API: one event a request, with a key or, where there is one, for the default project.

    POST /track
    {"event_type", "properties", "timestamp", "user_id", "session_id"}

It documents no answer, so it has the native one.
"""

import msgspec

from appliance.errors import ApplianceError
from appliance.ingest.answers import Answer, problem
from appliance.ingest.arrival import Arrival
from appliance.ingest.dialects import bodies, native
from appliance.ingest.dialects.plain_events import read_single
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded, Scalar, Sent, Text

PATHS = ("/track",)
METHODS = ("POST",)

_NAMES = {"event": "event_type"}


class _Event(msgspec.Struct, gc=False):
    event_type: Text = None
    properties: msgspec.Raw = msgspec.Raw()
    timestamp: Scalar = None
    user_id: Scalar = None
    session_id: Scalar = None


_decode = msgspec.json.Decoder(_Event).decode


def decode(arrival: Arrival) -> Decoded:
    """The event of a request. Raises Invalid (400 malformed, 422 no object)."""
    return Decoded([read_single(arrival.body, _decode, _sent)], single=True, takes_default=True)


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """The answer to a request that was admitted."""
    bodies.in_words_of(_NAMES, outcome.rejected)
    return native.encode(outcome, decoded)


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """A problem document."""
    return problem(error)


def _sent(event: _Event) -> Sent:
    return Sent(
        event=event.event_type,
        properties=event.properties,
        timestamp=event.timestamp,
        user_id=event.user_id,
        session_id=event.session_id,
    )
