"""First run: account, site, snippet. Whoever has the token that was printed at start becomes the owner, once."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock, credentials
from appliance.errors import Forbidden, Invalid
from appliance.model import Project
from appliance.storage import accounts, keys, project_fields, projects
from appliance.web import flash, shell, urls
from appliance.web.access import log_in, project_for, public_origin, require_role, state_of
from appliance.web.forms import NO_STORE, Fields, errors_of, get, page, post, read_form, see
from appliance.web.options import currency_options, timezone_options
from appliance.web.parts import parts_of
from appliance.web.strings import text
from appliance.web.vantage import note_of, note_on_site, vantage_of
from appliance.web.views import Install
from appliance.web.views_admin import SetupView
from appliance.web.views_forms import Form

NOT_RIGHT = (
    "This is not the set-up token of the running server. It prints a new one each time it starts: "
    "look at the last lines of its log (docker logs, journalctl, or the terminal it runs in)."
)
DEFAULT_CURRENCY = "EUR"


def routes() -> list[Route]:
    return [
        get(urls.SETUP, show_account),
        post(urls.SETUP, create_account),
        get(urls.SETUP_SITE, show_site),
        post(urls.SETUP_SITE, create_site),
        get(urls.SITES + "/{site}/install", show_install),
        post(urls.SITES + "/{site}/install/test", send_test),
    ]


# ---------------------------------------------------------------- account


async def show_account(request: Request) -> Response:
    if await accounts.any_exist(state_of(request).db):
        return see(urls.HOME)
    token = request.query_params.get("token", "")
    if token and not _is_token(request, token):
        return await _account_page(request, "", errors={"token": NOT_RIGHT}, status=403)
    return await _account_page(request, token)


async def create_account(request: Request) -> Response:
    """The token comes in the address, as it was printed, or typed into the form."""
    db = state_of(request).db
    if await accounts.any_exist(db):
        return see(urls.HOME)
    form = await read_form(request)
    token = request.query_params.get("token") or form.text("token").strip()
    if not _is_token(request, token):
        return await _account_page(request, "", form, {"token": NOT_RIGHT}, 403)
    try:
        account = await accounts.create(
            db,
            email=form.text("email"),
            password=form.text("password"),
            name=form.text("name"),
            role="owner",
            only_first=True,
            actor="setup",
            at=clock.now(),
        )
    except Forbidden:
        return see(urls.LOGIN)
    except Invalid as error:
        errors = errors_of(error, known=("name", "email", "password"))
        return await _account_page(request, token, form, errors, error.status)
    await log_in(request, account)
    return see(urls.SETUP_SITE)


def _is_token(request: Request, token: str) -> bool:
    expected = state_of(request).setup_token
    return bool(expected) and credentials.same(token, expected)


async def _account_page(
    request: Request,
    token: str,
    form: Fields | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    """`token` is one that is right; without it the form asks for it."""
    values = {name: form.text(name) for name in ("name", "email", "token")} if form else {}
    view = SetupView(
        shell=shell.bare(request, text("setup.account.title")),
        step="account",
        address=note_of(vantage_of(request)),
        form=Form(action=f"{urls.SETUP}?token={token}" if token else urls.SETUP, values=values, errors=errors or {}),
        token_needed=not token,
    )
    return await page(request, "setup/page.html", view, status, NO_STORE)


# ---------------------------------------------------------------- site


async def show_site(request: Request) -> Response:
    await require_role(request, "admin")
    if await projects.list_all(state_of(request).db):
        return see(urls.SITE_NEW)
    return await _site_page(request, {"currency": DEFAULT_CURRENCY, "timezone": "UTC"})


async def create_site(request: Request) -> Response:
    login = await require_role(request, "admin")
    form = await read_form(request)
    values = {name: form.text(name) for name in ("domain", "timezone", "currency")}
    try:
        made = await projects.create(
            state_of(request).db,
            name="",
            domains=[project_fields.domain(values["domain"])],
            timezone=values["timezone"] or "UTC",
            currency=values["currency"] or DEFAULT_CURRENCY,
            actor=login.account.email,
            at=clock.now(),
        )
    except Invalid as error:
        errors = errors_of(error, {"domains": "domain"}, known=("domain", "timezone", "currency"))
        return await _site_page(request, values, errors, error.status)
    return see(urls.install(made.project))


async def _site_page(
    request: Request, values: dict[str, str], errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    view = SetupView(
        shell=shell.bare(request, text("setup.site.title")),
        step="site",
        address=note_of(vantage_of(request)),
        form=Form(action=urls.SETUP_SITE, values=values, errors=errors or {}),
        timezones=timezone_options(values["timezone"]),
        currencies=currency_options(),
    )
    return await page(request, "setup/page.html", view, status)


# ---------------------------------------------------------------- install


async def show_install(request: Request) -> Response:
    """The snippet, and the wait for the first event, which the site's stream announces."""
    project = (await project_for(request, "admin")).project
    view = SetupView(
        shell=await shell.shell(request, text("setup.install.title"), project, stream="none"),
        step="install",
        address=await note_on_site(request, vantage_of(request)),
        install=await install_of(request, project),
    )
    return await page(request, "setup/page.html", view)


async def send_test(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    await parts_of(request).send_test_event(project)
    flash.say(request, "test_sent")
    return see(urls.install(project))


async def install_of(request: Request, project: Project) -> Install:
    """How to connect a site, with the address that browsers reach and its newest public key."""
    parts = parts_of(request)
    key = await keys.current_public(parts.db, project.id)
    first = await parts.first_event_at(project)
    origin = public_origin(request)
    return Install(
        domain=shell.label(project),
        origin=origin,
        script_src=f"{origin}/{parts.settings.script_name.strip('/') or 'script.js'}",
        public_key=key.token if key is not None and key.token is not None else "",
        received_at=shell.moment(first, project.timezone) if first is not None else None,
        dashboard_href=urls.dashboard(project),
        test_action=urls.test_event(project),
    )
