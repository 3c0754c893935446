"""Exports and counts say the same whether rows are hot or sealed."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from appliance.clock import DAY
from appliance.errors import ChunkDamaged
from appliance.model import Event
from appliance.queries import export
from appliance.storage import projects
from appliance.storage.interface import Counts
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.summary import count_rows
from tests.builders import ANN, BOB, START, at, event, pageview
from tests.storage.test_seal import MONDAY, Place, traffic


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def stored(place: Place, tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """The same file as the serving process opens it."""
    opened = SqliteDatabase(tmp_path / "appliance.db")
    await opened.open()
    yield opened
    await opened.close()


async def exported(database: SqliteDatabase, dataset: str, start: int = 0, end: int = 1 << 62) -> list[Any]:
    return sorted([row async for batch in export.rows(database, dataset, 1, start, end) for row in batch])


@pytest.mark.parametrize("seed", range(6))
async def test_exports_and_counts_do_not_change_by_sealing(place: Place, stored: SqliteDatabase, seed: int) -> None:
    random = Random(seed)
    sent: list[Event] = []
    for _ in range(20):
        sent += (events := traffic(random, sent))
        place.apply(*events, pageview(random.randrange(5000), project_id=2))
    ranges = [(0, 1 << 62), *(sorted(at(random.randrange(6000)) for _ in "ab") for _ in range(3))]

    async def everything() -> list[Any]:
        exports = [await exported(stored, dataset, *span) for dataset in export.DATASETS for span in ranges]
        return [*exports, await stored.count_stored(1), await stored.count_stored(2)]

    hot = await everything()
    assert len(hot[0]) > 60
    for day in (MONDAY, MONDAY + 2):
        place.seal(day)
    place.seal(MONDAY + 1, project=2)
    assert place.count("event") and place.chunks()
    assert await everything() == hot
    for day in range(MONDAY - 1, MONDAY + 6):
        place.seal(day)
        place.seal(day, project=2)
    assert not place.count("event")
    assert await everything() == hot


async def test_counts_are_those_of_plain_counting(place: Place, stored: SqliteDatabase) -> None:
    made = await projects.create(stored, name="Site", domains=[], actor="test", at=START)
    place.apply(pageview(0), pageview(5), event(6, BOB), pageview(1440, visitor=ANN), pageview(3000, visitor=7))
    place.seal()
    expected = Counts(5, 4, 4, 3, at(0), at(3000))
    assert await stored.count_stored(1) == expected
    assert await stored.count_stored(2) == Counts(0, 0, 0, 0, None, None)
    (row,) = await count_rows(stored)
    assert (row["id"], *list(row.values())[2:]) == (made.project.public_id, *expected)


async def test_an_export_sees_one_snapshot(place: Place, stored: SqliteDatabase) -> None:
    place.apply(*(pageview(minute, f"/{minute}", visitor=minute) for minute in range(10)))
    place.seal()
    place.apply(*(pageview(minute, f"/{minute}", visitor=minute) for minute in range(5000, 5010)))
    select = "SELECT e.id FROM event e WHERE e.project_id = :project_id AND e.time >= :start AND e.time < :end"
    rows = stored.stream_stored(select, 1, 0, 1 << 62, batch_rows=3)
    found = list(await anext(rows))
    place.unseal_all()
    place.apply(pageview(9000))
    async for batch in rows:
        found += batch
    assert sorted(found) == [(number,) for number in range(1, 21)]


async def test_who_leaves_an_export_leaves_nothing_open(place: Place, stored: SqliteDatabase) -> None:
    place.apply(*(pageview(minute, visitor=minute) for minute in range(10)))
    place.seal()
    rows = stored.stream_stored("SELECT e.id FROM event e", 1, 0, 1 << 62, batch_rows=1)
    await anext(rows)
    await rows.aclose()  # type: ignore[attr-defined]
    assert place.jobs.checkpoint("TRUNCATE"), "no reader holds on to the write-ahead file"


async def test_a_damaged_chunk_ends_an_export(place: Place, stored: SqliteDatabase) -> None:
    place.apply(pageview(0))
    place.seal()

    def damage(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE chunk_column SET data = zeroblob(40) WHERE name = 'event.path'")

    place.jobs.transaction(damage, durable=False)
    with pytest.raises(ChunkDamaged):
        await exported(stored, "events")
    assert await exported(stored, "events", START + 9 * DAY) == []
