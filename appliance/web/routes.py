"""Every URL but those of ingestion, joined into one application."""

from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from appliance.config import Settings
from appliance.ingest.client_address import TrustedProxies
from appliance.web import assets, problems
from appliance.web.api import auth, dashboard_c, event_analytics, health, simple_analytics, stats, streams, verify
from appliance.web.api import export as api_export
from appliance.web.api import funnels as api_funnels
from appliance.web.api import goals as api_goals
from appliance.web.api import imports as api_imports
from appliance.web.api import projects as api_projects
from appliance.web.api import segments as api_segments
from appliance.web.pages import (
    account,
    admin_access,
    admin_accounts,
    admin_address,
    admin_dead_letters,
    admin_goals,
    admin_keys,
    admin_system,
    csv,
    dashboard,
    details,
    events,
    exclusions,
    export,
    funnels,
    imports,
    journeys,
    limits,
    live,
    login,
    refused,
    register,
    requests,
    retention,
    sampling,
    saved_funnels,
    segments,
    settings,
    setup,
    sites,
    sources,
    users,
)
from appliance.web.pages import (
    filter as filter_dialog,
)
from appliance.web.read_origins import ReadOrigins
from appliance.web.rendering import Renderer
from appliance.web.security import CrossSiteGuard, Forwarded, Headers
from appliance.web.throttle import LoginThrottle, OncePerDay

MODULES = (
    health, stats, api_export, api_imports, api_goals, api_funnels, api_segments, verify,
    simple_analytics, event_analytics, dashboard_c, streams, auth, api_projects,
    setup, login, register, sites, settings, sources, sampling, limits, admin_goals, segments, admin_keys,
    admin_accounts, admin_access, admin_system, admin_dead_letters, account,
    funnels, saved_funnels, retention, journeys, users, events,
    export, imports, exclusions, refused, admin_address, requests, live,
    csv, details, filter_dialog, dashboard,  # csv: details' path would take its own
)  # fmt: skip


def build_site(options: Settings, state: dict[str, Any], more: Sequence[BaseRoute] = ()) -> ASGIApp:
    """The application behind the ingest endpoint. `state` is what parts.Parts names; `more` are further routes."""
    site = Starlette(
        routes=[*(r for m in MODULES for r in m.routes()), *assets.routes(options.script_name), *more],
        exception_handlers=problems.handlers(),
        middleware=[Middleware(CrossSiteGuard, public_url=options.public_url)],
    )
    for name, value in state.items():
        setattr(site.state, name, value)
    site.state.settings = options
    site.state.render = Renderer()
    site.state.login_throttle = LoginThrottle()
    site.state.key_reports = OncePerDay()
    return Headers(Forwarded(ReadOrigins(site, options.read_origins), TrustedProxies(options.trusted_proxies)))
