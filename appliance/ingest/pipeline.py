"""What happens to each event between the door and the journal: the list STEPS, in order.

Each step looks at one aspect of the draft, fills fields of its event, or ends it: `Dropped` when it is filtered (with
a reason that is counted), `Rejected` when it is wrong (with the field and why). Reading the list is reading the rules;
a new rule is one function and one line. Clock and sampling are decided here, so that replay decides nothing anew.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import msgspec

from appliance.clock import DAY, MICROSECONDS, MINUTE
from appliance.ingest.acquisition import acquire
from appliance.ingest.admission import bare_domain
from appliance.ingest.geo import country_names
from appliance.ingest.money import minor_units
from appliance.ingest.page import host_of, read_page
from appliance.ingest.sampling import keep_at_random
from appliance.ingest.sender import Sender
from appliance.ingest.sent import Scalar, Sent, SentCampaign
from appliance.ingest.times import is_kept, read_time
from appliance.ingest.visitor import local_day
from appliance.model import UNSAMPLED, Event, Flag, Kind
from appliance.storage.event_ids import mint

NAME_CHARACTERS_MAX = 255
ID_CHARACTERS_MAX = 255
TITLE_CHARACTERS_MAX = 500
LABEL_CHARACTERS_MAX = 255
LANGUAGE_CHARACTERS_MAX = 35
PROPERTIES_BYTES_MAX = 64 << 10
PROPERTIES_DEPTH_MAX = 20
AHEAD_MAX = 5 * MINUTE
BROWSER_AGE_MAX = 7 * DAY

# Looking up members of enumerations is slow in Python 3.11.
_CUSTOM = int(Kind.CUSTOM)
_PAGEVIEW = int(Kind.PAGEVIEW)
_ENGAGEMENT = int(Kind.ENGAGEMENT)
_IDENTIFY = int(Kind.IDENTIFY)
_ALIAS = int(Kind.ALIAS)
_PASSIVE_FLAG = int(Flag.PASSIVE)
_SKEWED_FLAG = int(Flag.SKEWED)
_MINTED_FLAG = int(Flag.MINTED)
_BROWSER_FLAG = int(Flag.BROWSER)
KINDS = {
    **dict.fromkeys(("pageview", "page_view", "$pageview"), _PAGEVIEW),
    "engagement": _ENGAGEMENT,
    "identify": _IDENTIFY,
    "reset": int(Kind.RESET),
}
_STATED_KINDS: dict[Scalar, int] = {kind.name.lower(): int(kind) for kind in Kind}
_STATEMENTS = {_IDENTIFY: "identify", _ALIAS: "alias"}
_PASSIVE = frozenset(("404", "scroll"))


class Dropped(Exception):
    """The event was filtered; its reason is a stable word. Where it can be let in later, `event` is what would have
    been journaled; `rule` is the project's own rule that says so, if one does."""

    def __init__(self, reason: str, event: Event | None = None, rule: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.event = event
        self.rule = rule


class Rejected(Exception):
    """The event is wrong: a stable code, the field, and why."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


def enrich(sent: Sent, sender: Sender) -> Event:
    """The event that goes into the journal. Raises Dropped, Rejected."""
    event = Event(sender.project.id, "", _CUSTOM, "", 0, sender.received, 0, None)
    for step in STEPS:
        step(event, sent, sender)
    return event


def privacy_signal(event: Event, sent: Sent, sender: Sender) -> None:
    """First, and for good: nothing else of such an event is looked at or kept."""
    if sender.signal and sender.project.settings.privacy_signal == "drop":
        raise Dropped("privacy_signal")


def name_and_kind(event: Event, sent: Sent, sender: Sender) -> None:
    name = sent.event or sent.event_name or sent.name
    if not name or not (name := _clean(name).strip()):
        raise Rejected("missing", "event", "event: an event needs a name")
    if len(name) > NAME_CHARACTERS_MAX:
        raise Rejected(
            "too_long", "event", f"event: the name has {len(name)} characters; at most {NAME_CHARACTERS_MAX}"
        )
    event.name = name
    kind = _STATED_KINDS.get(sent.kind) if sent.kind is not None else None
    event.kind = KINDS.get(name, _CUSTOM) if kind is None else kind
    if sent.interactive is False or name in _PASSIVE:
        event.flags |= _PASSIVE_FLAG
    if sender.browser:
        event.flags |= _BROWSER_FLAG
    event.source = _label(sent.source or sent.event_source)


def source_off(event: Event, sent: Sent, sender: Sender) -> None:
    if sender.sampler is not None and event.source in sender.sampler.off:
        raise Dropped("source_off")


def event_time(event: Event, sent: Sent, sender: Sender) -> None:
    received = sender.received
    time = received
    if sent.timestamp is not None:
        try:
            time = read_time(sent.timestamp) + sender.skew
        except ValueError as error:
            raise Rejected("not_a_time", "timestamp", f"timestamp: {error}") from None
    may_be = received - BROWSER_AGE_MAX if sender.browser else 0, received + AHEAD_MAX
    if not may_be[0] <= time <= may_be[1] or not is_kept(sender.project, time, received):
        time = received
        event.flags |= _SKEWED_FLAG
    event.time = time


def event_id(event: Event, sent: Sent, sender: Sender) -> None:
    sent_id = _identifier(sent.event_id, "event_id")
    if sent_id:
        event.event_id = sent_id
    else:
        event.event_id = mint(event.time // 1000)
        event.flags |= _MINTED_FLAG


def page(event: Event, sent: Sent, sender: Sender) -> None:
    url = sent.url or sent.page_url
    if url:
        hash_routing = sent.hash if sent.hash is not None else sender.project.settings.hash_routing
        try:
            place = read_page(url, hash_routing=hash_routing)
        except ValueError as error:
            raise Rejected("not_a_page", "url", f"url: {error}") from None
        event.hostname, event.path = place.hostname, place.path
    elif sent.hostname:
        event.hostname = host_of(_clean(sent.hostname))
    host, domains = event.hostname, sender.domains
    if sender.keyless and host not in domains and bare_domain(host) not in domains:
        raise Rejected(
            "unknown_host",
            "url",
            f"url: without a key the host must be one of the project's domains, not {host!r}",
        )
    if sent.title:
        event.title = _clean(sent.title)[:TITLE_CHARACTERS_MAX].strip()


def acquisition(event: Event, sent: Sent, sender: Sender) -> None:
    if event.kind > _CUSTOM:
        return
    url = sent.url or sent.page_url
    place = read_page(url) if url else _NO_PAGE
    if sent.campaign is not None:
        place = place._replace(query=f"{place.query}&{_tags(sent.campaign)}")
    (
        event.referrer,
        event.referrer_source,
        event.channel,
        event.utm_source,
        event.utm_medium,
        event.utm_campaign,
        event.utm_content,
        event.utm_term,
        event.click_id,
    ) = acquire(place, sent.referrer or "", sender.own_hosts)


def device_and_place(event: Event, sent: Sent, sender: Sender) -> None:
    if event.kind > _CUSTOM:
        return
    event.browser, event.browser_version, event.os, event.os_version, event.device, _ = sender.agent(sent)
    if not event.browser and sent.browser:
        event.browser, event.browser_version = _label(sent.browser), _label(sent.browser_version)
    if not event.os and sent.os:
        event.os, event.os_version = _label(sent.os), _label(sent.os_version)
    if not event.device and sent.device:
        event.device = _label(sent.device)
    event.country, event.region, event.city = sender.place(sent)
    if not event.country:
        event.country = _country(sent.country)
        event.region, event.city = _label(sent.region), _label(sent.city)
    language = sent.language or sender.language
    if language:
        event.language = _language(language[:LANGUAGE_CHARACTERS_MAX])
    if sent.screen:
        event.screen = _label(sent.screen)


def visitor(event: Event, sent: Sent, sender: Sender) -> None:
    """SEMANTICS, Identity. A user id, else an id that the client keeps, else the rotating id of the local day."""
    user = _identifier(sent.user_id if sent.user_id is not None else sent.distinct_id, "user_id")
    anonymous = _identifier(sent.anonymous_id, "anonymous_id") if sent.anonymous_id is not None else ""
    session = _identifier(sent.session_id, "session_id") if sent.session_id is not None else ""
    event.session_id = session
    if user:
        event.user_id = user
        event.visitor = sender.persistent("user", user)
        if event.kind == _ALIAS:
            previous = _identifier(sent.previous_id, "previous_id")
            event.visitor_yesterday = sender.persistent("user", previous)
            event.anonymous = sender.persistent("anonymous", previous)
            return
        if not anonymous and not sender.browser:
            return  # a server's user inherits no visit of somebody behind the same address
    if sender.signal and sender.project.settings.privacy_signal == "rotate":
        anonymous = ""
    unnamed, salt_day = 0, None
    if anonymous:
        unnamed = sender.persistent("anonymous", anonymous)
    else:
        day, since_midnight = local_day(sender.project.timezone, event.time)
        unnamed, salt_day = sender.rotating(day, sent, session)
        if salt_day == day and since_midnight < sender.project.settings.visit_timeout_seconds * MICROSECONDS:
            yesterday, yesterday_day = sender.rotating(day - 1, sent, session)
            event.visitor_yesterday = yesterday if yesterday_day == day - 1 else None
    if user:
        event.anonymous = unnamed
    else:
        event.visitor, event.salt_day = unnamed, salt_day


def identify(event: Event, sent: Sent, sender: Sender) -> None:
    if event.kind in _STATEMENTS and not event.user_id:
        raise Rejected("missing", "user_id", f"user_id: {_STATEMENTS[event.kind]} needs the user's id")
    if sent.traits:
        event.traits = json_object(sent.traits, "traits")
    if sent.traits_once:
        event.traits_once = json_object(sent.traits_once, "traits_once")
    if event.kind == _ALIAS:
        previous = _identifier(sent.previous_id, "previous_id")
        if not previous:
            raise Rejected("missing", "previous_id", "previous_id: alias needs the user's former id")
        event.traits = _encode({"aliases": {previous: True}}).decode()


def engagement(event: Event, sent: Sent, sender: Sender) -> None:
    if event.kind == _ENGAGEMENT:
        event.pageview_id = _identifier(sent.pageview_id, "pageview_id")
        if not event.pageview_id and not sender.engagement_by_page:
            raise Rejected("missing", "pageview_id", "pageview_id: engagement needs the id of its pageview")
        event.scroll_depth = round(min(max(sent.scroll_depth or 0, 0), 100))
        event.engaged_ms = round(min(max(sent.engaged_ms or 0, 0), DAY // 1000))
    elif event.kind != _PAGEVIEW or not sender.engagement_by_page:
        return
    if not event.pageview_id:
        _name_pageview(event, sender)


def properties(event: Event, sent: Sent, sender: Sender) -> None:
    event.properties = json_object(sent.properties, "properties")


def revenue(event: Event, sent: Sent, sender: Sender) -> None:
    if sent.revenue is None:
        return
    if sent.revenue.amount is None:
        raise Rejected("missing", "revenue", "revenue: amount is missing")
    currency = (sent.revenue.currency or sender.project.currency).strip().upper()
    try:
        event.revenue = minor_units(sent.revenue.amount, currency)
    except ValueError as error:
        raise Rejected("not_money", "revenue", f"revenue: {error}") from None
    event.currency = currency


def sampling(event: Event, sent: Sent, sender: Sender) -> None:
    if sent.sample is None:
        kept = sender.sampler is None or sender.sampler.keep(event)
    elif 0 < sent.sample <= 1:
        kept = keep_at_random(event, max(1, round(sent.sample * UNSAMPLED)))
    else:
        raise Rejected("out_of_range", "sample", "sample: a rate lies above 0 and up to 1")
    if not kept:
        raise Dropped("sampled")


def exclusions(event: Event, sent: Sent, sender: Sender) -> None:
    """Last: what is filtered is whole, so that it is computed once and can be let in later."""
    if sender.checks is not None and (verdict := sender.checks.verdict(event, sent, sender)) is not None:
        raise Dropped(verdict.reason, event, verdict.rule)


Step = Callable[[Event, Sent, Sender], None]
STEPS: tuple[Step, ...] = (
    privacy_signal,
    name_and_kind,
    source_off,
    event_time,
    event_id,
    page,
    acquisition,
    device_and_place,
    visitor,
    identify,
    engagement,
    properties,
    revenue,
    sampling,
    exclusions,
)


def _name_pageview(event: Event, sender: Sender) -> None:
    """Let page view and engagement find each other by visitor and page (page_names.py). An identified visitor goes by
    who they were before, which the page view may have come from."""
    visitor = event.visitor if event.anonymous is None else event.anonymous
    day, since_midnight = local_day(sender.project.timezone, event.time)
    event.pageview_id = sender.page_name(day, visitor, event)
    if event.kind == _ENGAGEMENT and since_midnight < sender.project.settings.visit_timeout_seconds * MICROSECONDS:
        before = visitor if event.visitor_yesterday is None else event.visitor_yesterday
        event.pageview_id_yesterday = sender.page_name(day - 1, before, event)


_NO_PAGE = read_page("")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def _clean(text: str) -> str:
    # PostgreSQL stores no NUL, and no reader wants one.
    return text.replace("\0", "") if "\0" in text else text


def _label(text: str | None) -> str:
    return _clean(text)[:LABEL_CHARACTERS_MAX].strip() if text else ""


def _country(stated: str | None) -> str:
    """An ISO 3166 alpha-2 code, '' for what is none."""
    code = stated.strip().upper() if stated else ""
    return code if code in country_names() else ""


def _tags(campaign: SentCampaign) -> str:
    """Campaign tags as a URL has them."""
    tags = {
        "utm_source": campaign.source,
        "utm_medium": campaign.medium,
        "utm_campaign": campaign.name,
        "utm_term": campaign.term,
        "utm_content": campaign.content,
    }
    return urlencode({name: value for name, value in tags.items() if value}, errors="replace")


def _identifier(value: Scalar, field: str) -> str:
    """An id as text; it is never cut, because a cut id is another id."""
    if value is None:
        return ""
    text = _clean(value if isinstance(value, str) else str(value)).strip()
    if len(text) > ID_CHARACTERS_MAX:
        raise Rejected("too_long", field, f"{field}: it has {len(text)} characters; at most {ID_CHARACTERS_MAX}")
    return text


@lru_cache(1024)
def _language(tag: str) -> str:
    """A BCP 47 tag as language and region: 'de-de' -> 'de-DE', 'zh-Hans-CN' -> 'zh-CN'."""
    parts = tag.replace("_", "-").split("-")
    language = parts[0].strip().lower()
    if not language.isalpha() or not 2 <= len(language) <= 3:
        return ""
    region = next((p.upper() for p in parts[1:] if len(p) == 2 and p.isalpha()), "")
    return f"{language}-{region}" if region else language


def json_object(given: msgspec.Raw | dict[str, Any], field: str) -> str:
    """A JSON object in compact form, '' for none or an empty one. Raises Rejected."""
    if not given:
        return ""
    raw_bytes = _encode(given) if isinstance(given, dict) else bytes(given)
    if len(raw_bytes) > PROPERTIES_BYTES_MAX:
        raise Rejected("too_large", field, f"{field}: {len(raw_bytes)} bytes; at most {PROPERTIES_BYTES_MAX}")
    try:
        value = given if isinstance(given, dict) else _decode(raw_bytes)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Rejected("malformed", field, f"{field}: not valid JSON") from None
    except RecursionError:
        raise Rejected("too_deep", field, f"{field}: nested deeper than {PROPERTIES_DEPTH_MAX} levels") from None
    if not isinstance(value, dict):
        if value is None:
            return ""
        raise Rejected("wrong_type", field, f"{field}: an object is needed")
    if not value:
        return ""
    # Fewer brackets than levels cannot be too deep.
    brackets = raw_bytes.count(b"{") + raw_bytes.count(b"[")
    if brackets > PROPERTIES_DEPTH_MAX and _depth(value, PROPERTIES_DEPTH_MAX) < 0:
        raise Rejected("too_deep", field, f"{field}: nested deeper than {PROPERTIES_DEPTH_MAX} levels")
    text = (raw_bytes if value is given else _encode(value)).decode()
    return _encode(_without_nul(value)).decode() if "\\u0000" in text else text


def _depth(value: Any, left: int) -> int:
    """Levels that are left below the deepest one; negative when there are too many."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return left
    if left == 0:
        return -1
    return min((_depth(item, left - 1) for item in value), default=left - 1)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value
