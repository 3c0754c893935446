"""A request about a site's figures: who asks, of which site, and the state that its URL names."""

from typing import Final, NamedTuple

from starlette.requests import Request

from appliance import clock
from appliance.clock import DAY
from appliance.storage import goals, segments
from appliance.web import dashboard_state
from appliance.web.access import SiteAccess, project_for
from appliance.web.attended import reports_of
from appliance.web.dashboard_state import State
from appliance.web.parts import parts_of

AGE_IN_DOUBT: Final = 366 * DAY  # more than any usual period needs, less than may be asked for


class Asked(NamedTuple):
    """A request about a site that may be seen, and what it asks for."""

    access: SiteAccess
    state: State


async def asked(request: Request) -> Asked:
    """Raises LoginNeeded, NotFound; Invalid with status 400; Unavailable."""
    access = await project_for(request)
    first_event = await reports_of(request).first_event(access.project)
    return Asked(access, await _state(request, access, first_event))


async def state_in_doubt(request: Request, access: SiteAccess) -> State:
    """The state while nobody can say when the first event came: of a site of some age. Raises Invalid."""
    return await _state(request, access, clock.now() - AGE_IN_DOUBT)


async def _state(request: Request, access: SiteAccess, first_event: int | None) -> State:
    db, project = parts_of(request).db, access.project
    known, saved = await goals.of_project(db, project.id), await segments.of_project(db, project.id)
    return dashboard_state.read(request.query_params.multi_items(), project, clock.now(), first_event, known, saved)
