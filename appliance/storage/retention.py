"""What goes after its time: visits that a project does not keep, deleted projects, old rows of the audit log."""

from zoneinfo import ZoneInfo

from appliance.clock import DAY
from appliance.storage import audit
from appliance.storage.calendar import day_start, local_day
from appliance.storage.interface import Database, Purged

AUDIT_KEPT = 366 * DAY


async def purge(db: Database, at: int) -> Purged:
    """Remove it. Raises StorageUnavailable."""
    await audit.purge(db, at - AUDIT_KEPT)
    return await db.purge()


def horizon(now: int, days: int, zone: ZoneInfo) -> int:
    """UTC microseconds before which a visit has to have ended to go, where raw data are kept for that many days."""
    return day_start(local_day(now, zone) - days, zone)
