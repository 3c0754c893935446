"""Where a visit came from: referrer and campaign tags -> source name and channel.

Channels follow the published definitions of GA4's default channel group (support.google.com/analytics/answer/9756891)
in its order, with three additions: AI Assistants; Email also for "newsletter"; and what GA4 calls Unassigned is
Referral where a source is known and Direct where none is.
"""

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from appliance.ingest.page import Page, Tags, host_of, readable, tags

REFERRER_CHARACTERS_MAX = 2_000
ACQUISITIONS_CACHED_MAX = 4_096
# Longer questions are answered each time, so that the cache stays below some 12 MB whatever is sent.
CACHED_CHARACTERS_MAX = 1_024

_DATA = Path(__file__).with_name("data")


class Acquisition(NamedTuple):
    """`referrer` is host/path or android-app://package; `source` is a readable name, '' where a visit came directly;
    `channel` is one of CHANNELS; tags and click id are as sent, '' where missing."""

    referrer: str
    source: str
    channel: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    utm_content: str
    utm_term: str
    click_id: str


class Known(NamedTuple):
    """A source that data/referrers.tsv knows: its name, and search, ai, social, video, shopping, email, news,
    display or other."""

    name: str
    kind: str


def acquire(page: Page, referrer: str, own_hosts: frozenset[str]) -> Acquisition:
    """Where the event at `page` came from. Never raises.

    The source is the first of: utm_source, the parameters ref and source, the referrer, the network of an
    advertisement's click id. A referrer is internal, and dropped, when its host is the page's own or one of
    `own_hosts` or a subdomain of one; "www." makes no difference. A project at docs.example.com does not own
    example.com.
    """
    if len(referrer) + len(page.query) + len(page.hostname) <= CACHED_CHARACTERS_MAX:
        return _cached(page.hostname, page.query, referrer, own_hosts)
    return _acquire(page.hostname, page.query, referrer, own_hosts)


def _acquire(hostname: str, query: str, referrer: str, own_hosts: frozenset[str]) -> Acquisition:
    tagged = tags(query)
    stored, host = read_referrer(referrer)
    if host and _is_own(host, hostname, own_hosts):
        stored = host = ""
    source = _source(tagged, host)
    return Acquisition(
        stored,
        source.name,
        _channel(source, tagged),
        tagged.utm_source,
        tagged.utm_medium,
        tagged.utm_campaign,
        tagged.utm_content,
        tagged.utm_term,
        tagged.click_id,
    )


_cached = lru_cache(ACQUISITIONS_CACHED_MAX)(_acquire)


# The referrer

_ANDROID = "android-app://"


def read_referrer(referrer: str) -> tuple[str, str]:
    """A referrer as it is stored, "host/path" without "/" alone, and its host; ('', '') for what is no address.

    "android-app://package/..." gives "android-app://package" and that as its host. Without a scheme, the first
    part must look like a host: "example.com/x", but not "null".
    """
    text = readable(referrer).strip()
    scheme, found, rest = text.partition("://")
    match scheme.lower():
        case "android-app" if found:
            package = rest.partition("/")[0].partition("?")[0].partition("#")[0].lower()
            app = f"{_ANDROID}{package}"[:REFERRER_CHARACTERS_MAX] if package else ""
            return app, app
        case "http" | "https" if found:
            bare = False
        case _ if found or ":" in text.partition("/")[0]:
            return "", ""
        case _:
            rest, bare = text, True
    rest = rest.partition("#")[0].partition("?")[0]
    authority, slash, path = rest.partition("/")
    host = host_of(authority)
    if not _is_host(host) or (bare and "." not in host):
        return "", ""
    return (host + slash + path if path else host)[:REFERRER_CHARACTERS_MAX], host


def _is_host(host: str) -> bool:
    return bool(host) and (host[0] == "[" or host.replace("-", "").replace(".", "").replace("_", "").isalnum())


def _is_own(host: str, hostname: str, own_hosts: frozenset[str]) -> bool:
    host = host.removeprefix("www.")
    if host == hostname.removeprefix("www."):
        return True
    return any(parent in own_hosts or f"www.{parent}" in own_hosts for parent in _parents(host))


def _parents(host: str) -> list[str]:
    """The host itself and all it is a subdomain of: a.b.example.com, b.example.com, example.com, com."""
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


# The source


def known_host(host: str) -> Known | None:
    """What the table says of a host: its own row, else that of the nearest domain above it."""
    hosts = _hosts()
    for parent in _parents(host):
        if found := hosts.get(parent):
            return found
    return None


@cache
def _hosts() -> dict[str, Known]:
    table = {}
    kept: dict[Known, Known] = {}
    for line in (_DATA / "referrers.tsv").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            host, name, kind = line.split("\t")
            known = Known(name, kind)
            table[host] = kept.setdefault(known, known)
    return table


@cache
def _spellings() -> dict[str, Known]:
    """Spellings of a source in tags -> what is known of it."""
    by_name: dict[str, Known] = {}
    for known in _hosts().values():
        by_name.setdefault(known.name, known)
    lines = (_DATA / "sources.tsv").read_text("utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if not line.startswith("#"))
    return {spelling: by_name[name] for spelling, name in pairs}


_NOTHING = Known("", "")
_UNTAGGED = frozenset(("(direct)", "(none)", "(not set)"))
_SQUEEZE = str.maketrans("", "", " -_")


def _source(tagged: Tags, host: str) -> Known:
    said = tagged.utm_source or tagged.ref
    if said and said not in _UNTAGGED:
        return _said(said)
    if host.startswith(_ANDROID):
        package = host.removeprefix(_ANDROID)
        return _hosts().get(package) or Known(package, "")
    if host:
        return known_host(host) or Known(host.removeprefix("www."), "")
    if tagged.click_kind:
        return _spellings().get(_CLICK_SOURCES[tagged.click_kind], _NOTHING)
    return _NOTHING


def _said(source: str) -> Known:
    lowered = source.lower()
    if found := _spellings().get(lowered.translate(_SQUEEZE)):
        return found
    if "." in lowered:
        stored, host = read_referrer(source)
        if host:
            return known_host(host) or Known(host.removeprefix("www.") if stored == host else source, "")
    return Known(source, "")


# A network numbers the clicks on its advertisements with these; fbclid and epik come with every link.
_CLICK_SOURCES = {
    "gclid": "google",
    "gbraid": "google",
    "wbraid": "google",
    "dclid": "google",
    "msclkid": "bing",
    "fbclid": "facebook",
    "ttclid": "tiktok",
    "twclid": "x",
    "li_fat_id": "linkedin",
    "yclid": "yandex",
    "rdt_cid": "reddit",
    "ScCid": "snapchat",
    "epik": "pinterest",
    "qclid": "quora",
}
_UNPAID_CLICKS = frozenset(("fbclid", "epik"))


def _is_paid_click(source: Known, click_kind: str) -> bool:
    """Whether a click id shows that this visit was paid for. A link that is passed on keeps its click id, so the
    source must be the network itself; search engines also show each other's advertisements, Google's YouTube."""
    if not click_kind or click_kind in _UNPAID_CLICKS:
        return False
    network = _spellings()[_CLICK_SOURCES[click_kind]]
    if network.kind == "search":
        return source.kind == "search" or (network.name == "Google" and source.name in ("YouTube", "Google Shopping"))
    return source.name == network.name


# The channel

CROSS_NETWORK, PAID_SHOPPING, PAID_SEARCH = "Cross-network", "Paid Shopping", "Paid Search"
PAID_SOCIAL, PAID_VIDEO, DISPLAY, PAID_OTHER = "Paid Social", "Paid Video", "Display", "Paid Other"
AI_ASSISTANTS, ORGANIC_SHOPPING, ORGANIC_SOCIAL = "AI Assistants", "Organic Shopping", "Organic Social"
ORGANIC_VIDEO, ORGANIC_SEARCH, REFERRAL = "Organic Video", "Organic Search", "Referral"
EMAIL, AFFILIATES, AUDIO, SMS = "Email", "Affiliates", "Audio", "SMS"
MOBILE_PUSH, DIRECT = "Mobile Push Notifications", "Direct"
CHANNELS = (
    CROSS_NETWORK,
    PAID_SHOPPING,
    PAID_SEARCH,
    PAID_SOCIAL,
    PAID_VIDEO,
    DISPLAY,
    PAID_OTHER,
    AI_ASSISTANTS,
    ORGANIC_SHOPPING,
    ORGANIC_SOCIAL,
    ORGANIC_VIDEO,
    ORGANIC_SEARCH,
    REFERRAL,
    EMAIL,
    AFFILIATES,
    AUDIO,
    SMS,
    MOBILE_PUSH,
    DIRECT,
)

_PAID_KINDS = {"shopping": PAID_SHOPPING, "search": PAID_SEARCH, "social": PAID_SOCIAL, "video": PAID_VIDEO}
_KINDS = {
    "ai": AI_ASSISTANTS,
    "shopping": ORGANIC_SHOPPING,
    "social": ORGANIC_SOCIAL,
    "video": ORGANIC_VIDEO,
    "search": ORGANIC_SEARCH,
    "email": EMAIL,
    "display": DISPLAY,
}
_EMAIL_WORDS = ("email", "e-mail", "e_mail", "e mail", "newsletter")
_MEDIUMS = {
    **dict.fromkeys(
        ("social", "social-network", "social-media", "sm", "social network", "social media"), ORGANIC_SOCIAL
    ),
    "organic": ORGANIC_SEARCH,
    **dict.fromkeys(("referral", "app", "link"), REFERRAL),
    **dict.fromkeys(_EMAIL_WORDS, EMAIL),
    **dict.fromkeys(("affiliate", "affiliates"), AFFILIATES),
    "audio": AUDIO,
    "sms": SMS,
    "ai-assistant": AI_ASSISTANTS,
}
_SOURCES = {**dict.fromkeys(_EMAIL_WORDS, EMAIL), "sms": SMS, "firebase": MOBILE_PUSH}
# GA4's ^(.*(([^a-df-z]|^)shop|shopping).*)$: "shop" at the beginning of a word or behind an e, as in eshop.
_SHOPPING = re.compile(r"shopping|(?:^|[^a-df-z])shop")
_DISPLAY_MEDIUMS = frozenset(("display", "banner", "expandable", "interstitial", "cpm"))


def _channel(source: Known, tagged: Tags) -> str:
    medium = tagged.utm_medium.lower()
    campaign = tagged.utm_campaign.lower()
    if "cross-network" in campaign:
        return CROSS_NETWORK
    paid = "cp" in medium or medium in ("ppc", "retargeting") or medium.startswith("paid")
    shopping = _SHOPPING.search(campaign) is not None
    if paid and shopping:
        return PAID_SHOPPING
    if (paid or _is_paid_click(source, tagged.click_kind)) and source.kind in _PAID_KINDS:
        return _PAID_KINDS[source.kind]
    if medium in _DISPLAY_MEDIUMS:
        return DISPLAY
    if paid:
        return PAID_OTHER
    found = {
        ORGANIC_SHOPPING if shopping else "",
        _KINDS.get(source.kind, ""),
        _MEDIUMS.get(medium, ""),
        _SOURCES.get(source.name.lower(), ""),
        ORGANIC_VIDEO if "video" in medium else "",
        MOBILE_PUSH if medium.endswith("push") or "mobile" in medium or "notification" in medium else "",
    }
    for channel in CHANNELS:
        if channel in found:
            return channel
    return REFERRAL if source.name else DIRECT
