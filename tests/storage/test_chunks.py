"""Columns of chunks: what is packed comes back, and what was damaged is not answered from."""

import sqlite3
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import ChunkDamaged
from appliance.model import UNSAMPLED
from appliance.storage.event_ids import mint, pack
from appliance.storage.packing import (
    pack_event_ids,
    pack_numbers,
    pack_texts,
    unpack_event_ids,
    unpack_numbers,
    unpack_texts,
)
from appliance.storage.sqlite.chunks.columns import EVENT_COLUMNS, VISIT_COLUMNS, ChunkReader, write_chunk
from appliance.storage.sqlite.chunks.index import Chunk, chunks

SCHEMA = Path(__file__).parents[2] / "appliance" / "storage" / "sqlite" / "schema.sql"
START = 1_772_452_800_000_000

words = st.integers(-(2**63), 2**63 - 1)
numbers = st.one_of(
    st.lists(words),
    st.lists(st.integers(0, 5)),
    st.lists(st.integers(0, 1000).map(lambda n: START + n * 1000)),
    st.builds(range, st.integers(-99, 0), st.integers(1, 99), st.integers(1, 5)).map(list),
)
ids = st.lists(
    st.one_of(
        st.integers(0, 36**8 - 1).map(lambda ms: pack(mint(ms))),
        st.binary(min_size=16, max_size=16),
        st.binary(min_size=10, max_size=10),
        st.binary(max_size=20),
        st.text(),
    )
)


@pytest.fixture
def connection() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.executescript(SCHEMA.read_text())
    return made


@given(numbers)
def test_numbers_come_back(values: list[int]) -> None:
    assert unpack_numbers(pack_numbers(np.array(values, np.int64))).tolist() == values


@given(st.lists(st.none() | words))
def test_nulls_come_back(values: list[int | None]) -> None:
    masked = np.ma.MaskedArray([value or 0 for value in values], [value is None for value in values], np.int64)
    assert unpack_numbers(pack_numbers(masked)).tolist() == values


@given(st.lists(st.none() | st.text() | st.binary()))
def test_texts_come_back(values: list[str | bytes | None]) -> None:
    assert unpack_texts(pack_texts(values)) == values


@given(ids, st.integers(0, 2**41))
def test_event_ids_come_back(values: list[str | bytes], near: int) -> None:
    milliseconds = np.arange(near, near + len(values))
    assert unpack_event_ids(pack_event_ids(values, milliseconds), milliseconds) == values


@given(numbers, st.data())
def test_a_blob_with_any_byte_changed_or_cut_is_damaged(values: list[int], data: st.DataObject) -> None:
    blob = bytearray(pack_numbers(np.array(values, np.int64)))
    place = data.draw(st.integers(0, len(blob) - 1))
    with pytest.raises(ChunkDamaged):
        unpack_numbers(bytes(blob[:place]))
    blob[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ChunkDamaged):
        unpack_numbers(bytes(blob))


def test_a_column_of_another_form_is_damaged() -> None:
    with pytest.raises(ChunkDamaged, match="form"):
        unpack_numbers(pack_texts(["a"]))


def columns(seed: int, visits: int) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Visits with events in which anything may stand that the schema allows, in the order of a chunk."""
    random = Random(seed)
    nullable = ("salt_day", "entry_at", "exit_at", "revenue")
    texts = {"session_id": ["", "s1", "ä"], "properties": [None, '{"a":1}'], "event_id": [b"", b"0123456789", "x"]}

    def value(name: str) -> Any:
        if name in texts:
            return random.choice(texts[name])
        if name in nullable and random.random() < 0.3:
            return None
        if name in ("visitor", "revenue"):
            return random.choice([-(2**63), 2**63 - 1, random.randrange(100)])
        if name in ("start", "end", "time", "received", "entry_at", "exit_at"):
            return START + random.randrange(-(10**13), 10**13)
        return random.randrange(20)

    visit_rows, event_rows, event_id = [], [], 10**6
    for visit_id in sorted(random.sample(range(1, 10 * visits + 1), visits)):
        visit_rows.append({name: value(name) for name in VISIT_COLUMNS} | {"id": visit_id})
        for _ in range(random.randint(1, 4)):
            event_id += random.randint(1, 9)
            event_rows.append({name: value(name) for name in EVENT_COLUMNS} | {"id": event_id, "visit_id": visit_id})
    return (
        {name: [row[name] for row in visit_rows] for name in VISIT_COLUMNS},
        {name: [row[name] for row in event_rows] for name in EVENT_COLUMNS},
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_rows_come_back_as_they_were(seed: int, count: int) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA.read_text())
    visits, events = columns(seed, count)
    chunk = write_chunk(connection, 7, 20_000, visits, events)
    assert chunks(connection, "c.project_id = ?", (7,)) == [chunk]
    assert (chunk.visits, chunk.events) == (count, len(events["id"]))
    assert (chunk.start, chunk.last_start, chunk.end) == (
        min(visits["start"]),
        max(visits["start"]),
        max(visits["end"]),
    )
    assert (chunk.first_visit, chunk.last_event) == (visits["id"][0], events["id"][-1])
    reader = ChunkReader(connection, chunk)
    assert reader.rows("visit") == list(zip(*visits.values(), strict=True))
    assert reader.rows("event") == list(zip(*events.values(), strict=True))
    assert reader.visit_rows([count - 1]) == [tuple(column[-1] for column in visits.values())]
    visitors = dict(zip(visits["id"], visits["visitor"], strict=True))
    assert reader.event("visitor").tolist() == [visitors[visit_id] for visit_id in events["visit_id"]]


def stored(connection: sqlite3.Connection) -> Chunk:
    return write_chunk(connection, 1, 20_000, *columns(1, 10))


@pytest.mark.parametrize("rates", [(UNSAMPLED, UNSAMPLED), (UNSAMPLED, 500_000), (500_000, UNSAMPLED)])
def test_a_chunk_knows_whether_it_is_sampled(connection: sqlite3.Connection, rates: tuple[int, int]) -> None:
    visits, events = columns(3, 10)
    for table, rate in zip((visits, events), rates, strict=True):
        table["rate"] = [UNSAMPLED] * (len(table["id"]) - 1) + [rate]
    chunk = write_chunk(connection, 1, 20_000, visits, events)
    assert chunk.sampled == (500_000 in rates)
    assert chunks(connection, "c.id = ?", (chunk.id,)) == [chunk]


def test_a_column_that_is_missing_or_of_another_chunk_is_damaged(connection: sqlite3.Connection) -> None:
    chunk = stored(connection)
    other = write_chunk(connection, 1, 20_000, *columns(2, 5))
    connection.execute("DELETE FROM chunk_column WHERE chunk_id = ? AND name = 'visit.country'", (chunk.id,))
    connection.execute(
        "UPDATE chunk_column SET data ="
        " (SELECT o.data FROM chunk_column o WHERE o.chunk_id = ? AND o.name = 'visit.start') "
        "WHERE chunk_id = ? AND name = 'visit.start'",
        (other.id, chunk.id),
    )
    reader = ChunkReader(connection, chunk)
    for name in ("country", "start"):
        with pytest.raises(ChunkDamaged, match=str(chunk.id)):
            reader.visit(name)


def test_a_day_of_traffic_takes_few_bytes(connection: sqlite3.Connection) -> None:
    """Chance that nobody can compress is left out: ids of events and of visitors, and the lag of each receipt."""
    random = Random(1)
    visits: dict[str, list[Any]] = {name: [] for name in VISIT_COLUMNS}
    events: dict[str, list[Any]] = {name: [] for name in EVENT_COLUMNS}
    for visit_id in range(1, 3001):
        start = START + visit_id * 28_000_000 + random.randrange(28_000) * 1000
        pages = [random.randrange(100) * random.randrange(100) // 100 for _ in range(4)]
        times = [start + place * 20_000_000 + random.randrange(20_000) * 1000 for place in range(4)]
        row: dict[str, Any] = dict.fromkeys(VISIT_COLUMNS, 0) | {
            "id": visit_id, "session_id": "", "salt_day": 20_515, "start": times[0], "end": times[-1], "events": 4,
            "entry_at": times[0], "exit_at": times[-1], "entry_path": pages[0], "exit_path": pages[-1], "pageviews": 4,
            "country": random.randrange(30), "browser": random.randrange(6), "screen": random.randrange(20),
        }  # fmt: skip
        for name, value in row.items():
            visits[name].append(value)
        for place, (time, page) in enumerate(zip(times, pages, strict=True)):
            row = dict.fromkeys(EVENT_COLUMNS, 0) | {
                "id": visit_id * 4 + place, "event_id": b"", "visit_id": visit_id, "time": time, "received": time,
                "path": page, "title": page + 7, "revenue": None, "properties": None,
            }  # fmt: skip
            for name, value in row.items():
                events[name].append(value)
    write_chunk(connection, 1, 20_515, visits, events)
    ((size,),) = connection.execute("SELECT sum(length(data)) FROM chunk_column").fetchall()
    assert size / 12_000 < 6
