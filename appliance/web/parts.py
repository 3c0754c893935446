"""What `app.state` has for the pages of this package, beside what `access.State` names."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, cast

from starlette.requests import HTTPConnection

from appliance.broadcast import Broadcast
from appliance.ingest.crowd import Look
from appliance.ingest.data_centres import DataCentres
from appliance.ingest.geo import Place
from appliance.ingest.imports.host import ImportHost
from appliance.ingest.presence import Presence
from appliance.ingest.progress import FeedItem
from appliance.ingest.readmission import LetIn
from appliance.ingest.refusals import Refusal, Refusals, Wanted
from appliance.ingest.seen_requests import SeenRequest
from appliance.ingest.streamed import Streamed
from appliance.model import Project
from appliance.queries.imported import ImportedFigures
from appliance.queries.reports import Reports
from appliance.telemetry import Health
from appliance.web.access import State
from appliance.web.turns import Turns


class SiteNumbers(NamedTuple):
    """A card's figures: visitors of the last 24 hours (None: could not be counted) and of the 24 before (None:
    nothing to compare with), visitors in each of the last 24 hours, oldest first (None: nothing was collected),
    people now."""

    visitors: int | None
    previous: int | None
    hours: tuple[int | None, ...]
    live: int


class Render(Protocol):
    """`rendering.Renderer`."""

    def __call__(self, template: str, view: object, **context: object) -> str: ...


class Parts(State, Protocol):
    """The callables may ask the database; they raise Unavailable where it is away.

    imported: figures of other products, which pages add. imports: takes uploads. notices: what was stored and refused,
    by project. streamed: all that is stored, of projects that somebody streams. closing: set when the process is asked
    to end. exports, recounts: turns of those who read all that is stored. first_event_at: receipt time of a project's
    first event in microseconds, None before it. send_test_event: puts one through ingestion. stored_per_minute: events
    stored in each of the last 60 minutes, oldest first.
    waiting_events: how many are in the journal and not in the database.
    requests_seen: the newest requests on ingest paths, by project. crowd: from how many addresses browsers come now.
    locate: the place of an address. let_in: lets filtered events of a project in, for an actor.
    """

    render: Render
    reports: Reports
    imported: ImportedFigures
    presence: Presence
    refusals: Refusals
    imports: ImportHost
    notices: Broadcast[FeedItem | Refusal]
    streamed: Streamed
    requests_seen: Broadcast[SeenRequest]
    data_centres: DataCentres
    crowd: Callable[[], Look]
    locate: Callable[[str], Place]
    let_in: Callable[[Project, Wanted, str], Awaitable[LetIn]]
    closing: asyncio.Event
    exports: Turns
    recounts: Turns
    site_numbers: Callable[[Sequence[Project]], Awaitable[Mapping[int, SiteNumbers]]]
    first_event_at: Callable[[Project], Awaitable[int | None]]
    send_test_event: Callable[[Project], Awaitable[None]]
    health: Callable[[], Health]
    stored_per_minute: Callable[[], Sequence[int]]
    waiting_events: Callable[[], Awaitable[int]]


def parts_of(connection: HTTPConnection) -> Parts:
    """`app.state`, typed."""
    return cast("Parts", connection.app.state)
