"""The PostgreSQL engine's `Database`."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Final

import msgspec

from appliance import clock
from appliance.clock import HOUR
from appliance.errors import ConfigurationError
from appliance.storage.event_ids import names_before
from appliance.storage.interface import Condition, Counts, Params, Purged, Row, Sealed
from appliance.storage.postgresql import columnstore, maintenance
from appliance.storage.postgresql.aggregates import GRAINS, SELECT_CONTINUOUS
from appliance.storage.postgresql.announcements import WATCH, announcements
from appliance.storage.postgresql.connection import without_password
from appliance.storage.postgresql.migrate import migrate
from appliance.storage.postgresql.pool import Pool
from appliance.storage.row_columns import SPAN
from appliance.storage.unfinished import SELECT_MARK, refuse

_STORED: Final = """
    WITH event AS (SELECT x.* FROM event x
                   WHERE x.project_id = :project_id AND x.time >= :low_time AND x.time < :high_time),
         visit AS (SELECT x.* FROM visit x
                   WHERE x.project_id = :project_id AND x.placed >= :low_time AND x.placed < :high_time)
    """
_RECENT: Final = """
    WITH visit AS (SELECT x.* FROM visit x WHERE x.placed >= :low_time AND x.placed < :high_time),
         event AS (SELECT x.* FROM event x WHERE x.time >= :low_time AND x.time < :high_time)
    """
_CONDITION: Final = """
    SELECT split_part(current_setting('server_version'), ' ', 1), pg_database_size(current_database()),
           (SELECT CAST(m.value AS BIGINT) FROM meta m WHERE m.name = 'schema_version'),
           (SELECT e.default_version FROM pg_available_extensions e WHERE e.name = 'timescaledb'),
           (SELECT e.installed_version FROM pg_available_extensions e WHERE e.name = 'timescaledb'),
           ARRAY(SELECT CAST(v.viewname AS TEXT) FROM pg_views v WHERE v.schemaname = current_schema())
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

    @property
    def location(self) -> str:
        return without_password(self.url)

    async def open(self) -> None:
        await asyncio.to_thread(migrate, self.url)
        await super().open()
        try:
            refuse(await self.read(SELECT_MARK))
        except ConfigurationError:
            await self.close()
            raise

    async def read_recent(self, sql: str, since: int) -> list[Row]:
        now = clock.now()
        values = {"since": since, "low_time": min(since, now - 2 * HOUR) - SPAN, "high_time": now + SPAN}
        return await self.read(_RECENT + sql, values)

    async def condition(self) -> Condition:
        ((version, nbytes, schema, available, installed, views),) = await self.read(_CONDITION)
        aggregates = {grain.aggregate: "plain view" for grain in GRAINS if grain.aggregate in views}
        if installed:
            continuous = {name for (name,) in await self.read(SELECT_CONTINUOUS)}
            aggregates |= dict.fromkeys(aggregates.keys() & continuous, "continuous aggregate")
            software = f"PostgreSQL {version} with TimescaleDB {installed}"
            return Condition(software, schema, nbytes, aggregates=aggregates)
        missing = "is not loaded in this database" if available else "is not installed on its server"
        remark = f"TimescaleDB {missing}: events take more room, and questions over long ranges more time"
        return Condition(f"PostgreSQL {version}", schema, nbytes, (remark,), aggregates)

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

    async def first_time(self, project_id: int) -> int | None:
        select = "SELECT e.time FROM event e WHERE e.project_id = :id ORDER BY e.time LIMIT 1"
        rows = await self.read(select, {"id": project_id})
        return rows[0][0] if rows else None

    def announcements(self, journal_id: bytes) -> AsyncIterator[bytes]:
        return announcements(self.url, journal_id)

    async def watch(self, journal_id: bytes, projects: Collection[int]) -> None:
        watched = msgspec.json.encode(sorted(projects)).decode()
        await self.write(WATCH, {"journal_id": journal_id, "watched": watched})

    async def seal(self) -> None:
        await columnstore.seal(self)

    async def count_sealed(self) -> Sealed:
        return await columnstore.count_sealed(self)

    async def erase(self) -> None:
        if await self.read("SELECT 1 FROM erasure WHERE wiped_at IS NULL LIMIT 1"):
            await maintenance.erase(self.url)

    async def purge(self) -> Purged:
        return await maintenance.purge(self.url)

    async def raw_purged_before(self, project_id: int) -> int | None:
        rows = await self.read("SELECT raw_purged_before FROM project WHERE id = :id", {"id": project_id})
        return rows[0][0] if rows else None

    async def forget_ids(self, before_day: int, names_before_day: int) -> int:
        first, end = names_before(names_before_day)
        ids = "FROM seen s WHERE s.received_day < :day"
        names = (
            "FROM project p JOIN seen s ON s.project_id = p.id AND s.event_id >= :first AND s.event_id < :end"
            " WHERE length(s.event_id) = 16"
        )
        forgotten = 0
        for old, params in ((ids, {"day": before_day}), (names, {"first": first, "end": end})):
            delete = (
                f"WITH old AS (SELECT s.project_id, s.event_id, s.received_day {old} LIMIT 10000), gone AS (DELETE FROM"
                " seen s USING old o WHERE s.project_id = o.project_id AND s.event_id = o.event_id"
                " AND s.received_day = o.received_day RETURNING 1) SELECT count(*) FROM gone"
            )
            while (deleted := (await self.write(delete, params))[0][0]) > 0:
                forgotten += deleted
        return forgotten

    async def forget_aliases(self, before: int) -> None:
        params: Params = {"before": before - SPAN}
        await self.write_all(
            [
                ("DELETE FROM alias WHERE near < :before", params),
                ("DELETE FROM claim WHERE at < :before", params),
                ("DELETE FROM early_engagement WHERE received < :before", params),
                ("DELETE FROM appliance WHERE seen_at < :before", params),
            ]
        )
