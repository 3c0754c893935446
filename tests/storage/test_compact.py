"""Small chunks of months that are over become large ones, and nothing else changes."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from appliance.clock import DAY, HOUR, MINUTE
from appliance.storage.calendar import day_start
from appliance.storage.sqlite.chunks.columns import ChunkReader
from appliance.storage.sqlite.chunks.compact import COMPACTED_AFTER, compact_settled, join
from appliance.storage.sqlite.chunks.seal import SETTLED_AFTER, seal_settled, unseal
from tests.builders import pageview
from tests.storage.test_seal import BERLIN, Place

FEBRUARY = 20_485  # the first of it, 2026
DAYS = 28


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A site with three visits a day, the last of which lasts beyond midnight, sealed day by day."""
    made = Place(tmp_path / "data")
    made.add_project("Europe/Berlin")
    random = Random(1)
    for day in range(DAYS):
        midnight = day_start(FEBRUARY + day, BERLIN)
        for visitor, hour in enumerate((9, 15)):
            made.apply(pageview(time=midnight + hour * HOUR, visitor=visitor, path=f"/{random.randrange(9)}"))
        late = day_start(FEBRUARY + day + 1, BERLIN) - 5 * MINUTE
        made.apply(*(pageview(time=late + step * 10 * MINUTE, visitor=7 + day, path="/late") for step in range(2)))
    list(seal_settled(transact(made), day_start(FEBRUARY + DAYS + 1, BERLIN) + SETTLED_AFTER))
    return made


def transact(place: Place) -> Any:
    return lambda work: place.jobs.transaction(work, durable=False)


def rows(place: Place) -> tuple[list[Any], list[Any]]:
    """All sealed visits and events, in the order of their ids."""
    readers = [ChunkReader(place.reader, chunk) for chunk in place.chunks()]
    visits = sorted(row for reader in readers for row in reader.rows("visit"))
    return visits, sorted((row for reader in readers for row in reader.rows("event")), key=lambda row: row[0])


def later(days: int = 0) -> int:
    return day_start(FEBRUARY + DAYS, BERLIN) + COMPACTED_AFTER + days * DAY


def test_a_month_becomes_two_chunks(place: Place) -> None:
    before = rows(place)
    assert len(place.chunks()) == 2 * DAYS
    assert list(compact_settled(transact(place), later() - 1)) == []
    made = list(compact_settled(transact(place), later()))
    assert len(made) == 1
    inside, across = sorted(place.chunks(), key=lambda chunk: chunk.start)
    end = day_start(FEBRUARY + DAYS, BERLIN)
    assert inside.end < end <= across.end
    assert (inside.visits, across.visits) == (3 * DAYS - 1, 1)
    assert (inside.day, inside.timezone) == (FEBRUARY, "Europe/Berlin")
    assert rows(place) == before
    assert list(compact_settled(transact(place), later(99))) == []


def test_a_chunk_that_is_gone_is_not_joined(place: Place) -> None:
    ids = [chunk.id for chunk in place.chunks()][:5]
    gone = next(chunk for chunk in place.chunks() if chunk.id == ids[2])
    transact(place)(lambda connection: unseal(connection, gone))
    before = place.chunks()
    assert transact(place)(lambda connection: join(connection, ids)) is None
    assert place.chunks() == before


def test_a_damaged_chunk_stays_beside_the_others(place: Place) -> None:
    damaged = place.chunks()[3]
    flip = "UPDATE chunk_column SET data = x'00' WHERE chunk_id = ? AND name = 'event.path'"
    transact(place)(lambda connection: connection.execute(flip, (damaged.id,)))
    before = place.chunks()
    assert list(compact_settled(transact(place), later())) == []
    assert place.chunks() == before


def test_what_comes_late_finds_its_visit_in_a_compacted_month(place: Place) -> None:
    list(compact_settled(transact(place), later()))
    place.restart()
    midnight = day_start(FEBRUARY + 3, BERLIN)
    applied = place.apply(pageview(time=midnight + 9 * HOUR + 5 * MINUTE, visitor=0, path="/more"))
    (visit_id,) = [placed.visit_id for placed in applied.stored]
    row = place.reader.execute("SELECT events FROM visit WHERE id = ?", (visit_id,)).fetchone()
    assert row == (2,)
    assert place.count("visit") == 3 * DAYS - 1  # its chunk is rows again
