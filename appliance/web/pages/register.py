"""Making an account for oneself, where the settings let anybody."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.errors import Invalid, NotFound
from appliance.storage import accounts
from appliance.web import shell, urls
from appliance.web.access import log_in, state_of, viewer_of
from appliance.web.forms import NO_STORE, Fields, errors_of, get, page, post, read_form, see
from appliance.web.signing_in import TooManyAttempts, note_login, registered
from appliance.web.strings import text
from appliance.web.views_admin import RegisterView
from appliance.web.views_forms import Form

FIELDS = ("name", "email", "password")


def routes() -> list[Route]:
    return [get(urls.REGISTER, show), post(urls.REGISTER, create)]


async def show(request: Request) -> Response:
    return await _elsewhere(request) or await _register_page(request)


async def create(request: Request) -> Response:
    if (answer := await _elsewhere(request)) is not None:
        return answer
    form = await read_form(request)
    try:
        account = await registered(
            request, email=form.text("email"), password=form.text("password"), name=form.text("name")
        )
    except TooManyAttempts as error:
        response = await _register_page(request, form, {"": str(error)}, error.status)
        response.headers["retry-after"] = str(error.retry_after_seconds)
        return response
    except Invalid as error:
        return await _register_page(request, form, errors_of(error, known=FIELDS), error.status)
    await log_in(request, account)
    await note_login(request, account)
    return see(urls.HOME)


async def _elsewhere(request: Request) -> Response | None:
    """Where to go instead for who has an account, or before there is any. Raises NotFound where nobody registers."""
    if not state_of(request).settings.open_registration:
        raise NotFound("There is no such page.")
    if (await viewer_of(request)).account is not None:
        return see(urls.HOME)
    return None if await accounts.any_exist(state_of(request).db) else see(urls.SETUP)


async def _register_page(
    request: Request, form: Fields | None = None, errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    values = {name: form.text(name) for name in ("name", "email")} if form else {}
    view = RegisterView(
        shell=shell.bare(request, text("register.title")),
        form=Form(action=urls.REGISTER, values=values, errors=errors or {}),
        login_href=urls.LOGIN,
    )
    return await page(request, "register.html", view, status, NO_STORE)
