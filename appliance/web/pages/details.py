"""All values of a dimension with all their figures: a dialog over the dashboard, or a page of its own.

search=      keeps the values that contain a text
sort=, dir=  a column (`value` is the first), `asc` or `desc`; without them the first figure, the largest first
page=        from 1
"""

from typing import Literal

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from appliance.errors import Invalid, NotFound
from appliance.queries.dimensions import dimension as find_dimension
from appliance.web import cards, dashboard_state, listing, shell, urls
from appliance.web.asking import asked
from appliance.web.attended import reports_of
from appliance.web.controls import chips, period_menu
from appliance.web.dashboard_state import State
from appliance.web.dashboard_view import row
from appliance.web.forms import get, page, rendered
from appliance.web.listing import BY_VALUE, PAGE_ROWS, Page, Wanted
from appliance.web.pages.dashboard import PAGE_HEADERS
from appliance.web.rendering import FRAGMENT_HEADERS, tab_label, wants_fragment
from appliance.web.views import Pager, Shell, Tab
from appliance.web.views_lists import Column, DetailsView


def routes() -> list[Route]:
    return [get(urls.SITES + "/{site}/details/{dimension:path}", show)]


async def show(request: Request) -> Response:
    access, state = await asked(request)
    dimension = dimension_in(request)
    wanted = listing.wanted(dimension, request.query_params)
    try:
        found = await listing.ask(reports_of(request), state.scope, wanted)
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    title = f"{tab_label(dimension)} · {shell.label(access.project)}"
    if wants_fragment(request.headers):
        view = details_view(shell.bare(request, title), state, wanted, found)
        html = await rendered(request, "details/_dialog.html", view)
        return HTMLResponse(html, headers=FRAGMENT_HEADERS)
    frame = await shell.shell(request, title, access.project)
    return await page(request, "details/page.html", details_view(frame, state, wanted, found), headers=PAGE_HEADERS)


def dimension_in(request: Request) -> str:
    """The dimension that the path names. Raises NotFound."""
    dimension: str = request.path_params["dimension"]
    if dimension == cards.GOALS:
        return dimension
    try:
        return find_dimension(dimension).name
    except Invalid:
        raise NotFound(f"There are no details of {dimension!r}.") from None


def details_view(frame: Shell, state: State, wanted: Wanted, found: Page) -> DetailsView:
    dimension = wanted.dimension
    path = urls.details(state.project, dimension)
    metrics = cards.details_metrics(dimension)
    return DetailsView(
        shell=frame,
        dimension=dimension,
        period=period_menu(state),
        chips=chips(state),
        variants=_variants(state, dimension),
        value_column=_column(state, wanted, BY_VALUE),
        columns=tuple(_column(state, wanted, metric) for metric in metrics),
        rows=tuple(row(state, dimension, line.labels[0], line.values) for line in found.rows),
        search=wanted.search,
        search_action=path,
        hidden=(*state.parameters(), *_order(wanted)),
        pager=_pager(state, wanted, found),
        csv_href=state.href(urls.details_csv(state.project, dimension), *_search(wanted), *_order(wanted)),
        close_href=state.href(),
        sampled=found.sampled,
        imported=found.imported,
    )


def _variants(state: State, dimension: str) -> tuple[Tab, ...]:
    """The other lists of the same card."""
    card = cards.card_of(dimension, state.cards_shown)
    keys = [key for key in cards.keys(card) if key not in (cards.MAP, cards.PROPERTIES)] if card is not None else []
    hrefs = [(key, state.href(urls.details(state.project, key))) for key in keys]
    if len(hrefs) < 2:
        return ()
    return tuple(Tab(key=key, href=href, fragment_href=href, active=key == dimension) for key, href in hrefs)


def _column(state: State, wanted: Wanted, name: str) -> Column:
    """A column's head: ordering by it turns the order round when it is ordered by already."""
    is_sorted = wanted.sort == name
    turned = not wanted.descending if is_sorted else name != BY_VALUE
    direction: Literal["ascending", "descending"] = "descending" if wanted.descending else "ascending"
    return Column(
        metric=name,
        sort_href=_href(state, wanted._replace(sort=name, descending=turned, page=1)),
        sorted=direction if is_sorted else None,
    )


def _pager(state: State, wanted: Wanted, found: Page) -> Pager:
    before = (wanted.page - 1) * PAGE_ROWS
    last = before + len(found.rows)
    return Pager(
        first=before + 1 if found.rows else 0,
        last=last if found.rows else 0,
        total=found.total,
        previous_href=_href(state, wanted._replace(page=wanted.page - 1)) if wanted.page > 1 else None,
        next_href=_href(state, wanted._replace(page=wanted.page + 1)) if last < found.total else None,
    )


def _href(state: State, wanted: Wanted) -> str:
    number = [("page", str(wanted.page))] if wanted.page > 1 else []
    path = urls.details(state.project, wanted.dimension)
    return state.href(path, *_search(wanted), *_order(wanted), *number)


def _search(wanted: Wanted) -> list[tuple[str, str]]:
    return [("search", wanted.search)] if wanted.search else []


def _order(wanted: Wanted) -> list[tuple[str, str]]:
    """The parameters of an order that is not the usual one."""
    if wanted.sort == cards.details_metrics(wanted.dimension)[0] and wanted.descending:
        return []
    return [("sort", wanted.sort), ("dir", "desc" if wanted.descending else "asc")]
