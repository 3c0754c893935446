"""Projects whose events somebody streams, and the streams' notices: the drains are told whose events to tell in full,
the one of this process and, through the database, those of other appliances."""

import asyncio
import time
from typing import Final

from appliance.broadcast import Broadcast, Subscription
from appliance.ingest.drain_client import DrainClient
from appliance.ingest.journal import Journal
from appliance.ingest.progress import Whole
from appliance.storage.interface import Database

TELL_SECONDS: Final = 5
LINGER_SECONDS: Final = 10  # after the last reader: one who comes again finds everything as it was
WAITING_BYTES_MAX: Final = 8 << 20  # for a reader: more than any one request brings


class Streamed:
    """Use: `watch` for every reader, `tell` every TELL_SECONDS, `publish` what drains tell."""

    def __init__(self, drain: DrainClient, database: Database, journal: Journal) -> None:
        self._drain = drain
        self._database = database
        self._journal = journal
        self._events: Broadcast[bytes] = Broadcast(kept_max=0, waiting_max=WAITING_BYTES_MAX, weigh=len)
        self._wanted: dict[int, float] = {}  # by project, when it was last
        self._told: frozenset[int] | None = None  # None: what was told before the start may still hold
        self._telling = asyncio.Lock()

    async def watch(self, project_id: int) -> Subscription[bytes]:
        """All events of a project that are sent from now on to this appliance, or another on its database, each as
        `event_text` puts it; to be entered before anything else is awaited. Raises StorageUnavailable."""
        self._wanted[project_id] = time.monotonic()
        await self._tell()
        return self._events.subscribe(project_id)

    async def tell(self) -> None:
        """Let drains forget projects that nobody streams any more, and make sure of the others. Raises
        StorageUnavailable."""
        now = time.monotonic()
        self._wanted |= dict.fromkeys(self._events.topics(), now)
        self._wanted = {id_: wanted for id_, wanted in self._wanted.items() if now - wanted < LINGER_SECONDS}
        await self._tell(again=bool(self._wanted))

    def publish(self, whole: Whole) -> None:
        for event in whole.events:
            self._events.publish(whole.project_id, event)

    async def _tell(self, *, again: bool = False) -> None:
        """`again`: the database may have forgotten this appliance meanwhile. Our drain does not forget, and takes what
        it hears for a sign that events come."""
        async with self._telling:
            told = frozenset(self._wanted)
            if told != self._told:
                self._drain.watch(told)
            elif not again:
                return
            await self._database.watch(self._journal.journal_id, told)
            self._told = told
