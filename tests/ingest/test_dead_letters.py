"""Dead letters: stored again when somebody asks, once, whatever happens in between."""

import msgspec
import pytest

from appliance import clock
from appliance.errors import JournalFull
from appliance.ingest import dead_letters
from appliance.model import Flag
from appliance.storage import audit
from appliance.storage import dead_letters as stored
from tests.builders import pageview
from tests.running import Running


@pytest.fixture(autouse=True)
async def _none_before(running: Running) -> None:
    await running.appliance.database.write("DELETE FROM dead_letter")


async def lay(running: Running, event: bytes) -> int:
    insert = (
        "INSERT INTO dead_letter (at, project_id, error, event) VALUES (:at, :project, 'full', :event) RETURNING id"
    )
    values = {"at": clock.now(), "project": running.project.id, "event": event}
    ((number,),) = await running.appliance.database.write(insert, values)
    return int(number)


def record(running: Running, event_id: str, flags: int = 0) -> bytes:
    event = pageview(event_id=event_id, flags=flags)
    event.project_id = running.project.id
    event.time = event.received = clock.now()
    return msgspec.msgpack.encode(event)


async def retry(running: Running) -> int:
    appliance = running.appliance
    return await dead_letters.retry(appliance.database, appliance.journal, appliance.drain)


async def test_nothing_is_stored_again_before_somebody_asks(running: Running) -> None:
    before = await running.stored()
    await lay(running, record(running, "nobody-asked"))
    assert await retry(running) == 0
    assert await running.stored() == before


@pytest.mark.parametrize("flags", [0, int(Flag.MINTED)])
async def test_one_that_is_asked_for_twice_is_stored_once(running: Running, flags: int) -> None:
    database, before = running.appliance.database, await running.stored()
    letter = record(running, f"asked-{flags}", flags)
    for _ in range(2):  # as after a crash between the journal and the deletion
        number = await lay(running, letter)
        assert await stored.ask_to_retry(database, number, actor="ada@example.com", at=clock.now()) == 1
        assert await retry(running) == 1
        assert await stored.count(database) == 0
    assert await running.stored() == before + 1


async def test_one_that_cannot_be_read_stays_and_says_so(running: Running) -> None:
    database, before = running.appliance.database, await running.stored()
    await lay(running, b"\x01")
    await lay(running, record(running, "readable"))
    assert await stored.ask_to_retry(database, None, actor="cli", at=clock.now()) == 2
    assert await retry(running) == 1
    (left,) = await stored.newest(database)
    assert "cannot be read" in left.error
    assert left.retry_at is None
    assert await running.stored() == before + 1


async def test_while_the_journal_is_full_they_wait(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    database = running.appliance.database
    await lay(running, record(running, "waits"))
    await stored.ask_to_retry(database, None, actor="cli", at=clock.now())

    def full(payload: bytes) -> None:
        raise JournalFull

    monkeypatch.setattr(running.appliance.journal, "append", full)
    with pytest.raises(JournalFull):
        await retry(running)
    assert await stored.count(database) == 1


async def test_deleting_is_for_ever_and_stands_in_the_audit_log(running: Running) -> None:
    database = running.appliance.database
    numbers = [await lay(running, record(running, f"delete-{n}")) for n in range(3)]
    assert await stored.delete(database, numbers[0], actor="ada@example.com", at=clock.now()) == 1
    assert await stored.delete(database, numbers[0], actor="ada@example.com", at=clock.now()) == 0
    assert [letter.id for letter in await stored.newest(database)] == [numbers[2], numbers[1]]
    assert [letter.id for letter in await stored.newest(database, before=numbers[2])] == [numbers[1]]
    assert await stored.delete(database, None, actor="cli", at=clock.now()) == 2
    entries = [entry for entry in await audit.recent(database) if entry.action == "dead_letter.delete"]
    assert [(entry.actor, entry.detail) for entry in entries[:2]] == [("cli", "2"), ("ada@example.com", "1")]
