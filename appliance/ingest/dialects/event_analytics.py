"""System B, the Event Analytics API: 1 to 1,000 events a request, taken as a whole or not at all.

    POST /events
    {"events": [{"event_id": UUID, "occurred_at", "user_id", "event_type", "properties"}]}

202 `{"total_received", "inserted", "duplicates", "message"}`. What is wrong with an event is answered with 422, which
names it, and nothing of the request is kept. Without a key events are the default project's.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from appliance.errors import ApplianceError, Invalid
from appliance.ingest.answers import JSON, Answer, problem
from appliance.ingest.arrival import Arrival
from appliance.ingest.dialects import bodies, native
from appliance.ingest.dialects.plain_events import plain
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded, Rejection, Scalar, Sent, Text
from appliance.ingest.surrogates import mend_surrogates

PATHS = ("/events",)
METHODS = ("POST",)
SHOWS_LIMITS = True
EVENTS_MAX = 1000

_NAMES = {"event": "event_type", "timestamp": "occurred_at"}


class _Event(msgspec.Struct, gc=False):
    event_id: UUID | None = None
    occurred_at: Scalar = None
    user_id: Scalar = None
    event_type: Text = None
    properties: msgspec.Raw = msgspec.Raw()


class _Body(msgspec.Struct, gc=False):
    events: list[_Event] | None = None


_decode = msgspec.json.Decoder(_Body).decode
_decode_one = msgspec.json.Decoder(_Event).decode
_encode = msgspec.json.Encoder().encode


def decode(arrival: Arrival) -> Decoded:
    """The events of a request. Raises Invalid (400 malformed, 422 none or more than 1,000)."""
    text = mend_surrogates(arrival.body)
    events: Sequence[_Event | Rejection]
    try:
        events = _decode(text).events or []
    except bodies.FAULTS as error:
        raw = bodies.members_of(text).get("events")
        if raw is None:
            raise bodies.malformed(error) from error
        events = bodies.events_of(raw, _decode_one, EVENTS_MAX)
    if not events:
        raise Invalid("the batch has no events", code="empty_batch", field="events", pointer="#/events")
    if len(events) > EVENTS_MAX:
        raise Invalid(
            f"the batch has more than {EVENTS_MAX} events", code="batch_too_large", field="events", pointer="#/events"
        )
    sent = [_sent(index, event) for index, event in enumerate(events)]
    return Decoded(sent, single=False, takes_default=True, all_or_nothing=True)


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """The answer to a request that was admitted."""
    if outcome.rejected:
        bodies.in_words_of(_NAMES, outcome.rejected)
        return native.unprocessable(outcome)
    message = f"Accepted {outcome.accepted} events for processing"
    if outcome.duplicates:
        message += f", {outcome.duplicates} were known already"
    if outcome.dropped:
        reasons = ", ".join(sorted({drop.reason for drop in outcome.dropped}))
        message += f", {len(outcome.dropped)} were filtered ({reasons})"
    body = {
        "total_received": outcome.total,
        "inserted": outcome.accepted,
        "duplicates": outcome.duplicates,
        "message": message,
    }
    return Answer(202, _encode(body), [JSON])


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """A problem document."""
    return problem(error)


def _sent(index: int, event: _Event | Rejection) -> Sent | Rejection:
    if isinstance(event, Rejection):
        return event
    if event.event_id is None:
        return _missing(index, "event_id")
    if event.occurred_at is None:
        return _missing(index, "occurred_at")
    if event.user_id is None or not str(event.user_id).strip():
        return _missing(index, "user_id")
    return plain(
        Sent(
            event=event.event_type,
            event_id=str(event.event_id),
            user_id=event.user_id,
            timestamp=event.occurred_at,
            properties=event.properties,
        )
    )


def _missing(index: int, field: str) -> Rejection:
    return Rejection(index, "missing", f"{field}: every event needs one", field)
