"""Rollups are made in a process of their own (process.py): this one has neither numpy nor the seconds."""

from pathlib import Path

from appliance.storage.sqlite.aside import run_aside

_PROCESS = "appliance.rollups.process"


async def refresh(database: Path, *, rebuild: bool = False) -> int:
    """Bring the rollups of a database file up to what is sealed, or make all anew; how many days and months were made.

    Raises StorageUnavailable.
    """
    return int(await run_aside(_PROCESS, database, *["rebuild"] * rebuild))
