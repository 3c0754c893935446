"""GoatCounter's counter, `GET /count` and `POST /count`, as its count.js calls it (docs/dialects/goatcounter.md).

Everything stands in the query: `p` path or event, `t` title, `e` whether it is an event, `r` referrer, `s` screen, `q`
the page's query, `b` what the browser says of being driven by a program. The site is the page's host, which the browser
says in Referer or Origin, or what `key` (`k`), `project` or `domain` name.
"""

from appliance.errors import ApplianceError, Invalid
from appliance.ingest.answers import Answer, Headers, error_headers, reason_header
from appliance.ingest.arrival import Arrival, parameters
from appliance.ingest.dialects.goatcounter_hit import bot_of, hit_of, is_true, screen_of
from appliance.ingest.dialects.pixel import IMAGE
from appliance.ingest.dialects.web_trackers import BLOCKED_ADDRESS, for_site, status_of
from appliance.ingest.outcome import Outcome
from appliance.ingest.page import Page, read_page, readable
from appliance.ingest.sent import Decoded, Rejection, Sent

PATHS = ("/count",)
METHODS = ("GET", "POST")

BROWSER_BOT_MIN = 150  # below are kinds that a server tells, not a browser
TOLD_CHARACTERS_MAX = 300

_NO_PAGE = Page("", "", "")


def decode(arrival: Arrival) -> Decoded:
    """The hit of a request's query."""
    # count.js puts "?" and its parameters behind the address that it is given, which may have a query of its own.
    query = parameters(arrival.query_string.replace(b"?", b"&"))
    page = _page(arrival)
    event: Sent | Rejection
    try:
        event = _sent(query, page)
    except Invalid as error:
        event = Rejection(0, error.code, str(error), error.field)
    named = (query.get(name) for name in ("key", "k", "project", "domain"))
    site = next(filter(None, named), page.hostname)
    return for_site(Decoded([event], single=True, browser=True, context=b"origin" in arrival.headers), site)


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """The image; what is wrong with a hit, or why it is ignored, is told in headers."""
    if outcome.rejected:
        return _image(400, decoded.context, outcome.rejected[0].message, outcome.rejected[0].code)
    if not outcome.dropped:
        return _image(200, decoded.context)
    reason = outcome.dropped[0].reason
    if reason == BLOCKED_ADDRESS:
        return _image(202, decoded.context, "ignored because the address is blocked", reason)
    return _image(200, decoded.context, f"ignored: {reason}", reason)


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """The image with the error's status."""
    status = status_of(error)
    answer = _image(status, b"origin" in arrival.headers, str(error), error.code)
    return answer._replace(headers=[*answer.headers, *error_headers(error)]) if status == error.status else answer


def _sent(query: dict[str, str], page: Page) -> Sent:
    """Raises Invalid."""
    sent = hit_of(query.get("p", ""), is_event=is_true(query.get("e")), query=query.get("q", ""), page=page)
    bot = bot_of(query.get("b"))
    if bot and bot < BROWSER_BOT_MIN:
        raise Invalid(f"wrong value: b={bot}", code="out_of_range", field="b")
    sent.automation = bot > 0
    sent.title, sent.referrer, sent.screen = query.get("t"), query.get("r"), screen_of(query.get("s"))
    return sent


def _page(arrival: Arrival) -> Page:
    """The page that sends, as far as the browser tells."""
    try:
        return read_page(arrival.header(b"referer") or arrival.header(b"origin"))
    except ValueError:
        return _NO_PAGE


def _image(status: int, has_origin: bool, told: str = "", reason: str = "") -> Answer:
    headers: Headers = [(b"content-type", b"image/gif"), (b"cross-origin-resource-policy", b"cross-origin")]
    if not has_origin:  # else the origin itself is let in
        headers.append((b"access-control-allow-origin", b"*"))
    if told:
        text = readable(told)[:TOLD_CHARACTERS_MAX]
        headers += [(b"x-goatcounter", text.encode("ascii", "backslashreplace")), *reason_header(reason)]
    return Answer(status, IMAGE, headers)
