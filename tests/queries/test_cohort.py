"""A cohort against plain counting, on random projects."""

from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from appliance.queries import cohort, filters
from appliance.queries.intervals import weeks_from
from appliance.queries.localtime import local_day
from appliance.queries.period import Dates, between, resolve
from tests.postgresql import Server
from tests.queries.people import NOW, People, is_sampled, matching, people, random_trees
from tests.queries.worlds import instant

SEEDS = range(500, 508)


@pytest.fixture(scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> AsyncIterator[People]:
    async with people(tmp_path_factory.mktemp("cohort"), SEEDS, server=server) as ready:
        yield ready


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_weeks_are_those_of_plain_counting(worlds: People, seed: int) -> None:
    reports, places = worlds
    place, random = places[seed - SEEDS.start], Random(seed)
    came_back = 0
    for _ in range(6):
        trees = random_trees(random)
        there = resolve(place.period, place.project.timezone, NOW)
        first = there.first_day + timedelta(random.randint(-14, 3))
        weeks = random.randint(1, 8)
        period = Dates(first, first + timedelta(7 * weeks - 1))
        scope = await reports.scope(place.project, period, NOW, filters.parse(trees))
        found: list[set[int]] = [set() for _ in range(weeks)]
        for each in matching(place.visits, scope.range, trees):
            days = (local_day(each.time, ZoneInfo(place.project.timezone)) - first).days
            found[days // 7].add(each.visit.visitor)
        made = await cohort.ask(reports, scope)
        assert [week.visitors for week in made.weeks] == [len(those & found[0]) for those in found], trees
        assert [week.bucket.label for week in made.weeks] == [str(first + timedelta(7 * n)) for n in range(weeks)]
        assert made.sampled == is_sampled(place.visits, scope.range)
        came_back += sum(week.visitors for week in made.weeks[1:])
    assert came_back


def test_weeks_begin_on_the_weekday_of_the_range() -> None:
    there = resolve(between("2026-03-25", "2026-04-07"), "Europe/Berlin", instant("2026-04-01 12:00"))
    weeks = weeks_from(there)
    assert [(week.label, week.state) for week in weeks] == [("2026-03-25", "complete"), ("2026-04-01", "running")]
    assert (weeks[0].start, weeks[-1].end) == (there.start, there.end)
    assert weeks[0].end - weeks[0].start == (7 * 24 - 1) * 3_600_000_000  # the clock went forward
