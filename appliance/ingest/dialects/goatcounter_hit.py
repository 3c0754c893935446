"""A hit as all of GoatCounter's clients describe one: a path with its query, or an event by its name, and a screen."""

from typing import Any

from appliance.errors import Invalid
from appliance.ingest.dialects.web_trackers import on_host
from appliance.ingest.page import Page
from appliance.ingest.sent import Sent

PATH_BYTES_MAX = 2048
SCREEN_MAX = 2**31 - 1

_TRUE = frozenset(("1", "t", "true", "y", "yes", "on"))


def hit_of(path: str, *, is_event: bool, query: str, page: Page) -> Sent:
    """The hit that a page sends of itself. Of the page only the host is sure, because browsers tell other sites no more
    than that: the path of an event is known where `page` has more than "/". Raises Invalid."""
    if len(path.encode("utf-8", "replace")) > PATH_BYTES_MAX:
        raise Invalid(f"path: longer than {PATH_BYTES_MAX} bytes", code="too_long", field="path")
    path = path.strip()
    if is_event:
        path = path.lstrip("/")
    if not path:
        raise Invalid("path: must be set", code="missing", field="path")
    if is_event:
        url = on_host(page.hostname, page.path) if page.path not in ("", "/") else None
        return Sent(event=path, kind="custom", url=url, hostname=page.hostname)
    address, has_fragment, fragment = path.partition("#")
    address, _, own_query = address.partition("?")
    if not address.startswith(("http://", "https://")):
        address = on_host(page.hostname, "/" + address.lstrip("/"))
    tags = query.lstrip("?") or own_query
    url = f"{address}?{tags}#{fragment}" if tags or has_fragment else address
    return Sent(event="pageview", kind="pageview", url=url, hash=True if has_fragment else None)


def is_true(value: Any) -> bool:
    return value.lower() in _TRUE if isinstance(value, str) else bool(value)


def screen_of(size: Any) -> str | None:
    """ "1920x1080" or "1920" of a width, of [width, height, scale], or of these as text; None where nothing is said.
    Raises Invalid."""
    if not size:
        return None
    parts = size.split(",") if isinstance(size, str) else size if isinstance(size, list) else [size]
    try:
        sides = [round(float(part)) for part in parts[:2]]
    except (TypeError, ValueError, OverflowError):
        raise Invalid(f"size: {str(size)[:50]!r} is no width", code="wrong_type", field="size") from None
    if not all(0 <= side <= SCREEN_MAX for side in sides):
        raise Invalid(f"size: {str(size)[:50]!r} is out of range", code="out_of_range", field="size")
    return "x".join(str(side) for side in sides if side) or None


def bot_of(number: Any) -> int:
    """What a client says of being driven by a program: 0 where it is not, else the kind. Raises Invalid."""
    try:
        return int(number or 0)
    except (TypeError, ValueError, OverflowError):
        raise Invalid(f"bot: {str(number)[:50]!r} is no number", code="wrong_type", field="bot") from None
