"""The page of an event: hostname, path and query of its URL, and the campaign tags of that query."""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

URL_CHARACTERS_MAX = 8_192
HOSTNAME_CHARACTERS_MAX = 255
PATH_CHARACTERS_MAX = 2_000
TAG_CHARACTERS_MAX = 255
PAGES_CACHED_MAX = 4_096
# A longer URL is read each time, so that the cache stays below some 6 MB whatever is sent.
CACHED_CHARACTERS_MAX = 512

# Parameters in which advertising networks number their clicks.
CLICK_IDS = (
    "gclid",
    "gbraid",
    "wbraid",
    "dclid",
    "msclkid",
    "fbclid",
    "ttclid",
    "twclid",
    "li_fat_id",
    "yclid",
    "rdt_cid",
    "ScCid",
    "epik",
    "qclid",
)


class Page(NamedTuple):
    """`hostname` is lower-case, without port, '' for a bare path; `path` is never empty; `query` has no "?" and
    stays encoded."""

    hostname: str
    path: str
    query: str


class Tags(NamedTuple):
    """Campaign tags, '' where missing. `ref` is the parameter ref or source; `click_kind` names the parameter of
    `click_id`, one of CLICK_IDS."""

    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_content: str = ""
    utm_term: str = ""
    ref: str = ""
    click_id: str = ""
    click_kind: str = ""


def read_page(url: str, *, hash_routing: bool = False) -> Page:
    """The page at a URL, a "//host/path" or a bare path, as people would write it.

    The path is percent-decoded (UTF-8, wrong bytes become U+FFFD) without control characters and spaces at its end,
    at most 2,000 characters; with `hash_routing` "#fragment" belongs to it. "www." stays: comparing domains is where
    it is ignored. Of a URL 8,192 characters count.

    Raises ValueError for a URL that is no page (data:, javascript:, blob:, about:, mailto:, ...), for nothing else.
    """
    if len(url) <= CACHED_CHARACTERS_MAX:
        return _cached(url, hash_routing)
    return _read(url[:URL_CHARACTERS_MAX], hash_routing)


def tags(query: str) -> Tags:
    """The campaign tags of a query string. Names may be in any case; the first value that is not empty counts, of
    which 255 characters. Never raises."""
    found: dict[str, str] = {}
    for parameter in query.split("&") if "=" in query else ():
        name, _, value = parameter.partition("=")
        field = _FIELDS.get(name) or _FIELDS.get(name.lower())
        if field and value and field not in found:
            # An encoded character takes up to twelve.
            decoded = readable(unquote(value[: TAG_CHARACTERS_MAX * 12].replace("+", " "))).strip()
            if decoded:
                found[field] = decoded[:TAG_CHARACTERS_MAX]
                if field == "click_id":
                    found["click_kind"] = _CLICK_KINDS[name.lower()]
    return Tags(**found) if found else _NO_TAGS


def readable(text: str) -> str:
    """The text without control characters, lone surrogates and marks that turn the direction of writing."""
    return text if text.isprintable() else _UNREADABLE.sub("", text)


_UNREADABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_NO_PAGES = frozenset(
    ("about", "blob", "data", "filesystem", "intent", "javascript", "mailto", "sms", "tel", "urn", "vbscript")
)
_CLICK_KINDS = {name.lower(): name for name in CLICK_IDS}
_FIELDS = {
    **{name: name for name in ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term", "ref")},
    "source": "ref",
    **dict.fromkeys(_CLICK_KINDS, "click_id"),
}
_NO_TAGS = Tags()


def _read(url: str, hash_routing: bool) -> Page:
    rest = readable(url).strip()
    scheme = _SCHEME.match(rest)
    if scheme and scheme[1].lower() in _NO_PAGES:
        raise ValueError(f'a "{scheme[1].lower()}:" URL is not a page')
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    hostname, path = _split(rest, len(scheme[0]) if scheme else 0)
    path = _decoded(path).rstrip()
    if not path.startswith("/"):
        path = "/" + path
    if hash_routing and fragment:
        path += "#" + _decoded(fragment).rstrip()
    return Page(hostname, path[:PATH_CHARACTERS_MAX], query)


_cached = lru_cache(PAGES_CACHED_MAX)(_read)


def _split(rest: str, scheme_length: int) -> tuple[str, str]:
    """Hostname and path. What has a colon but no "//" behind it is a path: "docs:intro", "localhost:8000/x"."""
    if not rest.startswith("//", scheme_length):
        return "", rest
    authority, slash, path = rest[scheme_length + 2 :].partition("/")
    return host_of(authority), slash + path


def host_of(authority: str) -> str:
    """The host of "user:password@Host:port" in lower case, at most 255 characters; an IPv6 address keeps its
    brackets, a final dot goes."""
    host = authority.rpartition("@")[2]
    end = host.find("]") + 1
    host = host[:end] if end else host.partition(":")[0]
    return host.strip().removesuffix(".").lower()[:HOSTNAME_CHARACTERS_MAX]


def _decoded(text: str) -> str:
    return readable(unquote(text)) if "%" in text else text
