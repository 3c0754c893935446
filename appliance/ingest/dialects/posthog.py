"""PostHog's capture API, old and new, as its libraries speak it (PROTOCOLS, 7).

An event, a list of them, or {"batch": [...]}, at any of the paths; the newest, /i/v1/analytics/events, wants to know
of each event what became of it. What an event means here is in `posthog_events` and docs/dialects/posthog.md.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from appliance.errors import ApplianceError, Invalid, TooLarge
from appliance.ingest.answers import JSON, Answer, error_headers
from appliance.ingest.arrival import Arrival, plain_body
from appliance.ingest.dialects import bodies, stated
from appliance.ingest.dialects.posthog_events import Request, WireEvent, translated
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded, Rejection, Scalar
from appliance.ingest.surrogates import mend_surrogates

_V1 = "/i/v1/analytics/events"
_V0 = ("/i/v0/e", "/i/v0/ai/batch")
PATHS = ("/capture", "/e", "/batch", *_V0, _V1)
METHODS = ("POST", "GET")
BODY_BYTES_MAX = 20 << 20
EVENTS_MAX = 10_000
# Objects, lists or members of a body, so that what is made of one takes 400 MB at worst; real ones have a tenth.
PARTS_MAX = 100 * EVENTS_MAX

# Our names of fields that rejections may name, as these clients know them.
_NAMES = {"event_id": "uuid", "user_id": "distinct_id", "anonymous_id": "distinct_id", "url": "$current_url"}


class _Body(WireEvent, gc=False):
    batch: list[WireEvent] | None = None
    sent_at: Scalar = None
    created_at: Scalar = None


class _Envelope(msgspec.Struct, gc=False):
    """What is around the events."""

    batch: msgspec.Raw = msgspec.Raw()
    api_key: Any = None
    token: Any = None
    sent_at: Any = None
    created_at: Any = None


class _Uuid(msgspec.Struct, gc=False):
    uuid: Any = None


_Events = Sequence[WireEvent | Rejection]

_decode_body = msgspec.json.Decoder(_Body).decode
_decode_list = msgspec.json.Decoder(list[WireEvent]).decode
_decode_event = msgspec.json.Decoder(WireEvent).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_uuids = msgspec.json.Decoder(list[_Uuid]).decode
_encode = msgspec.json.Encoder().encode

_ACCEPTED = {status: Answer(200, _encode({"status": status}), [JSON]) for status in ("Ok", 1)}
_JSON = (b"{", b"[")
_UNBASE64 = bytes.maketrans(b" -_", b"++/")  # a plus sign that a form took for a space; the alphabet of URLs


def decode(arrival: Arrival) -> Decoded:
    """The events of a request. Raises Invalid, TooLarge."""
    text = mend_surrogates(_json_of(arrival))
    if len(text) > PARTS_MAX and max(text.count(b"{"), text.count(b"[")) > PARTS_MAX:
        raise TooLarge("the body has more objects or lists than its events may have", code="batch_too_large")
    envelope: _Body | _Envelope
    try:
        envelope, events = _decode_whole(text)
    except bodies.FAULTS as error:
        envelope, events, uuids = _decode_with_faults(text, error)
    else:
        uuids = [event.uuid for event in events if isinstance(event, WireEvent)]
    if len(events) > EVENTS_MAX:
        raise TooLarge(f"the batch has more than {EVENTS_MAX} events", code="batch_too_large", field="batch")
    path = arrival.path.rstrip("/")
    request = Request(arrival.from_browser, _sent_at(arrival, envelope), arrival.received)
    key = stated.text(envelope.api_key) or stated.text(envelope.token) or _key_of(events)
    sent = [event if isinstance(event, Rejection) else translated(event, request) for event in events]
    left = Decoded(request.left, single=False, key=key, sent_at=request.sent_at, engagement_by_page=request.by_page)
    return Decoded(
        sent,
        single=False,
        key=key,
        sent_at=request.sent_at,
        engagement_by_page=request.by_page,
        others=[left] if request.left else (),
        context=uuids if path == _V1 else "Ok" if path in _V0 else 1,
    )


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """What the version of the path answers, with what became of events that were not taken."""
    count = len(decoded.events)  # behind them are those that we made of what page views say of the page before
    rejected = [rejection for rejection in outcome.rejected if rejection.index < count]
    dropped = [drop for drop in outcome.dropped if drop.index < count]
    bodies.in_words_of(_NAMES, rejected)
    if not isinstance(decoded.context, list):
        if not rejected and not dropped:
            return _ACCEPTED[decoded.context]
        return Answer(200, _encode({"status": decoded.context, "dropped": dropped, "rejected": rejected}), [JSON])
    uuids = decoded.context
    results = {str(uuid): {"result": "ok"} for uuid in uuids}
    results |= {str(uuids[drop.index]): {"result": "warning", "details": drop.reason} for drop in dropped}
    results |= {str(uuids[fault.index]): {"result": "drop", "details": fault.message} for fault in rejected}
    return Answer(200, _encode({"results": results}), [JSON])


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """An error as PostHog's API has it."""
    status = 400 if error.status == 422 else error.status
    kind = "authentication_error" if status == 401 else "validation_error" if status < 500 else "server_error"
    field = error.field if isinstance(error, Invalid) else None
    body = {"type": kind, "code": error.code, "detail": str(error), "attr": field}
    return Answer(status, _encode(body), [JSON, *error_headers(error)])


# ---------------------------------------------------------------- the body


def _json_of(arrival: Arrival) -> bytes:
    """The JSON of a request: its body, or the field `data` of its form or query, in base64 or as it is."""
    text = arrival.body
    if arrival.method == "GET":
        text = arrival.query().get("data", "").encode()
    elif text[:1] not in _JSON:
        text = text.strip()
        fields = dict(field.partition(b"=")[::2] for field in text.split(b"&")) if text[:1] not in _JSON else {}
        if (data := fields.get(b"data")) is not None:
            text = unquote_to_bytes(data)
            if text[:1] in _JSON:
                text = unquote_to_bytes(data.replace(b"+", b" "))
    if text[:1] in _JSON:
        return text
    try:
        plain = b64decode(text.translate(_UNBASE64) + b"=" * (-len(text) % 4), validate=True)
    except (Base64Error, ValueError):
        raise Invalid("the body is neither JSON nor base64", code="malformed_json", status=400) from None
    return plain_body(plain, "", BODY_BYTES_MAX)


def _decode_whole(text: bytes) -> tuple[_Body, _Events]:
    if text[:1] == b"[":
        return _Body(), _decode_list(text)
    body = _decode_body(text)
    return body, [body] if body.batch is None else body.batch


def _decode_with_faults(text: bytes, error: Exception) -> tuple[_Envelope, _Events, list[Any]]:
    """The events of a body that does not decode as a whole, and the uuids of all of them."""
    if text.count(b",") > PARTS_MAX:
        raise bodies.malformed(error) from error
    if text[:1] == b"[":
        envelope = _Envelope(batch=msgspec.Raw(text))
    else:
        bodies.members_of(text)
        try:
            envelope = _decode_envelope(text)
        except bodies.FAULTS:
            raise bodies.malformed(error) from error
        if not envelope.batch:
            bodies.fault_of_single(text, error)  # raises when it is no JSON
            envelope.batch = msgspec.Raw(b"[" + text + b"]")
    try:
        events = bodies.events_of(envelope.batch, _decode_event, EVENTS_MAX, "batch")
    except bodies.FAULTS:
        raise bodies.malformed(error) from error
    try:
        uuids = [event.uuid for event in _decode_uuids(envelope.batch)]
    except bodies.FAULTS:
        uuids = [event.uuid if isinstance(event, WireEvent) else None for event in events]
    return envelope, events, uuids


def _sent_at(arrival: Arrival, envelope: _Body | _Envelope) -> Scalar:
    """The client's clock: in the body, in a header of the newest version, in the query of old browsers."""
    sent_at = stated.scalar(envelope.sent_at)
    if sent_at is None:
        sent_at = arrival.header(b"posthog-request-timestamp") or stated.scalar(envelope.created_at)
    if sent_at is None and arrival.query_string and (digits := arrival.query().get("_", "")).isdigit():
        sent_at = digits
    return sent_at


def _key_of(events: Iterable[WireEvent | Rejection]) -> str:
    """The key that the events of a request agree on. Raises Invalid where they do not."""
    keys = {event.key for event in events if isinstance(event, WireEvent)} - {""}
    if len(keys) > 1:
        raise Invalid("the events have several keys; send those of a project together", code="several_keys", status=400)
    return next(iter(keys), "")
