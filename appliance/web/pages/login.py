"""Signing in and out."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.storage import accounts, audit
from appliance.web import flash, shell, urls
from appliance.web.access import (
    address_of,
    coarse_address_of,
    log_in,
    log_out,
    require_login,
    safe_next,
    state_of,
    viewer_of,
)
from appliance.web.forms import NO_STORE, get, page, post, read_form, see
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
    state, now = state_of(request), clock.now()
    name, address = email.strip().lower()[: accounts.EMAIL_CHARACTERS_MAX], address_of(request)
    if wait_seconds := state.login_throttle.attempt(name, address, now):
        await _report_throttled(request, name, address, now)
        return await _throttled_page(request, target, email, wait_seconds)
    account = await accounts.authenticate(state.db, name, form.text("password"))
    if account is None:
        return await _login_page(request, target, email, WRONG, 401)
    state.login_throttle.succeeded(name, address)
    await log_in(request, account)
    await audit.record(state.db, now, account.email, "login", detail=coarse_address_of(request))
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


async def _report_throttled(request: Request, name: str, address: str, now: int) -> None:
    """One audit row a day for each address that guesses."""
    state = state_of(request)
    if state.key_reports.first(f"login {address}", now):
        await audit.record(state.db, now, "login", "login.throttled", name, coarse_address_of(request))


async def _throttled_page(request: Request, target: str, email: str, wait_seconds: int) -> Response:
    unit = "second" if wait_seconds == 1 else "seconds"
    error = f"Too many attempts. Try again in {wait_seconds} {unit}."
    response = await _login_page(request, target, email, error, 429)
    response.headers["retry-after"] = str(wait_seconds)
    return response


async def _login_page(request: Request, target: str, email: str = "", error: str = "", status: int = 200) -> Response:
    view = LoginView(
        shell=shell.bare(request, text("login.title")),
        form=Form(action=urls.LOGIN, values={"email": email}, errors={"": error} if error else {}),
        next="" if target == urls.HOME else target,
    )
    return await page(request, "login.html", view, status, NO_STORE)
