"""Which sites a viewer or a member may see, and as what. As with accounts, only owners deal with owners."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Forbidden, Invalid
from appliance.model import Account, Project, SiteRole
from appliance.storage import memberships, projects
from appliance.web import flash, shell, urls
from appliance.web.access import Login, require_role, state_of
from appliance.web.forms import Fields, errors_of, get, page, post, read_form, see
from appliance.web.navigation import admin_nav
from appliance.web.pages.admin_accounts import account_of, grantable
from appliance.web.strings import text
from appliance.web.views_admin import AccessRow, AccessView
from appliance.web.views_forms import Form

FIELDS = ("site", "role")


def routes() -> list[Route]:
    one = urls.ADMIN_ACCOUNTS + "/{account:id}/access"
    return [get(one, show), post(one, give), post(one + "/take", take), post(one + "/all", take_all)]


async def show(request: Request) -> Response:
    login = await require_role(request, "admin")
    return await _access_page(request, login, await account_of(request))


async def give(request: Request) -> Response:
    """Fields: site (its public id), role there."""
    login, account = await require_role(request, "admin"), await _confined(request)
    form = await read_form(request)
    db = state_of(request).db
    try:
        role = form.text("role")
        project = await _site(request, login, account, form, role)
        await memberships.give(db, account, project, role, actor=login.account.email, at=clock.now())
    except Invalid as error:
        return await _access_page(request, login, account, form, errors_of(error, known=FIELDS), error.status)
    flash.say(request, "saved")
    return see(urls.account_access(account.id))


async def take(request: Request) -> Response:
    """Field: site."""
    login, account = await require_role(request, "admin"), await _confined(request)
    form = await read_form(request)
    db = state_of(request).db
    try:
        project = await _site(request, login, account, form)
        confined = await memberships.take(db, account, project, actor=login.account.email, at=clock.now())
    except Invalid as error:
        return await _access_page(request, login, account, None, errors_of(error, known=()), error.status)
    flash.say(request, "access_confined" if confined else "saved")
    return see(urls.account_access(account.id))


async def take_all(request: Request) -> Response:
    login, account = await require_role(request, "admin"), await _confined(request)
    if account.role != "viewer":
        raise Forbidden("Only a viewer can see all sites without being given them.", code="role")
    db = state_of(request).db
    _check_owners(login, *(await memberships.of_account(db, account)).values())
    await memberships.let_see_all(db, account, actor=login.account.email, at=clock.now())
    flash.say(request, "saved")
    return see(urls.account_access(account.id))


async def _confined(request: Request) -> Account:
    account = await account_of(request)
    if account.role not in memberships.CONFINED:
        raise Forbidden("Owners and admins see all sites.", code="role")
    return account


async def _site(request: Request, login: Login, account: Account, form: Fields, role: str = "") -> Project:
    """The site that the form names, where this account may give that role, and take the one that there is."""
    db = state_of(request).db
    project = await projects.by_public_id(db, form.text("site"))
    if project is None:
        raise Invalid("Choose a site.", code="unknown", field="site")
    _check_owners(login, (await memberships.of_account(db, account)).get(project.id), role)
    return project


def _check_owners(login: Login, *roles: str | None) -> None:
    """Whether these may be given or taken: that of an owner, who may delete a site, by owners alone."""
    if "owner" in roles and login.account.role != "owner":
        raise Forbidden("Only an owner may give a site an owner, or take one from it.", code="role")


async def _access_page(
    request: Request,
    login: Login,
    account: Account,
    form: Fields | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    db = state_of(request).db
    roles = await memberships.of_account(db, account)
    sites = sorted(await projects.list_all(db), key=lambda project: shell.label(project).casefold())
    may_give = grantable(login, memberships.SITE_ROLES)
    name = account.name or account.email
    values = {name: form.text(name) for name in FIELDS} if form else {"role": "viewer"}
    confined = account.role in memberships.CONFINED
    may_see_all = account.role == "viewer" and bool(roles) and set(roles.values()) <= set(may_give)
    view = AccessView(
        shell=await shell.shell(request, text("access.title", name=name)),
        nav=admin_nav("users"),
        back_href=urls.ADMIN_ACCOUNTS,
        name=name,
        email=account.email,
        role=account.role,
        rows=tuple(_row(site, roles[site.id], may_give) for site in sites if site.id in roles),
        form=Form(action=urls.account_access(account.id), values=values, errors=errors or {}),
        sites=tuple((site.public_id, shell.label(site)) for site in sites if site.id not in roles) if confined else (),
        roles=may_give,
        take_action=urls.account_access_take(account.id),
        all_action=urls.account_access_all(account.id) if may_see_all else None,
    )
    return await page(request, "admin/access.html", view, status)


def _row(site: Project, role: SiteRole, may_give: tuple[SiteRole, ...]) -> AccessRow:
    return AccessRow(
        site=site.public_id,
        label=shell.label(site),
        href=urls.dashboard(site),
        role=role,
        may_change=role in may_give,
    )
