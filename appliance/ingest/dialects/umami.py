"""Umami's collecting API, `POST /api/send` and `POST /api/batch`, as its trackers and servers speak it
(docs/dialects/umami.md)."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from appliance.errors import ApplianceError, Invalid, TooLarge
from appliance.ingest.admission import header_key
from appliance.ingest.answers import JSON, Answer, Headers, error_headers, reason_header
from appliance.ingest.arrival import Arrival
from appliance.ingest.dialects import bodies, stated
from appliance.ingest.dialects.umami_session import session_of
from appliance.ingest.dialects.web_trackers import BLOCKED_ADDRESS, for_site, on_host, status_of
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded, Rejection, Scalar, Sent, SentRevenue, Text
from appliance.ingest.surrogates import mend_surrogates

_BATCH = "/api/batch"
PATHS = ("/api/send", _BATCH)
METHODS = ("POST",)
EVENTS_MAX = 1000
CHARACTERS_MAX: Final = (("hostname", 100), ("language", 35), ("screen", 11), ("name", 50), ("tag", 50))

# What it answers to bots. Its tracker looks for nothing else in it than a token.
_BOOP = b'{"beep":"boop"}'
# Our fields in its words.
_FIELDS = {"event": "name", "user_id": "id", "properties": "data", "traits": "data"}


class _Payload(msgspec.Struct, gc=False):
    website: Text = None
    link: Text = None
    pixel: Text = None
    hostname: Text = None
    url: Text = None
    referrer: Text = None
    title: Text = None
    language: Text = None
    screen: Text = None
    name: Text = None
    tag: Text = None
    data: msgspec.Raw = msgspec.Raw()
    id: Scalar = None
    timestamp: Scalar = None
    ip: Text = None
    userAgent: Text = None  # noqa: N815
    browser: Text = None
    os: Text = None
    device: Text = None
    event_id: Scalar = None


class _Message(msgspec.Struct, gc=False):
    type: Text = None
    payload: _Payload | None = None


class _Sale(msgspec.Struct, gc=False):
    revenue: Any = None
    currency: Any = None


class _Context(msgspec.Struct, gc=False):
    """`token` is the one that came with the request. `places`: of the events, numbered as in the outcome, those in the
    batch; none for a single one."""

    token: str
    places: Sequence[int] = ()


_decode_one = msgspec.json.Decoder(_Message).decode
_decode_batch = msgspec.json.Decoder(list[_Message]).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_sale = msgspec.json.Decoder(_Sale).decode
_encode = msgspec.json.Encoder().encode


def decode(arrival: Arrival) -> Decoded:
    """The events of a request, those of each website for itself. Raises Invalid, TooLarge."""
    text = mend_surrogates(arrival.body)
    messages: Sequence[_Message | Rejection]
    if is_batch := arrival.path.startswith(_BATCH):
        messages = _batch(text)
    else:
        try:
            messages = [_decode_one(text)]
        except bodies.FAULTS as error:
            messages = [bodies.fault_of_single(text, _nearer(error))]
    payloads = [m.payload for m in messages if isinstance(m, _Message) and m.payload is not None]
    # A server states its visitors. Where nobody is stated it is the visitor who asks, as a browser does.
    is_browser = arrival.from_browser or not any(payload.ip or payload.userAgent for payload in payloads)
    if is_browser and b"user-agent" not in arrival.headers:
        raise Invalid("a User-Agent header is needed", code="missing", field="user-agent", status=400)
    events = [_translated(index, message) for index, message in enumerate(messages)]
    token = arrival.header(b"x-umami-cache")
    if not is_batch:
        website = payloads[0].website if payloads else None
        if isinstance(event := events[0], Rejection) and not website and not header_key(arrival):
            raise Invalid(event.message, code=event.code, field=event.field)
        return _for_website(events, website, is_browser, _Context(token))
    return _by_website(events, messages, is_browser, token)


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """The ids of session and visit, with a token for the next request. Of a batch: what became of each event."""
    bodies.in_words_of(_FIELDS, outcome.rejected)
    context: _Context = decoded.context
    if not outcome.single:
        return _summary(outcome, context)
    if outcome.rejected:
        return _error(400, outcome.rejected[0].message, reason_header(outcome.rejected[0].code))
    if outcome.dropped:
        reason = outcome.dropped[0].reason
        if reason == BLOCKED_ADDRESS:
            return _error(403, "the address is blocked", reason_header(reason))
        return Answer(200, _BOOP, [JSON, *reason_header(reason)])
    found = session_of(outcome.events[0], context.token)
    body = f'{{"cache":"{found.token}","sessionId":"{found.session}","visitId":"{found.visit}"}}'
    return Answer(200, body.encode(), [JSON])


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """The error in Umami's form; where a batch is for a website that is not here, of each of its events."""
    status = status_of(error)
    if error.code == "unknown_project" and arrival.path.startswith(_BATCH):
        size = len(_decode_raws(mend_surrogates(arrival.body)))
        return _answer_batch(size, [(index, _error_body(status, str(error))) for index in range(size)], None)
    return _error(status, str(error), error_headers(error) if status == error.status else [])


def _batch(text: bytes) -> Sequence[_Message | Rejection]:
    """The messages of a batch, those that do not decode as rejections. Raises Invalid, TooLarge."""
    messages: Sequence[_Message | Rejection]
    try:
        messages = _decode_batch(text)
    except bodies.FAULTS as error:
        try:
            raws = _decode_raws(text)
        except msgspec.ValidationError:
            raise Invalid("the body is not a list", code="wrong_type", pointer="#") from error
        except bodies.FAULTS as malformed:
            raise bodies.malformed(malformed) from malformed
        messages = [_one_of(index, raw) for index, raw in enumerate(raws[: EVENTS_MAX + 1])]
    if len(messages) > EVENTS_MAX:
        raise TooLarge(f"the batch has more than {EVENTS_MAX} events", code="batch_too_large")
    if not messages:
        raise Invalid("the batch has no events", code="empty_batch", pointer="#")
    return messages


def _one_of(index: int, raw: msgspec.Raw) -> _Message | Rejection:
    try:
        return _decode_one(raw)
    except bodies.FAULTS as error:
        return bodies.fault(index, _nearer(error))


def _nearer(error: Exception) -> Exception:
    """The same fault, told from the payload on."""
    if isinstance(error, msgspec.ValidationError):
        return msgspec.ValidationError(str(error).replace("`$.payload.", "`$.", 1))
    return error


def _translated(index: int, message: _Message | Rejection) -> Sent | Rejection:
    """An event in our words, or what Umami would not take in it."""
    if isinstance(message, Rejection):
        return message
    payload = message.payload
    if message.type not in ("event", "identify"):
        known = message.type == "performance"
        why = "performance is not kept here" if known else "it is event or identify"
        return Rejection(index, "not_supported" if known else "wrong_type", f"type: {why}", "type")
    if payload is None:
        return Rejection(index, "missing", "payload: an object is needed", "payload")
    if bool(payload.website) + bool(payload.link) + bool(payload.pixel) != 1:
        return Rejection(index, "missing", "website: exactly one of website, link or pixel is needed", "website")
    if not payload.website:
        return Rejection(index, "not_supported", "website: links and pixels are not kept here", "website")
    for field, most in CHARACTERS_MAX:
        value = getattr(payload, field)
        if value and len(value) > most:
            return Rejection(index, "too_long", f"{field}: it has {len(value)} characters; at most {most}", field)
    return _sent(payload, is_identify=message.type == "identify")


def _sent(payload: _Payload, *, is_identify: bool) -> Sent:
    url, name = payload.url, payload.name
    sent = Sent(
        event=name or "pageview",
        kind="custom" if name else "pageview",
        event_id=payload.event_id,
        source=payload.tag,
        user_id=payload.id,
        timestamp=payload.timestamp,
        url=on_host(payload.hostname or "", url) if url else None,
        hostname=payload.hostname,
        title=payload.title,
        referrer=payload.referrer,
        screen=payload.screen,
        language=payload.language,
        browser=payload.browser,
        os=payload.os,
        device=payload.device,
        ip=payload.ip,
        user_agent=payload.userAgent,
    )
    if is_identify:
        sent.event = sent.kind = "identify"
        sent.traits = payload.data
    else:
        sent.properties = payload.data
        if name and payload.data and b'"revenue"' in bytes(payload.data):
            sent.revenue = _revenue(payload.data)
    return sent


def _revenue(data: msgspec.Raw) -> SentRevenue | None:
    """Data that say `revenue` and `currency` mean money, where they can be read as such."""
    try:
        sale = _decode_sale(data)
    except bodies.FAULTS:
        return None
    return stated.revenue(sale.revenue, sale.currency)


def _by_website(
    events: list[Sent | Rejection], messages: Sequence[_Message | Rejection], is_browser: bool, token: str
) -> Decoded:
    """A batch, with a part for each website. What names none is told beside the first one's."""
    named = [(m.payload and m.payload.website) or "" if isinstance(m, _Message) else "" for m in messages]
    websites = list(dict.fromkeys(filter(None, named))) or [""]
    context = _Context(token, range(len(events)))
    if len(websites) == 1:
        return _for_website(events, websites[0], is_browser, context)
    first = websites[0]
    places: dict[str, list[int]] = {website: [] for website in websites}
    for index, website in enumerate(named):
        places[website or first].append(index)
    context.places = [index for website in websites for index in places[website]]
    parts = [
        _for_website([events[index] for index in places[website]], website, is_browser, context) for website in websites
    ]
    parts[0].others = parts[1:]
    return parts[0]


def _for_website(events: list[Sent | Rejection], website: str | None, is_browser: bool, context: _Context) -> Decoded:
    single = not context.places
    return for_site(Decoded(events, single, browser=is_browser, context=context), website or "")


def _summary(outcome: Outcome, context: _Context) -> Answer:
    places = context.places
    faults = [(places[r.index], _error_body(400, r.message)) for r in outcome.rejected]
    faults += [
        (places[drop.index], _error_body(403, "the address is blocked"))
        for drop in outcome.dropped
        if drop.reason == BLOCKED_ADDRESS
    ]
    token = session_of(outcome.events[0], context.token).token if outcome.events else None
    return _answer_batch(outcome.total, sorted(faults, key=lambda fault: fault[0]), token)


def _answer_batch(size: int, faults: list[tuple[int, dict[str, Any]]], token: str | None) -> Answer:
    body = {
        "size": size,
        "processed": size - len(faults),
        "errors": len(faults),
        "details": [{"index": index, "response": response} for index, response in faults],
        "cache": token,
    }
    return Answer(200, _encode(body), [JSON])


def _error(status: int, message: str, headers: Headers) -> Answer:
    return Answer(status, _encode(_error_body(status, message)), [JSON, *headers])


def _error_body(status: int, message: str) -> dict[str, Any]:
    code = HTTPStatus(status).phrase.lower().replace(" ", "-")
    return {"error": {"message": message, "code": code, "status": status}}
