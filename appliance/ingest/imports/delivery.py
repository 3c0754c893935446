"""How packages come to the one writer: through the queue of the server that runs, or, where none does, by being the
writer oneself for as long."""

import fcntl
import time
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from appliance.errors import DataFolderLocked
from appliance.ingest.drain import Drain
from appliance.ingest.drain_worker import LOCK_FILE
from appliance.ingest.imports import queue
from appliance.ingest.imports.package import Package
from appliance.ingest.journal_folder import survey
from appliance.storage.data_folder import lock_data_folder
from appliance.storage.location import drain_store_at

DEPTH: Final = 4  # packages that wait while the next is made
_POLL_SECONDS: Final = 0.005
_LOOK_SECONDS: Final = 0.25  # between two looks whether the server is gone


class Void(Exception):
    """Nothing of a package may be stored: the import was stopped, or stands elsewhere than its importer believes."""


class Delivery:
    """Of one importer. `alone`: it may be the writer itself where no server runs on the data folder."""

    def __init__(self, data_dir: Path, database: str, *, alone: bool) -> None:
        """`database` is its URL."""
        self._data_dir = data_dir
        self._database = database
        self._alone = alone
        self._queue = queue.folder_of(data_dir)
        self._waiting: deque[Path] = deque()
        self._holding = ExitStack()
        self._drain: Drain | None = None
        self._looked = 0.0

    def hand_over(self, package: Package) -> None:
        """Give a package; returns when so few wait that another may be made. Raises Void, StorageUnavailable."""
        if self._may_store():
            self._store(package)
            return
        self._waiting.append(queue.put(self._queue, package))
        self._wait(DEPTH - 1)

    def finish(self) -> None:
        """Wait until everything is stored. Raises Void, StorageUnavailable."""
        self._wait(0)

    def rest(self) -> None:
        """Let a server have the folder."""
        self._drain = None
        self._holding.close()

    def abandon(self) -> None:
        """Take back what waits: it is read again."""
        for path in self._waiting:
            path.unlink(missing_ok=True)
            queue.is_void(path)
        self._waiting.clear()
        self.rest()

    def _wait(self, most: int) -> None:
        while len(self._waiting) > most:
            first = self._waiting[0]
            if not first.exists():
                if queue.is_void(first):
                    raise Void
                self._waiting.popleft()
            elif self._may_store():
                if (package := queue.read(first)) is not None:
                    self._store(package)
                queue.settle(first, stored=True)
            else:
                time.sleep(_POLL_SECONDS)

    def _store(self, package: Package) -> None:
        assert self._drain is not None
        if self._drain.take_package(package) is None:
            raise Void

    def _may_store(self) -> bool:
        """Whether this importer is the writer, or can be."""
        if self._drain is not None:
            return True
        if not self._alone or time.monotonic() - self._looked < _LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        with suppress(DataFolderLocked), ExitStack() as holding:
            holding.enter_context(lock_data_folder(self._data_dir))
            journal = self._data_dir / "journal"
            if journal.is_dir():
                # The drain of a server that was killed a moment ago may still be finishing its batch.
                fcntl.flock(holding.enter_context((journal / LOCK_FILE).open("a")), fcntl.LOCK_EX)
            store = drain_store_at(self._database)
            holding.callback(store.close)
            holding.callback(store.settle)
            there = survey(journal)
            self._drain = Drain(journal, there.journal_id if there is not None else b"", store)
            self._holding = holding.pop_all()
        return self._drain is not None
