"""Sealing what random worlds have stored."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from appliance.storage.calendar import local_day
from appliance.storage.sqlite.chunks import seal
from appliance.storage.sqlite.chunks.index import chunks
from appliance.storage.sqlite.chunks.visits import SealedVisits
from tests.oracle import Event, Visit
from tests.queries.worlds import Store


class Sealer:
    """Moves the visits of one project of a store to and fro."""

    def __init__(self, store: Store, project_id: int, zone: str) -> None:
        self._store = store
        self._project_id = project_id
        self._zone = ZoneInfo(zone)

    def seal(self, visits: Iterable[Visit], chunks_max: int = 20) -> None:
        """Seal the local days on which these visits started, each into so many chunks."""
        for day in {local_day(visit.start, self._zone) for visit in visits}:
            with self._store.transaction():
                for _ in range(chunks_max):
                    seal.seal(self._store.connection, self._project_id, day, self._zone)

    def add_late(self, visit_id: int, visit: Visit, event: Event) -> None:
        """An event of a visit that may be sealed, as the drain stores it."""
        connection = self._store.connection
        with self._store.transaction():
            SealedVisits().bring_back(connection, [visit_id])
            visit.events.append(event)
            ((newest,),) = connection.execute("SELECT value FROM meta WHERE name = 'newest_event'")
            event_id = self._store.add_event(self._project_id, visit_id, event)
            connection.execute("UPDATE event SET id = ? WHERE id = ?", (int(newest) + event_id, event_id))
            self._store.update_visit(self._project_id, visit_id, visit)

    @property
    def hot(self) -> int:
        select = "SELECT count(*) FROM event WHERE project_id = ?"
        return int(self._store.connection.execute(select, (self._project_id,)).fetchone()[0])

    @property
    def sealed(self) -> int:
        return sum(chunk.events for chunk in chunks(self._store.connection, "c.project_id = ?", (self._project_id,)))
