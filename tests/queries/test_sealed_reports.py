"""Every report is the same whether its rows are hot, sealed, or some of each: all against plain counting."""

from pathlib import Path
from random import Random

import pytest

from appliance.queries.period import between
from appliance.queries.reports import Reports
from appliance.storage.sqlite.chunks import seal
from appliance.storage.sqlite.evaluator import Evaluator
from tests import oracle
from tests.oracle import Event
from tests.queries.sealing import Sealer
from tests.queries.test_reports import PLACES, Place, Stored, compare, project
from tests.queries.worlds import COUNTRIES, Store, instant, world
from tests.seeds import seeds


@pytest.mark.parametrize("memory_bytes", [0, 1], ids=["at once", "in parts"])
@pytest.mark.parametrize("seed", seeds(6, 12))
async def test_sealing_changes_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, memory_bytes: int
) -> None:
    monkeypatch.setattr(seal, "CHUNK_EVENTS_MAX", 20)
    random = Random(seed)
    zone, first, last = PLACES[seed % len(PLACES)]
    start, end = instant(f"{first} 00:00", zone), instant(f"{last} 00:00", zone) + oracle.DAY
    visits = world(Random(seed), start, end, 60)
    place = Place(project(1, zone), between(first, last), visits)
    store = Store(tmp_path / "appliance.db")
    others = world(Random(seed + 1000), start, end, 20)
    ids = store.add([(1, visit) for visit in visits] + [(2, visit) for visit in others])
    evaluator = Evaluator(store.path, temp_directory=tmp_path / "tmp", memory_bytes=memory_bytes)
    asked = Reports(evaluator, COUNTRIES)
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
