"""The start page: straight to the dashboard of the only site, else all sites as cards; and the list for
admins."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.model import Project
from appliance.storage import projects
from appliance.web import shell, urls
from appliance.web.access import Viewer, require_login, require_role, state_of
from appliance.web.attended import while_there
from appliance.web.forms import get, page, see
from appliance.web.navigation import admin_nav
from appliance.web.parts import SiteNumbers, parts_of
from appliance.web.strings import text
from appliance.web.views import SiteCard, SitesView
from appliance.web.views_admin import ProjectRow, ProjectsView


def routes() -> list[Route]:
    return [get(urls.HOME, home), get(urls.SITES, show_sites), get(urls.ADMIN_PROJECTS, show_projects)]


async def home(request: Request) -> Response:
    viewer = (await require_login(request)).viewer
    mine = await _visible(request, viewer)
    if len(mine) == 1:
        return see(urls.dashboard(mine[0]))
    if not mine and viewer.may("admin"):
        return see(urls.SETUP_SITE)
    return see(urls.SITES)


async def show_sites(request: Request) -> Response:
    viewer = (await require_login(request)).viewer
    mine = await _visible(request, viewer)
    numbers = await while_there(request, parts_of(request).site_numbers(mine))
    view = SitesView(
        shell=await shell.shell(request, text("sites.title")),
        cards=tuple(_card(project, numbers[project.id]) for project in mine),
        create_href=urls.SITE_NEW if viewer.may_add_sites else None,
    )
    return await page(request, "sites.html", view)


async def show_projects(request: Request) -> Response:
    await require_role(request, "admin")
    view = ProjectsView(
        shell=await shell.shell(request, text("nav.projects")),
        nav=admin_nav("projects"),
        rows=tuple(_row(project) for project in await projects.list_all(state_of(request).db)),
        create_href=urls.SITE_NEW,
    )
    return await page(request, "admin/projects.html", view)


async def _visible(request: Request, viewer: Viewer) -> list[Project]:
    every = await projects.list_all(state_of(request).db)
    return [project for project in every if viewer.role_in(project.id) is not None]


def _card(project: Project, numbers: SiteNumbers) -> SiteCard:
    return SiteCard(
        name=shell.label(project),
        href=urls.dashboard(project),
        visitors=numbers.visitors,
        previous=numbers.previous,
        hours=numbers.hours,
        live=numbers.live,
    )


def _row(project: Project) -> ProjectRow:
    return ProjectRow(
        name=project.name,
        domains=project.domains,
        href=urls.dashboard(project),
        settings_href=urls.settings(project),
        created_at=shell.moment(project.created_at, project.timezone),
    )
