"""Journeys against plain counting."""

from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from appliance.queries import filters, journeys
from appliance.queries.journeys import Around, Distance, Journey, Place
from appliance.queries.question import Scope
from tests.oracle import Visit
from tests.postgresql import Server
from tests.queries.people import NOW, People, Stored, is_sampled, matching, people, random_trees

SEEDS = range(400, 416)
CHOSEN: list[list[Any]] = [
    ["and", [["is", "event:name", ["pageview"]], ["is", "event:page", ["/"]]]],
    ["and", [["is", "event:name", ["pageview"]], ["matches", "event:page", ["^/[bB]log.*$"]]]],
    ["is", "event:name", ["signup"]],
    ["is", "event:name", ["nothing"]],
]


@pytest.fixture(scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> AsyncIterator[People]:
    async with people(tmp_path_factory.mktemp("journeys"), SEEDS, visits=120, server=server) as ready:
        yield ready


def label(stored: Stored) -> tuple[bool, str]:
    event = stored.event
    return not event.pageview, (event.text("event:page") if event.pageview else event.name) or "(none)"


def counted(visits: list[Visit], scope: Scope, trees: list[Any], chosen: list[Any], with_events: bool) -> Around:
    rows: dict[int, list[Stored]] = {}
    for each in matching(visits, scope.range, trees):
        if each.event.pageview or with_events or each.holds(chosen):
            row = rows.setdefault(each.visit_place, [])
            if not row or label(row[-1]) != label(each):
                row.append(each)
    near: dict[int, Counter[tuple[bool, str]]] = {distance: Counter() for distance in (-2, -1, 1, 2)}
    there = 0
    for row in rows.values():
        at = next((place for place, stored in enumerate(row) if stored.holds(chosen)), None)
        if at is None:
            continue
        there += 1
        for distance, found in near.items():
            if 0 <= at + distance < len(row):
                found[label(row[at + distance])] += 1
    return Around(
        there,
        {
            distance: Distance(
                tuple(
                    Place(is_event, text, count)
                    for (is_event, text), count in sorted(
                        found.items(), key=lambda item: (-item[1], item[0][1].encode(), item[0][0])
                    )[:8]
                ),
                found.total(),
            )
            for distance, found in near.items()
        },
        is_sampled(visits, scope.range),
    )


@pytest.mark.parametrize("seed", SEEDS)
async def test_journeys_are_those_of_plain_counting(worlds: People, seed: int) -> None:
    reports, places = worlds
    place, random = places[seed - SEEDS.start], Random(seed)
    seen = 0
    for _ in range(10):
        trees, chosen = random_trees(random), random.choice(CHOSEN)
        scope = await reports.scope(place.project, place.period, NOW, filters.parse(trees))
        with_events = random.random() < 0.5
        answer = await journeys.ask(reports, scope, Journey(filters.parse([chosen]), with_events))
        assert answer == counted(place.visits, scope, trees, chosen, with_events), (chosen, with_events, trees)
        seen += sum(distance.visits for distance in answer.distances.values())
    assert seen > 10


def test_visits_are_at_a_place_at_another_or_gone() -> None:
    around = Around(10, {1: Distance((Place(False, "/", 4), Place(True, "Signup", 2)), 7)})
    assert around.distances[1].others == 1
    assert around.missing(1) == 3
