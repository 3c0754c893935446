"""A web server's request as a page view, or why it is none.

The log of a server has every file that was fetched. A page view is a GET that was answered with a page: not an image, a
style, a download, a redirect or an error. What a visitor's browser had kept, and only asked whether it is still good
(304), is seen again.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from appliance.clock import MICROSECONDS
from appliance.ingest.pipeline import Dropped, Rejected
from appliance.ingest.sent import Sent

_SEEN: Final = frozenset((200, 203, 304))
_ENDINGS: Final = """
    7z aac apk appcache asc atom avi avif bin bmp br bz2 css csv cur deb dmg doc docx eot epub exe flac gif gz ics ico
    img iso jar jpeg jpg js json jsonld key less m3u8 m4a m4v map md5 mjs mkv mobi mov mp3 mp4 mpeg mpg msi odp ods odt
    oga ogg ogv opus otf pdf pkg png pps ppt pptx ps rar rdf rpm rss rtf sass scss sha256 sig svg svgz swf tar tgz tif
    tiff torrent ts ttf txt vcf vtt wasm wav webm webmanifest webp wma wmv woff woff2 xls xlsx xml xpi xsl xz zip zst
    """
_ASSETS: Final = frozenset(_ENDINGS.split())
_ESCAPED: Final = re.compile(r"\\x([0-9a-fA-F]{2})|\\(.)")
_MONTHS: Final = {
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6,
    "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12,
}  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Hit(NamedTuple):
    """One request. `time` is UTC microseconds; `target` a path with its query, or a URL; texts are '' where the log
    has nothing. `is_page`: what the answer's content type says, None where it is not known."""

    time: int
    address: str
    method: str
    host: str
    target: str
    status: int
    referrer: str
    agent: str
    language: str = ""
    is_page: bool | None = None


def page_view(hit: Hit, host: str) -> Sent:
    """The page view that a request was; `host` is the site's, for logs that name none. Raises Dropped with `method`,
    `status` or `asset`."""
    if hit.method != "GET":
        raise Dropped("method")
    if hit.status not in _SEEN:
        raise Dropped("status")
    if hit.is_page is False or (hit.is_page is None and is_asset(hit.target)):
        raise Dropped("asset")
    target = hit.target
    if target.startswith("/"):
        where = hit.host or host
        target = f"//{where}{target}" if where else target
    return Sent(
        event="pageview",
        kind="pageview",
        timestamp=hit.time,
        url=target,
        referrer=hit.referrer or None,
        ip=hit.address or None,
        user_agent=hit.agent or None,
        language=hit.language or None,
    )


def is_asset(target: str) -> bool:
    """Whether a path, with or without its query, names a file that is no page."""
    path = target.partition("?")[0]
    name = path.rpartition("/")[2]
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return ending in _ASSETS or "/.well-known/" in path


def split_request(request: str) -> tuple[str, str]:
    """Method and target of "GET /path HTTP/1.1"; both '' for what is no request."""
    method, _, rest = request.partition(" ")
    target, _, protocol = rest.rpartition(" ")
    if not protocol.startswith("HTTP/"):
        target = rest
    return (method, target) if target.startswith(("/", "http")) else ("", "")


def host_of_url(url: str) -> str:
    """The host that a target names itself, '' for a path."""
    try:
        return urlsplit(url).hostname or "" if url.startswith("http") else ""
    except ValueError:
        return ""


def dash(text: str) -> str:
    """A cell of a log, '' for the dash that stands for nothing."""
    return "" if text == "-" else text


def unescaped(text: str) -> str:
    """A quoted cell as it was before servers escaped it: \\" and \\x22."""
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)


@lru_cache(4096)
def log_time(text: str) -> int:
    """UTC microseconds of "10/Oct/2000:13:55:36 -0700". Raises Rejected."""
    try:
        day, month, year = int(text[0:2]), _MONTHS[text[3:6]], int(text[7:11])
        hour, minute, second = int(text[12:14]), int(text[15:17]), int(text[18:20])
        away = timedelta(hours=int(text[22:24]), minutes=int(text[24:26]))
        zone = timezone(-away if text[21] == "-" else away)
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
    except (ValueError, KeyError, IndexError):
        raise Rejected("not_a_time", "", f"not a time: {text[:40]!r}") from None
    return (moment - _EPOCH) // timedelta(microseconds=1)


@lru_cache(4096)
def iso_time(text: str) -> int:
    """UTC microseconds of an ISO 8601 text; without an offset it is UTC. Raises Rejected."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Rejected("not_a_time", "", f"not a time: {text[:40]!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def epoch_time(value: Any) -> int:
    """UTC microseconds of seconds since 1970. Raises Rejected."""
    try:
        return round(float(value) * MICROSECONDS)
    except (TypeError, ValueError, OverflowError):
        raise Rejected("not_a_time", "", "the time is not a number of seconds") from None


def status_of(value: Any) -> int:
    """A status code as number or text, 0 for what is none."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


_decode: Callable[[str], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode


def json_line(line: str) -> dict[str, Any]:
    """A line that is a JSON object. Raises Rejected."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Rejected("malformed_line", "", "the line is not a JSON object") from None


def text_of(value: Any) -> str:
    """A member of such an object as text; '' for what is none, and for a dash."""
    return dash(value) if isinstance(value, str) else ""
