"""Every report is the same after a copy to another database: all against plain counting."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from appliance.queries.period import between
from appliance.queries.reports import Reports
from appliance.storage.copying import ends, job
from appliance.storage.postgresql.evaluator import PostgresqlEvaluator
from appliance.storage.sqlite.chunks import seal
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.sqlite.migrate import migrate
from tests import oracle
from tests.queries.sealing import Sealer
from tests.queries.test_reports import PLACES, Place, compare, project
from tests.queries.worlds import COUNTRIES, Store, instant, world
from tests.storage.copies import copied

QUESTIONS = 17  # of each project in each database


def made(folder: Path, seeds: range) -> tuple[Store, list[Place]]:
    """Random projects in one file: hot, half sealed, sealed."""
    path = folder / "appliance.db"
    migrate(path, folder)
    store, places = Store(path), []
    for number, seed in enumerate(seeds, 1):
        zone, first, last = PLACES[seed % len(PLACES)]
        start, end = instant(f"{first} 00:00", zone), instant(f"{last} 00:00", zone) + oracle.DAY
        visits = world(Random(seed), start, end, 60)
        places.append(Place(project(number, zone), between(first, last), visits))
        store.add([(number, visit) for visit in visits])
    for number, seed in enumerate(seeds, 1):
        visits = places[number - 1].visits
        sealer = Sealer(store, number, places[number - 1].project.timezone)
        if number % 3 == 1:
            sealer.seal(visits)
            assert not sealer.hot
        elif number % 3 == 2:
            sealer.seal(Random(seed).sample(visits, 20), 1)
            assert sealer.hot
            assert sealer.sealed
    return store, places


@pytest.mark.parametrize("engine", ["postgresql", "timescaledb"])
async def test_a_copy_answers_as_plain_counting_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, engine: str
) -> None:
    monkeypatch.setattr(seal, "CHUNK_EVENTS_MAX", 20)
    monkeypatch.setattr(job, "TRANSACTION_ROWS", 200)
    monkeypatch.setattr(ends, "BATCH_ROWS", 7)
    store, places = made(tmp_path, range(6) if engine == "postgresql" else range(6, 12))
    there: str = request.getfixturevalue(engine).new_database()
    back = tmp_path / "back" / "appliance.db"
    for source, target in ((f"sqlite:///{store.path}", there), (there, f"sqlite:///{back}")):
        assert copied(source, target).equal
    evaluators: list[Any] = [
        Evaluator(store.path, temp_directory=tmp_path / "tmp"),
        PostgresqlEvaluator(there),
        Evaluator(back, temp_directory=tmp_path / "tmp back"),
    ]
    try:
        for place in places:
            for evaluator in evaluators:
                # The same questions to each.
                asked = Reports(evaluator, COUNTRIES)
                await compare(asked, place, Random(place.project.id), QUESTIONS)
                first = min(event.time for visit in place.visits for event in visit.events)
                assert await asked.first_event(place.project) == first
    finally:
        for evaluator in evaluators:
            await evaluator.close()


def test_a_copy_back_becomes_the_same_chunks(tmp_path: Path, timescaledb: Any) -> None:
    store, places = made(tmp_path, range(3))
    there, back = timescaledb.new_database(), tmp_path / "back" / "appliance.db"
    copied(f"sqlite:///{store.path}", there)
    copied(there, f"sqlite:///{back}")
    again = Store(back)
    for one in (store, again):
        for place in places:
            Sealer(one, place.project.id, place.project.timezone).seal(place.visits)
    totals = 'SELECT project_id, sum(visits), sum(events), min(start), max("end") FROM chunk GROUP BY 1 ORDER BY 1'
    assert again.connection.execute(totals).fetchall() == store.connection.execute(totals).fetchall()
    assert again.connection.execute("SELECT count(*) FROM event").fetchone() == (0,)
