"""A database, and a batch that applies events to it as the drain does."""

from collections.abc import Callable

from appliance.ingest.batch import Applied, Batch
from appliance.model import Event, ProjectSettings
from appliance.storage.interface import DrainStore


class Applying:
    """Use `open_store` once and after every restart."""

    def __init__(self, open_store: Callable[[], DrainStore]) -> None:
        self._open_store = open_store
        self.open()

    def open(self) -> None:
        self.store = self._open_store()
        self.batch = Batch(lambda project_id: ProjectSettings())

    def restart(self) -> None:
        """All that is in memory is gone."""
        self.store.close()
        self.open()

    def apply(self, *events: Event) -> Applied:
        return self.store.transact(lambda tx: self.batch.apply(tx, events))
