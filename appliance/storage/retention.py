"""What goes after its time: visits that a project does not keep, deleted projects, old rows of the audit log."""

from appliance.clock import DAY
from appliance.storage import audit
from appliance.storage.interface import Database, Purged

AUDIT_KEPT = 366 * DAY


async def purge(db: Database, at: int) -> Purged:
    """Remove it. Raises StorageUnavailable."""
    await audit.purge(db, at - AUDIT_KEPT)
    return await db.purge()
