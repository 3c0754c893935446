"""The pages of set-up, settings and administration as a browser meets them, over a real database."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from appliance import clock, credentials
from appliance.broadcast import Broadcast
from appliance.config import Settings
from appliance.ingest.client_address import TrustedProxies
from appliance.ingest.crowd import Crowd
from appliance.ingest.data_centres import DataCentres
from appliance.ingest.geo import Locator
from appliance.ingest.presence import Presence
from appliance.ingest.readmission import LetIn, let_in
from appliance.ingest.refusals import Refusals, Wanted
from appliance.ingest.seen_requests import KEPT_PER_PROJECT
from appliance.model import Account, Project
from appliance.storage import accounts, login_sessions, projects
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.telemetry import Health, Problem
from appliance.web import problems
from appliance.web.access import find_project, project_for, require_key
from appliance.web.pages import (
    account,
    admin_access,
    admin_accounts,
    admin_address,
    admin_dead_letters,
    admin_goals,
    admin_keys,
    admin_system,
    exclusions,
    login,
    refused,
    register,
    requests,
    settings,
    setup,
    sites,
)
from appliance.web.parts import SiteNumbers
from appliance.web.rendering import Renderer
from appliance.web.security import CrossSiteGuard, Forwarded, Headers
from appliance.web.throttle import LoginThrottle, OncePerDay

SETUP_TOKEN = "the-token-that-was-printed"
PASSWORD = "correct horse battery"
PAGES = (
    setup, login, register, sites, settings, exclusions, refused, requests, admin_address, admin_goals, admin_keys,
    admin_accounts, admin_access, admin_system, admin_dead_letters, account,
)  # fmt: skip


class Administration:
    """The application with what its pages need. `client()` is a browser that nobody is signed in with."""

    def __init__(self, database: SqliteDatabase, folder: Path, **values: Any) -> None:
        self.database = database
        self.first_event_at: int | None = None
        self.tests_sent: list[Project] = []
        settings_ = Settings(data_dir=folder, **values)
        self.app = Starlette(
            routes=[*(route for module in PAGES for route in module.routes()), *_probes()],
            exception_handlers=problems.handlers(),
            middleware=[Middleware(CrossSiteGuard, public_url=settings_.public_url)],
        )
        state = self.app.state
        state.db, state.settings, state.setup_token = database, settings_, SETUP_TOKEN
        state.login_throttle, state.key_reports = LoginThrottle(), OncePerDay()
        state.render, state.notices = Renderer(), Broadcast()
        state.site_numbers, state.first_event_at = self._site_numbers, self._first_event
        state.send_test_event = self._send_test
        self.refusals, self.crowd = Refusals(Broadcast()), Crowd()
        self.journaled: list[bytes] = []
        state.presence, state.refusals, state.requests_seen = Presence(), self.refusals, Broadcast(KEPT_PER_PROJECT)
        state.data_centres, state.locate = DataCentres(), Locator().locate
        state.crowd, state.let_in = lambda: self.crowd.look(clock.now()), self._let_in
        state.health = lambda: health(folder)
        state.stored_per_minute = lambda: [0] * 58 + [3, 7]
        self.asgi = Headers(Forwarded(self.app, TrustedProxies(settings_.trusted_proxies)))

    def client(self, address: str = "203.0.113.9", base_url: str = "http://appliance.test") -> "Browser":
        return Browser(self, address, base_url)

    async def signed_in(self, role: str = "owner") -> "Browser":
        """A browser with an account of this role."""
        browser = self.client()
        browser.account = await self.account(role)
        token = credentials.mint_token()
        digest = credentials.digest(token)
        await login_sessions.create(self.database, browser.account.id, digest, "", at=clock.now())
        browser.cookies.set("session", token, domain="appliance.test")
        return browser

    async def account(self, role: str = "owner") -> Account:
        """Somebody with the password PASSWORD, which is hashed once for all tests."""
        rows = await self.database.write(
            f"""
            INSERT INTO account (email, name, password_hash, role, created_at)
            VALUES (:email, :name, :hash, :role, :at) RETURNING {accounts.COLUMNS}
            """,
            {
                "email": f"{role}@example.com",
                "name": role.title(),
                "hash": _password_hash(),
                "role": role,
                "at": clock.now(),
            },
        )
        return accounts.from_row(rows[0])

    async def project(self, domain: str = "example.com", **more: Any) -> projects.NewProject:
        return await projects.create(
            self.database, **{"name": domain, "domains": [domain], "actor": "cli", "at": clock.now(), **more}
        )

    async def _let_in(self, project: Project, wanted: Wanted, actor: str) -> LetIn:
        async def journal(records: list[bytes], events: int) -> None:
            self.journaled += records

        now = clock.now()
        return await let_in(self.database, self.refusals, journal, project, wanted, actor=actor, now=now)

    async def _site_numbers(self, wanted: list[Project]) -> dict[int, SiteNumbers]:
        return {project.id: SiteNumbers(1234, 1000, (None, *range(23)), 2) for project in wanted}

    async def _first_event(self, project: Project) -> int | None:
        return self.first_event_at

    async def _send_test(self, project: Project) -> None:
        self.tests_sent.append(project)


class Browser(AsyncClient):
    """Sends what a browser sends with a form of the same site, and shows what a page says."""

    account: Account

    def __init__(self, administration: Administration, address: str, base_url: str) -> None:
        transport = ASGITransport(administration.asgi, client=(address, 50_000), raise_app_exceptions=False)
        super().__init__(transport=transport, base_url=base_url, headers={"accept": "text/html"})

    async def post(self, path: str, headers: dict[str, str] | None = None, **fields: Any) -> Response:  # type: ignore[override]
        headers = {"sec-fetch-site": "same-origin", **(headers or {})}
        return await super().post(path, data=fields, headers=headers)

    async def follow(self, path: str) -> Response:
        return await self.get(path, follow_redirects=True)


@cache
def _password_hash() -> str:
    return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash(PASSWORD)


def words(answer: Response) -> str:
    """The text of a page, without tags, on one line."""
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL)
    return " ".join(text.replace("&#39;", "'").replace("&quot;", '"').split())


def health(folder: Path) -> Health:
    return Health(
        ready=False,
        problems=(Problem("the journal is nearly full"),),
        uptime_seconds=3700,
        requests=10,
        accepted=12_345,
        stored=12_000,
        duplicates=1,
        conflicts=0,
        dead_letters=0,
        drain_restarts=0,
        lag_seconds=1.25,
        journal_bytes=900 << 20,
        journal_bytes_max=1000 << 20,
        journal_backlog_bytes=1,
        database_bytes=5 << 20,
        database_software="SQLite 3.40.1",
        database_remarks=(),
        database_aggregates={"event_counts_daily": "plain view"},
        disk_free_bytes=1 << 30,
        refused={"bot": 7, "origin_not_allowed": 9},
    )


def _probes() -> list[Route]:
    """Pages of others, as far as access to them is tested here."""

    async def dashboard(request: Request) -> PlainTextResponse:
        found = await project_for(request)
        return PlainTextResponse(f"{found.project.name} for {found.role}")

    async def figures(request: Request) -> PlainTextResponse:
        return PlainTextResponse((await require_key(request, "read")).project.name)

    async def crash(request: Request) -> PlainTextResponse:
        raise RuntimeError("the secret of the stack")

    async def found(request: Request) -> PlainTextResponse:
        project = await find_project(request.app.state.db, request.query_params["site"])
        return PlainTextResponse(project.name if project else "none")

    return [
        Route("/sites/{site}", dashboard),
        Route("/api/figures", figures, methods=["GET", "POST"]),
        Route("/crash", crash),
        Route("/find", found),
    ]
