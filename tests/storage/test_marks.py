"""What the drain leaves for rollups on a server: where it wrote old visits, and who was met outside his day."""

from collections.abc import AsyncIterator
from datetime import datetime
from zoneinfo import ZoneInfo

import psycopg
import pytest

from appliance.clock import DAY, HOUR, MINUTE
from appliance.ingest.batch import Batch
from appliance.model import Event, ProjectSettings
from appliance.storage import projects
from appliance.storage.postgresql import rows
from appliance.storage.postgresql.database import PostgresqlDatabase
from appliance.storage.postgresql.drain_store import PostgresqlDrainStore
from appliance.storage.postgresql.rollups.marks import DROP, OLD, touch
from tests.builders import ANN, BOB, engagement, pageview, user_event
from tests.postgresql import Server

NEW_YORK = ZoneInfo("America/New_York")
NOW = round(datetime(2026, 3, 12, 12, tzinfo=NEW_YORK).timestamp()) * 1_000_000
TODAY = NOW // DAY


class Drained:
    """A project in New York, and the drain's side of its database."""

    def __init__(self, database: PostgresqlDatabase, project_id: int) -> None:
        self.database, self.project_id = database, project_id
        self.store = PostgresqlDrainStore(database.url)
        self.batch = Batch(lambda project_id: ProjectSettings())

    def send(self, *events: Event) -> None:
        for sent in events:
            sent.project_id = self.project_id
        self.store.transact(lambda tx: self.batch.apply(tx, events))

    async def touched(self) -> list[tuple[int, ...]]:
        return [tuple(row) for row in await self.database.read("SELECT low, high FROM touched ORDER BY xid")]

    async def wanderers(self) -> list[tuple[int, ...]]:
        found = await self.database.read("SELECT salt_day, visitor FROM wanderer ORDER BY salt_day, visitor")
        return [tuple(row) for row in found]


@pytest.fixture
async def drained(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Drained]:
    monkeypatch.setattr(rows, "now", lambda: NOW)
    database = PostgresqlDatabase(postgresql.new_database())
    await database.open()
    made = await projects.create(
        database, name="Site", domains=["example.com"], timezone="America/New_York", actor="test", at=1
    )
    drained = Drained(database, made.project.id)
    yield drained
    drained.store.close()
    await database.close()


def at(time: int, visitor: int = ANN, salt_day: int | None = TODAY) -> Event:
    return pageview(time=time, visitor=visitor, salt_day=salt_day, received=NOW)


async def test_live_traffic_leaves_nothing(drained: Drained) -> None:
    drained.send(at(NOW - 1), at(NOW - OLD, visitor=BOB, salt_day=None))
    drained.send(at(NOW + MINUTE))
    assert await drained.touched() == []
    assert await drained.wanderers() == []


async def test_old_visits_leave_one_mark_a_batch_from_the_first_to_the_last(drained: Drained) -> None:
    first, last = NOW - 9 * DAY, NOW - 2 * DAY
    drained.send(at(last, salt_day=None), at(NOW), at(first, visitor=BOB, salt_day=None))
    assert await drained.touched() == [(first, last)]
    drained.send(at(first + MINUTE, visitor=BOB, salt_day=None))  # the visit that is there grows
    drained.send(at(first - MINUTE, visitor=BOB, salt_day=None))  # and starts earlier
    assert await drained.touched() == [(first, last), (first, first + MINUTE), (first - MINUTE, first + MINUTE)]


async def test_engagement_that_changes_no_visit_leaves_none(drained: Drained) -> None:
    old = at(NOW - 2 * DAY, salt_day=None)
    drained.send(old)
    drained.send(engagement(0, old, 50, 900, time=old.time, received=NOW, salt_day=None))
    assert len(await drained.touched()) == 1
    ((engaged,),) = await drained.database.read("SELECT engaged_ms FROM event")
    assert engaged == 900


async def test_a_visit_that_is_given_to_somebody_else_is_touched(drained: Drained) -> None:
    time = NOW - 2 * DAY
    drained.send(at(time, salt_day=time // DAY))
    drained.send(user_event(0, "ann", time=time + MINUTE, received=NOW))
    assert await drained.touched() == [(time, time), (time, time + MINUTE)]
    ((visitor, salt_day),) = await drained.database.read("SELECT visitor, salt_day FROM visit")
    assert (visitor != ANN, salt_day) == (True, None)


async def test_wanderers_are_told_by_the_days_of_the_project(drained: Drained) -> None:
    midnight = NOW - 12 * HOUR
    drained.send(at(midnight - MINUTE, salt_day=TODAY - 1), at(midnight, visitor=BOB, salt_day=TODAY))
    assert await drained.wanderers() == []
    drained.send(at(midnight + MINUTE, salt_day=TODAY - 1))  # which goes on after midnight
    assert await drained.wanderers() == [(TODAY - 1, ANN)]
    drained.send(at(midnight + 2 * MINUTE, salt_day=TODAY - 1), at(NOW, visitor=BOB, salt_day=TODAY - 5))
    drained.send(at(NOW, visitor=303, salt_day=None))
    assert await drained.wanderers() == [(TODAY - 5, BOB), (TODAY - 1, ANN)]


async def test_another_time_zone_counts_from_the_next_batch_on(drained: Drained) -> None:
    drained.send(at(NOW - 12 * HOUR, salt_day=TODAY))
    assert await drained.wanderers() == []
    project = await projects.by_id(drained.database, drained.project_id)
    assert project is not None
    await projects.update(drained.database, project, timezone="UTC", actor="test", at=2)
    drained.send(at(NOW + 11 * HOUR, visitor=BOB, salt_day=TODAY))  # 22:00 there, 2:00 of the next day here
    assert await drained.wanderers() == [(TODAY, BOB)]


async def test_whoever_removes_visits_touches_them(drained: Drained) -> None:
    with psycopg.connect(drained.database.url) as connection:
        touch(connection, drained.project_id, 5, 9)
        touch(connection, drained.project_id, 7, 12)
    assert await drained.touched() == [(5, 12)]


async def test_rollups_of_whoever_is_erased_go_where_they_can_be_made_anew(drained: Drained) -> None:
    insert = (
        'INSERT INTO rollup (project_id, first_day, days, start, "end", timezone, wanderers, usable, final, snapshot)'
        " VALUES (:project, :day, 1, :start, :end, 'UTC', 0, 1, :final, '')"
    )
    for day, final in ((1, 0), (2, 0), (3, 1), (4, 0)):
        values = {"project": drained.project_id, "day": day, "start": day * DAY, "end": (day + 1) * DAY, "final": final}
        await drained.database.write(insert, values)
    with psycopg.connect(drained.database.url) as connection:
        connection.execute(DROP, (drained.project_id, 3 * DAY + HOUR, 2 * DAY))
    left = await drained.database.read("SELECT first_day FROM rollup ORDER BY first_day")
    assert [day for (day,) in left] == [1, 3, 4]
