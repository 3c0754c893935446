"""The periodic jobs: each a coroutine that runs every so often, beside the requests."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

log = structlog.get_logger(__name__)


class Job(NamedTuple):
    """`run` is awaited every `seconds`, give or take a tenth so that several appliances do not march in step."""

    name: str
    seconds: float
    run: Callable[[], Awaitable[object]]


async def repeat(job: Job) -> None:
    """Run a job for ever. What it raises is logged, and it is tried again the next time."""
    while True:
        await asyncio.sleep(job.seconds * random.uniform(0.9, 1.1))
        try:
            await job.run()
        except Exception as error:
            log.error("a job failed", job=job.name, error=repr(error))
