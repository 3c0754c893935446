"""Journeys: what visits do before and after a page or an event.

on=, step=   `page` with a path (`*` stands for anything but a slash, `**` for anything), or `event` with a name;
             without one the most visited page
custom=1     custom events are places too, not page views alone
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.errors import Invalid
from appliance.queries import journeys
from appliance.queries.journeys import Around, Journey
from appliance.queries.selection import percent
from appliance.web import dashboard_state, report_page, urls
from appliance.web.forms import get, page
from appliance.web.parts import parts_of
from appliance.web.report_page import ON, ReportState, page_or_event
from appliance.web.views_reports import JourneyColumn, JourneyPlace, JourneysView


def routes() -> list[Route]:
    return [get(urls.SITES + "/{site}/journeys", show)]


async def show(request: Request) -> Response:
    access, state = await report_page.asked(request, "journeys")
    query = request.query_params
    on, step = report_page.one_of(query, "on", ON), report_page.words(query, "step")
    with_events = query.get("custom") == "1"
    reports, around = parts_of(request).reports, None
    try:
        pages = await report_page.values_of(request, state, "event:page")
        names = await report_page.values_of(request, state, "event:name")
        if not step and pages:
            on, step = "page", pages[0]
        if step:
            around = await journeys.ask(reports, state.scope, Journey(page_or_event(on, step), with_events))
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    state = state.with_more(on=on if step else "", step=step, custom="1" if with_events else "")
    frame = await report_page.frame(request, access, state, "on", "step", "custom")
    view = JourneysView(
        shell=frame.shell,
        frame=frame,
        on=on,
        step=step,
        with_events=with_events,
        visits=around.visits if around is not None else 0,
        columns=_columns(state, around) if around is not None and around.visits else (),
        offered=tuple(dict.fromkeys((*pages, *names))),
    )
    return await page(request, "reports/journeys.html", view)


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
