"""Identified users of a site: the list, and one user with their visits and events.

search=   keeps the users that contain a text
before=   last_seen:user that a page of the list begins after; on a user's page time.id of an event
user=     whose page it is
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.errors import Invalid
from appliance.queries import event_log, users
from appliance.queries.tabular import Cell, csv_bytes
from appliance.queries.users import Cursor, User, Users
from appliance.web import dashboard_state, event_rows, report_page, urls
from appliance.web.access import state_of
from appliance.web.attended import reports_of
from appliance.web.dashboard_state import State
from appliance.web.downloads import download as to_file
from appliance.web.forms import get, page
from appliance.web.parts import parts_of
from appliance.web.report_page import bad
from appliance.web.shell import moment
from appliance.web.views_reports import UserRow, UsersView, UserView

TRAITS_LISTED: Final = 3
FILE_ROWS: Final = 500  # of a file at a time; their traits are asked for by name


def routes() -> list[Route]:
    site = urls.SITES + "/{site}"
    return [get(site + "/users", show), get(site + "/users.csv", download), get(site + "/user", show_user)]


async def show(request: Request) -> Response:
    access, state = await report_page.asked(request, "users")
    search = report_page.words(request.query_params, "search")
    before = _cursor(request.query_params)
    state = state.with_more(search=search)
    try:
        found = await users.ask(reports_of(request), state.scope, before=before, search=search)
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    stated = await users.traits(state_of(request).db, state.project.id, [user.user for user in found.users])
    frame = await report_page.frame(request, access, state, "search", csv=bool(found.users), sampled=found.sampled)
    view = UsersView(
        shell=frame.shell,
        frame=frame,
        rows=tuple(_row(state, user, stated.get(user.user, {}), TRAITS_LISTED) for user in found.users),
        search=search,
        newest_href=state.href() if before is not None else None,
        older_href=(
            state.href(None, ("before", f"{found.older.last_seen}:{found.older.user}"))
            if found.older is not None
            else None
        ),
    )
    return await page(request, "reports/users.html", view)


async def download(request: Request) -> Response:
    """Every user that the search finds, the last seen first, with all that was stated as JSON."""
    _, state = await report_page.asked(request, "users")
    search = report_page.words(request.query_params, "search")
    reports, database = parts_of(request).reports, state_of(request).db

    async def lines(found: Users) -> AsyncGenerator[bytes, None]:
        yield csv_bytes([("user", "first_seen", "last_seen", "visits", "events", "traits")])
        while True:
            stated = await users.traits(database, state.project.id, [user.user for user in found.users])
            yield csv_bytes(_cells(state, user, stated.get(user.user)) for user in found.users)
            if found.older is None:
                return
            found = await users.ask(reports, state.scope, before=found.older, search=search, rows=FILE_ROWS)

    try:
        first = await users.ask(reports_of(request), state.scope, search=search, rows=FILE_ROWS)
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    return to_file(lines(first), state, "users", sampled=first.sampled)


async def show_user(request: Request) -> Response:
    """One user. For one without a matching event in the period it is 404, unless filters may be the reason."""
    access, state = await report_page.asked(request, "users")
    name = report_page.words(request.query_params, "user")
    before = event_rows.read_cursor(request.query_params)
    reports, database = reports_of(request), state_of(request).db
    users_href = state.href()
    state = state.at("user").with_more(user=name)
    try:
        found = await users.ask(reports, state.scope, user=name)
        log = await event_log.ask(reports, state.scope, before=before, user=name)
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    sent = await event_log.sent(database, state.project.id, log.entries)
    stated = await users.traits(database, state.project.id, [name])
    user = found.users[0] if found.users else None
    frame = await report_page.frame(request, access, state, sampled=found.sampled)
    view = UserView(
        shell=frame.shell,
        frame=frame,
        name=name,
        user=_row(state, user, stated.get(name, {})) if user is not None else None,
        rows=event_rows.rows(state, log.entries, sent),
        users_href=users_href,
        newest_href=state.href() if before is not None else None,
        older_href=state.href(None, ("before", event_rows.written(log.older))) if log.older is not None else None,
    )
    return await page(request, "reports/user.html", view, 200 if user is not None or state.parts else 404)


def _cursor(query: Mapping[str, str]) -> Cursor | None:
    """Raises Invalid with status 400."""
    text = query.get("before", "").replace("\0", "")
    if not text:
        return None
    time, colon, user = text.partition(":")
    if not colon or not time.isascii() or not time.isdigit() or len(time) > 18:
        raise bad("before", "a page of users begins after last_seen:user")
    return Cursor(int(time), user)


def _cells(state: State, user: User, stated: Mapping[str, Any] | None) -> Sequence[Cell]:
    zone = state.project.timezone
    seen = (moment(time, zone).isoformat() for time in (user.first_seen, user.last_seen))
    return (user.user, *seen, user.visits, user.events, event_rows.shown(stated) if stated else None)


def _row(state: State, user: User, traits: Mapping[str, Any], most: int | None = None) -> UserRow:
    zone = state.project.timezone
    return UserRow(
        user=user.user,
        href=event_rows.user_href(state, user.user),
        first_seen=moment(user.first_seen, zone),
        last_seen=moment(user.last_seen, zone),
        events=user.events,
        visits=user.visits,
        traits=tuple((name, event_rows.shown(value)) for name, value in list(traits.items())[:most]),
    )
