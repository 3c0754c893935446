"""The composition root: builds the parts, joins them, starts and stops them. Nothing is created on import."""

import asyncio
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import IO, Any

import structlog
from starlette.routing import BaseRoute

from appliance import clock
from appliance.broadcast import Broadcast
from appliance.config import Settings, optional_path
from appliance.errors import ConfigurationError, Invalid, StorageUnavailable
from appliance.ingest import dead_letters
from appliance.ingest.client_address import TrustedProxies
from appliance.ingest.data_centres import DataCentres
from appliance.ingest.drain_client import DrainClient
from appliance.ingest.endpoint import Endpoint
from appliance.ingest.exclusions import Exclusions
from appliance.ingest.geo import country_names, locator_of
from appliance.ingest.imports.host import ImportHost
from appliance.ingest.imports.run import Where
from appliance.ingest.journal import Journal
from appliance.ingest.key_uses import FLUSH_SECONDS
from appliance.ingest.presence import Presence
from appliance.ingest.progress import FeedItem, Part, Stored, decode_from_drain
from appliance.ingest.quota import READ_SECONDS, Quotas
from appliance.ingest.rate_limit import RateLimits
from appliance.ingest.readmission import LetIn, let_in
from appliance.ingest.refusals import Refusal, Refusals, Wanted
from appliance.ingest.registry import Registry
from appliance.ingest.seen_requests import KEPT_PER_PROJECT, SeenRequest
from appliance.ingest.sent import Sent
from appliance.ingest.streamed import TELL_SECONDS, Streamed
from appliance.ingest.violations import WRITE_SECONDS, Violations
from appliance.ingest.visitor import Salts
from appliance.ingest.waiting import count_waiting
from appliance.model import Project
from appliance.queries.conditions import Names
from appliance.queries.imported import ImportedFigures
from appliance.queries.reports import Reports
from appliance.rollups import refresh as rollups
from appliance.scheduler import Job, repeat
from appliance.storage import accounts, imports, key_use, retention
from appliance.storage.data_folder import lock_data_folder, make_data_folder
from appliance.storage.interface import Condition
from appliance.storage.location import sqlite_path
from appliance.storage.open import database_of, database_url, query_engine_of
from appliance.telemetry import Health, Problem
from appliance.web.exports import EXPORTS_MAX, PROJECT_EXPORTS_MAX
from appliance.web.routes import build_site
from appliance.web.site_numbers import site_numbers
from appliance.web.turns import Turns

log = structlog.get_logger(__name__)

DISK_FREE_BYTES_MIN = 100 << 20
DATABASE_SECONDS_MAX = 60  # at start


class Appliance:
    """All parts of one serving process: `endpoint` is the ASGI application to serve between `start` and `stop`."""

    def __init__(self, settings: Settings, more_routes: Sequence[BaseRoute] = ()) -> None:
        self.settings = settings
        self.started_at = time.monotonic()
        self.closing = asyncio.Event()  # set when the process is asked to end: open streams end by themselves
        self.setup_token = secrets.token_urlsafe(18)
        self.database = database_of(settings)
        self.evaluator = query_engine_of(settings)
        self.condition = Condition("", 0, 0)
        self.database_error: str | None = None
        self.notices: Broadcast[FeedItem | Refusal] = Broadcast()
        self.refusals = Refusals(self.notices)
        self.requests_seen: Broadcast[SeenRequest] = Broadcast(KEPT_PER_PROJECT)
        self.data_centres = _data_centres(settings)
        self.locator = locator_of(settings.geo_database)
        self.registry = Registry(self.database)
        self.quotas = Quotas(self.database, self.registry)
        self.violations = Violations(self.database, self.refusals, self.registry)
        self.salts = Salts()
        self.presence = Presence()
        self.reports = Reports(self.evaluator, Names(countries=country_names()))
        self._first_events: dict[int, int] = {}
        self.journal = Journal(
            settings.data_dir / "journal",
            bytes_max=settings.journal_bytes_max,
            sync=settings.durability == "fsync",
        )
        self.drain = DrainClient(self.journal, database_url(settings), self._on_told, settings.log_format)
        self.streamed = Streamed(self.drain, self.database, self.journal)
        self.imports = ImportHost(
            self.database,
            self.drain,
            Where(settings.data_dir, database_url(settings), self.locator.path, self.data_centres.path),
            settings.log_format,
        )
        self.stored_minutes: Counter[int] = Counter()
        self.endpoint = Endpoint(
            build_site(settings, self._state(), more_routes),
            journal=self.journal,
            drain=self.drain,
            registry=self.registry,
            salts=self.salts,
            locator=self.locator,
            exclusions=Exclusions(self.data_centres),
            refusals=self.refusals,
            requests_seen=self.requests_seen,
            trusted_proxies=TrustedProxies(settings.trusted_proxies),
            rate_limits=RateLimits(address=settings.rate_limit_address, project=settings.rate_limit_project),
            quotas=self.quotas,
            body_bytes_max=settings.body_bytes_max,
            default_project=settings.default_project,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._draining: asyncio.Task[None]
        self._lock: IO[str] | None = None

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Take the data folder, bring everything up; where that fails, let go of what was taken.

        Raises DataFolderLocked, StorageUnavailable, DatabaseTooNew, ConfigurationError, OSError.
        """
        try:
            await self._bring_up()
        except BaseException:
            # The threads of an open database would keep the process from ending, and others from the folder.
            await asyncio.to_thread(self.journal.close)
            await self.database.close()
            if self._lock is not None:
                self._lock.close()
            raise

    async def _bring_up(self) -> None:
        make_data_folder(self.settings.data_dir)
        self._lock = lock_data_folder(self.settings.data_dir)
        await self._open_database()
        await self._first_account()
        await self.registry.refresh()
        await self.salts.refresh(self.database, clock.now())
        await asyncio.to_thread(self.journal.open)
        self.journal.start(asyncio.get_running_loop())
        await self.quotas.begin(clock.now(), self.journal)
        await self.presence.load(self.database, clock.now())
        await self._look_at_database()
        for remark in self.condition.remarks:
            log.warning(remark, database=self.database.location)
        jobs = [
            Job("condition", 10, self._look_at_database),
            Job("quotas", READ_SECONDS, self._read_quotas),
            Job("streamed projects", TELL_SECONDS, self.streamed.tell),
            Job("violations", WRITE_SECONDS, lambda: self.violations.write(clock.now())),
            Job("salts", 900, self._renew_salts),
            Job("data centres", 60, self.data_centres.refresh),
            Job("refusals", 900, self._forget_old_refusals),
            Job("deduplication window", 6 * 3600, self._forget_old_ids),
            Job("sealing", 3600, self._seal),
            Job("erasure", 3600, self.database.erase),
            Job("purge", 3600, lambda: retention.purge(self.database, clock.now())),
            Job("dead letters", 5, lambda: dead_letters.retry(self.database, self.journal, self.drain)),
            Job("use of keys", FLUSH_SECONDS, lambda: self.endpoint.key_uses.flush(self.database)),
            Job("audit of keys", 3600, lambda: key_use.audit_days(self.database, clock.now())),
            Job("aliases", 3600, lambda: self.database.forget_aliases(clock.now() - 2 * clock.DAY)),
        ]
        self._draining = asyncio.create_task(self.drain.run())
        self._tasks = [
            asyncio.create_task(self.registry.follow()),
            asyncio.create_task(self._hear_others()),
            asyncio.create_task(self.imports.run()),
            *(asyncio.create_task(repeat(job)) for job in jobs),
        ]

    async def _open_database(self) -> None:
        """Connect; a server that is not there yet, as when both start together, is waited for."""
        is_server = sqlite_path(database_url(self.settings)) is None
        deadline = time.monotonic() + DATABASE_SECONDS_MAX
        while True:
            try:
                return await self.database.open()
            except StorageUnavailable as error:
                if not is_server or time.monotonic() > deadline:
                    raise
                log.warning("the database is waited for", database=self.database.location, error=str(error))
                await asyncio.sleep(1)

    async def stop(self) -> None:
        """Write what waits, empty the journal as far as time allows, close."""
        self.closing.set()
        if not await self.drain.stop(self.settings.drain_seconds_max, self._draining):
            log.warning("the journal is not empty; the next start goes on with it")
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                log.error("a task had ended before", exc_info=ended)
        await asyncio.to_thread(self.journal.close)
        with suppress(StorageUnavailable):
            await self.endpoint.key_uses.flush(self.database)
            await self.violations.write(clock.now())
        await self.evaluator.close()
        await self.database.close()
        if self._lock is not None:
            self._lock.close()

    async def _first_account(self) -> None:
        """Create the account that the settings name, when there is none yet."""
        if not self.settings.admin_email or await accounts.any_exist(self.database):
            return
        try:
            await accounts.create(
                self.database,
                email=self.settings.admin_email,
                password=self.settings.admin_password,
                name="",
                role="owner",
                actor="settings",
                at=clock.now(),
            )
        except Invalid as error:
            raise ConfigurationError(f"APPLIANCE_ADMIN_EMAIL, APPLIANCE_ADMIN_PASSWORD: {error}") from error

    # ------------------------------------------------------------------ joints

    def _state(self) -> dict[str, Any]:
        """What the pages work with (web/parts.py)."""
        return {
            "db": self.database,
            "reports": self.reports,
            "imported": ImportedFigures(self.database),
            "presence": self.presence,
            "refusals": self.refusals,
            "imports": self.imports,
            "requests_seen": self.requests_seen,
            "data_centres": self.data_centres,
            "locate": self.locator.locate,
            "crowd": lambda: self.endpoint.crowd.look(clock.now()),
            "let_in": self.let_in,
            "notices": self.notices,
            "streamed": self.streamed,
            "closing": self.closing,
            "exports": Turns(EXPORTS_MAX, PROJECT_EXPORTS_MAX),
            "recounts": Turns(1, 1),
            "setup_token": self.setup_token,
            "health": self.health,
            "stored_per_minute": self.stored_per_minute,
            "waiting_events": self.waiting_events,
            "first_event_at": self.first_event_at,
            "send_test_event": self.send_test_event,
            "site_numbers": partial(site_numbers, self.reports, self.presence),
        }

    async def first_event_at(self, project: Project) -> int | None:
        """About when the project's first event came, None before there is one."""
        if project.id not in self._first_events:
            first = await self.database.first_received(project.id)
            if first is None:
                return None
            self._first_events[project.id] = first
        return self._first_events[project.id]

    async def send_test_event(self, project: Project) -> None:
        """Put one event of our own through ingestion. Raises JournalFull, JournalFailed."""
        host = project.domains[0] if project.domains else "test.invalid"
        await self.endpoint.submit(project, Sent(event="pageview", url=f"https://{host}/", title="Test event"))

    async def let_in(self, project: Project, wanted: Wanted, actor: str) -> LetIn:
        """Let in filtered events. Raises StorageUnavailable, JournalFull, JournalFailed."""
        return await let_in(
            self.database, self.refusals, self.endpoint.journal, project, wanted, actor=actor, now=clock.now()
        )

    def _on_told(self, told: Part | Stored) -> None:
        if isinstance(told, Stored):
            self.stored_minutes[clock.now() // clock.MINUTE] += told.events
        self._show(told)

    async def _hear_others(self) -> None:
        """What other appliances on the same database store is shown here too."""
        async for report in self.database.announcements(self.journal.journal_id):
            told = decode_from_drain(report)
            if isinstance(told, Part | Stored):
                self._show(told)

    def _show(self, told: Part | Stored) -> None:
        now = clock.now()
        self.presence.meet(told.people, now)
        for whole in told.whole:
            self.streamed.publish(whole)
        if isinstance(told, Part):
            return
        self.presence.note(told.feed, now)
        for item in told.feed:
            self.notices.publish(item.project_id, item)
        for refused in told.refused:
            refusal = Refusal(now, "rejected", refused.reason, "", refused.name, refused.page, "drain")
            self.refusals.add(refused.project_id, refusal)

    def stored_per_minute(self) -> list[int]:
        """Events stored in each of the last 60 minutes, oldest first."""
        running = clock.now() // clock.MINUTE
        for minute in [m for m in self.stored_minutes if m <= running - 60]:
            del self.stored_minutes[minute]
        return [self.stored_minutes[minute] for minute in range(running - 59, running + 1)]

    async def waiting_events(self) -> int:
        """Events that are in the journal and not in the database."""
        return await asyncio.to_thread(count_waiting, self.journal.folder, self.drain.position, self.journal.end)

    async def _look_at_database(self) -> None:
        try:
            self.condition = await self.database.condition()
            self.database_error = None
        except StorageUnavailable as error:
            self.database_error = str(error)
            raise

    async def _read_quotas(self) -> None:
        await self.quotas.refresh(clock.now(), self.journal.journal_id)

    async def _renew_salts(self) -> None:
        await self.salts.refresh(self.database, clock.now())
        await imports.forget_salts(self.database, clock.now())

    async def _seal(self) -> None:
        try:
            await self.database.seal()
        except StorageUnavailable as error:
            log.error("not all was sealed that is over", error=str(error))
        await rollups.refresh(self.database)  # of what is not sealed too: else nothing of it could ever be purged

    async def _forget_old_refusals(self) -> None:
        self.refusals.expire(clock.now())

    async def _forget_old_ids(self) -> None:
        """Deduplication rows older than every project's window go, and names of page views with the salts of their
        days: nowhere on earth is it the day after them any more."""
        windows = [p.settings.deduplication_days for p in self.registry.catalogue.projects.values()]
        today = clock.now() // clock.DAY
        await self.database.forget_ids(today - max(windows, default=7), today - 2)

    # ------------------------------------------------------------------ state

    def health(self) -> Health:
        """How the process is, now. Cheap: asks no database."""
        problems = []
        if self.journal.failure is not None:
            problems.append(Problem("the journal cannot be written", self.journal.failure))
        if self.database_error is not None:
            problems.append(Problem("the database cannot be read", self.database_error))
        if self.drain.error is not None:
            problems.append(Problem("the database takes no events", self.drain.error))
        if self.drain.lag_seconds > self.settings.lag_seconds_max:
            problems.append(Problem(f"stored data are {self.drain.lag_seconds:.0f} seconds behind"))
        backlog = self.journal.backlog(self.drain.position)
        if self.journal.size > 0.9 * self.settings.journal_bytes_max:
            problems.append(Problem("the journal is nearly full"))
        free = shutil.disk_usage(self.settings.data_dir).free
        if free < DISK_FREE_BYTES_MIN:
            problems.append(Problem(f"only {free >> 20} MB are free where the data folder is"))
        refused: dict[str, int] = {}
        for (_, reason), number in self.refusals.counts.items():
            refused[reason] = refused.get(reason, 0) + number
        return Health(
            ready=not problems and self._lock is not None,
            problems=tuple(problems),
            uptime_seconds=time.monotonic() - self.started_at,
            requests=self.endpoint.requests,
            accepted=self.endpoint.accepted,
            stored=self.drain.stored,
            duplicates=self.drain.duplicates,
            conflicts=self.drain.conflicts,
            dead_letters=self.drain.dead_letters,
            drain_restarts=self.drain.restarts,
            lag_seconds=self.drain.lag_seconds,
            journal_bytes=self.journal.size,
            journal_bytes_max=self.settings.journal_bytes_max,
            journal_backlog_bytes=backlog,
            database_bytes=self.condition.nbytes,
            database_software=self.condition.software,
            database_remarks=self.condition.remarks,
            database_aggregates=self.condition.aggregates,
            disk_free_bytes=free,
            refused=refused,
        )


def _data_centres(settings: Settings) -> DataCentres:
    try:
        return DataCentres(optional_path(settings.datacentre_ranges))
    except ValueError as error:
        raise ConfigurationError(f"APPLIANCE_DATACENTRE_RANGES: {error}") from error
