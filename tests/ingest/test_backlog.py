"""What the journal holds that is not stored yet, counted by project."""

import asyncio
from pathlib import Path

import pytest

from appliance.ingest import backlog as module
from appliance.ingest.backlog import backlog
from appliance.ingest.drain import encode_events
from appliance.ingest.journal import Journal
from appliance.model import Event, Kind
from appliance.storage.interface import Position
from tests.builders import at, engagement, event, pageview


@pytest.fixture
async def journal(tmp_path: Path) -> Journal:
    opened = Journal(tmp_path / "journal", bytes_max=1 << 24, segment_bytes=3000)
    opened.open()
    opened.start(asyncio.get_running_loop())
    return opened


async def append(journal: Journal, *events: Event) -> Position:
    return await journal.append(encode_events(list(events)))


async def test_events_behind_a_position_are_counted_over_all_segments(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_BYTES_MAX", 500)
    first = await append(journal, event(project_id=1))
    for _ in range(60):
        last = await append(journal, event(project_id=1), event(project_id=2), event(project_id=3))
    await journal.append(b"no record of ours")
    assert last.segment > 2
    since = {1: 0, 2: at(0), 4: 0}
    await asyncio.to_thread(journal.close)
    whole = backlog(journal.folder, None, journal.end, since)
    assert whole.events == {1: 61, 2: 60}
    assert backlog(journal.folder, first, journal.end, since).events == {1: 60, 2: 60}
    assert last < whole.end <= journal.end
    assert backlog(journal.folder, whole.end, journal.end, since) == ({}, whole.end)


async def test_what_is_no_event_and_what_came_before_does_not_count(journal: Journal) -> None:
    page = pageview(5)
    await append(journal, page, engagement(6, page), event(7, kind=Kind.IDENTIFY), event(4), pageview(8))
    await asyncio.to_thread(journal.close)
    assert backlog(journal.folder, None, journal.end, {1: at(5)}).events == {1: 2}


async def test_an_empty_journal_has_none(journal: Journal) -> None:
    await asyncio.to_thread(journal.close)
    assert backlog(journal.folder, None, journal.end, {1: 0}).events == {}
