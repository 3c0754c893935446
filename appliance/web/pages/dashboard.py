"""A site's dashboard: the page, its fragment `#dash`, and the parts that swap alone.

Each request is one question to the engine. A fragment's errors leave the page as it is: the browser says so.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import ChunkDamaged, Invalid, NotFound, RawPurged, Unavailable
from appliance.queries import breakdown, overview, properties, timeseries
from appliance.queries.filters import EVERYTHING
from appliance.queries.question import Report, Scope
from appliance.queries.results import Table
from appliance.queries.segments import names_segments
from appliance.web import cards, dashboard_state, shell, urls
from appliance.web.access import SiteAccess, project_for
from appliance.web.asking import asked, state_in_doubt
from appliance.web.attended import reports_of
from appliance.web.dashboard_state import State
from appliance.web.dashboard_view import Counted, dashboard_view, panel_view
from appliance.web.forms import get, page, rendered, see
from appliance.web.pages.setup import install_of
from appliance.web.parts import parts_of
from appliance.web.rendering import FRAGMENT_HEADERS, wants_fragment
from appliance.web.views import Banner, DashboardView, Install, Panel, Shell
from appliance.web.views_forms import Form

log = structlog.get_logger(__name__)

PURGED: Final = "Raw data of this period are purged: only unfiltered counts of whole days are kept."

LAG_SECONDS_TOLD = 60
DISK_FREE_BYTES_TOLD = 500 << 20
PAGE_HEADERS = {"Vary": "HX-Request"}


def routes() -> list[Route]:
    site = urls.SITES + "/{site}"
    return [get(site, show), get(site + "/main", show_main), get(site + "/panel/{card}", show_panel)]


async def show(request: Request) -> Response:
    """The page, or `#dash` alone for a swap."""
    return await shown(request)


async def shown(request: Request, save: Form | None = None, status: int = 200) -> Response:
    """The same; `save` is the form that keeps the filters, where it was sent and something is wrong with it."""
    try:
        access, state = await asked(request)
        has_data = state.first_event is not None
        frame = await frame_of(request, access)
        counted = await count(request, state, state.cards_shown) if has_data else None
    except (Unavailable, ChunkDamaged) as error:
        return await _failed(request, error)
    install = None if has_data else await _install(request, access)
    may_save = access.viewer.may("admin", access.project.id) and state.parts
    if may_save and not names_segments(state.view.filter):
        save = save or Form(action=state.href(urls.segment_save(access.project)))
    view = dashboard_view(frame, state, counted, install=install)
    return await _answer(request, replace(view, save=save), status)


async def show_main(request: Request) -> Response:
    """The card of figures and chart alone."""
    access, state = await asked(request)
    if not wants_fragment(request.headers) or state.first_event is None:
        return see(state.href())
    counted = await count(request, state)
    view = dashboard_view(shell.bare(request, shell.label(access.project)), state, counted)
    return await page(request, "dashboard/_main.html", view, headers=FRAGMENT_HEADERS)


async def show_panel(request: Request) -> Response:
    """A card below the chart alone. What fails says so in the card, with a way to try again."""
    access = await project_for(request)
    in_doubt = await state_in_doubt(request, access)
    card = in_doubt.card(request.path_params["card"])
    if card is None:
        raise NotFound("There is no such card.")
    if not wants_fragment(request.headers):
        return see(in_doubt.href())
    try:
        state = (await asked(request)).state
        known = await properties_of(request, state, [card])
        reports = [overview.REPORT, cards.report(cards.chosen(state.tab(card), known))]
        ((whole, table),) = await reports_of(request).ask_kept([(state.scope, reports)])
        if whole is None:
            raise RawPurged(PURGED)
    except (Unavailable, ChunkDamaged) as error:
        log.warning("a card could not be loaded", card=card.key, code=error.code, error=str(error))
        panel = panel_view(in_doubt, card, None, 0, failed=True)
        return await _panel(request, panel, {**FRAGMENT_HEADERS, "Cache-Control": "no-store"})
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    goals_href = urls.goals(access.project) if access.viewer.may("admin", access.project.id) else None
    visitors = breakdown.visitors(whole)
    panel = panel_view(state, card, table, visitors, goals_href=goals_href, properties=known, purged=table is None)
    return await _panel(request, panel, FRAGMENT_HEADERS)


async def count(request: Request, state: State, panels: Sequence[cards.Card] = ()) -> Counted:
    """Ask for what a dashboard, or its main card, shows. Raises Unavailable; Invalid with status 400.

    While a period runs, its figures are compared with as much of the other one; the chart shows all of that.
    """
    series = timeseries.report((state.metric,), state.interval)
    known = await properties_of(request, state, panels)
    lists = [cards.report(cards.chosen(state.tab(card), known)) for card in panels]
    here: list[Report] = [overview.REPORT, series, *lists]
    asking: list[tuple[Scope, list[Report]]] = [(state.scope, here)]
    before, so_far = state.compared, state.compared_so_far
    if before is not None and so_far is not None:
        scope = msgspec.structs.replace(state.scope, range=before)
        if so_far == before:
            asking.append((scope, [overview.REPORT, series]))
        else:
            asking += [(msgspec.structs.replace(scope, range=so_far), [overview.REPORT]), (scope, [series])]
    try:
        (figures, points, *tables), *others = await reports_of(request).ask_kept(asking)
        if figures is None or points is None:
            raise RawPurged(PURGED)
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    earlier = [table for tables in others for table in tables]
    figures_before, points_before = earlier or (None, None)
    return Counted(
        overview.figures(figures, figures_before),
        timeseries.points(points, state.metric, points_before),
        tuple(tables),
        breakdown.visitors(figures),
        known,
        figures.sampled,
        await _imported(request, state, figures),
    )


async def _imported(request: Request, state: State, figures: Table) -> Literal["included", "left_out"] | None:
    """What became of imported figures of the period: under a filter they are left out."""
    if figures.imported:
        return "included"
    if state.scope.filter == EVERYTHING:
        return None
    unfiltered = msgspec.structs.replace(state.scope, filter=EVERYTHING)
    missing = await parts_of(request).imported.why_not(unfiltered, overview.REPORT)
    return "left_out" if missing is None else None


async def properties_of(request: Request, state: State, panels: Sequence[cards.Card]) -> tuple[str, ...]:
    """The properties that events in the scope have, where one of these cards lists them. Raises Unavailable; Invalid
    with status 400."""
    if not any(cards.lists_properties(state.tab(card)) for card in panels):
        return ()
    try:
        ((table,),) = await reports_of(request).ask_kept([(state.scope, [properties.REPORT])])
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    return properties.dimensions(table) if table is not None else ()


async def frame_of(request: Request, access: SiteAccess) -> Shell:
    """The frame of a site's pages, with the people now and what is wrong."""
    parts, project = parts_of(request), access.project
    frame = await shell.shell(request, shell.label(project), project, stream="none")
    return replace(
        frame,
        live=parts.presence.people(project.id, clock.now()),
        banners=_banners(request, may_admin=access.viewer.may("admin")),
    )


def _banners(request: Request, *, may_admin: bool) -> tuple[Banner, ...]:
    health = parts_of(request).health()
    banners = []
    if health.lag_seconds > LAG_SECONDS_TOLD:
        banners.append(Banner(key="delayed", level="warn", value=health.lag_seconds))
    if may_admin and health.disk_free_bytes < DISK_FREE_BYTES_TOLD:
        banners.append(Banner(key="disk_low", level="error", value=health.disk_free_bytes))
    return tuple(banners)


async def _install(request: Request, access: SiteAccess) -> Install:
    install = await install_of(request, access.project)
    may_send = access.viewer.may("admin", access.project.id)
    return install if may_send else replace(install, test_action=None)


async def _failed(request: Request, error: Unavailable | ChunkDamaged) -> Response:
    """The page without figures: the controls still lead to a question that can be answered."""
    log.warning("the dashboard could not be counted", code=error.code, error=str(error))
    access = await project_for(request)
    frame, state = await frame_of(request, access), await state_in_doubt(request, access)
    failure = str(error) if isinstance(error, ChunkDamaged) else ""
    view = dashboard_view(frame, state, None, failed=True, failure=failure)
    response = await _answer(request, view, status=503)
    response.headers["cache-control"] = "no-store"
    if isinstance(error, Unavailable):
        response.headers["retry-after"] = str(error.retry_after_seconds)
    return response


async def _answer(request: Request, view: DashboardView, status: int = 200) -> Response:
    if wants_fragment(request.headers):
        html = await rendered(request, "dashboard/_dash.html", view, fragment=True)
        return HTMLResponse(html, status, FRAGMENT_HEADERS)
    return await page(request, "dashboard/page.html", view, status, PAGE_HEADERS)


async def _panel(request: Request, panel: Panel, headers: dict[str, str]) -> Response:
    return HTMLResponse(await rendered(request, "dashboard/_panel.html", None, panel=panel), headers=headers)
