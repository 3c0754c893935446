"""A site's API keys. A private key is shown in the answer to the form that made it, and never again.

That answer is no redirect, because the key would have to be kept somewhere for the page after it. Sending the
form again makes no second key: its name is taken by then.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid, NotFound
from appliance.model import Key, Project
from appliance.storage import keys
from appliance.storage.keys import NewKey
from appliance.web import flash, shell, urls
from appliance.web.access import project_for, require_login, state_of
from appliance.web.forms import NO_STORE, errors_of, get, page, post, read_form, see
from appliance.web.navigation import site_nav
from appliance.web.strings import text
from appliance.web.views_admin import KeyRow, KeysView
from appliance.web.views_forms import Form

FIELDS = ("name", "kind", "scopes")
GRACES = ("0", "3600", "86400", "604800", "2592000")  # seconds for which a key that is replaced still holds


def routes() -> list[Route]:
    keys_of = urls.SITES + "/{site}/settings/keys"
    return [
        get(keys_of, show),
        post(keys_of, create),
        post(keys_of + "/rotate", replace),
        post(keys_of + "/{key:id}/revoke", revoke),
    ]


async def show(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    return await _keys_page(request, project)


async def create(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    form = await read_form(request)
    name, kind, scopes = form.text("name"), form.text("kind"), form.all("scopes")
    try:
        if not name.strip():
            raise Invalid("Give it a name, to know later what it is for.", code="required", field="name")
        if kind not in ("public", "private"):
            raise Invalid("Choose public or private.", code="unknown", field="kind")
        made = await keys.mint(
            state_of(request).db,
            project.public_id,
            "public" if kind == "public" else "private",
            name=name,
            scopes=scopes,
            actor=(await require_login(request)).account.email,
            at=clock.now(),
        )
    except NotFound:
        raise
    except Invalid as error:
        # The form's radio buttons and boxes have no place of their own for a sentence.
        errors = errors_of(error, known=("name",))
        values: dict[str, str | list[str]] = {"name": name, "kind": kind, "scopes": scopes}
        return await _keys_page(request, project, values=values, errors=errors, status=error.status)
    return await _keys_page(request, project, made=made)


async def replace(request: Request) -> Response:
    """A key by a new one, while the old one may still hold for a while. As when a key is made, the answer is no
    redirect for a private one; sent again, the form makes no second key, because the old one was replaced by then."""
    project = (await project_for(request, "admin")).project
    login = await require_login(request)
    form = await read_form(request)
    number, grace = form.text("key"), form.text("grace") or "0"
    seconds, actor, at = int(grace) if grace in GRACES else -1, login.account.email, clock.now()
    db = state_of(request).db
    try:
        if not number:
            made = await keys.rotate_public(db, project.public_id, grace_seconds=seconds, actor=actor, at=at)
        else:
            key_id = int(number) if number.isdecimal() and len(number) < 19 else 0
            made = await keys.rotate(db, project, key_id, grace_seconds=seconds, actor=actor, at=at)
    except NotFound:
        raise
    except Invalid as error:
        return await _keys_page(
            request, project, replacing=errors_of(error, known=("key", "grace")), status=error.status
        )
    if made.key.kind == "private":
        return await _keys_page(request, project, made=made)
    flash.say(request, "key_rotated")
    return see(urls.keys(project))


async def revoke(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    login = await require_login(request)
    await keys.revoke(
        state_of(request).db,
        project.id,
        request.path_params["key"],
        actor=login.account.email,
        at=clock.now(),
    )
    flash.say(request, "key_revoked")
    return see(urls.keys(project))


async def _keys_page(
    request: Request,
    project: Project,
    *,
    values: dict[str, str | list[str]] | None = None,
    errors: dict[str, str] | None = None,
    replacing: dict[str, str] | None = None,
    made: NewKey | None = None,
    status: int = 200,
) -> Response:
    found = await keys.list_of(state_of(request).db, project.id)
    live = [key for key in found if key.revoked_at is None and key.expires_at is None]
    view = KeysView(
        shell=await shell.shell(request, text("nav.keys"), project),
        nav=site_nav(project, "keys"),
        rows=tuple(_row(project, key) for key in found),
        form=Form(
            action=urls.keys(project),
            values=values or {"kind": "private", "scopes": ["read"]},
            errors=errors or {},
        ),
        replace=Form(action=urls.key_rotate(project), values={"grace": GRACES[2]}, errors=replacing or {}),
        replaceable=tuple((str(key.id), f"{key.name or key.prefix} ({text(f'key.kind.{key.kind}')})") for key in live),
        graces=tuple((grace, text(f"key.grace.{grace}")) for grace in GRACES),
        created=made.token if made else None,
        created_kind=made.key.kind if made else "private",
    )
    return await page(request, "admin/keys.html", view, status, NO_STORE)


def _row(project: Project, key: Key) -> KeyRow:
    live = key.holds(clock.now())
    zone = project.timezone
    return KeyRow(
        name=key.name or key.prefix,
        kind=key.kind,
        shown=key.token or key.prefix,
        scopes=key.scopes,
        created_at=shell.moment(key.created_at, zone),
        last_used_at=shell.moment(key.last_used_at, zone) if key.last_used_at is not None else None,
        revoked_at=shell.moment(key.revoked_at, zone) if key.revoked_at is not None else None,
        expires_at=shell.moment(key.expires_at, zone) if key.expires_at is not None else None,
        expired=not live and key.revoked_at is None,
        revoke_action=urls.key_revoke(project, key.id) if live else None,
    )
