"""What the serving process does for imports: it keeps uploads and has a process work on them, one after the other, and
it tells the drain of the packages that importers hand over, its own and those of the command line."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

import structlog

from appliance.clock import now
from appliance.errors import ApplianceError, Invalid
from appliance.ingest.drain_client import DrainClient
from appliance.ingest.imports import identify, queue
from appliance.ingest.imports.identify import Given
from appliance.ingest.imports.run import Where, is_held, prepare
from appliance.ingest.imports.spool import Spool
from appliance.model import Project
from appliance.storage import imports
from appliance.storage.imports import ACTIVE, Import
from appliance.storage.interface import Database
from appliance.storage.location import DATABASE_VARIABLE

log = structlog.get_logger(__name__)

WAITING_MAX: Final = 50  # uploads of a project that arrive or wait for their import
STRANGERS_MAX: Final = 5  # the same, beyond which a public key, which is known to everybody, gets no further
BUSY_SECONDS: Final = 0.02  # between two looks into the queue, while there is something in it
IDLE_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 5.0
CRASHES_MAX: Final = 3


class ImportHost:
    """Use: `run` as a task; `accept` what was received into `spool`."""

    def __init__(self, database: Database, drain: DrainClient, where: Where, log_format: str) -> None:
        self._database = database
        self._drain = drain
        self._where = where
        self._log_format = log_format
        self._queue = queue.folder_of(where.data_dir)
        self._arrived = asyncio.Event()
        self._placing = asyncio.Lock()  # while it is held, there may be a file that the ledger does not know yet
        self._crashes: dict[str, int] = {}
        self._arriving: Counter[int] = Counter()  # uploads by project
        self.spool = Spool(where.data_dir)

    async def run(self) -> None:
        """Work for ever."""
        try:
            prepare(self._where.data_dir)
        except OSError as error:
            log.error("the folder of imports cannot be made", error=str(error))
        queue.clear(self._queue)
        self.spool.clear_parts()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell_drain())
            tasks.create_task(self._work())

    async def accept(
        self,
        project: Project,
        chunks: AsyncIterator[bytes],
        given: Given,
        *,
        native_only: bool,
        expected: int,
        bytes_max: int,
    ) -> tuple[Import, bool]:
        """Receive a file and let it wait for its import; whether there is anything to import in it.

        `native_only`: of other formats nothing is taken. Raises Invalid (422 format, 409 the same file is under way,
        429 too many wait), TooLarge, StorageFull, StorageUnavailable.
        """
        waiting = await imports.count_waiting(self._database, project.id) + self._arriving[project.id]
        if waiting >= (STRANGERS_MAX if native_only else WAITING_MAX):
            raise Invalid("Too many uploads wait for their import.", code="too_many_uploads", status=429)
        self._arriving[project.id] += 1
        try:
            part = await self.spool.receive(chunks, expected=expected, bytes_max=bytes_max)
        finally:
            self._arriving[project.id] -= 1
        try:
            look = await asyncio.to_thread(identify.look_at, part, given.file_format)
            if native_only and not look.format.native:
                message = f"A public key uploads native events, not {look.format.title}: use a private key."
                raise Invalid(message, code="private_key_needed", field="format", status=403)
            async with self._placing:
                found, behind = await identify.register(
                    self._database,
                    project,
                    part,
                    look,
                    given,
                    state="waiting",
                    is_held=partial(is_held, self._where.data_dir),
                    place=partial(self.spool.place, part),
                )
        finally:
            part.unlink(missing_ok=True)
        self._arrived.set()
        return found, behind

    async def stop(self, found: Import, *, actor: str) -> None:
        """End an import before its end; what is stored of it stays."""
        await imports.stop(self._database, found, actor=actor, at=now())
        self._arrived.set()

    # ------------------------------------------------------------------ packages

    async def _tell_drain(self) -> None:
        while True:
            try:
                paths = queue.waiting(self._queue)
            except OSError as error:
                log.error("packages of imports cannot be found", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if paths:
                self._drain.take(paths)
            await asyncio.sleep(BUSY_SECONDS if paths else IDLE_SECONDS)

    # ------------------------------------------------------------------ uploads

    async def _work(self) -> None:
        while True:
            self._arrived.clear()
            try:
                async with self._placing:
                    found = await self._next()
                if found is not None:
                    await self._import(found)
                    continue
            except (ApplianceError, OSError) as error:
                log.warning("uploads cannot be imported now", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            await self._arrived.wait()

    async def _next(self) -> Import | None:
        """The upload that has waited longest; files that are needed no more are removed."""
        waiting = []
        for import_id in self.spool.ids():
            found = await imports.find(self._database, import_id)
            if found is not None and found.state in ACTIVE:
                waiting.append(found)
            else:
                self.spool.path(import_id).unlink(missing_ok=True)
        return min(waiting, key=lambda found: (found.updated_at, found.id), default=None)

    async def _import(self, found: Import) -> None:
        """Let a process import an upload. Raises StorageUnavailable."""
        command = [sys.executable, "-m", "appliance.ingest.imports.worker", str(self._where.data_dir), found.id]
        command += [self._log_format, *(str(path or "") for path in (self._where.geo, self._where.data_centres))]
        environment = {**os.environ, DATABASE_VARIABLE: self._where.database}
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, env=environment)
        try:
            status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status == 0:
            return
        self._crashes[found.id] = self._crashes.get(found.id, 0) + 1
        log.error("an import ended unexpectedly", name=found.name, status=status)
        if self._crashes[found.id] >= CRASHES_MAX:
            message = "the import ended unexpectedly; the log says more"
            await imports.end(self._database, found.id, "failed", error=message, at=now())
        await asyncio.sleep(1)
