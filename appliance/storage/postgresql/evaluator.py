"""The PostgreSQL engine's `QueryEngine`: the statements of a plan run in the database, those of steps with rollups in a
worker (worker/main.py), all in one snapshot.

A step is one statement: its relations are WITH queries, which are counted once however many reports read them, and each
report comes as the JSON of its rows. So nothing is ever written to answer a question, and a replica can do it.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from appliance.errors import QueryTimeout, StorageUnavailable
from appliance.storage.dimensions import property_column
from appliance.storage.evaluation import BEGINNING, Answer, NotRolledUp, Plan, Rows, SampledData, Step
from appliance.storage.location import DATABASE_VARIABLE
from appliance.storage.postgresql.code_sets import CodeSets, matching
from appliance.storage.postgresql.connection import parameters, storage_error, without_nul
from appliance.storage.postgresql.pool import RECONNECT_SECONDS, WAIT_SECONDS
from appliance.storage.postgresql.rollups.index import CROSSING, SELECT, Known, known, values_of
from appliance.storage.postgresql.sources import Property, bound, bounds, select_values, value_of, written
from appliance.storage.rollup import stored
from appliance.storage.units.covering import check_purged, chosen
from appliance.storage.worker.client import WorkerClient, memory_share
from appliance.storage.worker.pipe import AskRolled, Unit

CONNECTIONS_MAX: Final = 4  # questions at a time; others wait
WORK_MEMORY_MB: Final = 64  # for each sort and each table of groups of a statement

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_SAMPLED: Final = """
    SELECT EXISTS (SELECT 1 FROM event e WHERE e.project_id = %(project)s AND e.rate < 1000000
                   AND e.time >= %(start)s AND e.time < %(end)s)
        OR EXISTS (SELECT 1 FROM visit v WHERE v.project_id = %(project)s AND v.rate < 1000000
                   AND v.placed >= %(low_time)s AND v.placed < %(high_time)s
                   AND v."end" >= %(start)s AND v.start < %(end)s)
    """
_FACTS: Final = (
    "SELECT (SELECT p.raw_purged_before FROM project p WHERE p.id = %s),"
    " (SELECT CAST(m.value AS BIGINT) FROM meta m WHERE m.name = 'hot_generation')"
)
_WORKER: Final = "appliance.storage.postgresql.worker.main"
_ANSWERS: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)
_FIRST: Final = """
    SELECT least((SELECT e.time FROM event e WHERE e.project_id = %(project)s ORDER BY e.time LIMIT 1),
                 (SELECT min(r.start) FROM rollup r JOIN project p ON p.id = r.project_id
                  WHERE r.project_id = %(project)s AND r.final = 1 AND r."end" <= p.raw_purged_before))
    """


class PostgresqlEvaluator:
    """Answers questions over the database at a URL. A question may take `timeout_seconds`, its wait for others
    included.

    What is asked of rollups a worker answers, which ends after `idle_seconds` without a question. It keeps and sorts
    data in `memory_bytes` (0: `memory_share()`), and spills what it cannot into `temp_directory`.
    """

    dialect: Literal["duckdb", "postgresql"] = "postgresql"
    rolled_dialect: Literal["duckdb", "postgresql"] = "duckdb"

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 30,
        temp_directory: Path | None = None,
        idle_seconds: float = 300,
        memory_bytes: int = 0,
        threads: int = 2,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._sets = CodeSets()
        self._opened = False
        folder = temp_directory or Path(tempfile.gettempdir()) / "analytics-appliance"
        self.worker = WorkerClient(
            _WORKER,
            [str(folder), str(memory_bytes or memory_share()), str(threads)],
            environment={DATABASE_VARIABLE: url},
            idle_seconds=idle_seconds,
            timeout_seconds=timeout_seconds,
        )
        self._pool = AsyncConnectionPool[Connection](
            url,
            kwargs=parameters(url, f"-c jit=off -c work_mem={WORK_MEMORY_MB}MB"),
            min_size=0,
            max_size=CONNECTIONS_MAX,
            timeout=min(WAIT_SECONDS, timeout_seconds),
            reconnect_timeout=RECONNECT_SECONDS,
            open=False,
            check=AsyncConnectionPool.check_connection,
        )

    async def ask(self, plan: Plan) -> Answer:
        async with self._snapshot() as connection:
            return await _Asking(connection, plan, self._sets, self.worker).answer()

    async def first_event(self, project_id: int) -> int | None:
        async with self._snapshot() as connection:
            row = await (await connection.execute(_FIRST, {"project": project_id})).fetchone()
            return row[0] if row else None

    async def close(self) -> None:
        await self.worker.close()
        await self._pool.close()

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        """A connection with a transaction that sees one snapshot and writes nothing."""
        if not self._opened:
            self._opened = True
            await self._pool.open(wait=False)
        try:
            async with asyncio.timeout(self._timeout_seconds), self._pool.connection() as connection:
                await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
                await connection.set_read_only(True)
                async with connection.transaction():
                    yield connection
        except TimeoutError:
            raise QueryTimeout(f"the question took longer than {self._timeout_seconds:g} seconds") from None
        except PoolTimeout as error:
            raise StorageUnavailable("the database does not answer, or has too many questions to answer") from error
        except psycopg.errors.QueryCanceled as error:
            raise QueryTimeout("the question was ended by the database") from error
        except psycopg.Error as error:
            raise storage_error(error) from error


class _Asking:
    """One plan in one snapshot."""

    def __init__(self, connection: Connection, plan: Plan, sets: CodeSets, worker: WorkerClient) -> None:
        self._connection = connection
        self._plan = plan
        self._sets = sets
        self._worker = worker
        self._properties: dict[str, Property] = {}

    async def answer(self) -> Answer:
        plan = self._plan
        ((purged, generation),) = await self._fetch(_FACTS, (plan.project_id,))
        self._sets.follow(generation or 0)
        purged = BEGINNING if purged is None else purged
        rolled = [step for step in plan.steps if step.rolled is not None]
        there = await self._known_units(rolled)
        for step in plan.steps:
            check_purged(step.rolled, step.needed, [one.unit for one in there], purged)
        if not plan.weighted:
            for span in {(step.start, step.end): step for step in plan.steps}.values():
                if await self._is_sampled(span):
                    raise SampledData
        units = [_chosen(step, there, purged) for step in rolled]
        # What reaches into purged days would be refused without rollups; where those have none, there were no events.
        bare = [
            _span(step)
            for step, found in zip(rolled, units, strict=True)
            if not found and not BEGINNING < step.start < purged
        ]
        if bare:
            raise NotRolledUp(bare)
        await self._number_values()
        if not rolled:
            return [await self._run(step) for step in plan.steps]
        asking = asyncio.create_task(self._ask_worker(rolled, units, purged))
        try:
            others = iter([await self._run(step) for step in plan.steps if step.rolled is None])
            answers = iter(await asking)
        finally:
            asking.cancel()
        return [next(others if step.rolled is None else answers) for step in plan.steps]

    async def _known_units(self, rolled: Sequence[Step]) -> list[Known]:
        """The units of the stretch that these steps ask about, with all columns that any of them reads."""
        if not rolled:
            return []
        names = [*CROSSING.values(), *(stored(name) for step in rolled if step.rolled for name in step.rolled.names)]
        low, high = min(step.start for step in rolled), max(step.end for step in rolled)
        values = values_of(self._plan.project_id, names, low, high)
        return known(await self._fetch(SELECT, values))

    async def _ask_worker(self, rolled: Sequence[Step], units: Sequence[Sequence[Unit]], purged: int) -> Answer:
        """The answers to steps with rollups, in the snapshot of this connection."""
        ((snapshot,),) = await self._fetch("SELECT pg_export_snapshot()", ())
        plan = msgspec.structs.replace(self._plan, steps=tuple(rolled))
        request = AskRolled(self._worker.next_id(), plan, snapshot, tuple(map(tuple, units)), purged)
        try:
            return _ANSWERS.decode(await self._worker.put(request))
        except NotRolledUp:
            raise NotRolledUp(map(_span, rolled)) from None

    async def _is_sampled(self, step: Step) -> bool:
        values = {"project": self._plan.project_id, "start": step.start, "end": step.end, **bounds(step)}
        ((found,),) = await self._fetch(_SAMPLED, values)
        return bool(found)

    async def _number_values(self) -> None:
        """Give numbers to the values that the plan's properties have where it looks."""
        plan = self._plan
        for name in plan.properties:
            column = property_column(name)
            value = value_of(name, f"{column}_name")
            steps = plan.steps
            low, high = min(bounds(s)["low_time"] for s in steps), max(bounds(s)["high_time"] for s in steps)
            values = {"project": plan.project_id, f"{column}_name": name, "low_time": low, "high_time": high}
            found = await self._fetch(select_values(value), values)
            self._properties[column] = Property(column, value, [text for (text,) in found if text is not None])

    async def _run(self, step: Step) -> list[Rows]:
        values: dict[str, Any] = {"project": self._plan.project_id, **step.parameters, **step.texts, **bounds(step)}
        values |= bound(self._properties)
        values |= {f"{property_column(name)}_name": name for name in self._plan.properties}
        for name, wanted in step.code_sets.items():
            if isinstance(wanted.dictionary, str):
                numbered = enumerate(self._properties[wanted.dictionary].texts, 1)
                values[name] = await matching(wanted, [*wanted.extra, *numbered])
            else:
                values[name] = await self._sets.resolve(self._fetch, self._plan.project_id, wanted)
        text = written(_statement(step.relations, step.reports), self._properties)
        (row,) = await self._fetch(text, values)
        return [_rows(found) for found in row]

    async def _fetch(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        if isinstance(values, dict):
            values = without_nul(values)
        return await (await self._connection.execute(sql, values)).fetchall()


@lru_cache(maxsize=256)
def _statement(relations: Sequence[tuple[str, str]], reports: Sequence[str]) -> str:
    """One row: the rows of each report as the text of a JSON array of objects, NULL where it has none."""
    made = ", ".join(f'"{name}" AS ({select})' for name, select in relations)
    answers = (
        f"(SELECT CAST(json_agg(answer_row) AS TEXT) FROM ({select}) answer_row) AS report_{index}"
        for index, select in enumerate(reports)
    )
    return f"{f'WITH {made} ' if made else ''}SELECT {', '.join(answers)}"


def _rows(found: str | None) -> Rows:
    """Columns of a report need not have different names, so the objects are read as pairs."""
    return _decode(found) if found is not None else []


_decode: Final = json.JSONDecoder(object_pairs_hook=lambda pairs: tuple([value for _, value in pairs])).decode


def _chosen(step: Step, there: Sequence[Known], purged: int) -> list[Unit]:
    """The units to answer a step with."""
    assert step.rolled is not None
    current = {one.unit.id for one in there if one.is_current}
    return chosen(step.rolled, _span(step), [one.unit for one in there], purged, lambda unit: unit.id in current)


def _span(step: Step) -> tuple[int, int]:
    return step.start, step.end
