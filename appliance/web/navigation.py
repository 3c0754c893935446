"""Which pages there are beside the one that is open: reports of a site, and the side of settings, administration."""

from typing import Final

from appliance.model import Project
from appliance.web import urls
from appliance.web.dashboard_state import State
from appliance.web.shell import label
from appliance.web.strings import text
from appliance.web.views import Choice
from appliance.web.views_admin import Nav

REPORTS: Final = ("funnels", "retention", "journeys", "users", "events")


def report_nav(state: State, active: str) -> tuple[Choice, ...]:
    """The dashboard and the reports about people, with the state kept; `active` is a key under `report.`."""
    places = [("overview", urls.dashboard(state.project))]
    places += [(key, urls.report(state.project, key)) for key in REPORTS]
    return tuple(Choice(key=key, href=state.href(path), active=key == active) for key, path in places)


def live_sides(project: Project, active: str) -> tuple[Choice, ...]:
    """The two sides of the live page; `active` is a key under `live.side.`."""
    return _choices((("visitors", urls.live(project)), ("requests", urls.requests(project))), active)


def site_nav(project: Project, active: str) -> Nav:
    """Pages of one site's settings; `active` is a key under `nav.` of the catalogue."""
    places = (
        ("general", urls.settings(project)),
        ("sources", urls.sources(project)),
        ("sampling", urls.sampling(project)),
        ("limits", urls.limits(project)),
        ("goals", urls.goals(project)),
        ("segments", urls.segments(project)),
        ("keys", urls.keys(project)),
        ("export", urls.export(project)),
        ("imports", urls.imports(project)),
        ("filters", urls.filters(project)),
        ("refused", urls.refused(project)),
    )
    return Nav(heading=label(project), groups=(_choices(places, active),))


def admin_nav(active: str) -> Nav:
    """Pages of the whole appliance."""
    places = (
        ("projects", urls.ADMIN_PROJECTS),
        ("users", urls.ADMIN_ACCOUNTS),
        ("health", urls.ADMIN_SYSTEM),
        ("address", urls.ADMIN_ADDRESS),
        ("dead_letters", urls.ADMIN_DEAD_LETTERS),
        ("audit", urls.ADMIN_AUDIT),
    )
    return Nav(heading=text("admin.open"), groups=(_choices(places, active),))


def _choices(places: tuple[tuple[str, str], ...], active: str) -> tuple[Choice, ...]:
    return tuple(Choice(key=key, href=href, active=key == active) for key, href in places)
