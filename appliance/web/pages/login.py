"""Signing in and out."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.storage import accounts, audit
from appliance.web import flash, shell, urls
from appliance.web.access import (
    log_in,
    log_out,
    require_login,
    safe_next,
    state_of,
    viewer_of,
)
from appliance.web.forms import NO_STORE, get, page, post, read_form, see
from appliance.web.signing_in import TooManyAttempts, authenticated, note_login
from appliance.web.strings import text
from appliance.web.views_admin import LoginView
from appliance.web.views_forms import Form

WRONG = "This e-mail address and password do not belong together."


def routes() -> list[Route]:
    return [
        get(urls.LOGIN, show_login),
        post(urls.LOGIN, sign_in),
        post(urls.LOGOUT, sign_out),
        post(urls.ACCOUNT_SIGN_OUT, sign_out_everywhere),
    ]


async def show_login(request: Request) -> Response:
    target = safe_next(request.query_params.get("next", ""))
    if (await viewer_of(request)).account is not None:
        return see(target)
    if not await accounts.any_exist(state_of(request).db):
        return see(urls.SETUP)
    return await _login_page(request, target)


async def sign_in(request: Request) -> Response:
    """The answer and the work are the same whether the account exists or not."""
    form = await read_form(request)
    email, target = form.text("email"), safe_next(form.text("next"))
    try:
        account = await authenticated(request, email, form.text("password"))
    except TooManyAttempts as error:
        response = await _login_page(request, target, email, str(error), error.status)
        response.headers["retry-after"] = str(error.retry_after_seconds)
        return response
    if account is None:
        return await _login_page(request, target, email, WRONG, 401)
    await log_in(request, account)
    await note_login(request, account)
    return see(target)


async def sign_out(request: Request) -> Response:
    await log_out(request)
    flash.say(request, "signed_out")
    return see(urls.LOGIN)


async def sign_out_everywhere(request: Request) -> Response:
    login = await require_login(request)
    await log_out(request, everywhere=True)
    await audit.record(state_of(request).db, clock.now(), login.account.email, "logout.everywhere")
    flash.say(request, "signed_out_everywhere")
    return see(urls.LOGIN)


async def _login_page(request: Request, target: str, email: str = "", error: str = "", status: int = 200) -> Response:
    view = LoginView(
        shell=shell.bare(request, text("login.title")),
        form=Form(action=urls.LOGIN, values={"email": email}, errors={"": error} if error else {}),
        next="" if target == urls.HOME else target,
        register_href=urls.REGISTER if state_of(request).settings.open_registration else None,
    )
    return await page(request, "login.html", view, status, NO_STORE)
