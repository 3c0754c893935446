"""The process that imports an upload: `python -m appliance.ingest.imports.worker DATA_DIR IMPORT_ID LOG_FORMAT GEO
DATA_CENTRES`; the last two may be empty.

Where the database is says a variable (storage/location.py). It yields to everybody, ends with the serving process, and
may be killed at any instant: what it handed to the drain is stored or not, and the next one goes on there.
"""

import asyncio
import os
import sys
from pathlib import Path

from appliance import telemetry
from appliance.config import Settings
from appliance.ingest.imports.run import Where, run
from appliance.ingest.imports.spool import Spool
from appliance.storage.aside import step_aside
from appliance.storage.imports import ACTIVE
from appliance.storage.location import DATABASE_VARIABLE
from appliance.storage.open import opened


async def work(where: Where, import_id: str) -> None:
    """Import one upload to its end, and remove it. Raises Invalid where somebody else does."""
    path = Spool(where.data_dir).path(import_id)
    async with opened(Settings(data_dir=where.data_dir, database_url=where.database)) as db:
        found = await run(db, where, import_id, path, alone=False)
    if found.state not in ACTIVE:
        path.unlink(missing_ok=True)


def main(arguments: list[str]) -> None:
    data_dir, import_id, log_format, *files = arguments
    step_aside()
    telemetry.configure_logs(log_format)
    database = os.environ[DATABASE_VARIABLE]
    geo, data_centres = (Path(file) if file else None for file in files)
    asyncio.run(work(Where(Path(data_dir), database, geo, data_centres), import_id))


if __name__ == "__main__":
    main(sys.argv[1:])
