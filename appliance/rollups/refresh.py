"""Rollups are made in a process of their own (process.py): this one has neither numpy nor the seconds."""

from typing import Final

from appliance.storage.aside import run_aside
from appliance.storage.interface import Database
from appliance.storage.location import DATABASE_VARIABLE, SQLITE
from appliance.storage.sqlite.database import SqliteDatabase

_PROCESS: Final = "appliance.rollups.process"


async def refresh(database: Database, *, rebuild: bool = False) -> int:
    """Bring the rollups of a database up to what is stored, or make all anew; how many days and months were made.

    Raises StorageUnavailable.
    """
    if isinstance(database, SqliteDatabase):
        url = f"{SQLITE}{database.path}"
    else:
        from appliance.storage.postgresql.database import PostgresqlDatabase  # whose driver others need not load

        assert isinstance(database, PostgresqlDatabase)
        url = database.url
    return int(await run_aside(_PROCESS, *["rebuild"] * rebuild, environment={DATABASE_VARIABLE: url}))
