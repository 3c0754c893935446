"""Two drains on one server take turns with the same people: in the end it is as if there had been one."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from appliance.ingest import visits
from appliance.model import Event, Kind
from appliance.storage.postgresql.database import PostgresqlDatabase
from appliance.storage.postgresql.drain_store import PostgresqlDrainStore
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.drain_store import SqliteDrainStore
from tests.builders import engagement, event, pageview, user_event
from tests.ingest.applying import Applying
from tests.postgresql import Server
from tests.seeds import seeds

VISITS = 'SELECT visitor, start, "end", entry_at, exit_at, pageviews, events, interactive FROM visit ORDER BY 1, 2, 3'
EVENTS = """
    SELECT e.time, v.visitor, v.start, e.scroll_depth, e.engaged_ms FROM event e JOIN visit v ON v.id = e.visit_id
    ORDER BY 1, 2, 3
    """


class Sides:
    """Two drains on one database, and one on a database of its own that gets everything."""

    def __init__(self, shared: PostgresqlDatabase, alone: SqliteDatabase) -> None:
        self._databases = (shared, alone)
        self.drains = [Applying(lambda: PostgresqlDrainStore(shared.url)) for _ in range(2)]
        self.one = Applying(lambda: SqliteDrainStore(alone.path))

    def apply(self, drain: int, *events: Event) -> None:
        self.drains[drain].apply(*events)
        self.one.apply(*events)

    async def check(self) -> None:
        shared, alone = self._databases
        for select in (VISITS, EVENTS):
            assert await shared.read(select) == await alone.read(select)
        differ = "SELECT count(*) FROM event e JOIN visit v ON v.id = e.visit_id WHERE e.visitor <> v.visitor"
        assert await shared.read(differ) == [(0,)]


@pytest.fixture
async def sides(postgresql: Server, tmp_path: Path) -> AsyncIterator[Sides]:
    shared, alone = PostgresqlDatabase(postgresql.new_database()), SqliteDatabase(tmp_path / "appliance.db")
    for database in (shared, alone):
        await database.open()
    made = Sides(shared, alone)
    yield made
    for applying in (*made.drains, made.one):
        applying.store.close()
    for database in (shared, alone):
        await database.close()


def login(minutes: float, browser: int = 41, user: str = "u1") -> Event:
    return user_event(minutes, user, browser, kind=Kind.PAGEVIEW, name="pageview")


async def test_a_visit_that_the_other_one_gave_to_a_user_is_engaged_with(sides: Sides) -> None:
    second = login(1)
    sides.apply(0, pageview(0, visitor=41))
    sides.apply(1, second, login(2))
    sides.apply(0, engagement(3, second, 80, 5000))
    await sides.check()


async def test_a_visit_that_the_other_one_gave_to_a_user_goes_on(sides: Sides) -> None:
    sides.apply(0, pageview(0, visitor=41))
    sides.apply(1, login(1))
    sides.apply(0, user_event(3, "u1", anonymous=None))
    await sides.check()


async def test_a_visit_that_the_other_one_gave_to_a_user_takes_in_what_comes_days_later(sides: Sides) -> None:
    days = 24 * 60 * 5
    sides.apply(0, pageview(0, visitor=41))
    sides.apply(1, login(1))
    sides.apply(0, user_event(days, "u1", anonymous=None))  # from now on the user is the first one's
    sides.apply(0, user_event(3, "u1", anonymous=None))
    await sides.check()


def move(chance: Random, minutes: float, views: list[Event]) -> Event:
    """What one of four browsers sends, or a server about one of three users."""
    browser, user = 41 + chance.randrange(4), f"u{chance.randrange(3)}"
    what = chance.choices(("view", "event", "login", "identify", "server", "reset", "engage"), (6, 2, 3, 2, 2, 1, 5))[0]
    if what == "engage" and views:
        return engagement(minutes, chance.choice(views[-6:]), chance.randrange(100), 1000)
    if what == "event":
        return event(minutes, browser)
    if what == "login":
        return login(minutes, browser, user)
    if what == "identify":
        return user_event(minutes, user, browser, kind=Kind.IDENTIFY)
    if what == "server":
        return user_event(minutes, user, None)
    if what == "reset":
        return event(minutes, browser, kind=Kind.RESET)
    return pageview(minutes, visitor=browser)


@pytest.mark.parametrize("kept", [visits.VISITORS_KEPT_MAX, 2])
@pytest.mark.parametrize("seed", seeds(4, 40))
async def test_random_moves(sides: Sides, seed: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("VISITORS_KEPT", "VISITORS_KEPT_MAX"):
        monkeypatch.setattr(visits, bound, kept)
    chance = Random(seed)
    views: list[Event] = []
    minutes = 0.0
    for _ in range(250):
        batch = []
        for _ in range(chance.choice((1, 1, 2, 5))):
            minutes += chance.choice((0.01, 0.5, 3, 20))
            batch.append(move(chance, minutes - chance.choice((0, 0, 0, 0.005, 45)), views))
            views += [made for made in batch[-1:] if made.kind == Kind.PAGEVIEW]
        sides.apply(chance.randrange(2), *batch)
    await sides.check()
