"""Every report is the same whether its rows are hot, sealed, or some of each: all against plain counting."""

from collections.abc import Iterable
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from appliance.queries.period import between
from appliance.queries.reports import Reports
from appliance.storage.calendar import local_day
from appliance.storage.sqlite.chunks import seal
from appliance.storage.sqlite.chunks.index import chunks
from appliance.storage.sqlite.chunks.visits import SealedVisits
from appliance.storage.sqlite.evaluator import Evaluator
from tests import oracle
from tests.oracle import Event, Visit
from tests.queries.test_reports import PLACES, Place, Stored, compare, project
from tests.queries.worlds import Store, instant, world


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


@pytest.mark.parametrize("seed", range(12))
async def test_sealing_changes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(seal, "CHUNK_EVENTS_MAX", 20)
    random = Random(seed)
    zone, first, last = PLACES[seed % len(PLACES)]
    start, end = instant(f"{first} 00:00", zone), instant(f"{last} 00:00", zone) + oracle.DAY
    visits = world(Random(seed), start, end, 60)
    place = Place(project(1, zone), between(first, last), visits)
    store = Store(tmp_path / "appliance.db")
    others = world(Random(seed + 1000), start, end, 20)
    ids = store.add([(1, visit) for visit in visits] + [(2, visit) for visit in others])
    evaluator = Evaluator(store.path, temp_directory=tmp_path / "tmp")
    asked = Reports(evaluator)
    earliest = min(event.time for visit in visits for event in visit.events)
    sealer = Sealer(store, 1, zone)

    async def agree() -> None:
        await compare(asked, place, random, 4, Stored(store.path))
        assert await asked.first_event(place.project) == min(earliest, *(e.time for v in visits for e in v.events))

    await agree()
    sealer.seal(random.sample(visits, 10), 1)  # some of it, and what else is of those days
    assert sealer.hot and sealer.sealed
    await agree()
    sealer.seal(visits)
    Sealer(store, 2, zone).seal(others)
    assert not sealer.hot
    await agree()
    for number in random.sample(range(60), 5):
        visit = visits[number]
        time = random.choice([visit.start - 60_000_000, visit.end + 60_000_000])
        late = Event(time, pageview=random.random() < 0.5, name="late", values={"event:page": "/late"})
        late.properties = {"plan": "late"}
        sealer.add_late(ids[number], visit, late)
    assert sealer.hot and sealer.sealed
    await agree()
    sealer.seal(visits)
    assert not sealer.hot
    await agree()
    await evaluator.close()
