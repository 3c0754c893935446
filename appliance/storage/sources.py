"""Where in a project events come from, and what they are called: both are known from the first event on."""

import msgspec

from appliance.storage.dimensions import dictionary_of
from appliance.storage.interface import Database


class Source(msgspec.Struct, frozen=True):
    """A part of a project that sends events."""

    id: int
    name: str
    description: str


async def of_project(database: Database, project_id: int) -> list[Source]:
    """By name. Raises StorageUnavailable."""
    rows = await database.read(
        "SELECT id, name, description FROM source WHERE project_id = :project_id", {"project_id": project_id}
    )
    return sorted((Source(*row) for row in rows), key=lambda source: source.name.encode())


async def event_names(database: Database, project_id: int) -> list[str]:
    """All names that events were ever sent with, in the order of their bytes. Raises StorageUnavailable."""
    rows = await database.read(
        "SELECT text FROM dictionary WHERE project_id = :project_id AND dimension = :dimension",
        {"project_id": project_id, "dimension": dictionary_of("name")},
    )
    return sorted((text for (text,) in rows), key=str.encode)
