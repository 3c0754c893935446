"""What events of a project are called."""

from appliance.storage.dimensions import dictionary_of
from appliance.storage.interface import Database


async def of_project(database: Database, project_id: int) -> list[str]:
    """All names that events were ever sent with, in the order of their bytes. Raises StorageUnavailable."""
    rows = await database.read(
        "SELECT text FROM dictionary WHERE project_id = :project_id AND dimension = :dimension",
        {"project_id": project_id, "dimension": dictionary_of("name")},
    )
    return sorted((text for (text,) in rows), key=str.encode)
