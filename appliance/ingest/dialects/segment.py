"""Segment's HTTP tracking API, as its libraries speak it: a call a request, or a batch of them (PROTOCOLS, 5).

What a call means here is told in docs/dialects/segment.md. An answer is 200 even where calls were rejected, because
the libraries take everything else for a failure of the whole; the body, which they do not read, says which and why.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from appliance.errors import ApplianceError, Invalid
from appliance.ingest.answers import JSON, Answer, error_headers
from appliance.ingest.arrival import Arrival
from appliance.ingest.dialects import bodies, stated
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded, Rejection, Scalar, Sent, SentCampaign, SentRevenue
from appliance.ingest.surrogates import mend_surrogates

BATCH_BYTES_MAX = 500 << 10
BATCH_CALLS_MAX = 2500
CALL_BYTES_MAX = 32 << 10

_TYPES = ("track", "page", "screen", "identify", "group", "alias")
# At each path the type of its call, or "batch". analytics.js knows the first letters only.
_AT = {f"/v1/{name}": name for name in (*_TYPES, "batch")}
_AT |= {f"/v1/{name[0]}": name for name in (*_TYPES, "batch")} | {"/v1/import": "batch"}
PATHS = tuple(_AT)
METHODS = ("POST",)

# Our names of fields that rejections may name, as these clients know them.
_NAMES = {
    "event_id": "messageId",
    "user_id": "userId",
    "anonymous_id": "anonymousId",
    "previous_id": "previousId",
    "url": "context.page.url",
    "title": "context.page.title",
    "referrer": "context.page.referrer",
}


class _Page(msgspec.Struct, gc=False):
    """`context.page`; of page calls the properties have the same."""

    url: str | None = None
    path: str | None = None
    search: str | None = None
    referrer: str | None = None
    title: str | None = None


class _Screen(msgspec.Struct, gc=False):
    width: Any = None
    height: Any = None


class _Named(msgspec.Struct, gc=False):
    name: str | None = None
    version: Any = None
    type: Any = None


class _Context(msgspec.Struct, rename="camel", gc=False):
    page: _Page | None = None
    campaign: SentCampaign | None = None
    ip: str | None = None
    user_agent: str | None = None
    locale: str | None = None
    timezone: str | None = None
    screen: _Screen | None = None
    device: _Named | None = None
    os: _Named | None = None
    app: _Named | None = None


class _Call(msgspec.Struct, rename="camel", gc=False):
    type: str | None = None
    message_id: Scalar = None
    user_id: Scalar = None
    anonymous_id: Scalar = None
    previous_id: Scalar = None
    group_id: Scalar = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    timestamp: Scalar = None
    original_timestamp: Scalar = None
    properties: msgspec.Raw = msgspec.Raw()
    traits: msgspec.Raw = msgspec.Raw()
    context: _Context | None = None
    write_key: str | None = None


class _Body(_Call, gc=False):
    batch: list[_Call] | None = None
    sent_at: Scalar = None


class _WithoutContext(_Body, gc=False):
    """What remains of a call whose context is of wrong types."""

    context: msgspec.Raw = msgspec.Raw()  # type: ignore[assignment]


class _Envelope(msgspec.Struct, rename="camel", gc=False):
    """What is around the calls of a batch of which one is damaged."""

    batch: msgspec.Raw = msgspec.Raw()
    context: Any = None
    sent_at: Any = None
    write_key: Any = None


class _Money(msgspec.Struct, gc=False):
    revenue: Any = None
    value: Any = None
    currency: Any = None


_decode = msgspec.json.Decoder(_Body).decode
_decode_call = msgspec.json.Decoder(_Call).decode
_decode_without_context = msgspec.json.Decoder(_WithoutContext).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_money = msgspec.json.Decoder(_Money).decode
_decode_members = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode

_NO_CONTEXT = _Context()
_CONTEXT_FIELDS = _Context.__struct_fields__
_SUCCESS = Answer(200, b'{"success":true}', [JSON])


def decode(arrival: Arrival) -> Decoded:
    """The calls of a request. Raises Invalid for what is no JSON and for what is too large."""
    if len(arrival.body) > BATCH_BYTES_MAX:
        raise _too_large(f"the body has {len(arrival.body)} bytes; at most {BATCH_BYTES_MAX}")
    kind = _AT[arrival.path.rstrip("/")]
    text = mend_surrogates(arrival.body)
    if kind == "batch":
        return _batch(text)
    if len(text) > CALL_BYTES_MAX:
        raise _too_large(f"the call has {len(text)} bytes; at most {CALL_BYTES_MAX}")
    try:
        call: _Body | Rejection = _decode(text)
    except bodies.FAULTS as error:
        call = _single_with_faults(text, error)
    if isinstance(call, Rejection):
        return Decoded([call], True)
    call.type = kind
    # A time that a server has corrected already comes with the one that it was made of.
    sent_at = None if call.original_timestamp is not None and call.timestamp is not None else call.sent_at
    return Decoded([_sent(call, None)], True, key=call.write_key or "", sent_at=sent_at)


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """Success, with the calls that were not taken."""
    if not outcome.rejected and not outcome.dropped:
        return _SUCCESS
    bodies.in_words_of(_NAMES, outcome.rejected)
    return Answer(200, _encode({"success": True, "dropped": outcome.dropped, "rejected": outcome.rejected}), [JSON])


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """`code` and `message`, which Segment's Python library shows. What is wrong with a body is 400 with Segment."""
    status = 400 if error.status in (413, 415, 422) else error.status
    body = _encode({"success": False, "code": error.code, "message": str(error)})
    return Answer(status, body, [JSON, *error_headers(error)])


def _too_large(message: str) -> Invalid:
    return Invalid(message, code="body_too_large", status=400)


def _batch(text: bytes) -> Decoded:
    try:
        body = _decode(text)
    except bodies.FAULTS as error:
        return _batch_with_faults(text, error)
    if body.batch is None:
        raise Invalid("batch is missing", code="missing", field="batch")
    return _decoded_batch(body.batch, body.context, body.write_key, body.sent_at)


def _decoded_batch(
    calls: "list[_Call] | list[_Call | Rejection]", context: _Context | None, key: str | None, sent_at: Scalar
) -> Decoded:
    if len(calls) > BATCH_CALLS_MAX:
        raise _too_large(f"the batch has more than {BATCH_CALLS_MAX} calls")
    events = [call if isinstance(call, Rejection) else _sent(call, context) for call in calls]
    if not key:
        key = next((call.write_key for call in calls if isinstance(call, _Call) and call.write_key), None)
    return Decoded(events, False, key=key or "", sent_at=sent_at)


# ---------------------------------------------------------------- what does not decode as a whole


def _single_with_faults(text: bytes, error: Exception) -> _Body | Rejection:
    rejection = bodies.fault_of_single(text, error)
    try:
        return _call_without_context(text)
    except bodies.FAULTS:
        return rejection


def _batch_with_faults(text: bytes, error: Exception) -> Decoded:
    bodies.members_of(text)
    try:
        envelope = _decode_envelope(text)
    except bodies.FAULTS:
        raise bodies.malformed(error) from error
    if not envelope.batch:
        raise Invalid("batch is missing", code="missing", field="batch")
    calls = bodies.events_of(envelope.batch, _lenient_call, BATCH_CALLS_MAX, "batch")
    try:
        context = msgspec.convert(envelope.context, _Context | None)
    except msgspec.ValidationError:
        context = None
    return _decoded_batch(calls, context, stated.text(envelope.write_key), stated.scalar(envelope.sent_at))


def _lenient_call(raw: msgspec.Raw | bytes) -> _Call:
    """A call, without its context where that has wrong types: a call is not wrong for what it says beside its point."""
    try:
        return _decode_call(raw)
    except msgspec.ValidationError:
        return _call_without_context(raw)


def _call_without_context(raw: msgspec.Raw | bytes) -> _Body:
    call = _decode_without_context(raw)
    call.context = None  # type: ignore[assignment]
    return call


# ---------------------------------------------------------------- calls


def _sent(call: _Call, outer: _Context | None) -> Sent | Rejection:
    translate = _TRANSLATIONS.get(call.type or "")
    if translate is None:
        return Rejection(0, "unknown_type", f"type: {call.type!r} is none of {', '.join(_TYPES)}", "type")
    if call.user_id in _NOBODY and call.anonymous_id in _NOBODY:
        return Rejection(0, "missing", "userId: a call needs userId or anonymousId", "userId")
    if len(call.properties) + len(call.traits) > CALL_BYTES_MAX:
        return Rejection(0, "too_large", f"the call has more than {CALL_BYTES_MAX} bytes")
    context = call.context or _NO_CONTEXT
    if outer is not None:
        context = _Context(*(getattr(context, name) or getattr(outer, name) for name in _CONTEXT_FIELDS))
    sent = translate(call, context)
    if isinstance(sent, Rejection):
        return sent
    sent.event_id = call.message_id
    sent.user_id = call.user_id
    sent.anonymous_id = call.anonymous_id
    sent.timestamp = call.timestamp if call.timestamp is not None else call.original_timestamp
    if context is not _NO_CONTEXT:
        _add_context(sent, context)
    return sent


def _add_context(sent: Sent, context: _Context) -> None:
    if (page := context.page) is not None:
        sent.url = sent.url or page.url or _path(page.path, page.search)
        sent.title = sent.title or page.title
        sent.referrer = sent.referrer or page.referrer
    if context.campaign is not None and "utm_" not in (sent.url or ""):  # where they usually are, they count first
        sent.campaign = context.campaign
    sent.ip = context.ip
    sent.user_agent = context.user_agent
    sent.language = context.locale
    sent.timezone = context.timezone
    if context.screen is not None:
        sent.screen = stated.screen(context.screen.width, context.screen.height)
    if context.device is not None:
        sent.device = stated.device(context.device.type)
    if context.os is not None:
        sent.os, sent.os_version = stated.system(context.os.name), stated.text(context.os.version)
    if context.app is not None:
        sent.source = context.app.name


def _track(call: _Call, context: _Context) -> Sent:
    # Whoever tracks something that is called identify has not identified anybody.
    kind = "custom" if call.event in _NO_EVENTS else None
    return Sent(event=call.event, kind=kind, properties=call.properties, revenue=_revenue(call.properties))


def _page(call: _Call, context: _Context) -> Sent:
    """Of a page or a screen; one that says no address has its name for one."""
    sent = Sent(event=call.name or "pageview", kind="pageview", properties=call.properties)
    try:
        said = _decode_members(call.properties) if call.properties else {}
    except bodies.FAULTS:
        return sent
    url, path, search, referrer, title, name = [stated.text(said.pop(member, None)) for member in _PAGE_PROPERTIES]
    name = call.name or name
    sent.event = name or "pageview"
    sent.url = url or _path(path, search)
    sent.referrer = referrer
    sent.title = title
    if not sent.url and context.page is None and name:
        sent.url = "/" + quote(name)
        sent.title = title or name
    if call.category:
        said.setdefault("category", call.category)
    sent.properties = said  # type: ignore[assignment]
    return sent


def _identify(call: _Call, context: _Context) -> Sent:
    return Sent(event="identify", kind="identify", traits=call.traits)


def _group(call: _Call, context: _Context) -> Sent | Rejection:
    """Traits of the group, kept as the user's."""
    if call.group_id is None:
        return Rejection(0, "missing", "groupId: group needs the group's id", "groupId")
    traits = call.traits if bytes(call.traits)[:1] == b"{" else msgspec.Raw(b"{}")
    return Sent(event="group", kind="identify", traits=msgspec.Raw(_encode({"groups": {str(call.group_id): traits}})))


def _alias(call: _Call, context: _Context) -> Sent:
    previous = call.previous_id if call.previous_id is not None else call.anonymous_id
    return Sent(event="alias", kind="alias", previous_id=previous)


_TRANSLATIONS: dict[str, Callable[[_Call, _Context], Sent | Rejection]] = {
    "track": _track,
    "page": _page,
    "screen": _page,
    "identify": _identify,
    "group": _group,
    "alias": _alias,
}
_NOBODY = (None, "")
_NO_EVENTS = frozenset(("identify", "reset", "engagement"))
_PAGE_PROPERTIES = ("url", "path", "search", "referrer", "title", "name")


def _path(path: str | None, search: str | None) -> str | None:
    return path + (search or "") if path else None


def _revenue(properties: msgspec.Raw) -> SentRevenue | None:
    """`revenue`, or `value` where a currency says that it is money."""
    raw = bytes(properties)
    if b'"revenue"' not in raw and b'"currency"' not in raw:
        return None
    try:
        money = _decode_money(raw)
    except bodies.FAULTS:
        return None
    if money.revenue is None and money.currency is not None:
        money.revenue = money.value
    return stated.revenue(money.revenue, money.currency)
