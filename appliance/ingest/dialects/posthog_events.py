"""PostHog's events in our words: who somebody is, what events with a name of PostHog's mean, page, device and place."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from appliance.clock import MICROSECONDS
from appliance.ingest.dialects import stated
from appliance.ingest.dialects.posthog_properties import own, traits
from appliance.ingest.sent import Rejection, Scalar, Sent, SentCampaign
from appliance.ingest.times import read_time

_COOKIELESS = "$posthog_cookieless"  # the distinct id of visitors whom posthog-js leaves to the server to tell apart
# Libraries of servers, before they said `$is_server`: what they say of system and device is the server's.
_SERVER_LIBRARIES = frozenset(
    f"posthog-{name}" for name in ("python", "node", "php", "ruby", "go", "java", "server", "dotnet", "elixir", "rs")
)
# Events that a library sends by itself do not end a bounce, except where somebody did something.
_ACTS = frozenset(("$autocapture", "$rageclick", "$dead_click", "$copy_autocapture"))
_RECORDINGS = frozenset(("$snapshot", "$$heatmap"))
_NO_EVENTS = frozenset(("identify", "reset", "engagement"))  # with us; with PostHog names like any other
# Where newer libraries for browsers say which page view it is.
_PAGEVIEW_IDS = {"$pageview": "$pageview_id", "$pageleave": "$prev_pageview_id"}
_SETS = frozenset(("$set", "$set_once", "$unset"))
_TAGS = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")  # as SentCampaign has them

Properties = Mapping[str, Any]
_encode = msgspec.json.Encoder().encode


class WireEvent(msgspec.Struct, rename={"set": "$set", "set_once": "$set_once", "unset": "$unset"}, gc=False):
    """An event of any version. `offset`: milliseconds before it was sent, from old browsers instead of a time."""

    event: str | None = None
    uuid: Scalar = None
    distinct_id: Scalar = None
    timestamp: Scalar = None
    offset: float | None = None
    properties: dict[str, Any] | list[Any] | None = None  # PHP writes an empty object as []
    set: Any = None
    set_once: Any = None
    unset: Any = None
    session_id: Scalar = None
    options: Any = None
    api_key: str | None = None
    token: str | None = None

    @property
    def key(self) -> str:
        """The project's, '' where the event does not say it."""
        inside = self.properties.get("token") if isinstance(self.properties, dict) else None
        return self.api_key or self.token or (inside if isinstance(inside, str) else "")


class Request:
    """What holds for all events of a request. `left` collects the pages that its page views say were left; `by_page`
    is found to be true where an older library gives page views no ids."""

    __slots__ = ("browser", "by_page", "clock", "left", "sent_at")

    def __init__(self, browser: bool, sent_at: Scalar, received: int) -> None:
        self.browser = browser
        self.by_page = False
        self.sent_at = sent_at
        self.left: list[Sent | Rejection] = []
        try:
            self.clock = received if sent_at is None else read_time(sent_at)
        except ValueError:
            self.clock = received


def translated(event: WireEvent, request: Request) -> Sent | Rejection:
    """The event in our words, or why it cannot be taken."""
    name = event.event
    if name in _RECORDINGS:
        return Rejection(0, "not_kept", "event: recordings are not kept", "event")
    properties = event.properties or {}
    if isinstance(properties, list):
        return Rejection(0, "wrong_type", "properties: an object is needed", "properties")
    get = properties.get
    distinct_id = event.distinct_id if event.distinct_id is not None else stated.scalar(get("distinct_id"))
    if distinct_id is None or distinct_id == "":
        return Rejection(0, "missing", "distinct_id: an event needs the id of its person", "distinct_id")
    sent = Sent(
        event=name,
        event_id=event.uuid,
        session_id=event.session_id,
        timestamp=event.timestamp if event.timestamp is not None else _time(event, properties, request),
        url=_address(properties),
    )
    if request.browser and name in _PAGEVIEW_IDS and _PAGEVIEW_IDS[name] not in properties:
        request.by_page = True
    sent.user_id, sent.anonymous_id = _who(distinct_id, event, properties)
    if (session := get("$session_id")) is not None:
        sent.session_id = stated.scalar(session)
    if event.set or event.set_once or event.unset or not properties.keys().isdisjoint(_SETS):
        _add_traits(sent, event, properties)
    if (statement := _STATEMENTS.get(name or "")) is not None:
        statement(sent, distinct_id, properties)
        return sent
    if (title := _PAGES.get(name or "")) is not None:
        sent.kind = "pageview"
        sent.title = stated.text(get(title))
        if "$prev_pageview_duration" in properties:
            request.left.append(_page_left(sent, properties))
    elif name is not None and name[:1] == "$":
        sent.interactive = name in _ACTS
    elif name in _NO_EVENTS:
        sent.kind = "custom"
    if remaining := own(properties):
        if title is not None:
            remaining.pop(title, None)
        sent.properties = remaining  # type: ignore[assignment]
    _add_context(sent, properties, browser=request.browser)
    return sent


def _who(distinct_id: Scalar, event: WireEvent, properties: Properties) -> tuple[Scalar, Scalar]:
    """User id and anonymous id. The distinct id is the user's, unless the library says that nobody was identified."""
    if distinct_id == _COOKIELESS:
        return None, None
    get = properties.get
    device = get("$device_id")
    identified = event.event == "$identify" or get("$is_identified")
    if identified is None:
        profile = get("$process_person_profile")
        if profile is None and isinstance(event.options, dict):
            profile = event.options.get("process_person_profile")
        identified = distinct_id != device and profile is not False and get("$user_state") != "anonymous"
    if not identified:
        return None, distinct_id
    before = get("$anon_distinct_id", device)
    return distinct_id, None if before is None or before == distinct_id else stated.scalar(before)


def _time(event: WireEvent, properties: Properties, request: Request) -> Scalar:
    """Of an event that has no timestamp."""
    if event.offset is not None:
        return (request.clock - event.offset * 1000) / MICROSECONDS
    return stated.scalar(properties.get("$time"))


def _add_traits(sent: Sent, event: WireEvent, properties: Properties) -> None:
    get = properties.get
    known = traits(get("$set")) | traits(event.set)
    once = traits(get("$set_once")) | traits(event.set_once)
    for names in (get("$unset"), event.unset):
        if isinstance(names, list):
            known |= {name: None for name in names if isinstance(name, str)}
    if known:
        sent.traits = msgspec.Raw(_encode(known))
    if once:
        sent.traits_once = msgspec.Raw(_encode(once))


def _add_context(sent: Sent, properties: Properties, *, browser: bool) -> None:
    """Page, device and place. What a server says of system and device is its own, and what a browser says is known
    better from its connection."""
    get = properties.get
    if (referrer := get("$referrer")) is not None and referrer != "$direct":
        sent.referrer = stated.text(referrer)
    if (language := get("$browser_language") or get("$locale")) is not None:
        sent.language = stated.text(language)
    if (width := get("$screen_width")) is not None:
        sent.screen = stated.screen(width, get("$screen_height"))
    if (timezone := get("$timezone")) is not None:
        sent.timezone = stated.text(timezone)
    if browser:
        return
    if (agent := get("$raw_user_agent") or get("$user_agent")) is not None:
        sent.user_agent = stated.text(agent)
    if (ip := get("$ip")) is not None:
        sent.ip = stated.text(ip)
    if get("$geoip_disable") is True:
        sent.ip = sent.timezone = None
    if (app := get("$app_name")) is not None:
        sent.source = stated.text(app)
    if sent.url is None and not properties.keys().isdisjoint(_TAGS):  # where there is an address, it has the tags
        sent.campaign = SentCampaign(*(stated.text(get(tag)) for tag in _TAGS))
    if get("$is_server") is True or get("$lib") in _SERVER_LIBRARIES:
        return
    sent.browser, sent.browser_version = stated.text(get("$browser")), stated.text(get("$browser_version"))
    sent.os, sent.os_version = stated.system(get("$os") or get("$os_name")), stated.text(get("$os_version"))
    sent.device = stated.device(get("$device_type"))


# ---------------------------------------------------------------- pages


_PAGES = {"$pageview": "title", "$screen": "$screen_name"}  # and the property that is their title


def _address(properties: Properties) -> str | None:
    """Screens are the pages of an app, which has names for addresses."""
    if (url := stated.text(properties.get("$current_url"))) is not None:
        return url
    screen = stated.text(properties.get("$screen_name"))
    return "/" + quote(screen) if screen else None


def _page_left(pageview: Sent, properties: Properties) -> Sent:
    """Of the page that was left for another within an application: the other's page view is all that says so."""
    left = Sent(
        event="$pageleave",
        event_id=None if pageview.event_id is None else f"{pageview.event_id}:left",
        user_id=pageview.user_id,
        anonymous_id=pageview.anonymous_id,
        session_id=pageview.session_id,
        timestamp=pageview.timestamp,
        url=pageview.url,
    )
    _make_engagement(left, None, properties)
    return left


# ---------------------------------------------------------------- statements about a page or a person


def _make_engagement(sent: Sent, distinct_id: Scalar, properties: Properties) -> None:
    get = properties.get
    sent.kind = "engagement"
    sent.pageview_id = stated.scalar(get("$prev_pageview_id"))
    if path := stated.text(get("$prev_pageview_pathname")):
        sent.url = f"//{stated.text(get('$host')) or ''}{path}"
    # How far it was seen, as our tracker measures it; from libraries that do not say that, how far it was scrolled.
    seen = stated.number(get("$prev_pageview_max_content_percentage", get("$prev_pageview_max_scroll_percentage")))
    sent.scroll_depth = None if seen is None else seen * 100
    duration = stated.number(get("$prev_pageview_duration"))
    sent.engaged_ms = None if duration is None else duration * 1000


def _make_identify(sent: Sent, distinct_id: Scalar, properties: Properties) -> None:
    sent.kind = "identify"


def _make_group(sent: Sent, distinct_id: Scalar, properties: Properties) -> None:
    """Traits of a group, kept as the user's."""
    get = properties.get
    sent.kind = "identify"
    group = {stated.text(get("$group_key")) or "": traits(get("$group_set"))}
    sent.traits = msgspec.Raw(_encode({"groups": {stated.text(get("$group_type")) or "": group}}))


def _make_alias(sent: Sent, distinct_id: Scalar, properties: Properties) -> None:
    """The distinct id is the former one, unless it is one that the client goes on with."""
    sent.kind = "alias"
    alias = stated.scalar(properties.get("alias"))
    stays = sent.event == "$merge_dangerously" or properties.get("$is_identified") is True
    sent.user_id, sent.previous_id = (distinct_id, alias) if stays else (alias, distinct_id)


_STATEMENTS: dict[str, Callable[[Sent, Scalar, Properties], None]] = {
    "$pageleave": _make_engagement,
    "$identify": _make_identify,
    "$set": _make_identify,
    "$set_once": _make_identify,
    "$unset": _make_identify,
    "$groupidentify": _make_group,
    "$create_alias": _make_alias,
    "$merge_dangerously": _make_alias,
}
