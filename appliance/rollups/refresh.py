"""Rollups of a file are made in a process of their own (process.py): this one has neither numpy nor the seconds."""

from appliance.storage.aside import run_aside
from appliance.storage.interface import Database
from appliance.storage.sqlite.database import SqliteDatabase

_PROCESS = "appliance.rollups.process"


async def refresh(database: Database, *, rebuild: bool = False) -> int:
    """Bring the rollups of a database up to what is sealed, or make all anew; how many days and months were made.

    Raises StorageUnavailable.
    """
    if not isinstance(database, SqliteDatabase):
        return 0
    return int(await run_aside(_PROCESS, database.path, *["rebuild"] * rebuild))
