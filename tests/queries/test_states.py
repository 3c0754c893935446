"""Random worlds in every state that stored data can be in: all say the same as plain counting."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Final

import pytest

from appliance.queries.reports import Reports
from appliance.rollups import units
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted
from appliance.storage.sqlite.chunks import seal
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.sqlite.rollups import job
from tests.oracle import Event
from tests.queries.sealing import Sealer
from tests.queries.test_erased_reports import erase
from tests.queries.test_reports import NOW, PLACES, Place, World, compare, compare_ranges, worlds
from tests.queries.worlds import COUNTRIES

STATES: Final = ("hot", "half sealed", "sealed", "in parts", "rolled up", "rebuilt", "late", "erased")
ROLLED_UP: Final = ("rolled up", "rebuilt", "late", "erased")


def state_of(seed: int) -> str:
    """So many seeds one after the other are each state in each place."""
    return STATES[seed // len(PLACES) % len(STATES)]


def bring(made: World, seeds: Sequence[int]) -> None:
    """Bring each world into the state of its seed."""
    there = [(seed, state_of(seed), place) for seed, place in zip(seeds, made.places, strict=True)]
    for seed, state, place in there:
        sealer = Sealer(made.store, place.project.id, place.project.timezone)
        if state == "half sealed":
            sealer.seal(Random(seed).sample(place.visits, 10), 1)
        elif state != "hot":
            sealer.seal(place.visits)
        assert bool(sealer.hot) is (state in ("hot", "half sealed"))
        assert bool(sealer.sealed) is (state != "hot")
    roll_up(made, (place for _, state, place in there if state == "rebuilt"))
    job.forget(made.store.path)
    roll_up(made, (place for _, state, place in there if state in ROLLED_UP and state != "rebuilt"))
    for seed, state, place in there:
        if state == "late":
            come_late(made, place, Random(seed))
        elif state == "erased":
            erase(made.store, place.visits, Random(seed).choice(place.visits).visitor, place.project.id)
        assert is_rolled_up(made, place) is (state in ROLLED_UP)


def roll_up(made: World, places: Iterable[Place]) -> None:
    """Make the rollups of these worlds, and of those that have any."""
    for place in places:
        insert = "INSERT INTO project (id, public_id, name, timezone, created_at, updated_at) VALUES (?, ?, ?, ?, 0, 0)"
        named = (place.project.id, place.project.public_id, place.project.name, place.project.timezone)
        made.store.connection.execute(insert, named)
    list(job.refresh(made.store.path, CATALOG, wanted, NOW))


def is_rolled_up(made: World, place: Place) -> bool:
    select = "SELECT 1 FROM rollup WHERE project_id = ?"
    return made.store.connection.execute(select, (place.project.id,)).fetchone() is not None


def come_late(made: World, place: Place, random: Random) -> None:
    """Events of visits that are sealed and rolled up."""
    sealer = Sealer(made.store, place.project.id, place.project.timezone)
    for visit in random.sample(place.visits, 4):
        time = random.choice([visit.start - 60_000_000, visit.end + 60_000_000])
        late = Event(time, random.random() < 0.5, "late", values={"event:page": "/late"}, properties={"plan": "late"})
        sealer.add_late(made.ids[id(visit)], visit, late)
    assert sealer.hot and sealer.sealed


async def agree(folder: Path, patch: pytest.MonkeyPatch, seeds: Sequence[int], questions: int) -> None:
    """Ask worlds that share a file, each in its state, and count."""
    patch.setattr(seal, "CHUNK_EVENTS_MAX", 20)
    patch.setattr(units, "DAYS_KEPT", 10_000)
    async with worlds(folder, seeds) as made:
        bring(made, seeds)
        parted = Evaluator(made.store.path, temp_directory=folder / "parts", memory_bytes=1)
        try:
            for seed, place in zip(seeds, made.places, strict=True):
                asked = Reports(parted, COUNTRIES) if state_of(seed) == "in parts" else made.reports
                await compare(asked, place, Random(1_000_000 + seed), questions, made.stored)
                await compare_ranges(asked, place, Random(2_000_000 + seed), -(-questions // 3))
        finally:
            await parted.close()


async def test_a_world_in_each_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = [len(PLACES) * number + number % len(PLACES) for number in range(len(STATES))]
    assert [state_of(seed) for seed in seeds] == list(STATES)
    await agree(tmp_path, monkeypatch, seeds, 3)


@pytest.mark.long
@pytest.mark.parametrize("first", range(100, 2_100, 50))
async def test_two_thousand_random_worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    await agree(tmp_path, monkeypatch, range(first, first + 50), 6)
