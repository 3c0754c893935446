"""Projects and keys as the gates see them: a snapshot in memory that follows the database.

Whoever misses a key or domain in the snapshot has it look again at once, so whatever was created anywhere is valid on
the next request; what was revoked or changed is noticed by `follow` within its interval.
"""

import asyncio
from collections.abc import Mapping

import structlog

from appliance.errors import ApplianceError
from appliance.ingest.sampling import Sampler
from appliance.storage.catalogue import Catalogue, catalogue_version, load_catalogue
from appliance.storage.interface import Database

log = structlog.get_logger(__name__)

FOLLOW_SECONDS = 1.0


class Registry:
    """Call `refresh` once before use, and run `follow` beside."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._refreshing: asyncio.Task[bool] | None = None
        self.catalogue: Catalogue
        self.samplers: Mapping[int, Sampler] = {}  # of projects that do not want all of their events

    async def refresh(self) -> bool:
        """Take over what changed in the database. True when something had."""
        current = getattr(self, "catalogue", None)
        if current is not None and await catalogue_version(self._database) == current.version:
            return False
        self.catalogue = catalogue = await load_catalogue(self._database)
        every = {id_: Sampler(p.settings, catalogue.sources.get(id_, {})) for id_, p in catalogue.projects.items()}
        self.samplers = {project_id: sampler for project_id, sampler in every.items() if sampler}
        return True

    async def follow(self) -> None:
        """Refresh for ever; a database that is away is waited for."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            try:
                await self.refresh()
            except ApplianceError as error:
                log.warning("projects and keys could not be read again", error=str(error))

    async def look_again(self) -> bool:
        """Refresh now, because somebody came with a name that is not known; True when something had changed.

        Requests that miss at the same time share one look at the database.
        """
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self.refresh())
        return await asyncio.shield(self._refreshing)
