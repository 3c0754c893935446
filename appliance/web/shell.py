"""The frame of every page, filled: who is logged in, the sites they may see, theme, language, message."""

from datetime import UTC, datetime
from typing import get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request

from appliance import clock
from appliance.clock import MICROSECONDS
from appliance.model import Project
from appliance.storage import projects
from appliance.web import flash, formats, urls, views
from appliance.web.access import state_of, viewer_of
from appliance.web.parts import parts_of
from appliance.web.views import Shell, SiteLink, Theme


def bare(request: Request, title: str) -> Shell:
    """A frame that asks the database nothing: for errors, login and set-up."""
    return Shell(
        title=title,
        now=_now("UTC"),
        dates=_dates(request),
        theme=_theme(request),
        toast=flash.take(request),
    )


async def shell(request: Request, title: str, project: Project | None = None, *, stream: str | None = None) -> Shell:
    """The frame for whoever is logged in; `project` is the page's own site, in whose zone times stand.

    stream: which feed of the site's stream the page shows ("all", "accepted", "refused", "none"), None for no stream.
    It begins where this call ends, so what the page shows is to be read after it. People now and banners are left to
    the pages that have them.
    """
    viewer = await viewer_of(request)
    if viewer.account is None:
        return bare(request, title)
    mine = [site for site in await projects.list_all(state_of(request).db) if viewer.role_in(site.id)]
    links = tuple(_link(site, active=project is not None and site.id == project.id) for site in mine)
    own = viewer.account
    return Shell(
        title=title,
        now=_now(project.timezone if project else "UTC"),
        dates=_dates(request),
        theme=_theme(request),
        account=views.Account(email=own.email, name=own.name or own.email, role=own.role, profile_href=urls.ACCOUNT),
        sites=links,
        site=_link(project, active=True) if project else None,
        sites_href=urls.SITES,
        settings_href=urls.settings(project) if project and viewer.may("admin", project.id) else None,
        admin_href=urls.ADMIN_SYSTEM if viewer.may("admin") else None,
        live_href=urls.live(project) if project else None,
        stream_href=_stream_href(request, project, stream) if project and stream else None,
        toast=flash.take(request),
    )


def label(project: Project) -> str:
    """What people call a site: its domain, or its name where it has none."""
    return project.domains[0] if project.domains else project.name


def moment(microseconds: int, zone: str = "UTC") -> datetime:
    """A stored time as an aware datetime."""
    return datetime.fromtimestamp(microseconds // MICROSECONDS, UTC).astimezone(ZoneInfo(zone))


def _link(project: Project, *, active: bool) -> SiteLink:
    return SiteLink(name=label(project), href=urls.dashboard(project), active=active)


def _stream_href(request: Request, project: Project, only: str) -> str:
    return f"{urls.stream(project)}?{urlencode({'only': only, 'after': parts_of(request).notices.position})}"


def _now(zone: str) -> datetime:
    return moment(clock.now(), zone)


def _dates(request: Request) -> formats.DateStyle:
    return formats.date_style(request.headers.get("accept-language"))


def _theme(request: Request) -> Theme:
    return next((theme for theme in get_args(Theme) if theme == request.cookies.get("theme")), "system")
