"""The gates that a whole request passes: whose project it is, and whether it may send from where it stands."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from appliance.credentials import PUBLIC_PREFIX
from appliance.errors import ApplianceError, Forbidden, Invalid, Unauthorized
from appliance.ingest.arrival import Arrival
from appliance.ingest.page import host_of, read_page
from appliance.ingest.sent import Decoded, Rejection
from appliance.model import Key, Project
from appliance.storage.catalogue import Catalogue

PRIVATE_PREFIX = "sa_priv_"
AUTHORIZATIONS_CACHED_MAX = 1024
CACHED_BYTES_MAX = 128


class Grant(msgspec.Struct, gc=False):
    """Whose project a request names, and by which key. `keyless`: each event's host must be one of `domains`.
    `by_default`: it names none, and goes to the default one."""

    project: Project
    browser: bool
    keyless: bool
    key: Key | None = None
    by_default: bool = False
    domains: tuple[str, ...] = ()


class Part(NamedTuple):
    """What of a request is for one project; `fault` says why it may not be sent there."""

    decoded: Decoded
    grant: Grant | None
    fault: ApplianceError | None


class UnknownSender(Unauthorized):
    """A key or site that the catalogue does not have; it may be newer than the catalogue."""


def admit(arrival: Arrival, decoded: Decoded, catalogue: Catalogue, default_project: str = "") -> Grant:
    """Raises Unauthorized (no or wrong key), UnknownSender, Forbidden (scope). The origin is checked apart: by then it
    is known in whose feed a refusal belongs. `default_project`: id or domain of the one that dialects may fall back to.
    """
    browser = decoded.browser or arrival.from_browser
    # A token that is no key of ours says nothing where the body has one: SDKs may bear one of their maker's.
    if (key := header_key(arrival)) and (key.startswith(PUBLIC_PREFIX) or not decoded.key):
        arrival.key = key
        return _by_key(key, arrival, catalogue, in_header=True, browser=browser)
    if decoded.key:
        arrival.key = decoded.key
        return _by_key(decoded.key, arrival, catalogue, in_header=False, browser=browser)
    if decoded.takes_default:
        project = _default(default_project, catalogue)
        return Grant(project, browser, keyless=False, by_default=True, domains=project.domains)
    project = _by_name(decoded, catalogue)
    return Grant(project, browser, keyless=True, domains=project.domains)


def admit_parts(
    arrival: Arrival,
    decoded: Decoded,
    catalogue: Catalogue,
    default_project: str,
    check: Callable[[Arrival, Grant], None],
) -> list[Part]:
    """A request for several projects, each judged for itself; `check` raises where one may not be sent to.

    Where all are to get the same events, these may be on a domain of any of them: whoever names both sites of a page
    wants it on both.
    """
    parts = []
    for each in (decoded, *decoded.others):
        try:
            parts.append(Part(each, admit(arrival, each, catalogue, default_project), None))
        except Invalid as error:
            parts.append(Part(each, None, error))
    domains = tuple([domain for part in parts if part.grant is not None for domain in part.grant.domains])
    for place, part in enumerate(parts):
        if part.grant is None:
            continue
        if decoded.same_events:
            part.grant.domains = domains
        try:
            check(arrival, part.grant)
        except ApplianceError as error:
            parts[place] = part._replace(fault=error)
    return parts


def header_key(arrival: Arrival) -> str:
    """The key in Authorization: Bearer, in X-API-Key, or the user of HTTP Basic; '' when there is none."""
    headers = arrival.headers
    if (raw := headers.get(b"x-api-key")) is not None:
        return raw.decode("latin-1").strip()
    raw = headers.get(b"authorization")
    if raw is None:
        return ""
    return _authorization_key(raw) if len(raw) <= CACHED_BYTES_MAX else _authorization_key.__wrapped__(raw)


@lru_cache(AUTHORIZATIONS_CACHED_MAX)
def _authorization_key(raw: bytes) -> str:
    scheme, _, value = raw.decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return b64decode(value, validate=True).decode("utf-8").partition(":")[0]
        except (Base64Error, UnicodeDecodeError, ValueError):
            raise Unauthorized("the Basic authorization is not base64", code="malformed_key") from None
    return value.strip() or scheme


def _by_key(token: str, arrival: Arrival, catalogue: Catalogue, *, in_header: bool, browser: bool) -> Grant:
    # sa_priv_ begins as sa_ does, so it is tested first.
    if token.startswith(PRIVATE_PREFIX):
        if arrival.from_browser:
            raise Unauthorized(
                "a private key was sent by a browser; it is now known to every visitor: revoke it",
                code="private_key_exposed",
            )
        if not in_header:
            raise Unauthorized("a private key may not stand in a URL or body", code="private_key_misplaced")
        private = catalogue.by_private_key(token)
        if private is None:
            raise UnknownSender("the key is not known or was revoked", code="unknown_key")
        project, key, scopes = private
        if "send" not in scopes:
            raise Forbidden("the key may not send events", code="missing_scope")
    else:
        found = catalogue.public_keys.get(token)
        if found is None:
            raise UnknownSender("the key is not known or was revoked", code="unknown_key")
        project, key = found
    if key.expires_at is not None and not key.holds(arrival.received):
        raise Unauthorized("the key was replaced, and does not hold any more", code="expired_key")
    return Grant(project, browser, keyless=False, key=key)


def _by_name(decoded: Decoded, catalogue: Catalogue) -> Project:
    """Without a key: the project that the request names, else the one that has the first event's host as a domain."""
    if decoded.project:
        project = catalogue.public_ids.get(decoded.project)
        named = f"project {decoded.project!r}"
    else:
        domain = decoded.domain or _first_hostname(decoded)
        if not domain:
            raise Unauthorized("no key was sent, and no event says on which site it happened", code="missing_key")
        project = catalogue.domains.get(domain) or catalogue.by_hostname(bare_domain(domain))
        named = f"domain {domain!r}"
    if project is None:
        raise UnknownSender(f"no key was sent, and {named} belongs to no project", code="unknown_project")
    return project


def _default(name: str, catalogue: Catalogue) -> Project:
    if not name:
        raise Unauthorized("no key was sent, and APPLIANCE_DEFAULT_PROJECT names no project", code="missing_key")
    project = catalogue.public_ids.get(name) or catalogue.by_hostname(bare_domain(name))
    if project is None:
        raise UnknownSender(
            f"no key was sent, and APPLIANCE_DEFAULT_PROJECT={name!r} is no project", code="unknown_project"
        )
    return project


def check_origin(arrival: Arrival, grant: Grant) -> None:
    """Raises Forbidden when the project's allowlist does not have the request's origin, or when there is no key and
    the origin is none of its domains. Requests without an origin (servers) and files opened from a disk ('null')
    pass the list."""
    origin = arrival.header(b"origin")
    if not origin or origin == "null":
        return
    if grant.keyless or grant.by_default:
        host = origin.partition("://")[2]
        if host not in grant.domains and bare_domain(host_of(host)) not in grant.domains:
            raise Forbidden(f"the origin {origin!r} is not one of the project's domains", code="origin_not_allowed")
    allowed = grant.project.settings.origins
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
