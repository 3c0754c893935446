"""Columns of chunks in the query worker: only what is asked is decoded, once, and nothing is kept beyond its limit."""

import sqlite3
from itertools import pairwise
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest

from appliance.clock import DAY
from appliance.errors import ChunkDamaged
from appliance.storage.evaluation import Plan, Step
from appliance.storage.sqlite.chunks.columns import EVENT_COLUMNS, VISIT_COLUMNS, ChunkReader, write_chunk
from appliance.storage.sqlite.chunks.index import Chunk, chunks, delete_chunk
from appliance.storage.sqlite.worker import answers, sealed_columns
from appliance.storage.sqlite.worker.hot import Ints
from appliance.storage.sqlite.worker.main import Worker
from appliance.storage.sqlite.worker.properties import Properties
from appliance.storage.sqlite.worker.sealed_columns import Key, SealedColumns
from tests.builders import BOB, START, pageview
from tests.storage.test_seal import MONDAY, Place

SCHEMA = Path(__file__).parents[2] / "appliance" / "storage" / "sqlite" / "schema.sql"
SQL = "SELECT count(*), count(DISTINCT e.visitor) FROM event e"
KEYS = [("visit", "id"), ("visit", "country"), ("event", "time"), ("event", "visitor"), ("event", "revenue")]


class Sealed:
    """Chunks of one day each in a database of their own, and their columns as the worker reads them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.executescript(SCHEMA.read_text())
        self.columns = SealedColumns(Properties())
        self.decoded: list[tuple[int, Key]] = []
        self.chunks = [self.write(day) for day in range(days)]
        self.columns.follow(chunks(self.connection, "c.project_id = 1", ()))
        decode = SealedColumns._decoded

        def count(columns: SealedColumns, reader: ChunkReader, key: Key) -> Ints:
            self.decoded.append((reader.chunk.id, key))
            return decode(columns, reader, key)

        monkeypatch.setattr(sealed_columns.SealedColumns, "_decoded", count)

    def write(self, day: int, length: int = DAY) -> Chunk:
        """Three visits with two events each; the last visit ends when the day does."""
        random = Random(day)
        visits, events = [], []
        for place in range(3):
            row = dict.fromkeys(VISIT_COLUMNS, 0) | {"id": day * 3 + place + 1, "visitor": random.getrandbits(60)}
            row |= {"start": day * DAY + place, "end": day * DAY + length * place // 2, "country": random.randrange(9)}
            visits.append(row | {"session_id": ""})
            for time in (row["start"], row["end"]):
                event = dict.fromkeys(EVENT_COLUMNS, 0) | {"id": len(events) + day * 6 + 1, "visit_id": row["id"]}
                events.append(event | {"time": time, "event_id": b"", "revenue": None, "properties": None})
        return write_chunk(
            self.connection, 1, day,
            {name: [row[name] for row in visits] for name in VISIT_COLUMNS},
            {name: [row[name] for row in events] for name in EVENT_COLUMNS},
        )  # fmt: skip

    def ask(self, start: int, end: int, keys: list[Key] = KEYS) -> dict[Key, Ints]:
        """Days from `start` up to `end`, checked against reading every chunk alone."""
        found = self.columns.arrays(self.connection, (start * DAY, end * DAY), keys, lambda: None)
        touching = [c for c in self.chunks if c.start < end * DAY and c.end >= start * DAY]
        for table, name in keys if touching else ():
            parts = [getattr(ChunkReader(self.connection, c), table)(name) for c in touching]
            expected = np.concatenate([np.ma.filled(part, 0) for part in parts])
            assert found[table, name].tolist() == expected.tolist()
        return found

    def decoded_days(self) -> list[int]:
        """The chunks that were decoded since this was asked last."""
        days = sorted({chunk_id for chunk_id, _ in self.decoded})
        self.decoded.clear()
        return days


def test_only_chunks_with_visits_in_the_range_are_decoded_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed(monkeypatch, 8)
    sealed.ask(3, 5)
    assert sealed.decoded_days() == [3, 4, 5]  # visits of the day before end as the range begins
    sealed.ask(4, 5)
    assert sealed.decoded_days() == []
    sealed.ask(5, 6)
    assert sealed.decoded_days() == [6]
    sealed.ask(0, 8)
    assert sealed.decoded_days() == [1, 2, 7, 8]
    assert sealed.ask(-9, 0) == sealed.ask(10, 12) == {}


def test_a_narrower_range_is_a_slice_and_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed(monkeypatch, 5)
    whole, part = sealed.ask(0, 5), sealed.ask(2, 3)
    assert all(np.shares_memory(whole[key], part[key]) for key in KEYS)


def test_a_column_asked_for_later_is_decoded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed(monkeypatch, 3)
    sealed.ask(0, 3, KEYS[:2])
    sealed.decoded.clear()
    sealed.ask(0, 3)
    assert {key for _, key in sealed.decoded} == set(KEYS[2:])


def test_a_range_far_from_what_is_there_does_not_decode_what_lies_between(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed(monkeypatch, 9)
    sealed.ask(0, 1)
    sealed.decoded.clear()
    sealed.ask(8, 9)
    assert sealed.decoded_days() == [8, 9]


def test_chunks_that_come_and_go_leave_the_others_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed(monkeypatch, 6)
    sealed.ask(0, 6)
    sealed.decoded.clear()
    delete_chunk(sealed.connection, sealed.chunks.pop(2).id)
    sealed.columns.follow(chunks(sealed.connection, "c.project_id = 1", ()))
    sealed.ask(0, 6)
    assert sealed.decoded_days() == []
    sealed.chunks.insert(2, sealed.write(2))
    sealed.columns.follow(chunks(sealed.connection, "c.project_id = 1", ()))
    sealed.ask(0, 6)
    assert sealed.decoded_days() == [7]


@pytest.mark.parametrize("seed", range(10))
def test_any_run_of_ranges_and_changes_gives_what_is_stored(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    random = Random(seed)
    sealed = Sealed(monkeypatch, 12)
    for _ in range(40):
        if random.random() < 0.3:
            place = random.randrange(len(sealed.chunks))
            gone = sealed.chunks.pop(place)
            delete_chunk(sealed.connection, gone.id)
            if random.random() < 0.8:
                sealed.chunks.insert(place, sealed.write(gone.day))
            sealed.columns.follow(chunks(sealed.connection, "c.project_id = 1", ()))
        if random.random() < 0.2:
            sealed.columns.shrink(random.randrange(2000))
        start, end = sorted(random.sample(range(-1, 14), 2))
        sealed.ask(start, end, random.sample(KEYS, random.randint(1, len(KEYS))))
    ids = [chunk.id for chunk in sealed.chunks]
    assert all(earlier.start < later.start for earlier, later in pairwise(sealed.chunks)), ids


def test_columns_not_asked_for_longest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed(monkeypatch, 4)
    sealed.ask(0, 4)
    sealed.ask(0, 4, KEYS[:1])
    assert sealed.columns.shrink(sealed.columns.nbytes - 1)
    assert sealed.columns.shrink(100)
    assert 0 < sealed.columns.nbytes <= 100
    assert not sealed.columns.shrink(100)
    sealed.decoded.clear()
    sealed.ask(0, 4, KEYS[:1])
    assert sealed.decoded == []


def test_who_stops_between_chunks_leaves_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed(monkeypatch, 4)
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        sealed.columns.arrays(sealed.connection, (0, 4 * DAY), KEYS, stop)
    assert sealed.columns.nbytes == 0
    sealed.ask(0, 4)


def test_a_damaged_column_is_told_and_the_others_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed(monkeypatch, 3)
    sealed.connection.execute("UPDATE chunk_column SET data = x'00' WHERE chunk_id = 2 AND name = 'visit.country'")
    with pytest.raises(ChunkDamaged):
        sealed.columns.arrays(sealed.connection, (0, 3 * DAY), [("visit", "country")], lambda: None)
    sealed.ask(0, 3, [("visit", "id"), ("event", "time")])


def test_a_worker_that_keeps_too_much_lets_go_and_answers_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    place.apply(pageview(0), pageview(1440), pageview(2880, visitor=BOB))
    monkeypatch.setattr(answers, "ROWS_MAX", 0)  # no answer is kept
    questions = [Plan(1, ("visitor",), visit, (), (Step((SQL,)),)) for visit in ((), ("start",))]
    worker = Worker(place.path, tmp_path / "tmp", 128 << 20, 1)
    hot = [worker.ask(plan) for plan in questions]
    assert hot == [[[[(3, 2)]]]] * 2
    place.seal()
    place.seal(MONDAY + 1)
    for limit in (0, 1 << 30, 0):
        worker._array_bytes = limit
        assert [worker.ask(plan) for plan in questions] == hot
        (project,) = worker._projects.values()
        assert (project.sealed.nbytes > 0) == (limit > 0)
    # Only what is hot lies in this range.
    assert worker.ask(msgspec.structs.replace(questions[0], start=START + 2 * DAY)) == [[[(1, 1)]]]
    place.close()
