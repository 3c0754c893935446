"""Retention: cohorts of visitors by when they first came, and how many of each came back.

by=              day, week, month; without one what suits the period
first=, back=    names of events: what makes a visitor new, and what counts as coming back; without one any event
"""

from collections.abc import Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.errors import Invalid
from appliance.queries import retention
from appliance.queries.intervals import Bucket, Interval, buckets
from appliance.queries.localtime import to_aware
from appliance.queries.retention import Cohorts, Retention
from appliance.queries.tabular import Cell
from appliance.web import dashboard_state, report_page, urls
from appliance.web.access import SiteAccess
from appliance.web.attended import reports_of
from appliance.web.downloads import table_of
from appliance.web.forms import get, page
from appliance.web.report_page import ReportState
from appliance.web.views import Choice
from appliance.web.views_reports import Cohort, RetentionView


def routes() -> list[Route]:
    path = urls.SITES + "/{site}/retention"
    return [get(path, show), get(path + ".csv", download)]


class Answer(NamedTuple):
    """The report, as it was asked for."""

    access: SiteAccess
    state: ReportState
    asked: Retention
    found: Cohorts
    steps: tuple[Bucket, ...]


async def show(request: Request) -> Response:
    access, state, asked, found, steps = await _answer(request)
    cohorts = found.cohorts
    try:
        names = await report_page.values_of(request, state, "event:name")
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    frame = await report_page.frame(request, access, state, "first", "back", csv=bool(cohorts), sampled=found.sampled)
    view = RetentionView(
        shell=frame.shell,
        frame=frame,
        interval=asked.interval,
        intervals=tuple(
            Choice(key=name, href=state.with_more(by=name).href(), active=name == asked.interval)
            for name in retention.intervals_of(state.range)
        ),
        cohorts=tuple(_cohort(each, steps, cohorts[0], state) for each in cohorts),
        average=retention.average(cohorts, steps),
        first=asked.first or "",
        back=asked.back or "",
        names=names,
    )
    return await page(request, "reports/retention.html", view)


async def download(request: Request) -> Response:
    """The table as a file: of each cohort the rates in per cent, as on the page, and the visitors behind them."""
    _, state, asked, found, steps = await _answer(request)
    cohorts = found.cohorts
    most = max((len(each.returned) for each in cohorts), default=0)
    names = [f"{asked.interval}_{after}" for after in range(most)]
    rows: list[Sequence[Cell]] = [("cohort", "visitors", *names, *(f"{name}_visitors" for name in names))]
    if cohorts:
        rows.append(("all", sum(each.size for each in cohorts), *retention.average(cohorts, steps), *[None] * most))
    for each in cohorts:
        day = to_aware(each.bucket.start, state.range.zone).date().isoformat()
        ahead = (None,) * (most - len(each.returned))
        rows.append((day, each.size, *each.rates, *ahead, *each.returned, *ahead))
    return table_of(rows, state, "retention", sampled=found.sampled)


async def _answer(request: Request) -> Answer:
    access, state = await report_page.asked(request, "retention")
    query = request.query_params
    by = report_page.one_of(query, "by", ("", *retention.INTERVALS))
    first, back = (report_page.words(query, name) for name in ("first", "back"))
    state = state.with_more(by=by, first=first, back=back)
    asked = Retention(_interval(state, by), first or None, back or None)
    try:
        found = await retention.ask(reports_of(request), state.scope, asked)
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    return Answer(access, state, asked, found, buckets(state.range, asked.interval))


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
