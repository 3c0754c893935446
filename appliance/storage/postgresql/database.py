"""The PostgreSQL engine's `Database`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from appliance.errors import ConfigurationError
from appliance.storage.interface import Counts, Params, Row
from appliance.storage.postgresql.migrate import migrate
from appliance.storage.postgresql.pool import Pool
from appliance.storage.postgresql.rows import SPAN
from appliance.storage.unfinished import SELECT_MARK, refuse

_STORED: Final = """
    WITH event AS (SELECT x.* FROM event x
                   WHERE x.project_id = :project_id AND x.time >= :low_time AND x.time < :high_time),
         visit AS (SELECT x.* FROM visit x
                   WHERE x.project_id = :project_id AND x.placed >= :low_time AND x.placed < :high_time)
    """
_COUNT: Final = """
    SELECT count(*), coalesce(sum(CASE WHEN e.kind = 0 THEN 1 ELSE 0 END), 0),
           (SELECT count(*) FROM visit v WHERE v.project_id = :id),
           (SELECT count(*) FROM (SELECT DISTINCT v.visitor FROM visit v WHERE v.project_id = :id) d),
           min(e.time), max(e.time)
    FROM event e WHERE e.project_id = :id
    """


class PostgresqlDatabase(Pool):
    """A database at a URL."""

    engine = "postgresql"

    async def open(self) -> None:
        await asyncio.to_thread(migrate, self.url)
        await super().open()
        try:
            refuse(await self.read(SELECT_MARK))
        except ConfigurationError:
            await self.close()
            raise

    async def stream_stored(
        self, sql: str, project_id: int, start: int, end: int, *, batch_rows: int = 1000
    ) -> AsyncIterator[list[Row]]:
        values = {
            "project_id": project_id,
            "start": start,
            "end": end,
            "low_time": start - SPAN,
            "high_time": end + SPAN,
        }
        async for rows in self.stream(_STORED + sql, values, batch_rows=batch_rows):
            yield rows

    async def count_stored(self, project_id: int) -> Counts:
        (row,) = await self.read(_COUNT, {"id": project_id})
        return Counts(*row)

    async def first_received(self, project_id: int) -> int | None:
        select = "SELECT e.received FROM event e WHERE e.project_id = :id ORDER BY e.time LIMIT 1"
        rows = await self.read(select, {"id": project_id})
        return rows[0][0] if rows else None

    async def raw_purged_before(self, project_id: int) -> int | None:
        rows = await self.read("SELECT raw_purged_before FROM project WHERE id = :id", {"id": project_id})
        return rows[0][0] if rows else None

    async def forget_ids(self, before_day: int) -> int:
        delete = (
            "WITH old AS (SELECT s.project_id, s.event_id FROM seen s WHERE s.received_day < :day LIMIT 10000),"
            " gone AS (DELETE FROM seen s USING old o WHERE s.project_id = o.project_id AND s.event_id = o.event_id"
            " AND s.received_day < :day RETURNING 1) SELECT count(*) FROM gone"
        )
        forgotten = 0
        while (deleted := (await self.write(delete, {"day": before_day}))[0][0]) > 0:
            forgotten += deleted
        return forgotten

    async def forget_aliases(self, before: int) -> None:
        params: Params = {"before": before - SPAN}
        await self.write_all(
            [
                ("DELETE FROM alias WHERE near < :before", params),
                ("DELETE FROM claim WHERE at < :before", params),
            ]
        )
