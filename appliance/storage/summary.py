"""What is stored, by plain counting: the figures that `appliance status` prints."""

from pathlib import Path
from typing import Any

from appliance.storage.interface import Database


async def count_rows(database: Database) -> list[dict[str, Any]]:
    """Per project: events, pageviews, visits, distinct visitors, time of the first and last event."""
    names = ("events", "pageviews", "visits", "visitors", "first_event_at", "last_event_at")
    found = []
    for project_id, public_id, name in await database.read("SELECT id, public_id, name FROM project ORDER BY id"):
        counts = await database.count_stored(project_id)
        found.append({"id": public_id, "name": name, **dict(zip(names, counts, strict=True))})
    return found


def folder_bytes(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(entry.stat().st_size for entry in folder.iterdir() if entry.is_file()) if folder.is_dir() else 0
