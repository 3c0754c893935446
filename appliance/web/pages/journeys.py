"""Journeys: what visits do before and after a page or an event.

on=, step=   `page` with a path (`*` stands for anything but a slash, `**` for anything), or `event` with a name;
             without one the most visited page
custom=1     custom events are places too, not page views alone
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.errors import Invalid
from appliance.queries import journeys
from appliance.queries.journeys import Around, Distance, Journey
from appliance.queries.selection import percent
from appliance.queries.tabular import Cell
from appliance.web import dashboard_state, report_page, urls
from appliance.web.access import SiteAccess
from appliance.web.attended import reports_of
from appliance.web.downloads import table_of
from appliance.web.forms import get, page
from appliance.web.report_page import ON, ReportState, page_or_event
from appliance.web.views_reports import JourneyColumn, JourneyPlace, JourneysView


def routes() -> list[Route]:
    path = urls.SITES + "/{site}/journeys"
    return [get(path, show), get(path + ".csv", download)]


class Answer(NamedTuple):
    """The report, as it was asked for; `around` is None where there is nothing to look at."""

    access: SiteAccess
    state: ReportState
    on: str
    step: str
    with_events: bool
    around: Around | None
    pages: tuple[str, ...]  # the most visited ones

    @property
    def sampled(self) -> bool:
        """Whether it rests on sampled data."""
        return self.around is not None and self.around.sampled


async def show(request: Request) -> Response:
    found = await _answer(request)
    access, state, on, step, with_events, around, pages = found
    try:
        names = await report_page.values_of(request, state, "event:name")
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    columns = _columns(state, around) if around is not None and around.visits else ()
    frame = await report_page.frame(
        request, access, state, "on", "step", "custom", csv=bool(columns), sampled=found.sampled
    )
    view = JourneysView(
        shell=frame.shell,
        frame=frame,
        on=on,
        step=step,
        with_events=with_events,
        visits=around.visits if around is not None else 0,
        columns=columns,
        offered=tuple(dict.fromkeys((*pages, *names))),
    )
    return await page(request, "reports/journeys.html", view)


async def download(request: Request) -> Response:
    """The columns as a file: how far from the chosen place, what was there, and how many visits.

    `kind` is `page` or `event`; `elsewhere` for all less visited places; `outside` for visits that had not begun yet or
    were over.
    """
    answer = await _answer(request)
    _, state, on, step, _, around, _ = answer
    rows: list[Sequence[Cell]] = [("distance", "kind", "place", "visits", "percentage")]
    if around is not None and around.visits:
        for distance, found in around.distances.items():
            if distance == 1:
                rows.append((0, on, step, around.visits, 100.0))
            rows.extend(_lines(around, distance, found))
    return table_of(rows, state, "journeys", sampled=answer.sampled)


def _lines(around: Around, distance: int, found: Distance) -> Iterator[Sequence[Cell]]:
    places: list[tuple[str, str | None, int]]
    places = [("event" if place.is_event else "page", place.label, place.visits) for place in found.places]
    places += [("elsewhere", None, found.others), ("outside", None, around.missing(distance))]
    for kind, label, visits in places:
        if visits:
            yield (distance, kind, label, visits, percent(visits, around.visits))


async def _answer(request: Request) -> Answer:
    access, state = await report_page.asked(request, "journeys")
    query = request.query_params
    on, step = report_page.one_of(query, "on", ON), report_page.words(query, "step")
    with_events = query.get("custom") == "1"
    reports, around = reports_of(request), None
    try:
        pages = await report_page.values_of(request, state, "event:page")
        if not step and pages:
            on, step = "page", pages[0]
        if step:
            around = await journeys.ask(reports, state.scope, Journey(page_or_event(on, step), with_events))
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    state = state.with_more(on=on if step else "", step=step, custom="1" if with_events else "")
    return Answer(access, state, on, step, with_events, around, pages)


def _columns(state: ReportState, around: Around) -> tuple[JourneyColumn, ...]:
    columns = []
    for distance, found in around.distances.items():
        places = tuple(
            JourneyPlace(
                label=place.label,
                is_event=place.is_event,
                visits=place.visits,
                rate=percent(place.visits, around.visits),
                href=state.with_more(on="event" if place.is_event else "page", step=place.label).href(),
            )
            for place in found.places
        )
        columns.append(
            JourneyColumn(
                distance=distance,
                places=places,
                others=found.others,
                others_rate=percent(found.others, around.visits),
                missing=around.missing(distance),
                missing_rate=percent(around.missing(distance), around.visits),
            )
        )
    return tuple(columns)
