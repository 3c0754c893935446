"""What is stored, by plain counting over rows: the figures that `appliance status` prints."""

from pathlib import Path
from typing import Any

from appliance.storage.interface import Database


async def count_rows(database: Database) -> list[dict[str, Any]]:
    """Per project: events, pageviews, visits, distinct visitors, time of the first and last event."""
    rows = await database.read(
        """
        SELECT p.public_id, p.name,
               (SELECT count(*) FROM event e WHERE e.project_id = p.id),
               (SELECT count(*) FROM event e WHERE e.project_id = p.id AND e.kind = 0),
               (SELECT count(*) FROM visit v WHERE v.project_id = p.id),
               (SELECT count(DISTINCT v.visitor) FROM visit v WHERE v.project_id = p.id),
               (SELECT min(e.time) FROM event e WHERE e.project_id = p.id),
               (SELECT max(e.time) FROM event e WHERE e.project_id = p.id)
        FROM project p ORDER BY p.id
        """
    )
    names = ("id", "name", "events", "pageviews", "visits", "visitors", "first_event_at", "last_event_at")
    return [dict(zip(names, row, strict=True)) for row in rows]


async def dead_letters(database: Database) -> int:
    """Number of events that the database refused."""
    ((number,),) = await database.read("SELECT count(*) FROM dead_letter")
    return int(number)


def folder_bytes(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(entry.stat().st_size for entry in folder.iterdir() if entry.is_file()) if folder.is_dir() else 0
