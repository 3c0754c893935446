"""Projects and keys as the gates see them: a snapshot in memory that follows the database.

A key or domain that the snapshot does not know is looked up anew at once, so whatever was created anywhere is valid
on the next request; what was revoked or changed is noticed by `follow` within its interval.
"""

import asyncio

import structlog

from appliance.errors import ApplianceError
from appliance.model import Project
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

    async def refresh(self) -> bool:
        """Take over what changed in the database. True when something had."""
        current = getattr(self, "catalogue", None)
        if current is not None and await catalogue_version(self._database) == current.version:
            return False
        self.catalogue = await load_catalogue(self._database)
        return True

    async def follow(self) -> None:
        """Refresh for ever; a database that is away is waited for."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            try:
                await self.refresh()
            except ApplianceError as error:
                log.warning("projects and keys could not be read again", error=str(error))

    async def by_public_key(self, key: str) -> Project | None:
        found = self.catalogue.public_keys.get(key)
        if found is None and await self._changed():
            found = self.catalogue.public_keys.get(key)
        return found[0] if found else None

    async def by_private_key(self, key: str) -> tuple[Project | None, frozenset[str]]:
        """Project and scopes of a private key; (None, empty) when it is not known."""
        found = self.catalogue.by_private_key(key)
        if found is None and await self._changed():
            found = self.catalogue.by_private_key(key)
        return (found[0], found[2]) if found else (None, frozenset())

    async def by_public_id(self, public_id: str) -> Project | None:
        project = self.catalogue.public_ids.get(public_id)
        if project is None and await self._changed():
            project = self.catalogue.public_ids.get(public_id)
        return project

    async def by_domain(self, domain: str) -> Project | None:
        project = self.catalogue.by_hostname(domain)
        if project is None and await self._changed():
            project = self.catalogue.by_hostname(domain)
        return project

    async def _changed(self) -> bool:
        """Refresh now; requests that miss at the same time share one look at the database."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self.refresh())
        return await asyncio.shield(self._refreshing)
