"""Counting what is sent with a key: nothing of it is lost while the database is away."""

from typing import Any

import pytest

from appliance import clock
from appliance.clock import DAY
from appliance.errors import StorageUnavailable
from appliance.ingest.key_uses import KeyUses
from appliance.storage import keys, projects
from tests.running import Running

PAGE = {"event": "pageview", "url": "https://example.com/a"}


class Away:
    async def write_all(self, statements: Any) -> None:
        raise StorageUnavailable


async def test_counts_wait_while_the_database_is_away(running: Running) -> None:
    database = running.appliance.database
    key = await keys.by_token(database, running.key)
    assert key is not None
    uses = KeyUses()
    uses.add(key, 3, 5 * DAY)
    with pytest.raises(StorageUnavailable):
        await uses.flush(Away())  # type: ignore[arg-type]
    uses.add(key, 1, 5 * DAY + 1)
    await uses.flush(database)
    await uses.flush(database)
    select = "SELECT requests, events FROM key_use WHERE key_id = :id AND day = 5"
    assert await database.read(select, {"id": key.id}) == [(2, 4)]


async def test_requests_are_counted_by_their_key_and_keyless_ones_are_not(running: Running) -> None:
    appliance = running.appliance
    await appliance.endpoint.key_uses.flush(appliance.database)
    select = "SELECT coalesce(sum(requests), 0), coalesce(sum(events), 0) FROM key_use WHERE day = :today"
    today = {"today": clock.now() // DAY}
    ((requests, events),) = await appliance.database.read(select, today)
    await running.send(PAGE)
    await running.send({"events": [PAGE, {"event": ""}]})
    await running.send(PAGE, key="", origin="https://example.com", user_agent="keyless")
    await running.send(PAGE, key="sa_unknown")
    await appliance.endpoint.key_uses.flush(appliance.database)
    assert await appliance.database.read(select, today) == [(requests + 2, events + 3)]
    key = await keys.by_token(appliance.database, running.key)
    assert key is not None
    assert key.last_used_at is not None


async def test_a_request_for_several_projects_uses_each_key_once(running: Running) -> None:
    appliance = running.appliance
    made = await projects.create(appliance.database, name="Other", actor="test", at=clock.now())
    await appliance.endpoint.key_uses.flush(appliance.database)
    select = "SELECT coalesce(sum(requests), 0), coalesce(sum(events), 0) FROM key_use WHERE day = :today"
    today = {"today": clock.now() // DAY}
    ((requests, events),) = await appliance.database.read(select, today)
    sites = f"{running.key},{made.public_key.token},example.com,nowhere.example"
    sent = {"n": "pageview", "u": PAGE["url"], "d": sites}
    assert (await running.send(sent, path="/api/event", key="")).status_code == 202
    page = {"$current_url": PAGE["url"], "$prev_pageview_duration": 3, "$prev_pageview_pathname": "/b"}
    left = {"api_key": running.key, "event": "$pageview", "distinct_id": "ann", "properties": page}
    assert (await running.send(left, path="/capture", key="")).status_code == 200
    await appliance.endpoint.key_uses.flush(appliance.database)
    assert await appliance.database.read(select, today) == [(requests + 3, events + 3)]


async def test_a_key_that_was_replaced_is_refused_once_its_grace_is_over(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    appliance, project = running.appliance, running.project
    old = await keys.mint(appliance.database, project.public_id, "public", actor="test", at=clock.now())
    new = await keys.rotate(appliance.database, project, old.key.id, grace_seconds=60, actor="test", at=clock.now())
    await appliance.registry.refresh()
    assert [(await running.send(PAGE, key=token)).status_code for token in (old.token, new.token)] == [202, 202]
    later = clock.now() + 61_000_000
    monkeypatch.setattr("appliance.ingest.endpoint.now", lambda: later)
    answers = [await running.send(PAGE, key=token) for token in (old.token, new.token)]
    assert [answer.status_code for answer in answers] == [401, 202]
    assert answers[0].json()["code"] == "expired_key"
