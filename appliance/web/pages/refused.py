"""What was filtered or refused on a site in the last 48 hours, and why; what was filtered can be let in."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.ingest.refusals import Refusal, Wanted
from appliance.model import Project
from appliance.storage import exclusions
from appliance.web import filtered, flash, shell, urls
from appliance.web.access import project_for, require_login
from appliance.web.forms import get, page, post, read_form, see
from appliance.web.navigation import site_nav
from appliance.web.parts import Parts, parts_of
from appliance.web.strings import text
from appliance.web.views import Hidden, Pager
from appliance.web.views_sending import LetInForm, RefusedRow, RefusedView

PAGE_ROWS = 100
NUMBER_DIGITS_MAX = 18


def routes() -> list[Route]:
    path = urls.SITES + "/{site}/settings/refused"
    return [get(path, show), post(path + "/let-in", let_in)]


async def show(request: Request) -> Response:
    access = await project_for(request)
    project, parts, now = access.project, parts_of(request), clock.now()
    wanted, number = _wanted(request.query_params), _number(request.query_params.get("page", "")) or 1
    every = list(parts.refusals.every(project.id, now))
    found = [refusal for refusal in every if wanted.holds(refusal)] if wanted != Wanted() else every
    first = (number - 1) * PAGE_ROWS
    shown = found[first : first + PAGE_ROWS]
    may_change = access.viewer.may("admin", project.id)
    # A rule may be an address, which not everybody is to see.
    known = await exclusions.of_project(parts.db, project.id) if may_change else ()
    rules = {rule.id: rule.value for rule in known}
    view = RefusedView(
        shell=await shell.shell(request, text("nav.refused"), project),
        nav=site_nav(project, "refused"),
        rows=tuple(_row(parts, project, refusal, rules) for refusal in shown),
        reasons=filtered.reasons(project, every),
        reason=wanted.reason,
        all_href=urls.refused(project),
        rule=(rules.get(wanted.rule) or str(wanted.rule)) if wanted.rule else "",
        search=wanted.text,
        search_action=urls.refused(project),
        hidden=tuple(pair for pair in _hidden(wanted) if pair[0] != "search"),
        let_in=_let_in_form(parts, project, wanted, found) if may_change else None,
        filters_href=urls.filters(project) if may_change else None,
        pager=_pager(project, wanted, number, first, len(shown), len(found)) if len(found) > PAGE_ROWS else None,
    )
    return await page(request, "admin/refused.html", view)


async def let_in(request: Request) -> Response:
    """Lets in what the list showed, none that came since."""
    project = (await project_for(request, "admin")).project
    form = await read_form(request)
    wanted = _wanted({name: form.text(name) for name in ("reason", "rule", "search", "newest")})
    actor = (await require_login(request)).account.email
    done = await parts_of(request).let_in(project, wanted, actor)
    flash.say(request, "let_in" if done.events else "let_in_none", str(done.events))
    return see(filtered.href(project, reason=wanted.reason, rule=wanted.rule, search=wanted.text))


def _wanted(query: Mapping[str, str]) -> Wanted:
    return Wanted(
        reason=query.get("reason", ""),
        rule=_number(query.get("rule", "")),
        text=query.get("search", "").strip(),
        newest=_number(query.get("newest", "")),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX else 0


def _hidden(wanted: Wanted) -> Hidden:
    pairs = (("reason", wanted.reason), ("rule", wanted.rule), ("search", wanted.text), ("newest", wanted.newest))
    return tuple((name, str(value)) for name, value in pairs if value)


def _row(parts: Parts, project: Project, refusal: Refusal, rules: Mapping[int, str]) -> RefusedRow:
    if refusal.let_in:
        state = "let_in"
    elif refusal.kept:
        state = "kept" if parts.refusals.has_event(refusal) else "gone"
    else:
        state = ""
    return RefusedRow(
        at=shell.moment(refusal.at, project.timezone),
        verdict="dropped" if refusal.verdict == "dropped" else "rejected",
        reason=refusal.reason,
        rule=rules.get(refusal.rule, ""),
        message=refusal.message,
        name=refusal.name,
        page=refusal.page,
        dialect=refusal.dialect,
        times=refusal.times,
        state=state,  # type: ignore[arg-type]
    )


def _let_in_form(parts: Parts, project: Project, wanted: Wanted, found: list[Refusal]) -> LetInForm | None:
    """None where nothing of the list was ever kept to be let in."""
    waiting = [refusal for refusal in found if refusal.kept and not refusal.let_in]
    if not waiting:
        return None
    kept = sum(parts.refusals.has_event(refusal) for refusal in waiting)
    return LetInForm(
        action=urls.refused_let_in(project),
        kept=kept,
        gone=len(waiting) - kept,
        hidden=_hidden(wanted._replace(newest=found[0].number)),
    )


def _pager(project: Project, wanted: Wanted, number: int, first: int, rows: int, total: int) -> Pager:
    def href(page_number: int) -> str:
        return filtered.href(project, reason=wanted.reason, rule=wanted.rule, search=wanted.text, page=page_number)

    return Pager(
        first=first + 1,
        last=first + rows,
        total=total,
        previous_href=href(number - 1) if number > 1 else None,
        next_href=href(number + 1) if first + rows < total else None,
    )
