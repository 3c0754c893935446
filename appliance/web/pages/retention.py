"""Retention: cohorts of visitors by when they first came, and how many of each came back.

by=              day, week, month; without one what suits the period
first=, back=    names of events: what makes a visitor new, and what counts as coming back; without one any event
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.errors import Invalid
from appliance.queries import retention
from appliance.queries.intervals import Bucket, Interval, buckets
from appliance.queries.localtime import to_aware
from appliance.queries.retention import Retention
from appliance.web import dashboard_state, report_page, urls
from appliance.web.forms import get, page
from appliance.web.parts import parts_of
from appliance.web.report_page import ReportState
from appliance.web.views import Choice
from appliance.web.views_reports import Cohort, RetentionView


def routes() -> list[Route]:
    return [get(urls.SITES + "/{site}/retention", show)]


async def show(request: Request) -> Response:
    access, state = await report_page.asked(request, "retention")
    query = request.query_params
    by = report_page.one_of(query, "by", ("", *retention.INTERVALS))
    first, back = (report_page.words(query, name) for name in ("first", "back"))
    state = state.with_more(by=by, first=first, back=back)
    interval = _interval(state, by)
    try:
        cohorts = await retention.ask(
            parts_of(request).reports, state.scope, Retention(interval, first or None, back or None)
        )
        names = await report_page.values_of(request, state, "event:name")
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    frame = await report_page.frame(request, access, state, "first", "back")
    steps = buckets(state.range, interval)
    view = RetentionView(
        shell=frame.shell,
        frame=frame,
        interval=interval,
        intervals=tuple(
            Choice(key=name, href=state.with_more(by=name).href(), active=name == interval)
            for name in retention.intervals_of(state.range)
        ),
        cohorts=tuple(_cohort(each, steps, cohorts[0], state) for each in cohorts),
        average=retention.average(cohorts, steps),
        first=first,
        back=back,
        names=names,
    )
    return await page(request, "reports/retention.html", view)


def _interval(state: ReportState, by: str) -> Interval:
    """As asked, or where that does not fit the period, the one that does."""
    valid = retention.intervals_of(state.range)
    return next((name for name in valid if name == by), retention.default_interval(state.range))


def _cohort(
    cohort: retention.Cohort, steps: tuple[Bucket, ...], longest: retention.Cohort, state: ReportState
) -> Cohort:
    ahead = (None,) * (len(longest.returned) - len(cohort.returned))
    return Cohort(
        start=to_aware(cohort.bucket.start, state.range.zone),
        size=cohort.size,
        rates=(*cohort.rates, *ahead),
        counts=(*cohort.returned, *ahead),
        incomplete=not cohort.is_whole(steps, len(cohort.returned) - 1),
    )
