"""One's own account: password, and the devices that are signed in."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid, NotFound
from appliance.ingest.user_agent import read_agent
from appliance.storage import accounts, login_sessions
from appliance.storage.login_sessions import LoginSession
from appliance.web import flash, shell, urls
from appliance.web.access import Login, address_of, require_login, state_of
from appliance.web.forms import NO_STORE, errors_of, get, page, post, read_form, see
from appliance.web.strings import text
from appliance.web.views import Icon
from appliance.web.views_admin import AccountView, SessionRow
from appliance.web.views_forms import Form

FIELDS = ("current_password", "password")
_ID_BYTES = 8  # of a session's hash: enough to tell an account's sessions apart


def routes() -> list[Route]:
    return [
        get(urls.ACCOUNT, show),
        post(urls.ACCOUNT, change_password),
        post(urls.ACCOUNT + "/sessions/{session}/end", end_session),
    ]


async def show(request: Request) -> Response:
    return await _account_page(request, await require_login(request))


async def change_password(request: Request) -> Response:
    """Who sits at an open browser still has to know the old password, and may not guess it without end."""
    login = await require_login(request)
    form = await read_form(request)
    state, account = state_of(request), login.account
    try:
        if wait_seconds := state.login_throttle.attempt(account.email, address_of(request), clock.now()):
            raise Invalid(f"Too many attempts. Try again in {wait_seconds} seconds.", status=429)
        if await accounts.authenticate(state.db, account.email, form.text("current_password")) is None:
            raise Invalid("This is not your password.", code="wrong", field="current_password")
        state.login_throttle.succeeded(account.email, address_of(request))
        await accounts.set_password(
            state.db,
            account,
            form.text("password"),
            keep=login.session.token_hash,
            actor=account.email,
            at=clock.now(),
        )
    except Invalid as error:
        return await _account_page(request, login, errors_of(error, known=FIELDS), error.status)
    flash.say(request, "password_changed")
    return see(urls.ACCOUNT)


async def end_session(request: Request) -> Response:
    login = await require_login(request)
    db = state_of(request).db
    wanted = request.path_params["session"]
    for session in await login_sessions.list_of(db, login.account.id, at=clock.now()):
        if _id(session) == wanted:
            await login_sessions.end(db, login.account.id, session.token_hash)
            flash.say(request, "session_ended")
            return see(urls.ACCOUNT)
    raise NotFound("There is no such session.")


async def _account_page(
    request: Request, login: Login, errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    found = await login_sessions.list_of(state_of(request).db, login.account.id, at=clock.now())
    view = AccountView(
        shell=await shell.shell(request, text("account.profile")),
        form=Form(action=urls.ACCOUNT, errors=errors or {}),
        sessions=tuple(_row(login, session) for session in found),
        sign_out_everywhere_action=urls.ACCOUNT_SIGN_OUT,
    )
    return await page(request, "admin/account.html", view, status, NO_STORE)


def _row(login: Login, session: LoginSession) -> SessionRow:
    agent = read_agent(session.user_agent)
    current = session.token_hash == login.session.token_hash
    return SessionRow(
        agent=" · ".join(part for part in (agent.browser, agent.os) if part) or "Unknown device",
        icon=Icon(kind="brand", code=agent.browser) if agent.browser else None,
        seen_at=shell.moment(session.used_at),
        current=current,
        end_action=None if current else urls.session_end(_id(session)),
    )


def _id(session: LoginSession) -> str:
    return session.token_hash[:_ID_BYTES].hex()
