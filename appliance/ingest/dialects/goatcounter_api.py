"""GoatCounter's counting API, `POST /api/v0/count`, as servers and log readers speak it
(docs/dialects/goatcounter.md)."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from appliance.clock import MICROSECONDS
from appliance.errors import ApplianceError, Invalid
from appliance.ingest.answers import JSON, Answer, Headers, error_headers
from appliance.ingest.arrival import Arrival
from appliance.ingest.dialects import bodies
from appliance.ingest.dialects.goatcounter_hit import bot_of, hit_of, is_true, screen_of
from appliance.ingest.dialects.web_trackers import status_of
from appliance.ingest.outcome import Outcome
from appliance.ingest.page import Page
from appliance.ingest.sent import Decoded, Rejection, Scalar, Sent, Text
from appliance.ingest.surrogates import mend_surrogates
from appliance.ingest.times import read_time

PATHS = ("/api/v0/count",)
METHODS = ("POST",)

HITS_MAX: Final = 500
AHEAD_MAX: Final = 5 * MICROSECONDS  # clocks differ

# Our fields in its words.
_FIELDS = {
    "event": "path",
    "url": "path",
    "timestamp": "created_at",
    "anonymous_id": "session",
    "session_id": "session",
}
_OK = Answer(202, b'{"status":"ok"}', [JSON])
_NO_PAGE = Page("", "", "")
_NO_TIME = "0001-01-01T"  # how Go says that there is none


class _Hit(msgspec.Struct, gc=False):
    path: Text = None
    title: Text = None
    event: Any = None
    ref: Text = None
    size: Any = None
    query: Text = None
    bot: Any = None
    user_agent: Text = None
    location: Text = None
    language: Text = None
    ip: Text = None
    created_at: Scalar = None
    session: Scalar = None
    event_id: Scalar = None


class _Body(msgspec.Struct, gc=False):
    no_sessions: bool | None = None
    filter: list[str] | None = None
    hits: list[_Hit] | None = None


class _Envelope(msgspec.Struct, gc=False):
    """What is around the hits."""

    no_sessions: bool | None = None
    filter: list[str] | None = None
    hits: msgspec.Raw = msgspec.Raw(b"[]")


_decode = msgspec.json.Decoder(_Body).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_hit = msgspec.json.Decoder(_Hit).decode
_encode = msgspec.json.Encoder().encode


def decode(arrival: Arrival) -> Decoded:
    """The hits of a request. Raises Invalid."""
    text = mend_surrogates(arrival.body)
    body: _Body | _Envelope
    hits: Sequence[_Hit | Rejection]
    try:
        body = _decode(text)
        hits = body.hits or []
    except bodies.FAULTS:
        body, hits = _with_faults(text)
    if not hits:
        raise Invalid("no hits", code="empty_batch", field="hits")
    if len(hits) > HITS_MAX:
        raise Invalid(f"at most {HITS_MAX} hits in one request", code="batch_too_large", field="hits")
    if unknown := [name for name in body.filter or () if name != "ip"]:
        raise Invalid(f"unknown value in filter: {unknown[0][:50]!r}", code="out_of_range", field="filter")
    latest = arrival.received + AHEAD_MAX
    events = [_translated(index, hit, latest, bool(body.no_sessions)) for index, hit in enumerate(hits)]
    return Decoded(events, single=False)


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """What is wrong with which hits; the others are kept. Those that were filtered stand in a header."""
    if not outcome.rejected and not outcome.dropped:
        return _OK
    headers: Headers = [JSON]
    if outcome.dropped:
        filtered = ", ".join(str(drop.index) for drop in outcome.dropped)
        headers.append((b"x-goatcounter-filter", filtered.encode()))
    if not outcome.rejected:
        return _OK._replace(headers=headers)
    bodies.in_words_of(_FIELDS, outcome.rejected)
    errors = {str(rejection.index): rejection.message for rejection in outcome.rejected}
    return Answer(400, _encode({"errors": errors}), headers)


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """The error in GoatCounter's form."""
    status = status_of(error) if error.code != "missing_key" else 401
    headers = error_headers(error) if status == error.status else []
    return Answer(status, _encode({"error": str(error)}), [JSON, *headers])


def _with_faults(text: bytes) -> tuple[_Envelope, Sequence[_Hit | Rejection]]:
    """A body in which something is wrong: at best with some hits. Raises Invalid."""
    try:
        envelope = _decode_envelope(text)
    except msgspec.ValidationError as error:
        raise Invalid(f"the body is wrong: {error}", code="wrong_type") from error
    except bodies.FAULTS as error:
        raise bodies.malformed(error) from error
    return envelope, bodies.events_of(envelope.hits, _decode_hit, HITS_MAX, "hits")


def _translated(index: int, hit: _Hit | Rejection, latest: int, no_sessions: bool) -> Sent | Rejection:
    """A hit in our words, or what GoatCounter would not take in it. `latest`: UTC microseconds."""
    if isinstance(hit, Rejection):
        return hit
    if not (no_sessions or hit.session or (hit.user_agent and hit.ip)):
        why = "session, or user_agent and ip, must be set; or no_sessions for the request"
        return Rejection(index, "missing", why, "session")
    try:
        return _sent(hit, latest)
    except Invalid as error:
        return Rejection(index, error.code, str(error), error.field)


def _sent(hit: _Hit, latest: int) -> Sent:
    """Raises Invalid."""
    sent = hit_of(hit.path or "", is_event=is_true(hit.event), query=hit.query or "", page=_NO_PAGE)
    time = hit.created_at
    if time is not None and not str(time).startswith(_NO_TIME):
        try:
            is_ahead = read_time(time) > latest
        except ValueError as error:
            raise Invalid(f"created_at: {error}", code="not_a_time", field="created_at") from None
        if is_ahead:
            raise Invalid("created_at: in the future", code="out_of_range", field="created_at")
        sent.timestamp = time
    sent.event_id = hit.event_id
    sent.title, sent.referrer, sent.screen = hit.title, hit.ref, screen_of(hit.size)
    sent.automation = bot_of(hit.bot) != 0
    sent.ip, sent.user_agent, sent.language = hit.ip, hit.user_agent, hit.language
    sent.country = hit.location.partition("-")[0] if hit.location else None
    # It is who the visitor is as well as which visit it is, whatever else is known.
    sent.anonymous_id = sent.session_id = hit.session or None
    return sent
