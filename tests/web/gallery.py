"""Every page and state from sample views, served under the real security policy, for eyes and for the browser tests.

`python -m tests.web.gallery` serves it on port 8090; `python -m tests.web.gallery FOLDER [NAME ...]` writes pictures.
"""

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import uvicorn
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from appliance.web import rendering
from appliance.web.security import SECURITY_HEADERS
from tests.web import samples, samples_admin, samples_limits, samples_pages, samples_reports, samples_sending

render = rendering.Renderer()

# look: width, height, colour scheme, touch
LOOKS: dict[str, tuple[int, int, Literal["light", "dark"], bool]] = {
    "light": (1200, 900, "light", False),
    "dark": (1200, 900, "dark", False),
    "phone": (390, 844, "dark", True),
    "narrow": (320, 640, "light", True),
}

PAGES: dict[str, tuple[str, Callable[[], object]]] = {
    "dashboard": ("dashboard/page.html", samples.dashboard),
    "dashboard-new": ("dashboard/page.html", samples.dashboard_new),
    "dashboard-quiet": ("dashboard/page.html", samples.dashboard_quiet),
    "dashboard-today": ("dashboard/page.html", samples.dashboard_today),
    "dashboard-shared": ("dashboard/page.html", samples.dashboard_shared),
    "details": ("details/page.html", samples_pages.details),
    "details-goals": ("details/page.html", samples_pages.details_goals),
    "filter": ("filter/page.html", samples_pages.filter_view),
    "filter-goals": ("filter/page.html", samples_pages.filter_goals),
    "live": ("live/page.html", samples_pages.live),
    "live-quiet": ("live/page.html", samples_pages.live_quiet),
    "funnels": ("reports/funnels.html", samples_reports.funnels),
    "funnels-unsaved": ("reports/funnels.html", samples_reports.funnels_unsaved),
    "funnels-none": ("reports/funnels.html", samples_reports.funnels_none),
    "journeys": ("reports/journeys.html", samples_reports.journeys),
    "journeys-none": ("reports/journeys.html", samples_reports.journeys_none),
    "people": ("reports/users.html", samples_reports.users),
    "user": ("reports/user.html", samples_reports.user),
    "user-none": ("reports/user.html", samples_reports.user_none),
    "events": ("reports/events.html", samples_reports.events),
    "retention": ("reports/retention.html", samples_reports.retention),
    "retention-none": ("reports/retention.html", samples_reports.retention_none),
    "sites": ("sites.html", samples_pages.sites),
    "sites-none": ("sites.html", lambda: samples_pages.sites(0)),
    "login": ("login.html", samples_admin.login),
    "login-code": ("login.html", lambda: samples_admin.login(second_factor=True, oidc_href=None)),
    "register": ("register.html", samples_admin.register),
    "setup-account": ("setup/page.html", lambda: samples_admin.setup("account")),
    "setup-site": ("setup/page.html", lambda: samples_admin.setup("site")),
    "setup-install": ("setup/page.html", lambda: samples_admin.setup("install")),
    "error-403": ("error.html", lambda: samples_pages.error(403)),
    "error-404": ("error.html", lambda: samples_pages.error(404)),
    "error-500": ("error.html", lambda: samples_pages.error(500)),
    "projects": ("admin/projects.html", samples_admin.projects),
    "project-new": ("admin/project.html", lambda: samples_admin.project(new=True)),
    "project": ("admin/project.html", samples_admin.project),
    "limits": ("admin/limits.html", samples_limits.limits),
    "limits-none": ("admin/limits.html", lambda: samples_limits.limits(quota=0)),
    "limits-full": ("admin/limits.html", lambda: samples_limits.limits(used=1_000_000, wrong=True)),
    "sampling": ("admin/sampling.html", samples_limits.sampling),
    "sampling-none": ("admin/sampling.html", lambda: samples_limits.sampling(empty=True)),
    "sources": ("admin/sources.html", samples_limits.sources),
    "sources-none": ("admin/sources.html", lambda: samples_limits.sources(empty=True)),
    "source": ("admin/source.html", samples_limits.source),
    "keys": ("admin/keys.html", samples_admin.keys),
    "goals": ("admin/goals.html", samples_admin.goals),
    "goals-none": ("admin/goals.html", lambda: samples_admin.goals(empty=True)),
    "segments": ("admin/segments.html", samples_admin.segments),
    "segments-none": ("admin/segments.html", lambda: samples_admin.segments(empty=True)),
    "users": ("admin/users.html", samples_admin.users),
    "access": ("admin/access.html", samples_admin.access),
    "access-none": ("admin/access.html", lambda: samples_admin.access(empty=True)),
    "account": ("admin/account.html", samples_admin.account),
    "export": ("admin/export.html", samples_admin.export),
    "imports": ("admin/imports.html", samples_admin.imports),
    "imports-none": ("admin/imports.html", lambda: samples_admin.imports(empty=True)),
    "filters": ("admin/filters.html", samples_sending.filters),
    "filters-error": ("admin/filters.html", lambda: samples_sending.filters(error=True)),
    "filters-none": ("admin/filters.html", lambda: samples_sending.filters(empty=True)),
    "refused": ("admin/refused.html", samples_sending.refused),
    "refused-rule": ("admin/refused.html", lambda: samples_sending.refused(rule=True)),
    "refused-none": ("admin/refused.html", lambda: samples_sending.refused(empty=True)),
    "requests": ("live/requests.html", samples_sending.requests),
    "requests-none": ("live/requests.html", lambda: samples_sending.requests(empty=True)),
    "requests-unnamed": ("live/requests.html", samples_sending.unnamed),
    "address": ("admin/address.html", samples_sending.address),
    "address-believed": ("admin/address.html", lambda: samples_sending.address(hides=False)),
    "health": ("admin/health.html", samples_sending.health),
    "audit": ("admin/audit.html", samples_admin.audit),
    "dead-letters": ("admin/dead_letters.html", samples_admin.dead_letters),
    "dead-letters-none": ("admin/dead_letters.html", lambda: samples_admin.dead_letters(empty=True)),
}


def _answer(request: Request, page: str, fragment: str, view: object, **context: object) -> Response:
    theme = request.cookies.get("theme")
    if theme:
        view = replace(view, shell=replace(view.shell, theme=theme))  # type: ignore
    if rendering.wants_fragment(request.headers):
        return HTMLResponse(
            render(fragment, view, fragment=True, **context),
            headers=rendering.FRAGMENT_HEADERS | SECURITY_HEADERS,
        )
    return HTMLResponse(render(page, view, **context), headers=SECURITY_HEADERS)


async def page(request: Request) -> Response:
    template, view = PAGES[request.path_params["name"]]
    return _answer(request, template, template, view())


async def dashboard(request: Request) -> Response:
    query = request.query_params
    view = samples.dashboard(query.get("metric", "visitors"))
    if "f" not in query:
        view = replace(view, chips=())
    key = query.get("period", "30d")
    view = replace(view, period=samples.period(key), shell=replace(view.shell, title=f"example.com {key}"))
    return _answer(request, "dashboard/page.html", "dashboard/_dash.html", view)


async def main_card(request: Request) -> Response:
    view = samples.dashboard(request.query_params.get("metric", "visitors"))
    return _answer(request, "dashboard/page.html", "dashboard/_main.html", view)


async def panel(request: Request) -> Response:
    chosen = samples.panel(request.path_params["key"], request.query_params.get("tab"))
    return _answer(request, "dashboard/page.html", "dashboard/_panel.html", samples.dashboard(), panel=chosen)


async def details(request: Request) -> Response:
    search = request.query_params.get("search", "")
    view = samples_pages.details()
    rows = tuple(row for row in view.rows if search.lower() in row.label.lower())
    return _answer(request, "details/page.html", "details/_dialog.html", replace(view, rows=rows, search=search))


async def filters(request: Request) -> Response:
    return _answer(request, "filter/page.html", "filter/_dialog.html", samples_pages.filter_view())


async def filter_values(request: Request) -> Response:
    view = samples_pages.filter_view()
    text = request.query_params.get("text", "").lower()
    kept = tuple(item for item in view.suggestions if text in item.label.lower())
    return _answer(request, "filter/page.html", "filter/_values_swap.html", replace(view, suggestions=kept))


async def live(request: Request) -> Response:
    return _answer(request, "live/page.html", "live/_now.html", samples_pages.live())


async def stream(request: Request) -> Response:
    async def events() -> AsyncIterator[str]:
        row = render("live/_feed_row.html", samples_pages.live(), row=samples_pages.FEED[0]).replace("\n", " ")
        yield f"event: live\ndata: 41\n\nevent: feed\ndata: {row}\n\nevent: tick\ndata: 1\n\n"
        if "first" in request.headers.get("referer", "") or "setup" in request.headers.get("referer", ""):
            yield "event: first\ndata: 1\n\n"
        await asyncio.sleep(600)

    return StreamingResponse(events(), media_type="text/event-stream")


async def requests_stream(request: Request) -> Response:
    async def events() -> AsyncIterator[str]:
        row = samples_sending.REQUESTS[0]
        html = render("live/_request_row.html", samples_sending.requests(), row=row).replace("\n", " ")
        yield f"event: live\ndata: 41\n\nevent: feed\ndata: {html}\n\n"
        await asyncio.sleep(600)

    return StreamingResponse(events(), media_type="text/event-stream")


app = Starlette(
    routes=[
        Route("/gallery/{name}", page),
        Route("/p/1", dashboard),
        Route("/p/1/main", main_card),
        Route("/p/1/panel/{key}", panel),
        Route("/p/1/details/{dimension}", details),
        Route("/p/1/filter", filters),
        Route("/p/1/filter/values", filter_values),
        Route("/p/1/filter/apply", lambda request: RedirectResponse("/p/1?f=is:visit:country:DE", 303)),
        Route("/p/1/live", live),
        Route("/p/1/live/now", live),
        Route("/p/1/stream", stream),
        Route("/p/1/live/requests/stream", requests_stream),
        Mount("/static", StaticFiles(directory=rendering.STATIC)),
    ]
)


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The gallery on a free port, for the length of the block; gives its origin."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(5)


def look(browser: Browser, name: str, origin: str, scripts: bool = True) -> BrowserContext:
    """A browser context of one of LOOKS."""
    width, height, scheme, touch = LOOKS[name]
    return browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        has_touch=touch,
        base_url=origin,
        java_script_enabled=scripts,
    )


def pictures(folder: Path, names: list[str]) -> None:
    """Pictures in each look of the named pages or of all."""
    folder.mkdir(parents=True, exist_ok=True)
    with serving() as origin, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name in LOOKS:
            tab = look(browser, name, origin).new_page()
            for page_name in names or PAGES:
                tab.goto(f"/gallery/{page_name}")
                tab.wait_for_timeout(250)
                tab.screenshot(path=folder / f"{page_name}-{name}.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        pictures(Path(sys.argv[1]), sys.argv[2:])
    else:
        uvicorn.run(app, port=8090, log_level="warning")
