"""Every report speaks of those who are left, hot, sealed or counted beforehand: all against plain counting."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from appliance.queries.period import between
from appliance.queries.reports import Reports
from appliance.storage.packing import unpack_numbers
from appliance.storage.sqlite.chunks import seal
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.sqlite.removal import taking
from appliance.storage.sqlite.removal.erase import erase_all
from tests import oracle
from tests.oracle import Visit
from tests.queries import test_rollup_reports as rollups
from tests.queries.sealing import Sealer
from tests.queries.test_reports import PLACES, Place, Stored, compare, project
from tests.queries.worlds import COUNTRIES, Store, instant, world
from tests.seeds import seeds


def transact(store: Store) -> Callable[[Callable[[Any], Any]], Any]:
    def run(work: Callable[[Any], Any]) -> Any:
        with store.transaction():
            return work(store.connection)

    return run


def erase(store: Store, visits: list[Visit], visitor: int, project_id: int = 1) -> None:
    """Erase a visitor of a project, from the list too."""
    insert = "INSERT INTO erasure (project_id, asked_at, visitors) VALUES (?, 0, json_array(?))"
    store.connection.execute(insert, (project_id, visitor))
    assert list(erase_all(transact(store)))
    visits[:] = [visit for visit in visits if visit.visitor != visitor]


@pytest.mark.parametrize("seed", seeds(6, 12))
async def test_who_is_erased_is_in_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(seal, "CHUNK_EVENTS_MAX", 20)
    monkeypatch.setattr(taking, "STEP_EVENTS", 3)
    random = Random(seed)
    zone, first, last = PLACES[seed % len(PLACES)]
    start, end = instant(f"{first} 00:00", zone), instant(f"{last} 00:00", zone) + oracle.DAY
    visits = world(Random(seed), start, end, 60)
    place = Place(project(1, zone), between(first, last), visits)
    store = Store(tmp_path / "appliance.db")
    store.add([(1, visit) for visit in visits] + [(2, visit) for visit in world(Random(seed), start, end, 20)])
    evaluator = Evaluator(store.path, temp_directory=tmp_path / "tmp")
    asked = Reports(evaluator, COUNTRIES)
    sealer = Sealer(store, 1, zone)

    async def agree() -> None:
        await compare(asked, place, random, 3, Stored(store.path))
        earliest = min(event.time for visit in visits for event in visit.events)
        assert await asked.first_event(place.project) == earliest

    await agree()
    for sealed in ([], random.sample(visits, 10), list(visits)):
        sealer.seal(sealed)
        await agree()
        erase(store, visits, random.choice(visits).visitor)
        await agree()
    assert not sealer.hot
    await evaluator.close()


def named(store: Store) -> set[int]:
    """Visitors whom rollups, or what they are made with, name."""
    select = "SELECT data FROM rollup_column WHERE name = 'visitors'"
    found = {visitor for (blob,) in store.connection.execute(select) for visitor in unpack_numbers(blob).tolist()}
    return found | {visitor for (visitor,) in store.connection.execute("SELECT visitor FROM wanderer")}


@pytest.mark.parametrize("seed", seeds(3, 6))
async def test_no_rollup_speaks_of_who_is_erased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(seal, "CHUNK_EVENTS_MAX", 30)
    random, made = Random(seed), rollups.made(tmp_path, seed)
    store, visits = made.store, made.place.visits
    sealer = Sealer(store, 1, made.zone)
    evaluator = Evaluator(store.path, temp_directory=tmp_path / "tmp")
    asked = Reports(evaluator, COUNTRIES)
    sealer.seal(visits)
    assert made.refresh()
    await rollups.compare(asked, made, random, 3)
    for _ in range(3):
        visitor = random.choice([visit for visit in visits if visit.visitor in named(store)]).visitor
        erase(store, visits, visitor)
        assert visitor not in named(store)
        await rollups.compare(asked, made, random, 3)
    assert made.refresh()
    await rollups.compare(asked, made, random, 3)
    await evaluator.close()
