"""System A, the Simple Analytics Stack: one event a request, with a key as `Authorization: Bearer sa_…`.

    POST /api/events/ingest/
    {"event_name", "event_source", "user_id", "session_id", "event_id", "properties", "timestamp"}

202 `{"status": "accepted", "sampled": false}`. An event that was filtered is named there too, as `dropped`.
"""

from typing import Any

import msgspec

from appliance.errors import ApplianceError
from appliance.ingest.answers import JSON, Answer, problem
from appliance.ingest.arrival import Arrival
from appliance.ingest.dialects import bodies, native
from appliance.ingest.dialects.plain_events import read_single
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded, Scalar, Sent, Text

PATHS = ("/api/events/ingest",)
METHODS = ("POST",)

_NAMES = {"event": "event_name", "source": "event_source"}


class _Event(msgspec.Struct, gc=False):
    event_name: Text = None
    event_source: Text = None
    user_id: Scalar = None
    session_id: Scalar = None
    event_id: Scalar = None
    properties: msgspec.Raw = msgspec.Raw()
    timestamp: Scalar = None


_decode = msgspec.json.Decoder(_Event).decode
_encode = msgspec.json.Encoder().encode

_ACCEPTED = Answer(202, b'{"status":"accepted","sampled":false}', [JSON])


def decode(arrival: Arrival) -> Decoded:
    """The event of a request. Raises Invalid (400 malformed, 422 no object)."""
    return Decoded([read_single(arrival.body, _decode, _sent)], single=True)


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """The answer to a request that was admitted."""
    if outcome.rejected:
        bodies.in_words_of(_NAMES, outcome.rejected)
        return native.unprocessable(outcome)
    if not outcome.dropped:
        return _ACCEPTED
    body: dict[str, Any] = {"status": "accepted", "sampled": outcome.sampled, "dropped": outcome.dropped}
    return Answer(202, _encode(body), [JSON])


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """A problem document."""
    return problem(error)


def _sent(event: _Event) -> Sent:
    return Sent(
        event=event.event_name,
        source=event.event_source,
        user_id=event.user_id,
        session_id=event.session_id,
        event_id=event.event_id,
        properties=event.properties,
        timestamp=event.timestamp,
    )
