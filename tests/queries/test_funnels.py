"""Funnels against plain counting, which tries every way through a visitor's events."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from appliance.clock import DAY, HOUR, MINUTE
from appliance.errors import Invalid
from appliance.queries import filters, funnels
from appliance.queries.funnels import Funnel, Passage, Step
from appliance.queries.question import Scope
from tests.oracle import Visit
from tests.postgresql import Server
from tests.queries.people import NOW, People, Stored, is_sampled, matching, people, random_trees

SEEDS = range(100, 116)
STEPS: list[list[Any]] = [
    ["is", "event:name", ["pageview"]],
    ["is", "event:name", ["signup"]],
    ["is", "event:page", ["/"]],
    ["is", "event:page", ["/pricing"]],
    ["matches", "event:page", ["^/[bB]log.*$"]],
    ["and", [["is", "event:name", ["pageview"]], ["is", "visit:device", ["Desktop", "Mobile"]]]],
    ["or", [["is", "event:name", ["download"]], ["is", "event:page", ["/q?x=1", "/a|b"]]]],
]


@pytest.fixture(scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> AsyncIterator[People]:
    async with people(tmp_path_factory.mktemp("funnels"), SEEDS, visits=120, server=server) as ready:
        yield ready


def passages(run: list[Stored], steps: list[Any], window: int | None, strict: bool) -> list[list[tuple[int, ...]]]:
    """By step: every way in which it is reached in a visitor's or visit's events, as places in `run`."""
    found = [[(place,) for place, stored in enumerate(run) if stored.holds(steps[0])]]
    for step in steps[1:]:
        ways = [
            (*way, place)
            for way in found[-1]
            for place in range(way[-1] + 1, min(way[-1] + 2, len(run)) if strict else len(run))
            if run[place].holds(step) and (window is None or run[place].time - run[way[0]].time <= window)
        ]
        # Of the ways to one place only the ends matter: where they began, and what came just before.
        found.append(list({(way[0], way[-2], way[-1]): way for way in ways}.values()))
    return found


def counted(visits: list[Visit], scope: Scope, trees: list[Any], funnel: Funnel, steps: list[Any]) -> Passage:
    runs: dict[tuple[int, int], list[Stored]] = {}
    for each in matching(visits, scope.range, trees):
        runs.setdefault((each.visit.visitor, each.visit_place if funnel.window is None else 0), []).append(each)
    reached: list[dict[int, list[tuple[int, int, int]]]] = [{} for _ in steps]
    for (visitor, _), run in runs.items():
        for index, ways in enumerate(passages(run, steps, funnel.window, funnel.strict)):
            for way in ways:
                time, place, *_ = run[way[-1]]
                left = run[way[-2]].time if len(way) > 1 else time
                reached[index].setdefault(visitor, []).append((time, place, left))
    answer = []
    for index, by_visitor in enumerate(reached):
        took = []
        for ways in by_visitor.values():
            time, place, _ = min(ways)
            took.append(time - max(left for at, where, left in ways if (at, where) == (time, place)))
        took.sort()
        median = took[(len(took) - 1) // 2] if took and index else None
        answer.append(Step(len(by_visitor), median))
    return Passage(tuple(answer), is_sampled(visits, scope.range))


@pytest.mark.parametrize("seed", SEEDS)
async def test_funnels_are_those_of_plain_counting(worlds: People, seed: int) -> None:
    reports, places = worlds
    place, random = places[seed - SEEDS.start], Random(seed)
    deepest = 0
    for _ in range(12):
        trees = random_trees(random)
        scope = await reports.scope(place.project, place.period, NOW, filters.parse(trees))
        steps = [random.choice(STEPS) for _ in range(random.choice([2, 2, 3, 4, 8]))]
        window = random.choice([None, None, 10 * MINUTE, HOUR, DAY, 7 * DAY])
        tree = filters.parse(steps)
        funnel = Funnel(tree.parts, window, random.random() < 0.3)
        answer = await funnels.ask(reports, scope, funnel)
        assert answer == counted(place.visits, scope, trees, funnel, steps), (steps, window, funnel.strict, trees)
        deepest = max(deepest, sum(step.visitors > 0 for step in answer.steps))
    assert deepest > 1


def test_rates_and_losses() -> None:
    passage = Passage((Step(200), Step(50, 1), Step(0)))
    assert [passage.rate(index) for index in range(3)] == [100.0, 25.0, 0.0]
    assert [passage.rate_from_before(index) for index in range(3)] == [100.0, 25.0, 0.0]
    assert [passage.dropped(index) for index in range(3)] == [0, 150, 50]
    assert passage.conversion == 0.0
    assert Passage((Step(0), Step(0))).conversion is None


@pytest.mark.parametrize("count", [0, 1, 9])
async def test_a_funnel_has_two_to_eight_steps(worlds: People, count: int) -> None:
    scope = await worlds.reports.scope(worlds.places[0].project, worlds.places[0].period, NOW)
    steps = filters.parse([STEPS[0]] * count).parts
    with pytest.raises(Invalid, match="2 to 8 steps"):
        await funnels.ask(worlds.reports, scope, Funnel(steps))
