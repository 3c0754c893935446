"""The gates that a whole request passes: whose project it is, and whether it may send from where it stands."""

from base64 import b64decode
from binascii import Error as Base64Error
from urllib.parse import urlsplit

import msgspec

from appliance.errors import Forbidden, Unauthorized
from appliance.ingest.arrival import Arrival
from appliance.ingest.page import read_page
from appliance.ingest.sent import Decoded, Rejection
from appliance.model import Project
from appliance.storage.catalogue import Catalogue

PRIVATE_PREFIX = "sa_priv_"


class Grant(msgspec.Struct, gc=False):
    """Whose project a request names. `keyless`: each event's host must be one of the project's domains."""

    project: Project
    browser: bool
    keyless: bool


class UnknownSender(Unauthorized):
    """A key or site that the catalogue does not have; it may be newer than the catalogue."""


def admit(arrival: Arrival, decoded: Decoded, catalogue: Catalogue) -> Grant:
    """Raises Unauthorized (no or wrong key), UnknownSender, Forbidden (scope). The origin is checked apart: by then it
    is known in whose feed a refusal belongs."""
    browser = decoded.browser or arrival.from_browser
    if key := header_key(arrival):
        arrival.key = key
        return Grant(_by_key(key, catalogue, in_header=True, browser=browser), browser, keyless=False)
    if decoded.key:
        arrival.key = decoded.key
        return Grant(_by_key(decoded.key, catalogue, in_header=False, browser=browser), browser, keyless=False)
    return Grant(_by_name(decoded, catalogue), browser, keyless=True)


def header_key(arrival: Arrival) -> str:
    """The key in Authorization: Bearer, in X-API-Key, or the user of HTTP Basic; '' when there is none."""
    headers = arrival.headers
    if (raw := headers.get(b"x-api-key")) is not None:
        return raw.decode("latin-1").strip()
    raw = headers.get(b"authorization")
    if raw is None:
        return ""
    scheme, _, value = raw.decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return b64decode(value, validate=True).decode("utf-8").partition(":")[0]
        except (Base64Error, UnicodeDecodeError, ValueError):
            raise Unauthorized("the Basic authorization is not base64", code="malformed_key") from None
    return value.strip() or scheme


def _by_key(key: str, catalogue: Catalogue, *, in_header: bool, browser: bool) -> Project:
    # sa_priv_ begins as sa_ does, so it is tested first.
    if key.startswith(PRIVATE_PREFIX):
        if browser:
            raise Unauthorized(
                "a private key was sent by a browser; it is now known to every visitor: revoke it",
                code="private_key_exposed",
            )
        if not in_header:
            raise Unauthorized("a private key may not stand in a URL or body", code="private_key_misplaced")
        private = catalogue.by_private_key(key)
        if private is None:
            raise UnknownSender("the key is not known or was revoked", code="unknown_key")
        project, _, scopes = private
        if "send" not in scopes:
            raise Forbidden("the key may not send events", code="missing_scope")
        return project
    found = catalogue.public_keys.get(key)
    if found is None:
        raise UnknownSender("the key is not known or was revoked", code="unknown_key")
    return found[0]


def _by_name(decoded: Decoded, catalogue: Catalogue) -> Project:
    """Without a key: the project that the request names, else the one that has the first event's host as a domain."""
    if decoded.project:
        project = catalogue.public_ids.get(decoded.project)
        named = f"project {decoded.project!r}"
    else:
        domain = decoded.domain or _first_hostname(decoded)
        if not domain:
            raise Unauthorized("no key was sent, and no event says on which site it happened", code="missing_key")
        project = catalogue.by_hostname(bare_domain(domain))
        named = f"domain {domain!r}"
    if project is None:
        raise UnknownSender(f"no key was sent, and {named} belongs to no project", code="unknown_project")
    return project


def check_origin(arrival: Arrival, grant: Grant) -> None:
    """Raises Forbidden when the project's allowlist does not have the request's origin, or when there is no key and
    the origin is none of its domains. Requests without an origin (servers) and files opened from a disk ('null')
    pass the list."""
    origin = arrival.header(b"origin")
    if not origin or origin == "null":
        return
    project = grant.project
    if grant.keyless and bare_domain(urlsplit(origin).hostname or "") not in project.domains:
        raise Forbidden(f"the origin {origin!r} is not one of the project's domains", code="origin_not_allowed")
    allowed = project.settings.origins
    if "*" not in allowed and origin.lower() not in allowed:
        raise Forbidden(f"the origin {origin!r} is not in the project's list", code="origin_not_allowed")


def bare_domain(host: str) -> str:
    """A host as projects' domains are written: lower-case, without www. and port."""
    host = host.strip().lower().rstrip(".")
    if host.count(":") == 1:
        host = host.partition(":")[0]
    return host.removeprefix("www.")


def _first_hostname(decoded: Decoded) -> str:
    for sent in decoded.events:
        if isinstance(sent, Rejection):
            continue
        url = sent.url or sent.page_url
        if url:
            try:
                return read_page(url).hostname
            except ValueError:
                continue
    return ""
