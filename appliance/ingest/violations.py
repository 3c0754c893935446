"""What limits refused, in the audit log: a row a day, project and limit, which counts, so that a flood is one row."""

from collections import Counter
from typing import Final

from appliance.ingest.quota import ACTOR
from appliance.ingest.refusals import UNKNOWN_PROJECT, Refusals
from appliance.ingest.registry import Registry
from appliance.storage import audit
from appliance.storage.interface import Database

LIMITS: Final = frozenset(("rate_limited", "quota"))  # reasons of refusals
WRITE_SECONDS: Final = 60.0


class Violations:
    """Call `write` every minute, and at the end."""

    def __init__(self, database: Database, refusals: Refusals, registry: Registry) -> None:
        self._database = database
        self._refusals = refusals
        self._registry = registry
        self._written: Counter[tuple[int, str]] = Counter()

    async def write(self, now: int) -> None:
        """Add what was refused since. An address that sends too much is refused before it says for which project: such
        requests are counted together, and no address is kept. Raises StorageUnavailable."""
        for key, number in list(self._refusals.counts.items()):
            project_id, reason = key
            times = number - self._written[key]
            project = self._registry.catalogue.projects.get(project_id)
            if reason not in LIMITS or not times or (project is None and project_id != UNKNOWN_PROJECT):
                continue
            whose = "site" if project is not None else "address"
            subject, of = (project.name, project.public_id) if project is not None else ("", "all")
            if await audit.count_today(
                self._database, now, ACTOR, f"limit.{reason}.{whose}", subject, of=of, times=times
            ):
                self._written[key] = number
