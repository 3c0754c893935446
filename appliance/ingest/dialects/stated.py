"""What SDKs state of devices, screens and money, in our words. Values may be of any JSON type: what cannot be used
counts as not stated, because an event is not wrong for what it says beside its point."""

from typing import Any

from appliance.ingest.money import minor_units
from appliance.ingest.sent import Scalar, SentRevenue

_SYSTEMS = {
    "mac os x": "macOS",
    "mac os": "macOS",
    "macos": "macOS",
    "iphone os": "iOS",
    "ios": "iOS",
    "ipados": "iPadOS",
    "tvos": "tvOS",
    "watchos": "watchOS",
    "android": "Android",
    "windows": "Windows",
    "linux": "Linux",
    "chrome os": "ChromeOS",
}
_DEVICES = {
    "desktop": "Desktop",
    "mobile": "Mobile",
    "phone": "Mobile",
    "smartphone": "Mobile",
    "ios": "Mobile",  # Segment's libraries give the system as the type
    "android": "Mobile",
    "tablet": "Tablet",
    "ipad": "Tablet",
    "tv": "TV",
    "console": "Console",
    "wearable": "Wearable",
}


def text(value: Any) -> str | None:
    """A text, or a number as one."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def scalar(value: Any) -> Scalar:
    """A text or a number."""
    return value if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None


def number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def system(name: Any) -> str | None:
    """An operating system's name as agents give it here: Mac OS X is macOS."""
    return _SYSTEMS.get(name.strip().lower(), name) if isinstance(name, str) else None


def device(kind: Any) -> str | None:
    """Desktop, Mobile, Tablet, ... for a kind of device."""
    return _DEVICES.get(kind.strip().lower()) if isinstance(kind, str) else None


def screen(width: Any, height: Any) -> str | None:
    """1920x1080"""
    wide, high = number(width), number(height)
    return f"{wide:.0f}x{high:.0f}" if wide and high else None


def revenue(amount: Any, currency: Any) -> SentRevenue | None:
    """Money, where both can be read as such. Without a currency it is the project's, whichever that is."""
    amount, code = scalar(amount), text(currency)
    if amount is None:
        return None
    try:
        minor_units(amount, (code or "XXX").strip().upper())
    except ValueError:
        return None
    return SentRevenue(amount, code)
