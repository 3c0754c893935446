"""A site's dashboard as a browser meets it: real visits in a real database, counted by the real query worker.

The site lives in Berlin; now is Wednesday, 18 March 2026, 15:30 there. `VISITS` is short enough to be counted by hand.
"""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from httpx2 import Response

from appliance.clock import MINUTE
from appliance.ingest.batch import Batch
from appliance.ingest.presence import Presence
from appliance.ingest.refusals import Refusals
from appliance.model import Event, Project
from appliance.queries.imported import ImportedFigures
from appliance.queries.reports import Reports
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.drain_store import SqliteDrainStore
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.web.pages import (
    csv,
    dashboard,
    details,
    events,
    funnels,
    journeys,
    limits,
    refused,
    retention,
    sampling,
    saved_funnels,
    segments,
    sources,
    users,
)
from appliance.web.pages import filter as filter_form
from appliance.web.turns import Turns
from tests.builders import event, pageview
from tests.web.administration import Administration, Browser, health

ZONE = ZoneInfo("Europe/Berlin")
SITE = "/sites/example.com"
ANN, BEN, CAT, DAN, EVE, FAY, GUS, HAL = range(1, 9)

GERMAN = {"country": "DE", "language": "de-DE", "browser": "Firefox", "os": "Windows", "device": "Desktop"}
AMERICAN = {"country": "US", "language": "en-US", "browser": "Safari", "os": "iOS", "device": "Mobile"}
FRENCH = {"country": "FR", "language": "fr", "browser": "Chrome", "os": "Android", "device": "Mobile"}
GOOGLE = {"referrer": "google.com", "referrer_source": "Google", "channel": "Organic Search"}
SPRING = {"referrer_source": "newsletter", "channel": "Email", "utm_source": "newsletter", "utm_campaign": "spring"}


class Visit(NamedTuple):
    """Pages a minute apart from a local time, and an event after the last one, if it is named."""

    start: str
    visitor: int
    pages: Sequence[str]
    fields: dict[str, str]
    event: str = ""

    def events(self, project: Project) -> list[Event]:
        start = microseconds(self.start)
        # Who comes on two days under one id has an id for good.
        common: dict[str, Any] = {"project_id": project.id, "browser_version": "140", "salt_day": None, **self.fields}
        made = [
            pageview(visitor=self.visitor, path=path, time=start + index * MINUTE, **common)
            for index, path in enumerate(self.pages)
        ]
        if self.event:
            time = start + len(self.pages) * MINUTE
            made.append(event(visitor=self.visitor, name=self.event, path=self.pages[-1], time=time, **common))
        return made


# The 28 days that end yesterday begin on 18 February, those before them on 21 January.
VISITS = (
    Visit("2026-01-10 09:00", HAL, ["/"], AMERICAN),
    Visit("2026-02-01 09:00", GUS, ["/"], GERMAN),
    Visit("2026-03-10 10:00", ANN, ["/", "/pricing"], GERMAN | GOOGLE, "Signup"),
    Visit("2026-03-10 11:00", BEN, ["/"], AMERICAN),
    Visit("2026-03-11 09:00", DAN, ["/docs"], FRENCH | GOOGLE),
    Visit("2026-03-11 20:00", EVE, ["/docs", "/"], FRENCH | GOOGLE),
    Visit("2026-03-12 08:00", ANN, ["/blog"], GERMAN | SPRING),
    Visit("2026-03-17 23:30", CAT, ["/pricing"], FRENCH),
    Visit("2026-03-18 09:00", FAY, ["/today"], GERMAN),
)


def microseconds(local: str) -> int:
    """UTC microseconds of a wall-clock time in the site's zone."""
    return round(datetime.fromisoformat(local).replace(tzinfo=ZONE).timestamp()) * 1_000_000


NOW = microseconds("2026-03-18 15:30")


class Dashboards(Administration):
    """The pages of administration, and a site's figures. `client()` and `signed_in()` give browsers."""

    def __init__(self, database: SqliteDatabase, folder: Path, reports: Reports) -> None:
        super().__init__(database, folder)
        routes = [
            route
            for module in (
                csv,
                details,
                filter_form,
                funnels,
                saved_funnels,
                segments,
                sources,
                sampling,
                limits,
                refused,
                retention,
                journeys,
                users,
                events,
                dashboard,
            )
            for route in module.routes()
        ]
        self.app.router.routes[:0] = routes
        self.presence = Presence()
        self.health = health(folder)._replace(lag_seconds=0.5, disk_free_bytes=100 << 30)
        state = self.app.state
        state.reports, state.presence = reports, self.presence
        state.refusals = self.refusals = Refusals(state.notices)
        state.imported = ImportedFigures(database)
        state.exports, state.recounts = Turns(8, 3), Turns(1, 1)
        state.health = lambda: self.health
        self.folder = folder
        self._owner: Browser | None = None

    async def owner(self) -> Browser:
        """A browser in which an owner is logged in, always the same one."""
        if self._owner is None:
            self._owner = await self.signed_in("owner")
        return self._owner

    async def site(self, visits: Iterable[Visit] = VISITS, domain: str = "example.com", **more: Any) -> Project:
        """A project with these visits, put through what the drain does."""
        made = await self.project(domain, timezone=ZONE.key, **more)
        self.store(event for visit in visits for event in visit.events(made.project))
        return made.project

    def store(self, events: Iterable[Event]) -> None:
        drain = SqliteDrainStore(self.folder / "appliance.db")
        batch = Batch(drain.settings_of)
        drain.transact(lambda transaction: batch.apply(transaction, list(events)))
        drain.close()


@asynccontextmanager
async def opened(folder: Path, timeout_seconds: float = 30) -> AsyncIterator[Dashboards]:
    """An empty appliance in a folder, with a query worker of its own."""
    database = SqliteDatabase(folder / "appliance.db")
    await database.open()
    evaluator = Evaluator(database.path, temp_directory=folder / "tmp", timeout_seconds=timeout_seconds)
    yield Dashboards(database, folder, Reports(evaluator))
    await evaluator.close()
    await database.close()


# ---------------------------------------------------------------------- what a page says


def figures(answer: Response) -> dict[str, str]:
    """Key figures in full, by name."""
    return dict(re.findall(r'class="kpi"[^>]* title="([^":]*): ([^"]*)"', answer.text))


def changes(answer: Response) -> list[str]:
    """What stands beside the key figures: `up 12 %`, `–`, `New`."""
    strip = answer.text.partition('class="kpis"')[2].partition("</div>")[0]
    found = re.findall(r'<span class="delta.*?</span>(?=</span>)', strip, re.DOTALL)
    return [_text(each) for each in found]


def card(answer: Response, key: str) -> str:
    """The HTML of a card."""
    return answer.text.partition(f'id="panel-{key}"')[2].partition("</section>")[0]


def rows(answer: Response, key: str) -> list[tuple[str, ...]]:
    """The lines of a card: label, then figures."""
    lines = re.findall(r"<li>.*?</li>", card(answer, key), re.DOTALL)
    return [
        tuple(_text(part) for part in re.findall(r'<span class="(?:label|num)[^>]*>(.*?)</span>', line, re.DOTALL))
        for line in lines
    ]


def table(answer: Response, id_: str = "series") -> list[list[str]]:
    """The cells of a table's body, by its id or by the id of what is around it."""
    body = answer.text.partition(f'id="{id_}"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [_text(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in body.split("</tr>")[:-1]
    ]


def chips(answer: Response) -> list[str]:
    """The filters in force."""
    return [_text(each) for each in re.findall(r'<span class="chip">(.*?)</a>', answer.text, re.DOTALL)]


def links_in(html: str) -> list[str]:
    """Every address in a part of a page that leads to a page or part of this appliance."""
    found = re.findall(r'<a [^>]*?href="(/[^"]*)"', html) + re.findall(r'(?:hx-get|data-tick)="([^"]*)"', html)
    return [unescape(href) for href in found]


def link(answer: Response, words: str) -> str:
    """Where the link with these words leads."""
    for href, text in re.findall(r'<a [^>]*?href="([^"]*)"[^>]*>(.*?)</a>', answer.text, re.DOTALL):
        if words in _text(text):
            return unescape(href)
    raise AssertionError(f"no link says {words!r}")


def _text(html: str) -> str:
    html = re.sub(r'<span class="tile" aria-hidden="true">.*?</span>', "", html)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())
