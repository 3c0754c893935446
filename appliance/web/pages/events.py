"""The event log of a site: what was stored, one by one, with the dashboard's period and filters.

before=   time.id of the event that the page begins after; without it the newest
at=       time.id of the one event of a page of its own, with all that was sent
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.clock import MICROSECONDS
from appliance.errors import Invalid, NotFound
from appliance.queries import event_log
from appliance.queries.conditions import PAGEVIEW_NAME
from appliance.queries.event_log import Cursor, Entry, Log
from appliance.queries.question import LIMIT_MAX
from appliance.queries.tabular import Cell, csv_bytes
from appliance.storage.dimensions import DIRECT
from appliance.web import dashboard_state, event_rows, report_page, urls
from appliance.web.access import state_of
from appliance.web.attended import reports_of
from appliance.web.dashboard_state import State
from appliance.web.downloads import download as to_file
from appliance.web.forms import get, page
from appliance.web.parts import parts_of
from appliance.web.shell import moment
from appliance.web.views_reports import EventsView

FILE_COLUMNS: Final = (
    "event", "page", "hostname", "title", "user", "source", "country", "browser", "os", "device",
)  # fmt: skip


def routes() -> list[Route]:
    site = urls.SITES + "/{site}"
    return [get(site + "/events", show), get(site + "/events.csv", download), get(site + "/event", show_event)]


async def show(request: Request) -> Response:
    access, state = await report_page.asked(request, "events")
    before = event_rows.read_cursor(request.query_params)
    try:
        log = await event_log.ask(reports_of(request), state.scope, before=before)
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    sent = await event_log.sent(state_of(request).db, state.project.id, log.entries)
    frame = await report_page.frame(request, access, state, csv=bool(log.entries), sampled=log.sampled)
    view = EventsView(
        shell=frame.shell,
        frame=frame,
        rows=event_rows.rows(state, log.entries, sent),
        newest_href=state.href() if before is not None else None,
        older_href=state.href(None, ("before", event_rows.written(log.older))) if log.older is not None else None,
    )
    return await page(request, "reports/events.html", view)


async def download(request: Request) -> Response:
    """Every line of the log, the newest first. What was sent along is in the export of events."""
    _, state = await report_page.asked(request, "events")
    reports = parts_of(request).reports

    async def lines(log: Log) -> AsyncGenerator[bytes, None]:
        yield csv_bytes([("time", *FILE_COLUMNS)])
        while True:
            yield csv_bytes(_cells(state, entry) for entry in log.entries)
            if log.older is None:
                return
            log = await event_log.ask(reports, state.scope, before=log.older, rows=LIMIT_MAX)

    try:
        first = await event_log.ask(reports_of(request), state.scope, rows=LIMIT_MAX)
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    return to_file(lines(first), state, "events", sampled=first.sampled)


def _cells(state: State, entry: Entry) -> Sequence[Cell]:
    time = moment(entry.time, state.project.timezone).replace(microsecond=entry.time % MICROSECONDS)
    texts = {**msgspec.structs.asdict(entry), "event": PAGEVIEW_NAME if entry.is_pageview else entry.name}
    texts |= {"page": entry.path or ("/" if entry.is_pageview else ""), "source": entry.source or DIRECT}
    return (time.isoformat(timespec="milliseconds"), *(texts[name] or None for name in FILE_COLUMNS))


async def show_event(request: Request) -> Response:
    """One event. Raises NotFound for one that is not among the matching ones of the period."""
    access, state = await report_page.asked(request, "events")
    at = event_rows.read_cursor(request.query_params, "at") or Cursor(0, 0)
    log_href = state.href()
    state = state.at("event").with_more(at=event_rows.written(at))
    try:
        log = await event_log.ask(reports_of(request), state.scope, before=at._replace(id=at.id + 1), rows=1)
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    if not log.entries or log.entries[0].cursor != at:
        raise NotFound("There is no such event in this period that passes the filters.")
    entry = log.entries[0]
    sent = await event_log.sent_with(state_of(request).db, state.project.id, entry)
    frame = await report_page.frame(request, access, state)
    (row,) = event_rows.rows(state, [entry], {entry.id: sent})
    view = EventsView(shell=frame.shell, frame=frame, rows=(replace(row, is_open=True),), newest_href=log_href)
    return await page(request, "reports/events.html", view)
