"""What the command line does with the parts of a server, without one."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appliance import clock
from appliance.config import Settings
from appliance.errors import DataFolderLocked, StorageUnavailable
from appliance.ingest.drain import Drain
from appliance.ingest.geo import country_names
from appliance.ingest.journal_folder import survey
from appliance.model import Project
from appliance.queries.conditions import Names
from appliance.queries.reports import Reports
from appliance.storage import dead_letters, summary
from appliance.storage.data_folder import lock_data_folder
from appliance.storage.interface import Database, Position
from appliance.storage.location import drain_store_at
from appliance.storage.open import database_url, opened, query_engine_of


async def status(settings: Settings) -> dict[str, Any]:
    """What is stored, and how much of the journal is not drained yet."""
    async with opened(settings) as database:
        condition = await database.condition()
        return {
            "database": database.location,
            "database_software": condition.software,
            "database_remarks": list(condition.remarks),
            "database_aggregates": condition.aggregates,
            "database_bytes": condition.nbytes,
            "journal_bytes": summary.folder_bytes(_journal_folder(settings)),
            "journal_backlog_bytes": await _backlog(database, settings),
            "dead_letters": await dead_letters.count(database),
            "projects": await summary.count_rows(database),
        }


async def drain_journal(settings: Settings, timeout_seconds: float) -> int:
    """Empty the journal, or wait until the server that runs has. Gives the bytes that are left."""
    try:
        lock = lock_data_folder(settings.data_dir)
    except DataFolderLocked:
        return await _wait_for_server(settings, timeout_seconds)
    with lock:
        async with opened(settings) as database:
            found = survey(_journal_folder(settings))
            if found is None:
                return 0
            end = Position(found.newest, found.sizes.get(found.newest, 0))
            store = drain_store_at(database_url(settings))
            drain = Drain(_journal_folder(settings), found.journal_id, store)
            deadline = time.monotonic() + timeout_seconds
            while time.monotonic() < deadline and drain.step(end) is not None:
                pass
            store.settle()
            store.close()
            return await _backlog(database, settings)


async def store_what_was_sent(settings: Settings, timeout_seconds: float) -> None:
    """Bring into the database what the journal holds now, or wait until the server that runs has.

    Raises StorageUnavailable when time runs out.
    """
    try:
        lock = lock_data_folder(settings.data_dir)
    except DataFolderLocked:
        sent = survey(_journal_folder(settings))
        async with opened(settings) as database:
            deadline = time.monotonic() + timeout_seconds
            while sent is not None and sent.bytes_after(await _checkpoint(database, sent.journal_id)):
                if time.monotonic() > deadline:
                    raise StorageUnavailable("the server has not stored what it took; see its log") from None
                await asyncio.sleep(0.1)
        return
    lock.close()
    if await drain_journal(settings, timeout_seconds):
        raise StorageUnavailable("not all of the journal could be stored in time")


async def verify(settings: Settings, database: Database, project: Project, wanted: Mapping[str, str]) -> dict[str, Any]:
    """Figures as they are answered and counted again; `wanted` is what `GET /api/v1/verify` takes."""
    from appliance.web.api.verify import verified

    evaluator = query_engine_of(settings)
    try:
        reports = Reports(evaluator, Names(countries=country_names()))
        return await verified(database, reports, project, wanted, clock.now())
    finally:
        await evaluator.close()


async def _wait_for_server(settings: Settings, timeout_seconds: float) -> int:
    deadline = time.monotonic() + timeout_seconds
    async with opened(settings) as database:
        while (left := await _backlog(database, settings)) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        return left


async def _backlog(database: Database, settings: Settings) -> int:
    """Bytes of journal records that the database does not have, read from outside the process that writes them."""
    found = survey(_journal_folder(settings))
    if found is None:
        return 0
    return found.bytes_after(await _checkpoint(database, found.journal_id))


async def _checkpoint(database: Database, journal_id: bytes) -> Position | None:
    """Up to where a journal is in the database; None: nothing of it."""
    rows = await database.read("SELECT segment, position FROM checkpoint WHERE journal_id = :id", {"id": journal_id})
    return Position(*rows[0]) if rows else None


def _journal_folder(settings: Settings) -> Path:
    return settings.data_dir / "journal"
