"""What a project's fields may hold. Each function gives back the stored form, or raises Invalid with the
field."""

import ipaddress
import re
import zoneinfo
from collections.abc import Iterable
from functools import cache
from urllib.parse import urlsplit

import idna
import msgspec

from appliance.currencies import MINOR_DIGITS
from appliance.errors import Invalid
from appliance.model import ProjectSettings
from appliance.storage import sampling_fields

NAME_CHARACTERS_MAX = 100
DOMAINS_MAX = 50
ORIGINS_MAX = 50
HOST_CHARACTERS_MAX = 253
VISIT_TIMEOUT_SECONDS = (60, 12 * 3600)
VISIT_WINDOW_MINUTES = (1, 24 * 60)
DEDUPLICATION_DAYS = (1, 90)
RATE_LIMIT = (0, 1_000_000)  # requests in 10 seconds
QUOTA_EVENTS_MONTH = (0, 10**12)
RAW_RETENTION_DAYS = (7, 36_500)  # browsers may be a week late

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_LABEL = re.compile(r"^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$")  # underscores occur, though not registrable
_NOT_ZONES = {"Factory", "localtime", "posixrules"}


def name(text: str) -> str:
    """A name as people read it: one line of 1 to 100 characters."""
    cleaned = " ".join(text.replace("\0", " ").split())
    if not cleaned:
        raise Invalid("Give it a name.", code="required", field="name")
    if len(cleaned) > NAME_CHARACTERS_MAX:
        raise Invalid(f"Use at most {NAME_CHARACTERS_MAX} characters.", code="too_long", field="name")
    return cleaned


def domain(text: str) -> str:
    """A host name as an event's hostname is looked up: lower case, IDNA 2008 A-labels, without port and
    `www.`.

    A pasted address (`https://www.example.com/`) is reduced to its host; one with a path is refused, because
    only whole hosts can be told apart.
    """
    given = text.strip()
    if not given:
        raise Invalid("Give a domain, like example.com.", code="required", field="domains")
    try:
        parts = urlsplit(given if _SCHEME.match(given) else "//" + given)
        host = parts.hostname or ""
        parts.port  # noqa: B018 (raises where the port is not a number)
    except ValueError:
        raise _not_a_domain(given) from None
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise Invalid(f"Give the domain alone, without a path: {host}.", code="path_in_domain", field="domains")
    if "@" in parts.netloc:
        raise _not_a_domain(given)
    return _host(host, given).removeprefix("www.")


def domains(texts: Iterable[str]) -> tuple[str, ...]:
    """Several domains, each once, in the order given."""
    cleaned = tuple(dict.fromkeys(domain(text) for text in texts if text.strip()))
    if len(cleaned) > DOMAINS_MAX:
        raise Invalid(f"Use at most {DOMAINS_MAX} domains.", code="too_many", field="domains")
    return cleaned


def timezone(text: str) -> str:
    """An IANA time zone name."""
    if text.strip() not in timezones():
        raise Invalid(f"“{text.strip()}” is no IANA time zone, like Europe/Berlin.", code="unknown", field="timezone")
    return text.strip()


@cache
def timezones() -> frozenset[str]:
    """Every IANA time zone name this machine knows."""
    return frozenset(zoneinfo.available_timezones() - _NOT_ZONES)


def currency(text: str) -> str:
    """An ISO 4217 code."""
    code = text.strip().upper()
    if code not in MINOR_DIGITS:
        raise Invalid(f"“{text.strip()}” is no ISO 4217 currency, like EUR.", code="unknown", field="currency")
    return code


def settings(given: ProjectSettings) -> ProjectSettings:
    """Settings whose numbers lie within their bounds and whose origins are origins."""
    _within("visit_timeout_seconds", given.visit_timeout_seconds, VISIT_TIMEOUT_SECONDS)
    _within("deduplication_days", given.deduplication_days, DEDUPLICATION_DAYS)
    _within("visit_window_minutes", given.visit_window_minutes, VISIT_WINDOW_MINUTES)
    if given.visit_rule not in ("timeout", "window"):
        raise Invalid("Choose timeout or window.", code="unknown", field="visit_rule")
    if given.privacy_signal not in ("ignore", "rotate", "drop"):
        raise Invalid("Choose ignore, rotate or drop.", code="unknown", field="privacy_signal")
    origins = tuple(dict.fromkeys(origin(text) for text in given.origins if text.strip())) or ("*",)
    if len(origins) > ORIGINS_MAX:
        raise Invalid(f"Use at most {ORIGINS_MAX} origins.", code="too_many", field="origins")
    if given.rate_limit is not None:
        _within("rate_limit", given.rate_limit, RATE_LIMIT)
    _within("quota_events_month", given.quota_events_month, QUOTA_EVENTS_MONTH)
    return msgspec.structs.replace(
        given,
        origins=("*",) if "*" in origins else origins,
        sampling=sampling_fields.sampling(given.sampling),
        sampling_rules=sampling_fields.rules(given.sampling_rules),
        raw_retention_days=raw_retention_days(given.raw_retention_days),
    )


def raw_retention_days(days: int) -> int:
    """For how many whole days visits and events are kept; 0: for ever."""
    low, high = RAW_RETENTION_DAYS
    if days and not low <= days <= high:
        message = f"Visits and events are kept from {low} to {high:,} days, or for ever."
        raise Invalid(message, code="out_of_range", field="raw_retention_days")
    return days


def origin(text: str) -> str:
    """An origin as browsers send it in `Origin`, or `*` for any: `https://example.com`,
    `http://localhost:3000`."""
    given = text.strip()
    if given == "*":
        return given
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise _not_an_origin(given) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise _not_an_origin(given)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise _not_an_origin(given)
    try:
        host = _host(parts.hostname, given)
    except Invalid:
        raise _not_an_origin(given) from None
    if ":" in host:
        host = f"[{host}]"
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


def _host(host: str, given: str) -> str:
    """A host name or IP address in the form that browsers put into `location.hostname` (IPv6 without
    brackets)."""
    try:
        return ipaddress.ip_address(host).compressed
    except ValueError:
        pass
    host = host.lower().removesuffix(".")
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError:
            raise _not_a_domain(given) from None
    labels = host.split(".")
    if len(host) > HOST_CHARACTERS_MAX or labels[-1].isdigit() or not all(map(_LABEL.match, labels)):
        raise _not_a_domain(given)
    return host


def _within(field: str, value: int, bounds: tuple[int, int]) -> None:
    low, high = bounds
    if not low <= value <= high:
        raise Invalid(f"Use a number from {low} to {high:,}.", code="out_of_range", field=field)


def _not_a_domain(given: str) -> Invalid:
    return Invalid(f"“{given}” is no domain, like example.com.", code="malformed", field="domains")


def _not_an_origin(given: str) -> Invalid:
    return Invalid(
        f"“{given}” is no origin, like https://example.com (or * for any).", code="malformed", field="origins"
    )
