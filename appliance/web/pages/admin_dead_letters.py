"""Events that the database refused: looked at, stored again, deleted."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.ingest.dead_letters import read_letter
from appliance.storage import dead_letters, projects
from appliance.storage.dead_letters import PAGE_ROWS, DeadLetter
from appliance.web import flash, shell, urls
from appliance.web.access import require_role, state_of
from appliance.web.forms import NO_STORE, get, page, post, read_form, see
from appliance.web.navigation import admin_nav
from appliance.web.strings import text
from appliance.web.views_admin import DeadLetterRow, DeadLettersView

RETRY = urls.ADMIN_DEAD_LETTERS + "/retry"
DELETE = urls.ADMIN_DEAD_LETTERS + "/delete"


def routes() -> list[Route]:
    return [get(urls.ADMIN_DEAD_LETTERS, show), post(RETRY, retry), post(DELETE, delete)]


async def show(request: Request) -> Response:
    await require_role(request, "admin")
    db = state_of(request).db
    asked = request.query_params.get("before", "")
    before = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else None
    found = await dead_letters.newest(db, before=before)
    names = {project.id: project.name for project in await projects.list_all(db)}
    view = DeadLettersView(
        shell=await shell.shell(request, text("nav.dead_letters")),
        nav=admin_nav("dead_letters"),
        rows=tuple(_row(letter, names.get(letter.project_id, "")) for letter in found),
        retry_action=RETRY,
        delete_action=DELETE,
        older_href=f"{urls.ADMIN_DEAD_LETTERS}?before={found[-1].id}" if len(found) == PAGE_ROWS else None,
    )
    return await page(request, "admin/dead_letters.html", view, headers=NO_STORE)


async def retry(request: Request) -> Response:
    actor, letter_id = await _asked(request)
    await dead_letters.ask_to_retry(state_of(request).db, letter_id, actor=actor, at=clock.now())
    flash.say(request, "letters_retried")
    return see(urls.ADMIN_DEAD_LETTERS)


async def delete(request: Request) -> Response:
    actor, letter_id = await _asked(request)
    await dead_letters.delete(state_of(request).db, letter_id, actor=actor, at=clock.now())
    flash.say(request, "letters_deleted")
    return see(urls.ADMIN_DEAD_LETTERS)


async def _asked(request: Request) -> tuple[str, int | None]:
    """Who asks, and for which one; None: all."""
    login = await require_role(request, "admin")
    letter = (await read_form(request)).text("letter")
    if not letter:
        return login.account.email, None
    return login.account.email, int(letter) if letter.isascii() and letter.isdigit() and len(letter) < 19 else 0


def _row(letter: DeadLetter, site: str) -> DeadLetterRow:
    try:
        event = read_letter(letter.event)
    except ValueError:
        name = page_ = ""
    else:
        name, page_ = event.name, event.hostname + event.path
    return DeadLetterRow(
        id=letter.id,
        at=shell.moment(letter.at),
        site=site,
        name=name,
        page=page_,
        error=letter.error,
        waiting=letter.retry_at is not None,
    )
