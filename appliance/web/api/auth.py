"""`/api/v1/auth`: how programs log in, as system C has it.

    POST register {email, password, full_name?}   201 and what `me` answers, where the settings let anybody register
    POST login {email, password}        {"access_token", "refresh_token", "token_type": "bearer"}
    POST refresh {refresh_token}        the same anew; the old ones hold no longer
    POST logout                         ends both, for the bearer of the access token
    POST ws-ticket                      {"ticket"}, which opens a stream once within half a minute (api/streams.py)
    GET me                              {"id", "email", "full_name", "role", "created_at"}

Tokens hold for thirty days.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.errors import Invalid, Unauthorized
from appliance.model import Account
from appliance.web import signing_in
from appliance.web.api import bearer, paths, sites
from appliance.web.api.bearer import Tokens
from appliance.web.api.systems import iso
from appliance.web.forms import NO_STORE

PATH = "/api/v1/auth"


class Credentials(msgspec.Struct):
    """The body of login."""

    email: str
    password: str


class Registration(msgspec.Struct):
    """The body of register."""

    email: str
    password: str
    full_name: str | None = None


class Refresh(msgspec.Struct):
    """The body of refresh."""

    refresh_token: str


async def register(request: Request) -> Response:
    await signing_in.require_registration(request)
    wanted = await sites.wanted(request, Registration)
    try:
        account = await signing_in.registered(
            request, email=wanted.email, password=wanted.password, name=wanted.full_name or ""
        )
    except Invalid as error:
        if error.field == "name":
            error.field = "full_name"
        raise
    return JSONResponse(_described(account), status_code=201)


async def login(request: Request) -> Response:
    wanted = await sites.wanted(request, Credentials)
    account = await signing_in.authenticated(request, wanted.email, wanted.password)
    if account is None:
        raise Unauthorized("This e-mail address and password do not belong together.", code="wrong_credentials")
    tokens = await bearer.begin(request, account)
    await signing_in.note_login(request, account)
    return _shown(tokens)


async def refresh(request: Request) -> Response:
    return _shown(await bearer.renew(request, (await sites.wanted(request, Refresh)).refresh_token))


async def logout(request: Request) -> Response:
    await bearer.end(request, await bearer.require_token(request))
    return JSONResponse({"message": "Logged out"})


async def ws_ticket(request: Request) -> Response:
    ticket = await bearer.ticket(request, await bearer.require_token(request))
    return JSONResponse({"ticket": ticket}, headers=NO_STORE)


async def me(request: Request) -> Response:
    return JSONResponse(_described((await bearer.require_token(request)).account))


def _described(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "email": account.email,
        "full_name": account.name,
        "role": account.role,
        "created_at": iso(account.created_at),
    }


def _shown(tokens: Tokens) -> Response:
    body = {"access_token": tokens.access, "refresh_token": tokens.refresh, "token_type": "bearer"}
    return JSONResponse(body, headers=NO_STORE)


def routes() -> list[Route]:
    return [
        *paths.at(f"{PATH}/register", register, "POST"),
        *paths.at(f"{PATH}/login", login, "POST"),
        *paths.at(f"{PATH}/refresh", refresh, "POST"),
        *paths.at(f"{PATH}/logout", logout, "POST"),
        *paths.at(f"{PATH}/ws-ticket", ws_ticket, "POST"),
        *paths.at(f"{PATH}/me", me, "GET"),
    ]
