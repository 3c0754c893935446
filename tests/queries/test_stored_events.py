"""What is stored of the events of a page of the log, in every engine; of sealed days, see test_simple_analytics_api."""

from pathlib import Path

import pytest

from appliance.clock import HOUR
from appliance.queries import stored_events
from appliance.queries.event_log import Entry
from appliance.queries.stored_events import StoredEvent
from appliance.storage import event_names, sources
from tests.builders import BOB, event, pageview
from tests.engines import AnyDatabase
from tests.ingest.test_drain import line


def entry(id_: int, time: int) -> Entry:
    return Entry(id_, time, 0, True, *[""] * 10)


async def test_they_are_read_by_id(tmp_path: Path, database: AnyDatabase) -> None:
    async with line(tmp_path, database) as one:
        await one.send(
            event(1, name="b", event_id="550e8400-e29b-41d4-a716-446655440000", source="web", properties='{"a":1}'),
            event(2, name="ä", event_id="mine", session_id="s1", visitor=BOB, source="ios"),
            pageview(3, "/"),
        )
        one.drain_all()
    rows = await database.read("SELECT id, time, received FROM event ORDER BY id")
    listed = [entry(id_, time) for id_, time, _ in reversed(rows)]
    received = [at for *_, at in rows]
    found = await stored_events.of_entries(database, 1, [*listed, entry(99, 0)])
    assert [found.pop(id_) for id_, _, _ in rows[:2]] == [
        StoredEvent("550e8400-e29b-41d4-a716-446655440000", received[0], "web", "", '{"a":1}'),
        StoredEvent("mine", received[1], "ios", "s1", ""),
    ]
    assert list(found) == [rows[2][0]]
    assert await stored_events.of_entries(database, 2, listed) == {}
    assert await stored_events.of_entries(database, 1, []) == {}


async def test_sources_and_names_are_known_from_the_first_event_on(tmp_path: Path, database: AnyDatabase) -> None:
    async with line(tmp_path, database) as one:
        await one.send(*(event(n, name=name, source=source) for n, (name, source) in enumerate(PAIRS)))
        one.drain_all()
    assert [source.name for source in await sources.of_project(database, 1)] == ["Web", "ios", "web"]
    assert [source.description for source in await sources.of_project(database, 1)] == ["", "", ""]
    assert await event_names.of_project(database, 1) == ["B", "a", "page_view", "pageview", "ä"]
    assert await sources.of_project(database, 2) == await event_names.of_project(database, 2) == []


PAIRS = [("ä", "web"), ("a", "ios"), ("B", "Web"), ("page_view", "web"), ("pageview", "")]


@pytest.mark.parametrize(
    ("times", "spans"),
    [
        ([], []),
        ([5], [(5, 5)]),
        ([9, 8, 8], [(8, 9)]),
        ([3 * HOUR, 2 * HOUR, HOUR - 1], [(2 * HOUR, 3 * HOUR), (HOUR - 1, HOUR - 1)]),
    ],
)
def test_events_that_stand_together_are_read_together(times: list[int], spans: list[tuple[int, int]]) -> None:
    assert list(stored_events._spans(times)) == spans
