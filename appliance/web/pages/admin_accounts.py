"""Who may sign in. Admins invite and change all but owners; only owners deal with owners and remove accounts."""

from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Forbidden, Invalid, NotFound
from appliance.model import Account, Role
from appliance.storage import accounts, login_sessions, memberships
from appliance.web import flash, shell, urls
from appliance.web.access import Login, require_role, state_of
from appliance.web.forms import Fields, errors_of, get, page, post, read_form, see
from appliance.web.navigation import admin_nav
from appliance.web.strings import text
from appliance.web.views_admin import UserRow, UsersView
from appliance.web.views_forms import Form

FIELDS = ("name", "email", "password")

R = TypeVar("R", bound=str)


def routes() -> list[Route]:
    one = urls.ADMIN_ACCOUNTS + "/{account:id}"
    return [
        get(urls.ADMIN_ACCOUNTS, show),
        post(urls.ADMIN_ACCOUNTS, create),
        post(one + "/role", change_role),
        post(one + "/remove", remove),
    ]


async def show(request: Request) -> Response:
    return await _accounts_page(request, await require_role(request, "admin"))


async def create(request: Request) -> Response:
    login = await require_role(request, "admin")
    form = await read_form(request)
    try:
        await accounts.create(
            state_of(request).db,
            email=form.text("email"),
            password=form.text("password"),
            name=form.text("name"),
            role=_grantable(login, form.text("role")),
            actor=login.account.email,
            at=clock.now(),
        )
    except Invalid as error:
        errors = errors_of(error, known=FIELDS)
        return await _accounts_page(request, login, form, errors, error.status)
    flash.say(request, "account_created")
    return see(urls.ADMIN_ACCOUNTS)


async def change_role(request: Request) -> Response:
    login = await require_role(request, "admin")
    account = await account_of(request)
    if not _may_change_role(login, account):
        raise Forbidden("Only an owner may change an owner, and nobody their own role.", code="role")
    form = await read_form(request)
    role = _grantable(login, form.text("role"))
    await accounts.set_role(state_of(request).db, account, role, actor=login.account.email, at=clock.now())
    flash.say(request, "saved")
    return see(urls.ADMIN_ACCOUNTS)


async def remove(request: Request) -> Response:
    login = await require_role(request, "owner")
    account = await account_of(request)
    if account.id == login.account.id:
        raise Forbidden("Nobody may remove their own account.", code="role")
    await accounts.remove(state_of(request).db, account, actor=login.account.email, at=clock.now())
    flash.say(request, "account_removed")
    return see(urls.ADMIN_ACCOUNTS)


async def account_of(request: Request) -> Account:
    """The account of the path. Raises NotFound."""
    account = await accounts.by_id(state_of(request).db, request.path_params["account"])
    if account is None:
        raise NotFound("There is no such account.")
    return account


def grantable(login: Login, roles: tuple[R, ...]) -> tuple[R, ...]:
    """Those of the roles that this account may give: owners alone make owners."""
    return tuple(role for role in roles if role != "owner" or login.account.role == "owner")


def _roles(login: Login) -> tuple[Role, ...]:
    return grantable(login, accounts.ROLES)


def _grantable(login: Login, role: str) -> Role:
    if role not in accounts.ROLES:
        raise Invalid("Choose a role.", code="unknown", field="role")
    if role not in _roles(login):
        raise Forbidden("Only an owner may make owners.", code="role", field="role")
    return role


def _may_change_role(login: Login, account: Account) -> bool:
    return account.id != login.account.id and account.role in _roles(login)


async def _accounts_page(
    request: Request,
    login: Login,
    form: Fields | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    db = state_of(request).db
    seen, given = await login_sessions.last_used(db), await memberships.counts(db)
    values = {name: form.text(name) for name in ("name", "email", "role")} if form else {"role": "viewer"}
    view = UsersView(
        shell=await shell.shell(request, text("nav.users")),
        nav=admin_nav("users"),
        rows=tuple(
            _row(login, account, seen.get(account.id), given.get(account.id, 0))
            for account in await accounts.list_all(db)
        ),
        form=Form(action=urls.ADMIN_ACCOUNTS, values=values, errors=errors or {}),
        roles=_roles(login),
    )
    return await page(request, "admin/users.html", view, status)


def _row(login: Login, account: Account, seen_at: int | None, given: int) -> UserRow:
    you = account.id == login.account.id
    may_be_confined = account.role in memberships.CONFINED
    sees_all = not may_be_confined or (account.role == "viewer" and not given)
    removable = login.account.role == "owner" and not you
    return UserRow(
        name=account.name or account.email,
        email=account.email,
        role=account.role,
        created_at=shell.moment(account.created_at),
        seen_at=shell.moment(seen_at) if seen_at is not None else None,
        you=you,
        role_action=urls.account_role(account.id) if _may_change_role(login, account) else None,
        remove_action=urls.account_remove(account.id) if removable else None,
        sites=None if sees_all else given,
        access_href=urls.account_access(account.id) if may_be_confined else None,
    )
