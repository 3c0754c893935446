"""An exported line holds what was stored, hot or sealed, in both formats: who reads it can store the same again."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from appliance.model import ACQUISITION_FIELDS, UNSAMPLED, Flag
from appliance.queries import export
from appliance.queries.tabular import csv_bytes, ndjson_bytes
from appliance.storage.event_ids import mint
from appliance.storage.sqlite.database import SqliteDatabase
from tests.builders import ANN, BOB, CAT, START, at, event, pageview, user_event
from tests.storage.test_seal import Place

QUARTER = 250_000
BY_VISITOR = Flag.BROWSER | Flag.BY_VISITOR
MINTED = {"event_id": mint(START // 1000), "flags": Flag.MINTED | Flag.SKEWED}
SALE = {"name": "Sale", "revenue": -1999, "currency": "EUR", "properties": '{"plan":"pro","tags":["a","=b"]}'}
LETTER = {"utm_source": "letter", "referrer": "a.example/x"}
EVENTS = (
    pageview(0, "/", ANN, time=START + 1, rate=QUARTER, flags=BY_VISITOR, **LETTER),
    event(1, ANN, time=at(1) + 999_999, rate=1, flags=BY_VISITOR | Flag.PASSIVE, source="web", **LETTER),
    pageview(0, "/docs", BOB, session_id="s", title="Docs", received=at(9) + 123_456, **MINTED),
    event(2, -BOB, rate=333_333, flags=Flag.IMPORTED, **SALE),
    user_event(3, "cat", CAT),
)
STORED = (
    "event_id", "name", "time", "received", "visitor", "user_id", "session_id", "source", "hostname", "path", "title",
    *ACQUISITION_FIELDS, "flags", "rate", "scroll_depth", "engaged_ms", "revenue", "currency", "properties",
)  # fmt: skip


@pytest.fixture(params=["hot", "sealed"])
async def stored(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    place = Place(tmp_path)
    place.apply(*EVENTS)
    if request.param == "sealed":
        place.seal()
        assert not place.count("event")
    database = SqliteDatabase(tmp_path / "appliance.db")
    await database.open()
    yield database
    await database.close()
    place.close()


async def lines(database: SqliteDatabase, dataset: str, kind: str) -> list[dict[str, Any]]:
    """The lines of a file as they are read."""
    columns = export.DATASETS[dataset]
    found = [row async for batch in export.rows(database, dataset, 1, 0, 1 << 62) for row in batch]
    if kind == "csv":
        text = csv_bytes([columns, *found]).decode()
        return list(csv.DictReader(io.StringIO(text, newline="")))
    return list(map(json.loads, ndjson_bytes(export.as_object(columns, row) for row in found).splitlines()))


def number(line: dict[str, Any], name: str) -> int:
    return int(line[name])


def moment(text: str) -> int:
    """UTC microseconds."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def flags(text: str) -> int:
    return sum(Flag[name.upper()] for name in text.split())


def visitor(text: str) -> int:
    return int.from_bytes(bytes.fromhex(text), "big", signed=True)


def as_stored(line: dict[str, Any]) -> dict[str, Any]:
    """What an event was made of, from its line."""
    revenue = line.get("revenue") or None
    properties = line.get("properties") or ""
    return {
        **{name: line.get(name, "") for name in (*STORED, "event")},
        "name": line["event"],
        "time": moment(line["timestamp"]),
        "received": moment(line["received_at"]),
        "visitor": visitor(line["visitor"]),
        "flags": flags(line.get("flags", "")),
        **{name: number(line, name) for name in ("rate", "scroll_depth", "engaged_ms")},
        "revenue": None if revenue is None else round(float(revenue) * 100),
        "properties": properties if isinstance(properties, str) else json.dumps(properties, separators=(",", ":")),
    }


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
async def test_a_line_of_an_event_holds_all_that_is_stored_of_it(stored: SqliteDatabase, kind: str) -> None:
    found = {line["event_id"]: as_stored(line) for line in await lines(stored, "events", kind)}
    assert len(found) == len(EVENTS)
    for each in EVENTS:
        line = found[each.event_id]
        assert {name: line[name] for name in STORED} == {name: getattr(each, name) for name in STORED}


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
async def test_visits_hold_the_rate_of_their_visitor_and_join_their_events(stored: SqliteDatabase, kind: str) -> None:
    visits = {str(line["visit_id"]): line for line in await lines(stored, "visits", kind)}
    rates = {visitor(line["visitor"]): number(line, "rate") for line in visits.values()}
    assert rates == {each.visitor: UNSAMPLED for each in EVENTS} | {ANN: QUARTER}
    for line in await lines(stored, "events", kind):
        visit = visits[str(line["visit_id"])]
        assert visit["visitor"] == line["visitor"]
        assert moment(visit["start"]) <= moment(line["timestamp"]) <= moment(visit["end"])


def test_every_flag_has_a_name() -> None:
    assert flags("passive skewed minted browser imported by_visitor") == sum(Flag)


def test_columns_stand_once() -> None:
    for columns in export.DATASETS.values():
        assert len(set(columns)) == len(columns)
