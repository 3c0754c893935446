"""How many events a project received in a month: counted with what is stored, once."""

import asyncio
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.ingest.drain import Drain, encode_events
from appliance.ingest.journal import Journal
from appliance.model import Event, Flag, Kind
from appliance.storage import projects, usage
from appliance.storage.calendar import local_month, month_start
from tests.builders import engagement, event, pageview
from tests.engines import AnyDatabase, drain_store

BERLIN = ZoneInfo("Europe/Berlin")


def time(*moment: int, zone: ZoneInfo = BERLIN) -> int:
    return round(datetime(*moment, tzinfo=zone).timestamp() * 1_000_000)  # type: ignore[misc]


MARCH, APRIL = (local_month(time(2026, month, 15), "Europe/Berlin") for month in (3, 4))


async def stored(folder: Path, database: AnyDatabase, *batches: list[Event]) -> tuple[Journal, Drain]:
    """Each batch through the journal and the drain of an appliance."""
    journal = Journal(folder, bytes_max=1 << 24)
    journal.open()
    journal.start(asyncio.get_running_loop())
    store = drain_store(database)
    drain = Drain(folder, journal.journal_id, store)
    for events in batches:
        await journal.append(encode_events(events))
        while drain.step(journal.end):
            pass
    await asyncio.to_thread(journal.close)
    store.close()
    return journal, drain


async def site(database: AnyDatabase, timezone: str = "Europe/Berlin") -> int:
    made = await projects.create(database, name="Site", timezone=timezone, actor="test", at=1)
    return made.project.id


async def test_events_count_in_the_month_of_their_receipt_on_the_projects_calendar(
    tmp_path: Path, database: AnyDatabase
) -> None:
    number = await site(database)
    edge = time(2026, 4, 1)
    received = [edge - 2_000_000, edge - 1, edge, edge + 1, edge + 86_400_000_000]
    events = [event(time=time(2026, 2, 1), received=at, project_id=number) for at in received]
    await stored(tmp_path / "journal", database, events)
    found = await usage.since(database, MARCH, b"")
    assert found.events == {(number, MARCH): 2, (number, APRIL): 3}
    assert (await usage.since(database, APRIL, b"")).events == {(number, APRIL): 3}
    assert await usage.in_month_of(database, number, edge - 1, "Europe/Berlin") == 2
    assert await usage.in_month_of(database, number, time(2026, 5, 1), "Europe/Berlin") == 0


async def test_a_zone_half_an_hour_off_has_its_own_months(tmp_path: Path, database: AnyDatabase) -> None:
    number = await site(database, "Asia/Kolkata")
    edge = time(2026, 4, 1, zone=ZoneInfo("Asia/Kolkata"))
    await stored(tmp_path / "journal", database, [event(received=at, project_id=number) for at in (edge - 1, edge)])
    assert (await usage.since(database, MARCH, b"")).events == {(number, MARCH): 1, (number, APRIL): 1}


async def test_what_is_no_event_or_is_known_does_not_count(tmp_path: Path, database: AnyDatabase) -> None:
    number = await site(database)
    page = pageview(0, project_id=number, event_id="a")
    named = event(0, project_id=number, kind=Kind.IDENTIFY, name="identify", user_id="ann")
    past = event(0, project_id=number, flags=int(Flag.IMPORTED))
    batch = [page, engagement(1, page, project_id=number), named, past, pageview(1, project_id=number, event_id="b")]
    await stored(tmp_path / "journal", database, batch, [page, *batch])
    assert (await usage.since(database, MARCH, b"")).events == {(number, MARCH): 2}


async def test_up_to_where_a_journal_is_counted(tmp_path: Path, database: AnyDatabase) -> None:
    number = await site(database)
    journal, drain = await stored(tmp_path / "journal", database, [event(project_id=number)])
    found = await usage.since(database, MARCH, journal.journal_id)
    assert found.counted == drain.position == journal.end
    assert (await usage.since(database, MARCH, b"another")).counted is None


async def test_appliances_on_one_database_add_up(tmp_path: Path, database: AnyDatabase) -> None:
    number = await site(database)
    for appliance in ("a", "b"):
        await stored(tmp_path / appliance, database, [event(project_id=number) for _ in range(3)])
    assert (await usage.since(database, MARCH, b"")).events == {(number, MARCH): 6}


async def test_events_that_are_tried_one_by_one_count_once(
    tmp_path: Path, database: AnyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await site(database)
    bad = event(project_id=number, name="bad")
    together = Drain._together

    def refusing(self: Drain, tx: object, events: list[Event], position: object) -> object:
        together(self, tx, events, position)  # type: ignore[arg-type]
        raise ValueError("one of them is bad")

    monkeypatch.setattr(Drain, "_together", refusing)
    await stored(tmp_path / "journal", database, [event(project_id=number), bad, event(project_id=number)])
    assert (await usage.since(database, MARCH, b"")).events == {(number, MARCH): 3}


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia", "America/St_Johns"])
@pytest.mark.parametrize("month", [0, 1, 11, 12, MARCH, APRIL])
def test_a_month_is_the_one_that_begins_at_its_start(timezone: str, month: int) -> None:
    start = month_start(month, timezone)
    assert local_month(start, timezone) == month
    assert local_month(start - 1, timezone) == month - 1
