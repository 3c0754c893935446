"""Quotas: exactly so many events a month, over restarts and appliances, and said when they are nearly used up."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.clock import DAY, MINUTE
from appliance.errors import TooMany
from appliance.ingest.drain import encode_events
from appliance.ingest.journal import Journal
from appliance.ingest.quota import RETRY_SECONDS_MAX, Quotas
from appliance.model import Event, Kind, Project, ProjectSettings
from appliance.storage import audit, projects
from appliance.storage.calendar import local_month, month_start
from appliance.storage.interface import Position
from tests.builders import at, event
from tests.engines import AnyDatabase

NOW = at(0)
JOURNAL = b"ours"


class Site:
    """Quotas over a database to which somebody else drains. `project` has a quota of ten events."""

    def __init__(self, database: AnyDatabase, project: Project) -> None:
        self.database = database
        self.project = project
        self.now = NOW
        self.registry: Any = SimpleNamespace(catalogue=SimpleNamespace(projects={project.id: project}))
        self.quotas = Quotas(database, self.registry)

    def change(self, quota: int, timezone: str = "Europe/Berlin") -> None:
        settings = ProjectSettings(quota_events_month=quota)
        fields = {"settings": settings, "timezone": timezone}
        self.project = Project(**{name: getattr(self.project, name) for name in Project.__struct_fields__} | fields)
        self.registry.catalogue.projects[self.project.id] = self.project

    @property
    def left(self) -> int:
        return self.quotas.left(self.project, self.now)

    def take(self, number: int, duplicates: int = 0, **fields: Any) -> Any:
        events = [event(project_id=self.project.id, **fields) for _ in range(number)]
        return self.quotas.count(events, duplicates)

    async def drain(
        self, events: int, position: Position | None = None, when: int = NOW, journal_id: bytes = JOURNAL
    ) -> None:
        """What a drain does in its transaction."""
        month = local_month(when, self.project.timezone)
        statements: list[Any] = [
            (
                """
                INSERT INTO monthly_usage (project_id, month, events) VALUES (:id, :month, :events)
                ON CONFLICT (project_id, month) DO UPDATE SET events = monthly_usage.events + excluded.events
                """,
                {"id": self.project.id, "month": month, "events": events},
            )
        ]
        if position is not None:
            statements += [
                ("DELETE FROM checkpoint WHERE journal_id = :id", {"id": journal_id}),
                (
                    "INSERT INTO checkpoint (journal_id, segment, position, at) VALUES (:id, :segment, :position, 1)",
                    {"id": journal_id, "segment": position.segment, "position": position.offset},
                ),
            ]
        await self.database.write_all(statements)

    async def refresh(self) -> None:
        await self.quotas.refresh(self.now, JOURNAL)


@pytest.fixture
async def site(database: AnyDatabase) -> Site:
    made = await projects.create(
        database,
        name="Shop",
        timezone="Europe/Berlin",
        settings=ProjectSettings(quota_events_month=10),
        actor="test",
        at=NOW,
    )
    return Site(database, made.project)


async def test_what_is_taken_and_what_is_stored_are_counted_once(site: Site) -> None:
    await site.refresh()
    assert site.left == 10
    counted = site.take(4)
    assert site.left == 6  # at once, before the journal has it
    site.quotas.settle(counted, Position(1, 400), site.now)
    await site.refresh()
    assert site.left == 6
    await site.drain(4, Position(1, 400))
    await site.refresh()
    assert site.left == 6
    site.quotas.settle(site.take(3), Position(1, 700), site.now + MINUTE)
    await site.drain(0, Position(1, 500))  # somewhere between
    await site.refresh()
    assert site.left == 3
    await site.drain(3, Position(2, 0))
    await site.refresh()
    assert site.left == 3


async def test_what_did_not_reach_the_journal_is_given_back(site: Site) -> None:
    await site.refresh()
    counted = site.take(10)
    assert site.left == 0
    site.quotas.settle(counted, None, site.now)
    assert site.left == 10


async def test_what_turns_out_to_be_a_duplicate_is_given_back_when_it_is_drained(site: Site) -> None:
    await site.refresh()
    site.quotas.settle(site.take(6, duplicates=2), Position(1, 600), site.now)
    assert site.left == 6
    await site.drain(3, Position(1, 600))  # one more was known to the database
    await site.refresh()
    assert site.left == 7


async def test_statements_that_are_no_events_do_not_count(site: Site) -> None:
    await site.refresh()
    for kind in (Kind.ENGAGEMENT, Kind.IDENTIFY, Kind.RESET):
        assert site.take(5, kind=kind) == {}
    assert site.left == 10


async def test_a_new_start_knows_what_was_stored(site: Site) -> None:
    await site.drain(9, Position(1, 900))
    await site.refresh()
    assert site.left == 1


async def test_a_new_start_knows_what_the_journal_holds(site: Site, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", bytes_max=1 << 24)
    journal.open()
    journal.start(asyncio.get_running_loop())
    mine = [event(project_id=site.project.id) for _ in range(3)]
    await journal.append(encode_events(mine))
    behind = await journal.append(encode_events([_of(99), *mine]))
    await asyncio.to_thread(journal.close)
    again = Journal(journal.folder, bytes_max=1 << 24)
    again.open()
    await site.quotas.begin(site.now, again)
    assert site.left == 4
    await site.drain(6, behind, journal_id=again.journal_id)
    await site.quotas.refresh(site.now, again.journal_id)
    assert site.left == 4
    await asyncio.to_thread(again.close)


async def test_appliances_on_one_database_know_of_each_other_with_the_next_look(site: Site) -> None:
    await site.refresh()
    site.quotas.settle(site.take(2), Position(1, 200), site.now)
    await site.drain(5)
    assert site.left == 8
    await site.refresh()
    assert site.left == 3


async def test_at_the_end_nothing_is_let_in_and_it_is_said_for_how_long(site: Site) -> None:
    await site.drain(10)
    await site.refresh()
    with pytest.raises(TooMany, match="has had the 10 events of its month") as refused:
        site.quotas.check(site.project, site.now)
    assert (refused.value.status, refused.value.code) == (429, "quota")
    assert refused.value.retry_after_seconds == RETRY_SECONDS_MAX
    end = month_start(local_month(site.now, "Europe/Berlin") + 1, "Europe/Berlin")
    with pytest.raises(TooMany) as refused:
        site.quotas.check(site.project, end - 2_500_000)
    assert refused.value.retry_after_seconds == 3
    site.quotas.check(site.project, end)


async def test_a_month_ends_at_local_midnight_and_the_next_begins_empty(site: Site) -> None:
    await site.drain(7)
    await site.refresh()
    end = month_start(local_month(NOW, "Europe/Berlin") + 1, "Europe/Berlin")
    site.quotas.settle(site.take(2), Position(1, 200), site.now)
    site.now = end - 1
    assert site.left == 1
    site.now = end
    assert site.left == 10
    await site.refresh()
    assert site.left == 10
    await site.drain(4, when=end)
    await site.refresh()
    assert site.left == 6


async def test_a_clock_that_was_in_another_month_for_a_while_changes_nothing(site: Site) -> None:
    await site.drain(10)
    await site.refresh()
    assert site.left == 0
    for away in (40 * DAY, -40 * DAY):
        site.now = NOW + away
        assert site.left == 10
        await site.refresh()
        site.now = NOW
        await site.refresh()
        assert site.left == 0


async def test_another_time_zone_has_other_months(site: Site) -> None:
    berlin = month_start(local_month(NOW, "Europe/Berlin") + 1, "Europe/Berlin")
    site.now = berlin + MINUTE  # in New York it is still the month before
    await site.drain(10, when=site.now)
    await site.refresh()
    assert site.left == 0
    site.change(10, "America/New_York")
    assert site.left == 10
    await site.refresh()
    assert site.left == 10


async def test_a_quota_may_be_raised_lowered_and_taken_away(site: Site) -> None:
    await site.drain(8)
    await site.refresh()
    site.change(20)
    assert site.left == 12
    site.change(5)
    assert site.left == 0
    site.change(0)
    await site.refresh()
    assert not site.quotas.months
    assert site.take(3) == {}


async def test_of_a_quota_that_is_news_the_first_seconds_are_not_counted(site: Site) -> None:
    await site.drain(10)
    assert site.left == 10
    site.quotas.check(site.project, site.now)
    await site.refresh()
    assert site.left == 0


async def test_a_database_that_is_away_for_long_costs_little(site: Site) -> None:
    site.change(1_000_000)
    await site.refresh()
    for number in range(2000):
        site.quotas.settle(site.take(1), Position(1, number), site.now + number * 1000)
    assert site.left == 998_000
    month = site.quotas.months[site.project.id]
    assert len(month.places) <= 21


def _of(project_id: int) -> Event:
    return event(project_id=project_id)


async def test_projects_without_a_quota_are_not_counted(site: Site) -> None:
    await site.refresh()
    assert site.quotas.count([_of(site.project.id), _of(99), _of(99)], 0) == {site.project.id: 1}


async def test_four_fifths_and_the_whole_are_said_once_in_the_audit_log(site: Site) -> None:
    async def said() -> list[tuple[str, str, str]]:
        return [
            (entry.actor, entry.subject, entry.detail)
            for entry in reversed(await audit.recent(site.database))
            if entry.action == "quota"
        ]

    await site.drain(7)
    await site.refresh()
    assert await said() == []
    await site.drain(1)
    await site.refresh()
    first = ("appliance", "Shop", f"{site.project.public_id} 80 % of the 10 events for 2026-03")
    assert await said() == [first]
    await site.drain(2)
    for quotas in (site.quotas, Quotas(site.database, site.registry)):  # another appliance, or a restart
        await quotas.refresh(site.now, JOURNAL)
        await quotas.refresh(site.now + DAY, JOURNAL)
    whole = ("appliance", "Shop", f"{site.project.public_id} 100 % of the 10 events for 2026-03")
    assert await said() == [first, whole]
