"""The drain's process when nothing comes: engagement that waits for its page view is not left waiting for ever."""

import asyncio
import io
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from appliance.clock import now
from appliance.frames import Unframer, frame
from appliance.ingest import progress
from appliance.ingest.drain import encode_events
from appliance.ingest.drain_worker import Worker
from appliance.ingest.early_engagement import WAIT_MAX
from appliance.ingest.journal import Journal
from appliance.ingest.progress import (
    FEED_EVENTS_MAX,
    PEOPLE_MAX,
    Finish,
    FromDrain,
    Part,
    Reached,
    Refused,
    Settled,
    Stored,
    Stuck,
    Take,
    Taken,
    Until,
    Watch,
)
from appliance.model import Event
from appliance.storage import projects
from appliance.storage.sqlite import writer
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.drain_store import SqliteDrainStore
from tests.builders import engagement, event, pageview, user_event

NO_PAGEVIEW = [Refused(1, "no_pageview", "engagement", "/")]


class Pair:
    """A journal, and a worker that drains it; told what to do as the serving process does."""

    def __init__(self, folder: Path, database: SqliteDatabase) -> None:
        self.journal = Journal(folder, bytes_max=1 << 24)
        self.journal.open()
        self.journal.start(asyncio.get_running_loop())
        self.database = database
        self.open()

    def open(self) -> None:
        self.store = SqliteDrainStore(self.database.path)
        commands, self._commands = os.pipe()
        self._read = commands
        self._reports = io.BytesIO()
        self.worker = Worker(self.journal.folder, self.journal.journal_id, self.store, commands, self._reports)

    def restart(self) -> None:
        self.close()
        self.open()

    async def send(self, *events: Event) -> None:
        await self.journal.append(encode_events(list(events)))

    def tell(self, command: Until | Take | Watch | Finish) -> None:
        os.write(self._commands, frame(progress.encode(command)))

    def said(self) -> list[FromDrain]:
        """What the worker has reported since the last look."""
        payloads = list(Unframer().feed(self._reports.getvalue()))
        self._reports.seek(0)
        self._reports.truncate()
        return [progress.decode_from_drain(payload) for payload in payloads]

    def close(self) -> None:
        self.store.close()
        os.close(self._read)
        os.close(self._commands)

    async def reading_times(self) -> list[int]:
        return [row[0] for row in await self.database.read("SELECT engaged_ms FROM event")]


@pytest.fixture
async def pair(tmp_path: Path, database: SqliteDatabase) -> AsyncIterator[Pair]:
    await projects.create(database, name="Site", actor="test", at=1)
    opened = Pair(tmp_path / "journal", database)
    yield opened
    await asyncio.to_thread(opened.journal.close)
    opened.close()


def turn(worker: Worker) -> None:
    """What `run` does again and again, without patience."""
    worker._step()
    worker._listen(0)


async def test_when_nothing_comes_any_more_it_is_refused(pair: Pair) -> None:
    await pair.send(engagement(0, pageview(0)))
    pair.tell(Until(pair.journal.end))
    for _ in range(4):
        turn(pair.worker)
    end = pair.journal.end
    nothing, refusal = Stored(end, 0, 0, 0, [], [], []), Stored(end, 0, 0, 0, [], [], NO_PAGEVIEW)
    assert [said for said in pair.said() if isinstance(said, Stored)] == [nothing, refusal]


async def test_of_a_large_batch_is_told_in_parts(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "WHOLE_BYTES_MAX", 200_000)
    events = [pageview(0, visitor=number) for number in range(2 * PEOPLE_MAX + 1)]
    await pair.send(*events)
    pair.tell(Watch([1]))
    pair.tell(Until(pair.journal.end))
    for _ in range(3):
        turn(pair.worker)
    told = [said for said in pair.said() if isinstance(said, Part | Stored)]
    *parts, last = told
    assert isinstance(last, Stored)
    assert (last.events, last.position) == (len(events), pair.journal.end)
    assert all(isinstance(part, Part) for part in parts)
    people = [[person.visitor for person in said.people] for said in told]
    assert [visitor for some in people for visitor in some] == [event.visitor for event in events]
    assert max(map(len, people)) == PEOPLE_MAX
    whole = [of.events for said in told for of in said.whole]
    assert [json.loads(text)["event_id"] for texts in whole for text in texts] == [event.event_id for event in events]
    assert len(whole) > 1
    assert max(sum(map(len, texts)) for texts in whole) <= 200_000


async def test_of_projects_that_somebody_watches_every_event_is_told(pair: Pair) -> None:
    other = "INSERT INTO project (id, public_id, name, created_at, updated_at) VALUES (2, 'b', 'b', 0, 0)"
    await pair.database.write(other)
    for watched in ([], [1], [1, 2, 3], []):
        pair.tell(Watch(watched))
        one, two = ([event(project_id=id_) for _ in range(FEED_EVENTS_MAX + 30)] for id_ in (1, 2))
        await pair.send(*one, *two, engagement(1, pageview(0)), user_event(1, "ann"))
        pair.tell(Until(pair.journal.end))
        for _ in range(4):
            turn(pair.worker)
        stored = [said for said in pair.said() if isinstance(said, Stored)]
        assert sum(said.events for said in stored) == len(one) + len(two) + 1
        told = {
            whole.project_id: [msgspec.json.decode(text)["event_id"] for text in whole.events]
            for said in stored
            for whole in said.whole
        }
        ids = {1: [event.event_id for event in one], 2: [event.event_id for event in two]}
        if 1 in told:
            told[1].pop()  # the user's
        assert told == {id_: ids[id_] for id_ in watched if id_ in ids}


async def test_a_pageview_that_lay_in_the_journal_for_hours_is_not_too_late(pair: Pair) -> None:
    page = pageview(0)
    await pair.send(engagement(0.1, page, 40, 5000))
    pair.tell(Until(pair.journal.end))
    turn(pair.worker)
    pair.worker._step()
    await pair.send(page)
    pair.restart()
    for _ in range(2):
        turn(pair.worker)  # and nobody says up to where the journal goes
    pair.tell(Until(pair.journal.end))
    for _ in range(4):
        turn(pair.worker)
    stored = [said for said in pair.said() if isinstance(said, Stored)]
    assert [(said.events, said.refused) for said in stored] == [(1, [])]
    assert await pair.reading_times() == [5000]


async def test_word_of_more_is_heard_before_anything_is_refused(pair: Pair) -> None:
    page = pageview(0)
    await pair.send(engagement(0.1, page, 40, 5000))
    for _ in range(2):
        pair.tell(Until(pair.journal.end))
        turn(pair.worker)
    await pair.send(page)
    pair.tell(Until(pair.journal.end))
    for _ in range(4):
        turn(pair.worker)
    assert await pair.reading_times() == [5000]


@pytest.mark.parametrize(("waited", "refused"), [(0, []), (1.8 * WAIT_MAX, []), (2.1 * WAIT_MAX, NO_PAGEVIEW)])
async def test_requests_under_way_get_as_long_again(pair: Pair, waited: float, refused: list[Refused]) -> None:
    await pair.send(engagement(0, pageview(0), received=now() - round(waited)))
    pair.tell(Until(pair.journal.end))
    for _ in range(4):
        turn(pair.worker)
    assert [each for said in pair.said() if isinstance(said, Stored) for each in said.refused] == refused
    assert await pair.database.read("SELECT count(*) FROM early_engagement") == [(1 - len(refused),)]


async def test_what_waits_goes_on_waiting_when_the_process_ends(pair: Pair) -> None:
    await pair.send(engagement(0, pageview(0)))
    pair.tell(Until(pair.journal.end))
    turn(pair.worker)
    pair.tell(Finish())
    await asyncio.to_thread(pair.worker.run)
    *_, stored, reached, settled = pair.said()
    assert isinstance(stored, Stored) and stored.refused == []
    assert (reached, settled) == (Reached(pair.journal.end), Settled(pair.journal.end))
    assert await pair.database.read("SELECT count(*) FROM early_engagement") == [(1,)]


async def test_a_package_that_cannot_be_read_stops_nothing(tmp_path: Path, pair: Pair) -> None:
    package = tmp_path / "1-0.package"
    package.mkdir()  # no user may read it, whoever runs the tests
    await pair.send(pageview(0))
    pair.tell(Take([str(package)]))
    turn(pair.worker)
    assert pair.worker._take_package(busy=False) is False, "there is no other"
    assert Taken(str(package), None) in pair.said()
    pair.tell(Until(pair.journal.end))
    pair.tell(Finish())
    await asyncio.to_thread(pair.worker.run)
    assert [path.name for path in tmp_path.glob("1-0.*")] == ["1-0.void"]
    assert await pair.reading_times() == [0]


@pytest.mark.parametrize("waits", [True, False])
async def test_a_locked_database_is_told_of_and_so_is_its_end(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    monkeypatch.setattr(writer, "BUSY_TIMEOUT_SECONDS", 0.02)
    pair.restart()
    await pair.send(engagement(0, pageview(0)) if waits else pageview(0))
    pair.tell(Until(pair.journal.end))
    turn(pair.worker)
    pair.worker._step()
    pair.restart()  # so that it has to look whether anything waits
    pair.tell(Until(pair.journal.end))
    turn(pair.worker)
    turn(pair.worker)
    with closing(sqlite3.connect(pair.database.path, isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        pair.said()
        turn(pair.worker)
        (stuck,) = pair.said()
        assert isinstance(stuck, Stuck)
    turn(pair.worker)
    turn(pair.worker)
    *stored, reached = pair.said()
    assert [said.refused for said in stored if isinstance(said, Stored)] == ([NO_PAGEVIEW] if waits else [])
    assert reached == Reached(pair.journal.end)
