"""The figures of a page as CSV, with the page's own URL parameters: a dimension's values, or the chart's series.

A header row with the words of the API (`country`, `visitors`, `bounce_rate` in per cent, `visit_duration` in
seconds). A value that pages show by a name has its name in a column of its own.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.errors import Invalid
from appliance.queries import overview, timeseries
from appliance.queries.localtime import to_aware
from appliance.queries.metrics import Money
from appliance.queries.results import Row
from appliance.queries.tabular import Cell, csv_bytes
from appliance.web import cards, dashboard_state, labels, listing, urls
from appliance.web.asking import asked
from appliance.web.attended import reports_of, while_there
from appliance.web.downloads import cell, download, table_of
from appliance.web.forms import get
from appliance.web.listing import Page, Wanted
from appliance.web.pages.details import dimension_in
from appliance.web.parts import parts_of


def routes() -> list[Route]:
    site = urls.SITES + "/{site}"
    return [get(site + "/details/{dimension:path}.csv", details), get(site + "/series.csv", series)]


async def details(request: Request) -> Response:
    """All values of a dimension that the details' search finds, in the details' order."""
    _, state = await asked(request)
    dimension = dimension_in(request)
    wanted = listing.wanted(dimension, request.query_params)._replace(page=1)
    parts = parts_of(request)
    batches = listing.every(parts.reports.with_imported(parts.imported), state.scope, wanted)
    try:
        first = await while_there(request, anext(batches))
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    return download(_lines(wanted, first, batches), state, _plain(dimension), sampled=first.sampled)


async def series(request: Request) -> Response:
    """Every figure in every step of the chart, and the events; the time is the step's local start."""
    _, state = await asked(request)
    metrics = (*overview.METRICS, "events")
    try:
        table = await reports_of(request).answer(state.scope, timeseries.report(metrics, state.interval))
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    columns = [timeseries.points(table, metric) for metric in metrics]
    rows: list[Sequence[Cell]] = [("time", *metrics)]
    for points in zip(*columns, strict=True):
        start = to_aware(points[0].bucket.start, state.range.zone)
        rows.append((start.isoformat(), *(cell(point.value) for point in points)))
    return table_of(rows, state, state.interval, sampled=table.sampled)


async def _lines(wanted: Wanted, first: Page, more: AsyncIterator[Page]) -> AsyncGenerator[bytes, None]:
    dimension = wanted.dimension
    head = _plain(dimension)
    names = [f"{head}_name"] if labels.is_named(dimension) else []
    currency = ["currency"] if dimension == cards.GOALS else []
    yield csv_bytes([(head, *names, *cards.details_metrics(dimension), *currency)])
    yield csv_bytes(_cells(dimension, row) for row in first.rows)
    async for found in more:
        yield csv_bytes(_cells(dimension, row) for row in found.rows)


def _cells(dimension: str, row: Row) -> list[Cell]:
    value = row.labels[0]
    names = [labels.label(dimension, value)] if labels.is_named(dimension) else []
    cells = [value, *names, *map(cell, row.values)]
    if dimension == cards.GOALS:
        cells.append(next((figure.currency for figure in row.values if isinstance(figure, Money)), None))
    return cells


def _plain(dimension: str) -> str:
    """`visit:utm_source` -> `utm_source`; what an event and a visit call alike keeps both words."""
    return {"event:name": "event", "event:source": "event_source"}.get(dimension, dimension.partition(":")[2])
