"""Wiping what was erased from the tables' files: PostgreSQL keeps rows that are deleted, as dead ones, until a VACUUM.

It keeps them as long as any transaction may still see them. So first those have to end that were under way when the
last row was deleted; then every table that people are in is vacuumed, with indexes, partitions and compressed chunks.

What a VACUUM removes is free space, which no query reaches and which is overwritten as new rows come; until then bytes
of it may be in the file. The write-ahead log has them until it is recycled, a replica until it has replayed the same,
archives and backups for as long as they are kept.
"""

import asyncio
from typing import Final

from appliance.clock import now
from appliance.storage.postgresql.aggregates import SELECT_TABLES
from appliance.storage.postgresql.removal.steps import Connection, fetch, has_timescaledb

# An export or a replica that is in the middle of something keeps dead rows.
TRIES: Final = 5
TRY_SECONDS: Final = 1.0
TABLES: Final = (
    *("visit", "event", "dictionary", "user_trait", "alias", "claim", "wanderer", "dead_letter", "seen", "erasure"),
    *("rollup_column", "notice"),
)

_WAITING: Final = "SELECT id FROM erasure WHERE erased_at IS NOT NULL AND wiped_at IS NULL"
_NOW: Final = "SELECT CAST(CAST(pg_current_xact_id() AS xid) AS TEXT)"
# Of other databases only what is older than any of this one may matter, and that is not worth telling apart.
_OLDER: Final = """
    SELECT count(*) FROM (
      SELECT a.backend_xmin AS xid FROM pg_stat_activity a
      WHERE a.pid <> pg_backend_pid() AND a.backend_type <> 'autovacuum worker'
      UNION ALL
      SELECT a.backend_xid FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid()
      UNION ALL
      SELECT s.xmin FROM pg_replication_slots s
      UNION ALL
      SELECT p.transaction FROM pg_prepared_xacts p) o
    WHERE o.xid IS NOT NULL AND age(o.xid) > age(CAST(%s AS xid))
    """


async def wipe(connection: Connection) -> bool:
    """Leave no dead row of whom was erased so far. False: somebody may still see them; try again later."""
    erased = [erasure_id for (erasure_id,) in await fetch(connection, _WAITING)]
    if not erased:
        return True
    if not await _are_seen_by_nobody(connection):
        return False
    aggregates = await fetch(connection, SELECT_TABLES) if await has_timescaledb(connection) else []
    for table in (*TABLES, *(table for (table,) in aggregates)):
        # Without truncation, for which a table is locked against everybody.
        await connection.execute(f"VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF) {table}")
    await connection.execute("UPDATE erasure SET wiped_at = %s WHERE id = ANY(CAST(%s AS BIGINT[]))", (now(), erased))
    return True


async def _are_seen_by_nobody(connection: Connection) -> bool:
    """Whether all transactions have ended that may see rows which are deleted by now."""
    ((last,),) = await fetch(connection, _NOW)
    for tries_left in reversed(range(TRIES)):
        ((older,),) = await fetch(connection, _OLDER, (last,))
        if not older:
            return True
        if tries_left:
            await asyncio.sleep(TRY_SECONDS)
    return False
