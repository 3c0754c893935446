"""How many events a project received in a month of its calendar. The drain counts them, in the transaction that stores
them, so the number is what was stored, whatever was purged or erased since."""

from typing import NamedTuple

from appliance.storage.calendar import local_month
from appliance.storage.interface import Database, Position


class Usage(NamedTuple):
    """Numbers of events by project and month, and up to where a journal is counted in them (None: nothing of it)."""

    events: dict[tuple[int, int], int]
    counted: Position | None


async def since(db: Database, month: int, journal_id: bytes) -> Usage:
    """What was received from that month on (January 1970 is 0), and up to where this journal is counted, in one
    snapshot."""
    rows = await db.read(
        """
        SELECT project_id, month, events FROM monthly_usage WHERE month >= :month
        UNION ALL SELECT -1, segment, position FROM checkpoint WHERE journal_id = :journal_id
        """,
        {"month": month, "journal_id": journal_id},
    )
    counted = next((Position(segment, offset) for project_id, segment, offset in rows if project_id == -1), None)
    return Usage({(project_id, month): events for project_id, month, events in rows if project_id != -1}, counted)


async def in_month_of(db: Database, project_id: int, time: int, timezone: str) -> int:
    """Events that a project received in the calendar month, of its zone, that has this time (UTC microseconds)."""
    rows = await db.read(
        "SELECT events FROM monthly_usage WHERE project_id = :id AND month = :month",
        {"id": project_id, "month": local_month(time, timezone)},
    )
    return int(rows[0][0]) if rows else 0
