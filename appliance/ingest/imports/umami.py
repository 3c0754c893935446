"""Umami's table of events as CSV: what its export gives, or a dump of `website_event`.

A session there is a visitor, and a visit a visit: both are known by their UUIDs, so they stay what they were.
"""

from typing import Final

from appliance.ingest.imports.format import Context, Format, Head, Reader, cells
from appliance.ingest.pipeline import Dropped, Rejected
from appliance.ingest.sent import Sent

_NEEDED: Final = frozenset(("website_id", "session_id", "event_type", "url_path"))
_PAGEVIEW, _CUSTOM = "1", "2"
_BROWSERS: Final = {
    "android-webview": "Chrome", "chrome": "Chrome",
    "chromium-webview": "Chrome", "crios": "Chrome", "edge": "Edge", "edge-chromium": "Edge", "edge-ios": "Edge",
    "facebook": "Facebook", "firefox": "Firefox", "fxios": "Firefox", "ie": "Internet Explorer",
    "instagram": "Instagram", "ios": "Safari", "ios-webview": "Safari", "kakaotalk": "KakaoTalk",
    "miui": "Mi Browser", "opera": "Opera", "opera-mini": "Opera Mini", "safari": "Safari",
    "samsung": "Samsung Internet", "silk": "Silk", "yandexbrowser": "Yandex Browser",
}  # fmt: skip
_DEVICES: Final = {"desktop": "Desktop", "laptop": "Desktop", "mobile": "Mobile", "tablet": "Tablet"}
_SYSTEMS: Final = {"mac os": "macOS", "chrome os": "ChromeOS", "android os": "Android"}


def _recognises(head: Head) -> bool:
    return set(head.columns) >= _NEEDED


def _reader(head: Head, context: Context) -> Reader:
    by_name, own = cells(head), context.host

    def read(row: list[str]) -> Sent | None:
        if row == head.columns:
            return None
        found = {name: cell for name, cell in by_name(row).items() if cell not in ("NULL", "\\N")}
        kind = found.get("event_type")
        if kind not in (_PAGEVIEW, _CUSTOM):
            raise Dropped("not_an_event")
        if "created_at" not in found:
            raise Rejected("missing", "created_at", "created_at: it is missing")
        system, version = _system(found.get("os", ""))
        query = found.get("url_query", "").removeprefix("?")
        referrer = found.get("referrer_domain", "")
        browser = found.get("browser", "")
        return Sent(
            event="pageview" if kind == _PAGEVIEW else found.get("event_name"),
            kind="pageview" if kind == _PAGEVIEW else "custom",
            event_id=found.get("event_id"),
            timestamp=found["created_at"],
            anonymous_id=found.get("session_id"),
            user_id=found.get("distinct_id"),
            session_id=found.get("visit_id"),
            url=f"//{found.get('hostname') or own}{found.get('url_path', '/')}{'?' * bool(query)}{query}",
            title=found.get("page_title"),
            referrer=f"https://{referrer}{found.get('referrer_path', '')}" if referrer else None,
            browser=_BROWSERS.get(browser.lower(), browser),
            os=system,
            os_version=version,
            device=_DEVICES.get(found.get("device", "").lower(), found.get("device")),
            screen=found.get("screen"),
            language=found.get("language"),
            country=found.get("country"),
            region=found.get("region") or found.get("subdivision1"),
            city=found.get("city"),
        )

    return read


def _system(text: str) -> tuple[str, str]:
    """Name and version of "Windows 10"."""
    name, _, version = text.partition(" ")
    if name == "Windows" and version[:1].isdigit():
        return name, version
    return _SYSTEMS.get(text.lower(), text), ""


FORMAT: Final = Format("umami", "Umami's event table as CSV", "csv", _recognises, _reader)
