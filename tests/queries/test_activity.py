"""What visits and users did, against plain counting on random projects."""

from collections.abc import AsyncIterator
from random import Random

import pytest

from appliance.queries import activity, filters
from tests.postgresql import Server
from tests.queries.people import NOW, People, Stored, is_sampled, matching, people, random_trees

SEEDS = range(700, 708)


@pytest.fixture(scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> AsyncIterator[People]:
    async with people(tmp_path_factory.mktemp("activity"), SEEDS, server=server) as ready:
        yield ready


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("of", ["visit", "user"])
async def test_the_list_is_that_of_plain_counting(worlds: People, seed: int, of: activity.Of) -> None:
    reports, places = worlds
    place, random = places[seed - SEEDS.start], Random(seed)
    for _ in range(3):
        trees = random_trees(random)
        scope = await reports.scope(place.project, place.period, NOW, filters.parse(trees))
        groups: dict[object, list[Stored]] = {}
        for each in matching(place.visits, scope.range, trees):
            key = each.visit_place if of == "visit" else place.users[each.visit_place]
            if key != "":
                groups.setdefault(key, []).append(each)
        expected = [
            (
                place.users[found[0].visit_place],
                len(found),
                len({each.visit_place for each in found}),
                min(each.time for each in found),
                max(each.time for each in found),
            )
            for _, found in groups.items()
        ]
        made = await activity.ask(reports, scope, of, limit=1000)
        rows = [(row.user, row.events, row.visits, row.first_seen, row.last_seen) for row in made.rows]
        assert sorted(rows) == sorted(expected)
        order = [(-row.last_seen, -row.visit_id if of == "visit" else row.user.encode()) for row in made.rows]
        assert order == sorted(order)
        assert made.total == len(expected)
        assert made.sampled == is_sampled(place.visits, scope.range)
        part = await activity.ask(reports, scope, of, limit=3, offset=2)
        assert (part.rows, part.total) == (made.rows[2:5], made.total)
    assert rows
