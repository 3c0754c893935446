"""Retention against plain counting: on random projects, and on a few visitors by hand."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from appliance.queries import filters, retention
from appliance.queries.intervals import Interval, buckets
from appliance.queries.period import between, resolve
from appliance.queries.question import Scope
from appliance.queries.retention import Retention
from tests import oracle
from tests.oracle import Event, Visit
from tests.postgresql import Server
from tests.queries.people import NOW, People, is_sampled, matching, people, random_trees
from tests.queries.worlds import instant

SEEDS = range(16)


@pytest.fixture(scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> AsyncIterator[People]:
    async with people(tmp_path_factory.mktemp("retention"), SEEDS, server=server) as ready:
        yield ready


def counted(
    visits: list[Visit], scope: Scope, interval: Interval, trees: list[Any], first: str | None, back: str | None
) -> dict[str, tuple[int, dict[int, int]]]:
    """By the label of a cohort's step: its size, and visitors by steps after it."""
    there, zone = scope.range, ZoneInfo(scope.range.timezone)
    order = [bucket.label for bucket in buckets(there, interval)]

    def step(time: int) -> int:
        return order.index(oracle.bucket(time, interval, zone, there.start)[1])

    theirs: dict[int, list[Event]] = {}
    for each in matching(visits, there, trees, from_start=False):
        theirs.setdefault(each.visit.visitor, []).append(each.event)
    found: dict[str, tuple[int, dict[int, int]]] = {}
    for events in theirs.values():
        begins = [event.time for event in events if first in (None, event.text("event:name"))]
        if not begins or min(begins) < there.start:
            continue
        mine = step(min(begins))
        size, returned = found.get(order[mine], (0, {}))
        returns = [e.time for e in events if back in (None, e.text("event:name")) and e.time >= min(begins)]
        for later in {step(time) - mine for time in returns}:
            returned[later] = returned.get(later, 0) + 1
        found[order[mine]] = (size + 1, returned)
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_cohorts_are_those_of_plain_counting(worlds: People, seed: int) -> None:
    reports, places = worlds
    place, random = places[seed], Random(3000 + seed)
    found = 0
    for _ in range(10):
        trees = random_trees(random)
        scope = await reports.scope(place.project, place.period, NOW, filters.parse(trees))
        interval = random.choice(retention.INTERVALS)
        first, back = (random.choice([None, None, "pageview", "signup", "Signup"]) for _ in range(2))
        made = await retention.ask(reports, scope, Retention(interval, first, back))
        answer = {
            each.bucket.label: (each.size, {after: count for after, count in enumerate(each.returned) if count})
            for each in made.cohorts
        }
        assert answer == counted(place.visits, scope, interval, trees, first, back), (interval, first, back, trees)
        assert made.sampled == is_sampled(place.visits, None)
        found += len(answer)
    assert found > 3


async def test_a_newcomer_is_new_once_and_steps_to_come_are_left_out(worlds: People) -> None:
    reports, places = worlds
    project = places[0].project
    scope = Scope(project.id, resolve(between("2026-06-01", "2026-06-30"), "UTC", instant("2026-06-15 12:00")))
    assert (await retention.ask(reports, scope, Retention("week"))).cohorts == ()  # all came before
    steps = buckets(scope.range, "week")
    made = [
        retention.Cohort(steps[0], 4, (4, 2, 1)),
        retention.Cohort(steps[1], 6, (6, 2)),
        retention.Cohort(steps[2], 5, (5,)),
    ]
    assert made[0].rates == (100.0, 50.0, 25.0)
    # 15 June is in the third week: what is not over yet is in no average.
    assert [bucket.state for bucket in steps[:4]] == ["complete", "complete", "running", "future"]
    assert retention.average(made, steps) == (100.0, 50.0, None)


@pytest.mark.parametrize(
    ("first", "last", "valid", "usual"),
    [
        ("2026-06-01", "2026-06-01", ["day"], "day"),
        ("2026-06-01", "2026-06-07", ["day"], "day"),
        ("2026-06-01", "2026-06-28", ["day", "week"], "week"),
        ("2026-01-01", "2026-06-30", ["week", "month"], "month"),
        ("2025-01-01", "2029-12-31", ["month"], "month"),
        ("1985-01-01", "2026-03-28", ["month"], "month"),
    ],
)
def test_intervals_make_a_readable_table(first: str, last: str, valid: list[str], usual: str) -> None:
    there = resolve(between(first, last), "UTC", NOW)
    assert retention.intervals_of(there) == valid
    assert retention.default_interval(there) == usual
