"""An export that is imported again answers every question as before: all against plain counting."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from appliance import clock
from appliance.ingest.imports import reading
from appliance.queries import export
from appliance.queries.reports import Reports
from appliance.queries.tabular import csv_bytes, ndjson_bytes
from appliance.storage import projects
from appliance.storage.postgresql.database import PostgresqlDatabase
from appliance.storage.postgresql.evaluator import PostgresqlEvaluator
from appliance.storage.sqlite.chunks import seal
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.evaluator import Evaluator
from tests.engines import AnyDatabase
from tests.ingest.imports.importing import import_file
from tests.postgresql import Server
from tests.queries.test_copied_reports import made
from tests.queries.test_reports import Place, compare
from tests.queries.worlds import COUNTRIES

QUESTIONS = 15  # of each project in each database


async def exported(db: AnyDatabase, project_id: int, path: Path) -> Path:
    """All events of a project as a file, in the format that its name says."""
    columns = export.DATASETS["events"]
    with path.open("wb") as file:
        if path.suffix == ".csv":
            file.write(csv_bytes([columns]))
        async for batch in export.rows(db, "events", project_id, 0, 1 << 62):
            if path.suffix == ".csv":
                file.write(csv_bytes(batch))
            else:
                file.write(ndjson_bytes(export.as_object(columns, row) for row in batch))
    return path


async def carry(source: AnyDatabase, target: AnyDatabase, places: list[Place], folder: Path, kind: str) -> None:
    """Export projects and import them elsewhere, under the ids that they had."""
    for place in places:
        made = await projects.create(
            target, name=place.project.name, timezone=place.project.timezone, actor="test", at=clock.now()
        )
        assert made.project.id == place.project.id
        path = await exported(source, place.project.id, folder / f"{place.project.id}.{kind}")
        found = await import_file(target, folder, made.project, path)
        assert (found.state, found.counts.refused) == ("done", 0)
        assert found.counts.stored == sum(len(visit.events) for visit in place.visits)


async def check(evaluator: Any, places: list[Place]) -> None:
    try:
        for place in places:
            await compare(Reports(evaluator, COUNTRIES), place, Random(place.project.id), QUESTIONS)
    finally:
        await evaluator.close()


@pytest.mark.parametrize(("kind", "seeds"), [("ndjson", range(6)), ("ndjson", range(12, 18)), ("csv", range(6, 9))])
async def test_an_import_of_an_export_answers_as_plain_counting_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, seeds: range
) -> None:
    monkeypatch.setattr(seal, "CHUNK_EVENTS_MAX", 20)
    monkeypatch.setattr(reading, "EVENTS_MAX", 7)  # visits go over several packages
    store, places = made(tmp_path, seeds)
    source, target = SqliteDatabase(store.path), SqliteDatabase(tmp_path / "second.db")
    await source.open()
    await target.open()
    await carry(source, target, places, tmp_path, kind)
    await check(Evaluator(target.path, temp_directory=tmp_path / "tmp"), places)
    await source.close()
    await target.close()


async def test_so_it_does_to_a_server_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql: Server
) -> None:
    monkeypatch.setattr(reading, "EVENTS_MAX", 20)
    store, places = made(tmp_path, range(3))
    source, there = SqliteDatabase(store.path), PostgresqlDatabase(postgresql.new_database())
    back = SqliteDatabase(tmp_path / "back.db")
    for database in (source, there, back):
        await database.open()
    (tmp_path / "there").mkdir()
    (tmp_path / "back").mkdir()
    await carry(source, there, places, tmp_path / "there", "ndjson")
    await carry(there, back, places, tmp_path / "back", "ndjson")
    await check(PostgresqlEvaluator(there.url), places)
    await check(Evaluator(back.path, temp_directory=tmp_path / "tmp"), places)
    for database in (source, there, back):
        await database.close()
