"""A site's settings: made, changed, deleted, and for as long as its events are there, brought back."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Forbidden, Invalid
from appliance.model import Project, ProjectSettings
from appliance.storage import project_fields, projects
from appliance.web import flash, shell, urls
from appliance.web.access import SiteAccess, check_may_add_sites, project_for, require_login, site_access, state_of
from appliance.web.forms import Fields, errors_of, get, page, post, read_form, see
from appliance.web.navigation import site_nav
from appliance.web.options import currency_options, timezone_options
from appliance.web.pages.setup import DEFAULT_CURRENCY, install_of
from appliance.web.strings import text
from appliance.web.views_admin import Confirm, ProjectView
from appliance.web.views_forms import Form

ABOUT_FIELDS = ("name", "domains", "timezone", "currency")
SWITCHES = ("hash_routing", "trust_stated_address")
FIELDS = (
    *ABOUT_FIELDS, "origins", "visit_timeout_minutes", "visit_window_minutes", *SWITCHES, "raw_retention_days",
)  # fmt: skip
CHOICES = ("visit_rule", "privacy_signal")  # which have no place for a sentence of their own


def routes() -> list[Route]:
    site = urls.SITES + "/{site}"
    return [
        get(urls.SITE_NEW, show_new),
        post(urls.SITE_NEW, create),
        get(site + "/settings", show),
        post(site + "/settings", change),
        post(site + "/settings/delete", delete),
        post(site + "/restore", restore),
    ]


# ---------------------------------------------------------------- a new site


async def show_new(request: Request) -> Response:
    check_may_add_sites((await require_login(request)).viewer)
    return await _new_page(request, {"currency": DEFAULT_CURRENCY, "timezone": "UTC"})


async def create(request: Request) -> Response:
    login = await require_login(request)
    check_may_add_sites(login.viewer)
    form = await read_form(request)
    try:
        made = await projects.create(
            state_of(request).db,
            name=form.text("name"),
            domains=form.lines("domains"),
            timezone=form.text("timezone") or "UTC",
            currency=form.text("currency") or DEFAULT_CURRENCY,
            owner_id=login.viewer.member_id,
            actor=login.account.email,
            at=clock.now(),
        )
    except Invalid as error:
        values = {name: form.text(name) for name in ABOUT_FIELDS}
        return await _new_page(request, values, errors_of(error, known=ABOUT_FIELDS), error.status)
    return see(urls.install(made.project))


async def _new_page(
    request: Request, values: dict[str, str], errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    view = ProjectView(
        shell=await shell.shell(request, text("project.new")),
        form=Form(action=urls.SITE_NEW, values=values, errors=errors or {}),
        new=True,
        timezones=timezone_options(values["timezone"]),
        currencies=currency_options(),
    )
    return await page(request, "admin/project.html", view, status)


# ---------------------------------------------------------------- a known one


async def show(request: Request) -> Response:
    access = await project_for(request, "admin")
    return await _settings_page(request, access, _values(access.project))


async def change(request: Request) -> Response:
    access = await project_for(request, "admin")
    form = await read_form(request)
    try:
        changed = await projects.update(
            state_of(request).db,
            access.project,
            name=form.text("name"),
            domains=form.lines("domains"),
            timezone=form.text("timezone"),
            currency=form.text("currency"),
            settings=_settings(form, access.project.settings),
            actor=(await require_login(request)).account.email,
            at=clock.now(),
        )
    except Invalid as error:
        errors = errors_of(error, {"visit_timeout_seconds": "visit_timeout_minutes"}, known=FIELDS)
        return await _settings_page(request, access, _sent(form), errors=errors, status=error.status)
    flash.say(request, "saved")
    return see(urls.settings(changed))


async def delete(request: Request) -> Response:
    """Only an owner deletes, and only after typing what the site is called."""
    access = await project_for(request, "owner")
    form = await read_form(request)
    phrase = shell.label(access.project)
    if form.text("confirm").strip().lower() != phrase.lower():
        error = f"Type {phrase} to delete the site."
        return await _settings_page(request, access, _values(access.project), delete_error=error, status=422)
    login = await require_login(request)
    await projects.delete(state_of(request).db, access.project, actor=login.account.email, at=clock.now())
    flash.say(request, "site_deleted", access.project.public_id)
    return see(urls.SITES)


async def restore(request: Request) -> Response:
    """The undo of a deletion. The site is known by its id alone now."""
    login, db = await require_login(request), state_of(request).db
    access = site_access(login.viewer, await projects.deleted(db, request.path_params["site"]), "owner")
    try:
        project = await projects.restore(db, access.project.public_id, actor=login.account.email, at=clock.now())
    except Invalid as error:
        if error.code != "taken":
            raise
        raise Forbidden(str(error), code="taken", status=409) from error
    flash.say(request, "site_restored")
    return see(urls.dashboard(project))


def _settings(form: Fields, now: ProjectSettings) -> ProjectSettings:
    low, high = project_fields.VISIT_TIMEOUT_SECONDS
    return msgspec.structs.replace(
        now,
        visit_timeout_seconds=_minutes(form, "visit_timeout_minutes", (low // 60, high // 60)) * 60,
        visit_rule=form.text("visit_rule") or now.visit_rule,  # checked by project_fields.settings, as the next
        visit_window_minutes=_minutes(form, "visit_window_minutes", project_fields.VISIT_WINDOW_MINUTES)
        if form.text("visit_window_minutes")
        else now.visit_window_minutes,
        origins=tuple(form.lines("origins")),
        privacy_signal=form.text("privacy_signal"),  # checked by project_fields.settings
        hash_routing=form.on("hash_routing"),
        trust_stated_address=form.on("trust_stated_address"),
        raw_retention_days=_days_kept(form.text("raw_retention_days").strip()),
    )


def _minutes(form: Fields, name: str, bounds: tuple[int, int]) -> int:
    """A number of minutes as typed. Raises Invalid."""
    low, high = bounds
    minutes = form.text(name).strip()
    if not (minutes.isascii() and minutes.isdigit()) or not low <= int(minutes[:9]) <= high:
        raise Invalid(f"Use a number from {low} to {high}.", code="out_of_range", field=name)
    return int(minutes)


def _days_kept(text: str) -> int:
    """Days as typed; nothing is for ever, but a 0 is not: who types it may mean the opposite."""
    if not text:
        return 0
    number = int(text[:9]) if text.isascii() and text.isdigit() else 0
    return project_fields.raw_retention_days(number or -1)


def _values(project: Project) -> dict[str, str]:
    settings = project.settings
    values = {
        "name": project.name,
        "domains": "\n".join(project.domains),
        "timezone": project.timezone,
        "currency": project.currency,
        "origins": "\n".join(settings.origins),
        "visit_rule": settings.visit_rule,
        "visit_timeout_minutes": f"{settings.visit_timeout_seconds / 60:g}",
        "visit_window_minutes": str(settings.visit_window_minutes),
        "privacy_signal": settings.privacy_signal,
        "raw_retention_days": str(settings.raw_retention_days or ""),
    }
    return values | {name: "on" for name in SWITCHES if getattr(settings, name)}


def _sent(form: Fields) -> dict[str, str]:
    """What was typed, to stand in the form again beside what is wrong with it."""
    values = {name: form.text(name) for name in (*FIELDS, *CHOICES) if name not in SWITCHES}
    return values | {name: "on" for name in SWITCHES if form.on(name)}


async def _settings_page(
    request: Request,
    access: SiteAccess,
    values: dict[str, str],
    *,
    errors: dict[str, str] | None = None,
    delete_error: str | None = None,
    status: int = 200,
) -> Response:
    project = access.project
    may_delete = access.role == "owner"
    confirm = Confirm(action=urls.site_delete(project), phrase=shell.label(project), error=delete_error)
    view = ProjectView(
        shell=await shell.shell(request, text("nav.general"), project, stream="none"),
        nav=site_nav(project, "general"),
        form=Form(action=urls.settings(project), values=values, errors=errors or {}),
        timezones=timezone_options(project.timezone),
        currencies=currency_options(),
        install=await install_of(request, project),
        delete=confirm if may_delete else None,
    )
    return await page(request, "admin/project.html", view, status)
