"""Erasing and purging, by one appliance at a time; what another one is at is left to that one."""

import asyncio
from functools import partial

from appliance.clock import now
from appliance.storage.aside import run_aside
from appliance.storage.interface import Purged
from appliance.storage.location import DATABASE_VARIABLE
from appliance.storage.postgresql.aggregates import refresh_aggregates
from appliance.storage.postgresql.removal.erase import erase_all
from appliance.storage.postgresql.removal.projects import remove_deleted
from appliance.storage.postgresql.removal.purge import purge_all
from appliance.storage.postgresql.removal.steps import removing, step
from appliance.storage.postgresql.removal.wipe import wipe

_ROLLUPS = "appliance.storage.postgresql.rollups.process"
PAUSE_SECONDS = 0.05  # between two steps, so that drains and questions get their turn


async def erase(url: str) -> None:
    """Carry out what was asked for; what somebody may still see is wiped the next time. Raises StorageUnavailable."""
    async with removing(url) as connection:
        if connection is None:
            return
        take = partial(_take_from_rollups, url)
        async for _ in erase_all(partial(step, connection), take):
            await asyncio.sleep(PAUSE_SECONDS)
        await _count_without(url)
        await wipe(connection)


async def _count_without(url: str) -> None:
    """Let aggregates forget what was removed."""
    await asyncio.to_thread(refresh_aggregates, url, now())


async def _take_from_rollups(url: str, erasure_id: int) -> None:
    await run_aside(_ROLLUPS, str(erasure_id), environment={DATABASE_VARIABLE: url})


async def purge(url: str) -> Purged:
    """Take out what is not kept any longer. Raises StorageUnavailable."""
    projects = visits = events = 0
    async with removing(url) as connection:
        if connection is None:
            return Purged(0, 0, 0, left_to_another=True)
        async for finished in remove_deleted(partial(step, connection), now()):
            projects += finished
            await asyncio.sleep(PAUSE_SECONDS)
        async for removed in purge_all(partial(step, connection), now()):
            visits += removed.visits
            events += removed.events
            await asyncio.sleep(PAUSE_SECONDS)
        await _count_without(url)
    return Purged(projects, visits, events)
