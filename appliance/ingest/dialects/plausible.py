"""Plausible's events API, `POST /api/event`, as its trackers and servers speak it (docs/dialects/plausible.md)."""

from typing import Any
from urllib.parse import unquote

import msgspec

from appliance.errors import ApplianceError, Invalid
from appliance.ingest.admission import header_key
from appliance.ingest.answers import JSON, Answer, Headers, error_headers, reason_header
from appliance.ingest.arrival import Arrival
from appliance.ingest.dialects import bodies, stated
from appliance.ingest.dialects.web_trackers import ELSEWHERE, for_site, status_of
from appliance.ingest.outcome import Outcome
from appliance.ingest.page import PATH_CHARACTERS_MAX, read_page
from appliance.ingest.sent import Decoded, Rejection, Sent, SentCampaign, SentRevenue
from appliance.ingest.surrogates import mend_surrogates
from appliance.storage.event_ids import mint

PATHS = ("/api/event",)
METHODS = ("POST",)

SITES_MAX = 30
PROPS_MAX = 30
PROP_NAME_CHARACTERS_MAX = 300
PROP_VALUE_CHARACTERS_MAX = 2000
NO_SCROLL_DEPTH = 255
ENGAGED_MS_END = 30 * 24 * 3_600_000  # above is what old trackers said by mistake

TEXT = (b"content-type", b"text/plain; charset=utf-8")
_OK = Answer(202, b"ok", [TEXT])

# Our fields in its words; what no field is to blame for is the request's.
_FIELDS = {"event": "event_name", "properties": "props", "missing_key": "domain"}


class _Body(msgspec.Struct, gc=False, rename={"dollar": "$"}):
    """Each field by its short and its long name. Of any type: what is wrong is told in Plausible's way."""

    n: Any = None
    name: Any = None
    u: Any = None
    url: Any = None
    d: Any = None
    domain: Any = None
    r: Any = None
    referrer: Any = None
    m: Any = None
    meta: Any = None
    p: Any = None
    props: Any = None
    dollar: Any = None
    revenue: Any = None
    h: Any = None
    hashMode: Any = None  # noqa: N815
    i: Any = None
    interactive: Any = None
    sd: Any = None
    e: Any = None
    w: Any = None
    event_id: Any = None


class _Wrong(Exception):
    """What a field of the event may not be."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.rejection = Rejection(0, code, f"{field}: {message}", field)


_decode = msgspec.json.Decoder(_Body).decode
_decode_value = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def decode(arrival: Arrival) -> Decoded | Answer:
    """The event of a request, for each of its sites. Raises Invalid when the body is no JSON object, or when what is
    wrong with the event belongs in nobody's feed."""
    if arrival.headers.get(b"x-debug-request") == b"true":
        return Answer(200, arrival.address.encode(), [TEXT])
    try:
        body = _decode(mend_surrogates(arrival.body))
    except bodies.FAULTS as error:
        raise Invalid(f"the body is not a JSON object: {error}", code="malformed_json", status=400) from error
    try:
        sent = _sent(body)
        sites = _sites(body)
    except _Wrong as wrong:
        site, found = _first_site(body), wrong.rejection
        if not site and not header_key(arrival):
            raise Invalid(found.message, code=found.code, field=found.field) from None
        return _for_site([found], site)
    if len(sites) == 1 or header_key(arrival):  # a key names the project
        return _for_site([sent], sites[0])
    if sent.event_id is None:
        sent.event_id = mint(arrival.received // 1000)  # two of the sites may be one project's
    decoded = _for_site([sent], sites[0])
    decoded.others = [_for_site([sent], site) for site in sites[1:]]
    decoded.same_events = True
    return decoded


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """202 "ok" for what was taken and for what was dropped; 400 with the fields for what is wrong."""
    dropped = len(outcome.dropped) + len(outcome.rejected)
    if not dropped:
        return _OK
    told = _told(dropped, *outcome.reasons)
    # An event for a site that is not here is no fault of its sender: Plausible drops it, with a success.
    wrong = [rejection for rejection in outcome.rejected if rejection.code not in ELSEWHERE]
    if not wrong or len(outcome.rejected) < outcome.total:
        return Answer(202, b"ok", [TEXT, *told])
    return Answer(400, _errors(wrong[0].field, wrong[0].code, wrong[0].message), [JSON, *told])


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """202 for a site that is not here, else the error in Plausible's form, with our status where it says more."""
    if error.code in ELSEWHERE:
        return Answer(202, b"ok", [TEXT, *_told(1, error.code)])
    field = error.field if isinstance(error, Invalid) else None
    status = status_of(error)
    headers = error_headers(error) if status == error.status else []
    return Answer(status, _errors(field, error.code, str(error)), [JSON, *headers])


def _told(dropped: int, *reasons: str) -> Headers:
    return [(b"x-plausible-dropped", b"%d" % dropped), *reason_header(*reasons)]


def _errors(field: str | None, code: str, message: str) -> bytes:
    name = _FIELDS.get(code) or _FIELDS.get(field or "", field) or "request"
    return _encode({"errors": {name: [message.removeprefix(f"{field}: ")]}})


def _for_site(events: list[Sent | Rejection], site: str) -> Decoded:
    return for_site(Decoded(events, single=True, browser=True, engagement_by_page=True), site)


def _sites(body: _Body) -> list[str]:
    """The sites that the event is for, each once; [''] where none is named: then it is the URL's host."""
    named = body.d if body.d is not None else body.domain
    if named is None:
        return [""]
    if not isinstance(named, str):
        raise _Wrong("wrong_type", "domain", "must be text")
    if named.count(",") >= SITES_MAX:
        raise _Wrong("too_many", "domain", f"at most {SITES_MAX} sites")
    sites = list(dict.fromkeys(filter(None, map(str.strip, named.split(",")))))
    if not sites:
        raise _Wrong("missing", "domain", "can't be blank")
    return sites


def _first_site(body: _Body) -> str:
    """In whose feed it belongs that the event is wrong, as far as can be told."""
    for named in (body.d, body.domain):
        if isinstance(named, str) and (site := named.partition(",")[0].strip()):
            return site
    try:
        return read_page(stated.text(body.u or body.url) or "").hostname
    except ValueError:
        return ""


def _sent(body: _Body) -> Sent:
    """The event in our words. Raises _Wrong."""
    name = stated.text(body.n) or stated.text(body.name)
    if not name:
        raise _Wrong("missing", "event", "can't be blank")
    url = body.u or body.url
    if not isinstance(url, str):
        raise _Wrong("missing", "url", "is required") if url is None else _Wrong("wrong_type", "url", "must be text")
    if len(url) > PATH_CHARACTERS_MAX and _path_characters(url) > PATH_CHARACTERS_MAX:
        raise _Wrong("too_long", "url", f"a path has at most {PATH_CHARACTERS_MAX} characters")
    referrer = body.r or body.referrer
    interactive = body.i if isinstance(body.i, bool) else body.interactive
    sent = Sent(
        event=name,
        kind=name if name in ("pageview", "engagement") else "custom",
        event_id=stated.scalar(body.event_id),
        url=url,
        referrer=referrer if isinstance(referrer, str) else None,
        interactive=interactive if isinstance(interactive, bool) else None,
        hash=True if 1 in (body.h, body.hashMode) or "1" in (body.h, body.hashMode) else None,
        screen=stated.text(body.w),
    )
    if properties := _properties(body):
        sent.properties = properties  # type: ignore[assignment]
    if "gclid=" in url or "msclkid=" in url:
        sent.campaign = _click(url)
    if (money := body.dollar or body.revenue) is not None:
        sent.revenue = _revenue(money)
    if name == "engagement":
        _engagement(body, sent)
    return sent


def _path_characters(url: str) -> int:
    rest = url.partition("#")[0].partition("?")[0]
    _, has_host, behind = rest.partition("//")
    return len(unquote(behind.partition("/")[2])) + 1 if has_host else len(unquote(rest))


def _engagement(body: _Body, sent: Sent) -> None:
    depth, engaged = _whole(body.sd), _whole(body.e)
    if depth is not None and depth >= 0 and depth != NO_SCROLL_DEPTH:
        sent.scroll_depth = depth
    if engaged is not None and 0 <= engaged < ENGAGED_MS_END:
        sent.engaged_ms = engaged
    if sent.scroll_depth is None and not sent.engaged_ms:
        raise _Wrong("missing", "event", "engagement needs a scroll depth (sd) or a time (e)")


def _whole(value: Any) -> float | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return float(value)
    return stated.number(value)


def _click(url: str) -> SentCampaign | None:
    """The medium that a click on an advertisement stands for where no UTM tag says one: its parameter's name."""
    query = "&" + url.partition("?")[2].partition("#")[0]
    if "&utm_" in query:
        return None
    name = next((name for name in ("gclid", "msclkid") if f"&{name}=" in query), None)
    return SentCampaign(medium=f"({name})") if name else None


def _revenue(money: Any) -> SentRevenue | None:
    """Money, where it can be read as such; an object, or one as text."""
    if isinstance(money, str):
        money = _value(money)
    return stated.revenue(money.get("amount"), money.get("currency")) if isinstance(money, dict) else None


def _properties(body: _Body) -> dict[str, Any]:
    """The properties that may stay. Raises _Wrong for one that is too long."""
    found = next(filter(None, (body.m, body.meta, body.p, body.props)), None)
    if isinstance(found, str):
        found = _value(found)
    if not isinstance(found, dict):
        return {}
    kept = {name: value for name, value in found.items() if _is_property(name, value)}
    if len(kept) > PROPS_MAX:
        kept = dict(list(kept.items())[:PROPS_MAX])
    for name, value in kept.items():
        if len(name) > PROP_NAME_CHARACTERS_MAX or (isinstance(value, str) and len(value) > PROP_VALUE_CHARACTERS_MAX):
            names, values = PROP_NAME_CHARACTERS_MAX, PROP_VALUE_CHARACTERS_MAX
            raise _Wrong("too_long", "properties", f"a name has at most {names} characters, a value {values}")
    return kept


def _is_property(name: str, value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip()) and bool(name.strip())
    return value is not None and not isinstance(value, (list, dict)) and bool(name.strip())


def _value(text: str) -> Any:
    """The value of a JSON text, None where it is none."""
    try:
        return _decode_value(mend_surrogates(text.encode()))
    except bodies.FAULTS:
        return None
