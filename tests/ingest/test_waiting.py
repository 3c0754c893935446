"""How many events wait in a journal."""

import asyncio
from pathlib import Path

from appliance.ingest.drain import encode_events
from appliance.ingest.waiting import count_waiting
from appliance.model import Event, Kind
from tests.ingest.test_journal import running, segments


def record(events: int) -> bytes:
    return encode_events([Event(1, f"e{n}", Kind.CUSTOM, "a", 0, 0, 7, None) for n in range(events)])


async def test_what_is_behind_a_position_is_counted(tmp_path: Path) -> None:
    async with running(tmp_path, segment_bytes=2000) as journal:
        places = [await journal.append(record(events)) for events in (1, 100, 20, 3)]
        assert len(segments(tmp_path)) == 2
        assert count_waiting(tmp_path, None, journal.end) == 124
        assert [count_waiting(tmp_path, place, journal.end) for place in places] == [123, 23, 3, 0]
        assert count_waiting(tmp_path, places[0], places[1]) == 100
        await asyncio.to_thread(journal.release, places[1])
        assert count_waiting(tmp_path, places[1], journal.end) == 23


async def test_what_went_meanwhile_waits_no_longer(tmp_path: Path) -> None:
    async with running(tmp_path) as journal:
        await journal.append(record(2))
        end = journal.end
        for path in segments(tmp_path):
            path.unlink()
        assert count_waiting(tmp_path, None, end) == 0
