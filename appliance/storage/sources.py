"""Sources: where in a project events come from. The drain makes them on first sight."""

import msgspec

from appliance.storage.interface import Database


class Source(msgspec.Struct, frozen=True):
    """A part of a project that sends events."""

    id: int
    name: str
    description: str


async def of_project(database: Database, project_id: int) -> list[Source]:
    """A project's sources by the bytes of their names. Raises StorageUnavailable."""
    rows = await database.read(
        "SELECT id, name, description FROM source WHERE project_id = :project_id", {"project_id": project_id}
    )
    return sorted((Source(*row) for row in rows), key=lambda source: source.name.encode())
