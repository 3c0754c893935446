"""Which custom properties the events of a scope have, against plain counting."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import Invalid
from appliance.queries import properties, question
from appliance.queries.filters import parse
from appliance.queries.question import Scope
from tests import oracle
from tests.postgresql import Server
from tests.queries.people import NOW, People, people

TREES: list[Any] = [
    [],
    [["is", "visit:country", ["DE", "US"]]],
    [["is_not", "event:props:plan", ["(none)"]]],
    [["is", "event:props:plan", ["a\0b"]]],
    [["is_not", "event:props:a\0b", ["pro"]]],
    [["has_done", ["is", "event:name", ["signup"]]]],
]


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> AsyncIterator[People]:
    async with people(Path(tmp_path_factory.mktemp("properties")), range(20, 26), server=server) as made:
        yield made


@pytest.mark.parametrize("trees", TREES, ids=json.dumps)
async def test_the_names_that_most_events_have_come_first(world: People, trees: list[Any]) -> None:
    for place in world.places:
        scope = await world.reports.scope(place.project, place.period, NOW, parse(trees))
        in_range = [
            (visit, event)
            for visit in place.visits
            for event in visit.events
            if scope.range.start <= event.time < scope.range.end
        ]
        counted: Counter[str] = Counter()
        for visit, event in in_range:
            if oracle.holds(["and", trees], visit, event, in_range):
                weight = event.weight
                for name in event.properties:
                    counted[name] += weight if event.text(f"event:props:{name}") else 0  # type: ignore[assignment]
        expected = {f"event:props:{name}" for name, events in counted.items() if events}
        found = properties.dimensions(await world.reports.answer(scope, properties.REPORT))
        assert set(found) == expected
        if not oracle.is_sampled(place.visits, scope.range.start, scope.range.end):
            counts = [counted[name.removeprefix("event:props:")] for name in found]
            assert counts == sorted(counts, reverse=True)


async def test_each_name_can_be_asked_for(world: People) -> None:
    place = world.places[0]
    scope: Scope = await world.reports.scope(place.project, place.period, NOW)
    for name in properties.dimensions(await world.reports.answer(scope, properties.REPORT)):
        assert properties.is_property(name)
        assert (await world.reports.answer(scope, question.Report(("visitors",), (name,), only_set=True))).rows


def test_the_api_groups_by_one_property_at_a_time() -> None:
    body = {"metrics": ["events"], "date_range": "7d", "dimensions": ["event:page", "event:props"]}
    with pytest.raises(Invalid) as caught:
        question.parse(body)
    assert caught.value.pointer == "#/dimensions/1"


@pytest.mark.parametrize("name", ["event:props", "event:props:", "event:page", "event:props:" + 301 * "a"])
def test_what_is_no_property(name: str) -> None:
    assert not properties.is_property(name)
