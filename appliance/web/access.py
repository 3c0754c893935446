"""Who is asking: a login session's cookie on pages, a private key on the API; and what they may do.

Roles: an owner may do everything; an admin everything but delete and deal with owners; a viewer may read. A member may
make projects, and owns those. Memberships confine a viewer to the projects they name, with the role they name there;
without any a viewer sees all projects, a member none.

A private key opens everything of its project, so it must not stand where it is logged, cached or shipped to
visitors: in a URL, or in a request of a browser. There it is refused even when it is right, and the refusal
goes into the audit log, because such a key has to be replaced.
"""

import binascii
import ipaddress
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, cast
from urllib.parse import quote

from starlette.requests import HTTPConnection, Request

from appliance import clock, credentials
from appliance.clock import MICROSECONDS
from appliance.config import Settings
from appliance.errors import Forbidden, Invalid, NotFound, Unauthorized
from appliance.model import Account, Key, Project, Role, SiteRole
from appliance.storage import accounts, audit, keys, login_sessions, memberships, project_fields, projects
from appliance.storage.interface import Database
from appliance.storage.login_sessions import LoginSession
from appliance.web.cookies import set_cookie
from appliance.web.throttle import LoginThrottle, OncePerDay

Scope = Literal["read", "manage", "send"]

RANK: Mapping[Role, int] = {"member": 0, "viewer": 1, "admin": 2, "owner": 3}
SECURE_COOKIE, PLAIN_COOKIE = "__Host-session", "session"
COOKIE_CHARACTERS_MAX = 100


class State(Protocol):
    """What `app.state` has for this module and the pages of login and set-up."""

    db: Database
    settings: Settings
    setup_token: str
    login_throttle: LoginThrottle
    key_reports: OncePerDay


def state_of(connection: HTTPConnection) -> State:
    """`app.state`, typed."""
    return cast("State", connection.app.state)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody with an account, or nobody (`account` None)."""

    account: Account | None = None
    session: LoginSession | None = None
    memberships: Mapping[int, SiteRole] = field(default_factory=dict)

    @property
    def member_id(self) -> int | None:
        """The account's id if it is a member, who comes to own the projects they make."""
        return self.account.id if self.account is not None and self.account.role == "member" else None

    @property
    def may_add_sites(self) -> bool:
        return self.may("admin") or self.member_id is not None

    def role_in(self, project_id: int) -> SiteRole | None:
        """The role in a project; None: it does not exist for this viewer."""
        if self.account is None:
            return None
        role = self.account.role
        if role == "member" or (role == "viewer" and self.memberships):
            return self.memberships.get(project_id)
        return role

    def may(self, role: SiteRole, project_id: int | None = None) -> bool:
        """Whether the viewer has at least this role, in a project or in the whole appliance."""
        if self.account is None:
            return False
        own = self.account.role if project_id is None else self.role_in(project_id)
        return own is not None and RANK[own] >= RANK[role]


class Login(NamedTuple):
    """A viewer who is certainly logged in."""

    viewer: Viewer
    account: Account
    session: LoginSession


class SiteAccess(NamedTuple):
    """A project that the viewer may see, and as what."""

    viewer: Viewer
    project: Project
    role: SiteRole


class Grant(NamedTuple):
    """What a private key opens."""

    project: Project
    key: Key


class LoginNeeded(Unauthorized):
    """Log in first."""

    code = "login_needed"

    def __init__(self, location: str) -> None:
        super().__init__()
        self.location = location


# ---------------------------------------------------------------- login sessions


async def viewer_of(connection: HTTPConnection, *, fresh: bool = False) -> Viewer:
    """Who is asking, by the session cookie. Asked of the database once a request, or again if `fresh` (a
    stream that must end when its viewer is logged out or loses the project)."""
    known: Viewer | None = getattr(connection.state, "viewer", None)
    if known is None or fresh:
        known = await _look_up(connection, renew=not fresh)
        connection.state.viewer = known
    return known


async def log_in(request: Request, account: Account) -> None:
    """Begin a session and set its cookie; the session that the request came with ends."""
    db, now = state_of(request).db, clock.now()
    if (old := _session_hash(request)) is not None and (found := await login_sessions.find(db, old, at=now)):
        await login_sessions.end(db, found[0].id, old)
    token = credentials.mint_token()
    await login_sessions.create(
        db, account.id, credentials.digest(token), request.headers.get("user-agent", ""), at=now
    )
    _set_session_cookie(request, token, login_sessions.LIFETIME // MICROSECONDS)
    request.state.viewer = None


async def log_out(request: Request, *, everywhere: bool = False) -> None:
    """End the request's session, or all of its account, and take the cookie back."""
    viewer = await viewer_of(request)
    db = state_of(request).db
    if viewer.account is not None and viewer.session is not None:
        if everywhere:
            await login_sessions.end_all(db, viewer.account.id)
        else:
            await login_sessions.end(db, viewer.account.id, viewer.session.token_hash)
    _set_session_cookie(request, "", 0)
    request.state.viewer = Viewer()


async def require_login(connection: HTTPConnection) -> Login:
    """The viewer with an account. Raises LoginNeeded, which leads to /login, or to /setup in the first run."""
    viewer = await viewer_of(connection)
    if viewer.account is not None and viewer.session is not None:
        return Login(viewer, viewer.account, viewer.session)
    if not await accounts.any_exist(state_of(connection).db):
        raise LoginNeeded("/setup")
    raise LoginNeeded("/login" + _next_query(connection))


async def require_role(connection: HTTPConnection, role: SiteRole) -> Login:
    """A login with at least this role in the whole appliance. Raises LoginNeeded, Forbidden."""
    login = await require_login(connection)
    if not login.viewer.may(role):
        raise Forbidden(f"This needs the role {role}.", code="role")
    return login


def check_may_add_sites(viewer: Viewer) -> None:
    """Raises Forbidden for who may make no projects."""
    if not viewer.may_add_sites:
        raise Forbidden("This needs the role admin or member.", code="role")


async def project_for(connection: HTTPConnection, min_role: SiteRole = "viewer") -> SiteAccess:
    """The project of the path parameter `site` (its id or one of its domains), for whoever is logged in.

    Raises LoginNeeded; NotFound where there is none or it is not for this viewer; Forbidden for too low a
    role.
    """
    viewer = (await require_login(connection)).viewer
    return site_access(viewer, await find_project(state_of(connection).db, connection.path_params["site"]), min_role)


def site_access(viewer: Viewer, project: Project | None, min_role: SiteRole) -> SiteAccess:
    """A project for a viewer, if there is one, they may see it, and their role is not too low. Raises NotFound,
    Forbidden."""
    role = viewer.role_in(project.id) if project is not None else None
    if project is None or role is None:
        raise NotFound("There is no such site.")
    if RANK[role] < RANK[min_role]:
        raise Forbidden(f"This needs the role {min_role}.", code="role")
    return SiteAccess(viewer, project, role)


async def find_project(db: Database, site: str) -> Project | None:
    """A project by its public id or one of its domains."""
    if (project := await projects.by_public_id(db, site)) is not None:
        return project
    try:
        return await projects.by_domain(db, project_fields.domain(site))
    except Invalid:
        return None


# ---------------------------------------------------------------- private keys


async def require_key(connection: HTTPConnection, scope: Scope) -> Grant:
    """The project and private key of a request, if the key has the scope.

    Raises Unauthorized for no key (`missing_key`), an unknown or revoked one (`unknown_key`), a private key
    in the query string (`private_key_in_query`) or from a browser (`private_key_from_browser`); Forbidden for
    a public key (`public_key`) or one without the scope (`scope`).
    """
    found = await _key_of(connection)
    if found.key.kind == "public":
        raise Forbidden("This is a public key, which may only send. Use a private one.", code="public_key")
    if scope not in found.key.scopes:
        raise _lacks(scope)
    return await _used(connection, found)


async def require_key_to_all(connection: HTTPConnection) -> Grant:
    """A private key that may read, and figures of the whole appliance too: one that nobody can have who may not see
    them. Raises as `require_key` does, and Forbidden (`role`)."""
    grant = await require_key(connection, "read")
    if await memberships.has_outside_lead(state_of(connection).db, grant.project.id):
        raise Forbidden("Figures of the whole appliance are not for the keys of this site.", code="role")
    return grant


async def require_sender(connection: HTTPConnection) -> Grant:
    """The project and key of a request, if the key may send: a public one, or a private one that may send or manage.
    Raises as `require_key` does, but for a public key."""
    found = await _key_of(connection)
    if not {"send", "manage"} & set(found.key.scopes):
        raise _lacks("send")
    return await _used(connection, found)


async def any_key(connection: HTTPConnection) -> Grant:
    """The project and key of a request, whatever the key may do. Raises Unauthorized as `require_key` does."""
    return await _used(connection, await _key_of(connection))


async def _key_of(connection: HTTPConnection) -> Grant:
    if (token := _private_key_in_query(connection)) is not None:
        await _report(connection, token, "url")
        raise Unauthorized("A private key must not stand in a URL.", code="private_key_in_query")
    token = _key_token(connection)
    if token is None:
        raise Unauthorized("Send a private key: Authorization: Bearer sa_priv_…", code="missing_key")
    if credentials.key_kind(token) == "private" and _from_browser(connection):
        await _report(connection, token, "browser")
        raise Unauthorized("A private key must not be used in a browser.", code="private_key_from_browser")
    found = await _live(connection, token)
    if found is None:
        raise Unauthorized("This key does not exist or was revoked.", code="unknown_key")
    return found


async def _used(connection: HTTPConnection, found: Grant) -> Grant:
    if found.key.kind == "private":
        await keys.touch(state_of(connection).db, found.key, at=clock.now())
    return found


def _lacks(scope: Scope) -> Forbidden:
    return Forbidden(f"This key lacks the scope “{scope}”.", code="scope")


# ---------------------------------------------------------------- the connection


def is_secure(connection: HTTPConnection) -> bool:
    """Whether browsers reach the appliance by https: as the public URL says, or this request."""
    public_url = state_of(connection).settings.public_url
    return public_url.startswith("https:") or connection.url.scheme in ("https", "wss")


def public_origin(connection: HTTPConnection) -> str:
    """Where browsers reach the appliance, without a slash at its end; from the request if not set."""
    public_url = state_of(connection).settings.public_url.rstrip("/")
    return public_url or f"{'https' if is_secure(connection) else 'http'}://{connection.url.netloc}"


def address_of(connection: HTTPConnection) -> str:
    """The address to count attempts by: an IPv4 address, or the /64 that an IPv6 client can roam in."""
    return _network(connection, 32, 64)


def coarse_address_of(connection: HTTPConnection) -> str:
    """The address as the audit log may hold it: a /24 or /48."""
    return _network(connection, 24, 48)


def safe_next(target: str) -> str:
    """A path of this appliance to go to after a login; anything that could lead elsewhere becomes the start
    page."""
    inside = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if inside and target.isprintable() and "\\" not in target else "/"


def _network(connection: HTTPConnection, bits4: int, bits6: int) -> str:
    host = connection.client.host if connection.client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    bits = bits4 if address.version == 4 else bits6
    network = ipaddress.ip_network((address, bits), strict=False)
    return str(address) if bits == 32 and address.version == 4 else str(network)


def _next_query(connection: HTTPConnection) -> str:
    """Where to come back to after the login; only a page that was asked for by GET can be asked for again."""
    path = connection.url.path + (f"?{connection.url.query}" if connection.url.query else "")
    if connection.scope.get("method") != "GET" or path == "/" or safe_next(path) != path:
        return ""
    return "?next=" + quote(path, safe="/")


def _cookie_name(connection: HTTPConnection) -> str:
    return SECURE_COOKIE if is_secure(connection) else PLAIN_COOKIE


def _session_hash(connection: HTTPConnection) -> bytes | None:
    """SHA-256 of the cookie's token. Only the name that belongs to the scheme counts: a plain cookie on https
    may have been set by a neighbouring host."""
    value = connection.cookies.get(_cookie_name(connection), "")
    return credentials.digest(value) if 0 < len(value) <= COOKIE_CHARACTERS_MAX else None


def _set_session_cookie(connection: HTTPConnection, token: str, max_age_seconds: int) -> None:
    set_cookie(
        connection,
        _cookie_name(connection),
        token,
        max_age_seconds=max_age_seconds,
        secure=is_secure(connection),
    )


async def _look_up(connection: HTTPConnection, *, renew: bool) -> Viewer:
    token_hash, db, now = _session_hash(connection), state_of(connection).db, clock.now()
    found = await login_sessions.find(db, token_hash, at=now) if token_hash is not None else None
    if found is None:
        return Viewer()
    account, session = found
    if renew and await login_sessions.renew(db, session, at=now):
        token = connection.cookies[_cookie_name(connection)]
        _set_session_cookie(connection, token, login_sessions.LIFETIME // MICROSECONDS)
    roles = await memberships.of_account(db, account)
    return Viewer(account, session, roles)


def _key_token(connection: HTTPConnection) -> str | None:
    """From `Authorization: Bearer`, `X-API-Key`, or the user of HTTP Basic."""
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return value
    if scheme.lower() == "basic":
        try:
            return b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return connection.headers.get("x-api-key", "").strip() or None


def _private_key_in_query(connection: HTTPConnection) -> str | None:
    values = (value.strip() for value in connection.query_params.values())
    return next((value for value in values if credentials.key_kind(value) == "private"), None)


def _from_browser(connection: HTTPConnection) -> bool:
    headers = connection.headers  # Sec-Fetch-Mode alone comes from Node
    return "origin" in headers or "sec-fetch-site" in headers


async def _live(connection: HTTPConnection, token: str) -> Grant | None:
    db = state_of(connection).db
    key = await keys.by_token(db, token)
    if key is None or not key.holds(clock.now()):
        return None
    project = await projects.by_id(db, key.project_id)
    return Grant(project, key) if project is not None else None


async def _report(connection: HTTPConnection, token: str, where: str) -> None:
    """Put a real key's exposure into the audit log, once a day for each key and place."""
    now = clock.now()
    found = await _live(connection, token)
    if found is not None and state_of(connection).key_reports.first(f"{found.key.id} {where}", now):
        await audit.record(
            state_of(connection).db,
            now,
            found.key.prefix,
            f"key.exposed.{where}",
            found.project.name,
            coarse_address_of(connection),
        )
