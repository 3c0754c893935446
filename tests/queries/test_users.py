"""Users against plain counting, page by page."""

from collections.abc import AsyncIterator
from random import Random

import pytest

from appliance.queries import filters, users
from appliance.queries.users import User
from appliance.storage.sqlite.database import SqliteDatabase
from tests.postgresql import Server
from tests.queries.people import NOW, People, Place, is_sampled, matching, people, random_trees

SEEDS = range(200, 212)


@pytest.fixture(scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> AsyncIterator[People]:
    async with people(tmp_path_factory.mktemp("users"), SEEDS, server=server) as ready:
        yield ready


def counted(place: Place, start: int, found: list[tuple[str, int, bool]]) -> list[User]:
    """`found`: of each matching event the user, the visit's place, and whether the visit starts in range."""
    listed = []
    for name in {user for user, _, _ in found if user}:
        theirs = [visit for visit, user in zip(place.visits, place.users, strict=True) if user == name]
        mine = [each for each in found if each[0] == name]
        visits = len({number for _, number, starts in mine if starts})
        first, last = min(visit.start for visit in theirs), max(visit.end for visit in theirs)
        listed.append(User(name, first, last, len(mine), visits))
    return sorted(listed, key=lambda user: (-user.last_seen, user.user.encode()))


@pytest.mark.parametrize("seed", SEEDS)
async def test_users_are_those_of_plain_counting(worlds: People, seed: int) -> None:
    reports, places = worlds
    place, random = places[seed - SEEDS.start], Random(seed)
    for _ in range(6):
        trees = random_trees(random)
        scope = await reports.scope(place.project, place.period, NOW, filters.parse(trees))
        start = scope.range.start
        expected = counted(
            place,
            start,
            [
                (place.users[each.visit_place], each.visit_place, each.visit.start >= start)
                for each in matching(place.visits, scope.range, trees)
            ],
        )
        found, before = [], None
        while True:
            page = await users.ask(reports, scope, before=before, rows=2)
            found += page.users
            assert page.sampled == is_sampled(place.visits, None)
            before = page.older
            if before is None:
                break
            assert len(page.users) == 2
        assert found == expected
        for user in expected:
            alone = await users.ask(reports, scope, user=user.user)
            assert alone == users.Users((user,), None, is_sampled(place.visits, None))
    assert (await users.ask(reports, scope, search="BEN")).users == tuple(
        user for user in expected if "ben" in user.user.lower()
    )
    assert (await users.ask(reports, scope, user="nobody")).users == ()


async def test_users_seen_last_at_the_same_time_are_paged_by_their_bytes(worlds: People) -> None:
    reports, places = worlds
    whole = (await users.ask(reports, await reports.scope(places[0].project, places[0].period, NOW))).users
    assert len(whole) > 2
    scope = await reports.scope(places[0].project, places[0].period, NOW)
    for user in whole:
        later = users.Cursor(user.last_seen, "")  # before every user of that moment
        assert (await users.ask(reports, scope, before=later)).users == whole[whole.index(user) :]


async def test_traits_are_those_of_the_project(database: SqliteDatabase) -> None:
    for project, code, name, traits in [(1, 1, "ann", '{"plan": "pro"}'), (2, 1, "ann", "{}"), (1, 2, "ben", "{}")]:
        row = {"project": project, "code": code, "name": name, "traits": traits}
        await database.write("INSERT INTO dictionary VALUES (:project, 6, :code, :name)", row)
        if name == "ann":
            await database.write("INSERT INTO user_trait VALUES (:project, :code, :traits, 0)", row)
    assert await users.traits(database, 1, ["ann", "ben", "eve"]) == {"ann": {"plan": "pro"}}
    assert await users.traits(database, 1, []) == {}
