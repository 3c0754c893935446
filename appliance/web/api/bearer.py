"""Who asks with a token of `/api/v1/auth`, as system C's clients do, or with a private key in its place.

A login gives two tokens, both opaque. The access token is what a login session is found by, as a cookie's token is, so
that it ends with the session: at logout, when it is taken back, when the password changes. It is made of the refresh
token, which is kept nowhere.
"""

import hashlib
from base64 import urlsafe_b64encode
from typing import NamedTuple

from starlette.requests import HTTPConnection, Request

from appliance import clock, credentials
from appliance.errors import Forbidden, NotFound, Unauthorized
from appliance.model import Account, Project, SiteRole
from appliance.storage import login_sessions, memberships, projects, tickets
from appliance.web.access import RANK, Login, Scope, Viewer, require_key, state_of

# So that none looks like a key.
ACCESS_PREFIX, REFRESH_PREFIX, TICKET_PREFIX = "at_", "rt_", "st_"
_TOKEN_CHARACTERS_MAX = 100


class Tokens(NamedTuple):
    """What a login gives."""

    access: str
    refresh: str


class Asker(NamedTuple):
    """A project, and who asks for it, as the audit log names them."""

    project: Project
    actor: str


async def begin(request: Request, account: Account) -> Tokens:
    """A login session, and its tokens."""
    refresh = REFRESH_PREFIX + credentials.mint_token()
    access = _access(refresh)
    agent = request.headers.get("user-agent", "")
    db, now = state_of(request).db, clock.now()
    await login_sessions.create(db, account.id, credentials.digest(access), agent, at=now)
    return Tokens(access, refresh)


async def renew(request: Request, refresh: str) -> Tokens:
    """A login session in place of the one that a refresh token is of. Raises Unauthorized."""
    login = await _login(request, _access(refresh[:_TOKEN_CHARACTERS_MAX]))
    await end(request, login)
    return await begin(request, login.account)


async def end(request: Request, login: Login) -> None:
    """End the session of a login: neither of its tokens opens anything any more."""
    await login_sessions.end(state_of(request).db, login.account.id, login.session.token_hash)


async def ticket(request: Request, login: Login) -> str:
    """What opens a stream once for who has this login, within half a minute."""
    minted = TICKET_PREFIX + credentials.mint_token()
    await tickets.create(state_of(request).db, credentials.digest(minted), login.session.token_hash, at=clock.now())
    return minted


async def require_token(request: HTTPConnection) -> Login:
    """Who an access token is of. Raises Unauthorized."""
    return await _login(request, _bearer(request))


async def project_for(request: HTTPConnection, role: SiteRole, scope: Scope) -> Asker:
    """The project of the path parameter `project`, for an account with at least this role in it, or for a private key
    of the project with this scope.

    Raises Unauthorized; NotFound where there is none or it is not for who asks; Forbidden for too low a role or scope,
    and for any key where an owner is needed.
    """
    wanted = request.path_params["project"]
    if credentials.key_kind(_bearer(request)) is not None:
        grant = await require_key(request, scope)
        if role == "owner":
            raise Forbidden("A key may not do this: log in.", code="role")
        if wanted != grant.project.public_id:
            raise NotFound("There is no such project.")
        return Asker(grant.project, grant.key.prefix)
    login = await require_token(request)
    return Asker(await project_of(request, login.viewer, role), login.account.email)


async def project_of(request: HTTPConnection, viewer: Viewer, role: SiteRole) -> Project:
    """The project of the path parameter `project`, for somebody with at least this role in it. Raises NotFound,
    Forbidden."""
    project = await projects.by_public_id(state_of(request).db, request.path_params["project"])
    own = viewer.role_in(project.id) if project is not None else None
    if project is None or own is None:
        raise NotFound("There is no such project.")
    if RANK[own] < RANK[role]:
        raise Forbidden(f"This needs the role {role}.", code="role")
    return project


async def login_of(request: HTTPConnection, token_hash: bytes) -> Login:
    """Whose a login session is that is in force. Raises Unauthorized."""
    db = state_of(request).db
    found = await login_sessions.find(db, token_hash, at=clock.now())
    if found is None:
        raise Unauthorized("This token does not exist, or holds no longer.", code="unknown_token")
    account, session = found
    roles = await memberships.of_account(db, account)
    return Login(Viewer(account, session, roles), account, session)


def _bearer(request: HTTPConnection) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    token = value.strip()
    if scheme.lower() != "bearer" or not 0 < len(token) <= _TOKEN_CHARACTERS_MAX:
        raise Unauthorized("Log in first, and send the access token: Authorization: Bearer …", code="missing_token")
    return token


async def _login(request: HTTPConnection, access: str) -> Login:
    return await login_of(request, credentials.digest(access))


def _access(refresh: str) -> str:
    return ACCESS_PREFIX + urlsafe_b64encode(hashlib.sha256(refresh.encode()).digest()).decode().rstrip("=")
