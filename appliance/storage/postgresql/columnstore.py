"""TimescaleDB's columnstore, into which its policy moves chunks whose time is over (partitions.py)."""

from typing import Final

import psycopg

from appliance.errors import StorageUnavailable
from appliance.storage.interface import Sealed
from appliance.storage.postgresql.pool import Pool

_THERE: Final = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
_POLICIES: Final = (
    "SELECT j.job_id FROM timescaledb_information.jobs j"
    " WHERE j.proc_name = 'policy_compression' AND j.hypertable_name IN ('event', 'visit') ORDER BY j.job_id"
)
_COUNT: Final = "SELECT count(*) FROM event"
_IN_COLUMNS: Final = """
    SELECT coalesce(sum(s.numrows_pre_compression), 0)
    FROM _timescaledb_catalog.compression_chunk_size s
    JOIN _timescaledb_catalog.chunk c ON c.id = s.chunk_id
    JOIN _timescaledb_catalog.hypertable h ON h.id = c.hypertable_id
    WHERE h.table_name = 'event'
    """


async def seal(pool: Pool) -> None:
    """Run the policies now, without TimescaleDB nothing. One that fails keeps no other from it. Raises
    StorageUnavailable."""
    if not await pool.read(_THERE):
        return
    failed: Exception | None = None
    for (job_id,) in await pool.read(_POLICIES):
        try:
            await pool.call(f"CALL run_job({job_id:d})")
        except (psycopg.Error, StorageUnavailable) as error:  # a chunk that cannot be packed is no passing trouble
            failed = error
    if failed is not None:
        raise StorageUnavailable(f"not all that is over could be moved to the columnstore: {failed}") from failed


async def count_sealed(pool: Pool) -> Sealed:
    """How many events were in chunks when they became columns, and how many are elsewhere."""
    ((events,),) = await pool.read(_COUNT)
    ((sealed,),) = await pool.read(_IN_COLUMNS) if await pool.read(_THERE) else ((0,),)
    return Sealed(min(sealed, events), max(events - sealed, 0))
