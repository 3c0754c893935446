"""A tracked site in front of the real appliance, and the statement of what the appliance stores of it.

The statement is made of what is exported (`GET /api/v1/export`), so it holds for what an operator gets as well.
"""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from playwright.async_api import Page

from tests.process import Server
from tests.tracker.serving import Site

OPERATOR, PASSWORD = "ann@example.com", "correct horse battery staple"

Json = dict[str, Any]

# What every event says of a visitor of tests.tracker.chromium; the country is the browser's time zone's.
BERLIN = {
    "hostname": "localhost",
    "country": "DE",
    "browser": "Chrome",
    "browser_version": "140",
    "os": "Linux",
    "device": "Desktop",
    "language": "de-DE",
    "screen": "1280x720",
}
INGEST = "**/api/v1/events/ingest*"
AT_REST_SECONDS = 0.3


@dataclass(frozen=True)
class Event:
    """A stored event as a test states it: `visit` counts the visits from 1 in the order in which they began."""

    name: str
    path: str
    title: str = ""
    visit: int = 1
    user_id: str = ""
    properties: Json = field(default_factory=dict)
    interactive: bool = True
    scroll_depth: int = 0  # percent
    engaged: bool = False  # some time is stored


@dataclass(frozen=True)
class Visit:
    """A stored visit as a test states it: `visitor` counts the visitors from 1."""

    pageviews: int
    events: int
    entry: str
    exit: str
    bounce: bool = False
    visitor: int = 1
    user_id: str = ""
    referrer_source: str = ""


def view(path: str, title: str, *, scroll_depth: int = 100, engaged: bool = True, **rest: Any) -> Event:
    """A pageview: unless something else is said, of a page that is seen without scrolling and was looked at."""
    return Event("pageview", path, title, scroll_depth=scroll_depth, engaged=engaged, **rest)


PLAIN = view("/plain.html", "Plain page")
SECOND = view("/second.html", "Second page")


class Tracked:
    """A project, and a site whose pages carry its tag."""

    def __init__(self, server: Server, project: Json, site: Site) -> None:
        self.server = server
        self.project = project
        self.site = site
        self._refused = self._refusals()

    async def stores(
        self,
        events: list[Event],
        visits: list[Visit],
        *,
        refused: dict[str, int] | None = None,
        place: Json = BERLIN,
        seconds: float = 10,
    ) -> list[Json]:
        """Assert that exactly these events, in order of time, and these visits are stored once the appliance is at
        rest, and that nothing but `refused` (reason: number) was refused. The exported events."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (self.events(), self.visits()) != (events, visits):
            await asyncio.sleep(0.05)
        await self._rest()
        assert self._newly_refused() == (refused or {})
        assert self.events() == events
        assert self.visits() == visits
        self._assert_plausible(place)
        return self.export("events")

    def export(self, dataset: str) -> list[Json]:
        """The rows of a dataset in order of time."""
        status, lines = self.server.get(
            f"/api/v1/export?dataset={dataset}&format=ndjson", authorization=f"Bearer {self.project['private_key']}"
        )
        assert status == 200, lines
        order = {"events": "timestamp", "visits": "start"}[dataset]
        return sorted(map(json.loads, lines.splitlines()), key=lambda row: str(row[order]))

    def query(self, *metrics: str) -> list[Any]:
        """The values of these metrics, of all time."""
        answer = self.server.query(
            self.project["private_key"], site_id=self.project["id"], metrics=metrics, date_range="all"
        )
        (row,) = answer["results"]
        return list(row["metrics"])

    def events(self) -> list[Event]:
        rows = self.export("events")
        number = _numbers(row["visit_id"] for row in rows)
        return [
            Event(
                row["event"],
                row["path"],
                row.get("title", ""),
                number[row["visit_id"]],
                row.get("user_id", ""),
                row.get("properties", {}),
                bool(row["interactive"]),
                row["scroll_depth"],
                row["engaged_ms"] > 0,
            )
            for row in rows
        ]

    def visits(self) -> list[Visit]:
        rows = self.export("visits")
        number = _numbers(row["visitor"] for row in rows)
        return [
            Visit(
                row["pageviews"],
                row["events"],
                row.get("entry_path", ""),
                row.get("exit_path", ""),
                bool(row["bounce"]),
                number[row["visitor"]],
                row.get("user_id", ""),
                row.get("referrer_source", ""),
            )
            for row in rows
        ]

    def metric(self, name: str) -> float:
        """A counter of /metrics."""
        found = re.search(rf"^{name} (\S+)$", self._metrics(), re.MULTILINE)
        assert found is not None, f"no {name}"
        return float(found[1])

    def _metrics(self) -> str:
        return self.server.get("/metrics")[1].decode()

    def _refusals(self) -> dict[str, int]:
        found = re.findall(r'^appliance_events_refused_total\{reason="(\w+)"\} (\S+)$', self._metrics(), re.MULTILINE)
        return {reason: int(float(number)) for reason, number in found}

    def _newly_refused(self) -> dict[str, int]:
        return {
            reason: number - self._refused.get(reason, 0)
            for reason, number in self._refusals().items()
            if number != self._refused.get(reason, 0)
        }

    async def _rest(self) -> None:
        """Wait until no request has come for a while and everything taken is drained."""
        requests, since = -1.0, time.monotonic()
        deadline = since + 20
        while time.monotonic() < since + AT_REST_SECONDS:
            assert time.monotonic() < deadline, "requests do not end, or the drain does not"
            now = self.metric("appliance_ingest_requests_total")
            if now != requests or self.metric("appliance_journal_backlog_bytes"):
                requests, since = now, time.monotonic()
            await asyncio.sleep(0.05)

    def _assert_plausible(self, place: Json) -> None:
        now = datetime.now(UTC)
        rows = self.export("events")
        for row in rows:
            assert {name: row.get(name, "") for name in place} == place
            assert row["rate"] == 1_000_000
            age = now - at(row["timestamp"])
            assert 0 <= row["engaged_ms"] <= age.total_seconds() * 1000, "not longer than the page was there"
            assert row["scroll_depth"] <= 100
        assert len({row["event_id"] for row in rows}) == len(rows)
        for visit in self.export("visits"):
            times = [at(row["timestamp"]) for row in rows if row["visit_id"] == visit["visit_id"]]
            assert (len(times), at(visit["start"])) == (visit["events"], min(times))
            assert max(times) <= at(visit["end"]) <= now


class Make:
    """Makes projects, each with a site that sends to it; `domains` where pages name the project by one."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._sites: list[Site] = []

    def __call__(self, *domains: str) -> Tracked:
        named = [argument for domain in domains for argument in ("--domain", domain)]
        project = self._server.cli("project", "create", "Site", "--json", *named)
        self._sites.append(Site(self._server.url, project["public_key"]))
        return Tracked(self._server, project, self._sites[-1])

    def close(self) -> None:
        for site in self._sites:
            site.close()


@contextlib.asynccontextmanager
async def delivery(page: Page) -> AsyncIterator[None]:
    """Wait for an answer of the appliance that the page sees too."""
    async with page.expect_response(INGEST):
        yield
    await page.wait_for_timeout(100)


# An entry is made when the answer is there.
ANSWERED = "performance.getEntriesByType('resource').some((entry) => entry.initiatorType === 'fetch')"


async def leave(page: Page) -> None:
    """Leave the page for one that is not tracked: whatever it still has to say goes now, and nothing after that.

    Not before the page view of its load has arrived: the two requests have a connection each, and in a tab that is
    left within milliseconds the second may arrive first.
    """
    deadline = time.monotonic() + 0.5  # where nothing is sent there is nothing to wait for
    while time.monotonic() < deadline and not await page.evaluate(ANSWERED):
        await asyncio.sleep(0.02)
    await page.goto("about:blank")


def at(text: str) -> datetime:
    """A time of the export."""
    return datetime.fromisoformat(text)


def _numbers(values: Iterable[Hashable]) -> dict[Hashable, int]:
    """Each value's place among the different ones, from 1."""
    return {value: number for number, value in enumerate(dict.fromkeys(values), 1)}
