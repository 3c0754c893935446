"""Our own wire format: one event, or {"events": [...]} with 1 to 1,000 of them (PROTOCOLS, Native)."""

from typing import Any

import msgspec

from appliance.errors import ApplianceError, Invalid, TooLarge
from appliance.ingest.answers import JSON, PROBLEM, Answer, problem
from appliance.ingest.arrival import Arrival
from appliance.ingest.dialects import bodies
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded, Rejection, Scalar, Sent
from appliance.ingest.surrogates import mend_surrogates

PATHS = ("/api/v1/events/ingest",)
METHODS = ("POST",)
EVENTS_MAX = 1000


class _Body(Sent, gc=False):
    """A single event, or a batch where `events` is there."""

    events: list[Sent] | None = None
    sent_at: Scalar = None


_decode = msgspec.json.Decoder(_Body).decode
_decode_scalar = msgspec.json.Decoder(Scalar).decode
_decode_one = msgspec.json.Decoder(Sent).decode
_encode = msgspec.json.Encoder().encode

_ONE_ACCEPTED = Answer(
    202,
    b'{"status":"accepted","accepted":1,"duplicates":0,"sampled":false,"dropped":[],"rejected":[]}',
    [JSON],
)


def decode(arrival: Arrival) -> Decoded:
    """The events of a request. Raises Invalid (400 malformed, 422 empty or no object), TooLarge (over 1,000)."""
    key = domain = project = ""
    if arrival.query_string:
        query = arrival.query()
        key, domain, project = query.get("key", ""), query.get("domain", ""), query.get("project", "")
    text = mend_surrogates(arrival.body)
    try:
        body = _decode(text)
    except bodies.FAULTS as error:
        events, single, sent_at = _decode_with_faults(text, error)
    else:
        single, sent_at = body.events is None, body.sent_at
        events = [body] if body.events is None else body.events  # type: ignore[assignment]
    if not events:
        raise Invalid("the batch has no events", code="empty_batch", field="events", pointer="#/events")
    if len(events) > EVENTS_MAX:
        raise TooLarge(
            f"the batch has {len(events)} events; at most {EVENTS_MAX}", code="batch_too_large", field="events"
        )
    return Decoded(events, single, key=key, domain=domain, project=project, sent_at=sent_at)


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """The answer to a request that was admitted (DESIGN, Sending events)."""
    if outcome.accepted == 1 == outcome.total:
        return _ONE_ACCEPTED
    if len(outcome.rejected) == outcome.total:
        return unprocessable(outcome)
    return Answer(202, _encode(_body(outcome)), [JSON])


def unprocessable(outcome: Outcome) -> Answer:
    """The answer to a request that was refused for what is wrong with its events: of the first in full, with all of
    them beside it."""
    first = outcome.rejected[0]
    about = {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "code": first.code,
        "detail": first.message,
        "field": first.field,
        "pointer": _pointer(first, outcome.single),
    }
    return Answer(422, _encode(_body(outcome) | about), [PROBLEM])


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """A problem document."""
    return problem(error)


def _body(outcome: Outcome) -> dict[str, Any]:
    return {
        "status": "accepted",
        "accepted": outcome.accepted,
        "duplicates": outcome.duplicates,
        "sampled": outcome.sampled,
        "dropped": outcome.dropped,
        "rejected": outcome.rejected,
    }


def _pointer(rejection: Rejection, single: bool) -> str:
    place = "#" if single else f"#/events/{rejection.index}"
    return f"{place}/{rejection.field}" if rejection.field else place


def _decode_with_faults(body: bytes, error: Exception) -> tuple[list[Sent | Rejection], bool, Scalar]:
    """The events of a body that does not decode as a whole: the good ones, and why each other one is not."""
    members = bodies.members_of(body)
    raw_events = members.get("events")
    if raw_events is None or bytes(raw_events) == b"null":
        return [bodies.fault_of_single(body, error)], True, None
    events = bodies.events_of(raw_events, _decode_one, EVENTS_MAX)
    try:
        sent_at = _decode_scalar(members.get("sent_at", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise Invalid("sent_at is not a time", code="wrong_type", field="sent_at", pointer="#/sent_at") from wrong
    return events, False, sent_at
