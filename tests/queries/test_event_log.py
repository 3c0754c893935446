"""The event log against the plain list of events, page by page."""

from collections.abc import AsyncIterator
from random import Random

import pytest

from appliance.queries import event_log, filters
from appliance.queries.event_log import Cursor, Entry, Sent
from appliance.storage.sqlite.database import SqliteDatabase
from tests.postgresql import Server
from tests.queries.people import NOW, People, is_sampled, matching, people, random_trees

SEEDS = range(300, 312)


@pytest.fixture(scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> AsyncIterator[People]:
    async with people(tmp_path_factory.mktemp("log"), SEEDS, server=server) as ready:
        yield ready


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_log_is_the_list_of_events_the_newest_first(worlds: People, seed: int) -> None:
    reports, places = worlds
    place, random = places[seed - SEEDS.start], Random(seed)
    listed = 0
    for _ in range(4):
        trees = random_trees(random)
        user = random.choice([None, None, "Ben", "user/7?x=1&y"])
        scope = await reports.scope(place.project, place.period, NOW, filters.parse(trees))
        expected = [
            (
                each.time,
                each.event.pageview,
                each.event.name,
                each.event.text("event:page"),
                each.event.text("event:hostname"),
                place.users[each.visit_place],
                each.visit.text("visit:source"),
                each.visit.text("visit:country"),
                each.visit.text("visit:device"),
            )
            for each in reversed(matching(place.visits, scope.range, trees))
            if user is None or place.users[each.visit_place] == user
        ]
        found, before = [], None
        while True:
            log = await event_log.ask(reports, scope, before=before, user=user, rows=7)
            found += log.entries
            assert log.sampled == is_sampled(place.visits, scope.range)
            before = log.older
            if before is None:
                break
            assert len(log.entries) == 7
        assert [
            (e.time, e.is_pageview, e.name, e.path, e.hostname, e.user, e.source, e.country, e.device) for e in found
        ] == expected
        assert len({entry.id for entry in found}) == len(found)
        listed += len(found)
    assert listed > 20


@pytest.mark.parametrize("seed", SEEDS[:4])
async def test_a_page_may_begin_after_so_many(worlds: People, seed: int) -> None:
    reports, places = worlds
    place, random = places[seed - SEEDS.start], Random(1000 + seed)
    for _ in range(3):
        user = random.choice([None, "Ben", "nobody"])
        scope = await reports.scope(place.project, place.period, NOW, filters.parse(random_trees(random)))
        whole = (await event_log.ask(reports, scope, user=user, rows=1000)).entries
        assert await event_log.count(reports, scope, user=user) == len(whole)
        for offset in (0, 1, len(whole) // 2, len(whole), len(whole) + 5):
            page = await event_log.ask(reports, scope, user=user, rows=5, offset=offset)
            assert page.entries == whole[offset : offset + 5]
            assert (page.older is None) == (offset + 5 >= len(whole))


async def test_a_page_begins_after_its_cursor_whatever_came_since(worlds: People) -> None:
    scope = await worlds.reports.scope(worlds.places[0].project, worlds.places[0].period, NOW)
    whole = (await event_log.ask(worlds.reports, scope, rows=1000)).entries
    same = [entry for entry, other in zip(whole[1:], whole, strict=False) if entry.time == other.time]
    for entry in (whole[0], whole[10], *same):
        page = await event_log.ask(worlds.reports, scope, before=entry.cursor, rows=1000)
        assert page.entries == whole[whole.index(entry) + 1 :]
    assert same
    assert (await event_log.ask(worlds.reports, scope, before=Cursor(0, 0))).entries == ()


async def test_what_was_sent_is_read_by_id(database: SqliteDatabase) -> None:
    columns = (
        "id, project_id, event_id, visit_id, time, received, kind, flags, rate, name, source, hostname, path, title,"
        ' "user", scroll_depth, engaged_ms, revenue, currency, properties'
    )
    rows = [
        "1, 1, 'a', 1, 0, 0, 1, 0, 1000000, 0, 1, 0, 0, 0, 0, 80, 1500, 1999, 1, '{\"plan\": [1, \"é\"]}'",
        "2, 1, 'b', 1, 0, 0, 0, 0, 1000000, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, NULL",
        "3, 2, 'c', 1, 0, 0, 0, 0, 1000000, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, NULL",
    ]
    for row in rows:
        await database.write(f"INSERT INTO event ({columns}) VALUES ({row})")
    await database.write("INSERT INTO dictionary VALUES (1, 2, 1, 'web'), (1, 7, 1, 'EUR')")
    entries = [Entry(number, 0, 1, False, *[""] * 10) for number in (1, 2, 3, 4)]
    assert await event_log.sent(database, 1, entries) == {
        1: Sent("web", 1999, "EUR", 80, 1500, {"plan": [1, "é"]}),
        2: Sent("", None, "", 0, 0, {}),
    }
    assert await event_log.sent(database, 1, []) == {}
    entry = Entry(1, 0, 1, False, *[""] * 10)
    assert await event_log.sent_with(database, 1, entry) == Sent("web", 1999, "EUR", 80, 1500, {"plan": [1, "é"]})
    gone = Entry(9, 0, 1, False, *[""] * 10)
    assert await event_log.sent_with(database, 1, gone) == Sent("", None, "", 0, 0, {})
