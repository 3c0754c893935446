"""The use of keys: added up by day, written into the audit log once a day is over."""

import pytest

from appliance.clock import DAY, HOUR
from appliance.storage import audit, key_use, keys, projects
from appliance.storage.key_use import Use

TODAY = 20_000
NOON = TODAY * DAY + DAY // 2


@pytest.fixture
async def made(database):
    return await projects.create(database, name="Blog", private_key=True, actor="cli", at=0)


async def rows(database):
    return await database.read("SELECT day, requests, events, audited FROM key_use ORDER BY key_id, day")


async def test_what_several_appliances_count_adds_up(database, made):
    key = made.public_key
    await key_use.add(database, {(key.id, TODAY): Use(2, 30, NOON), (key.id, TODAY - 1): Use(1, 1, NOON - DAY)})
    await key_use.add(database, {(key.id, TODAY): Use(1, 5, NOON - 1)})
    assert await rows(database) == [(TODAY - 1, 1, 1, 0), (TODAY, 3, 35, 0)]
    assert (await keys.by_token(database, key.token)).last_used_at == NOON


async def test_a_key_that_is_gone_is_passed_over(database, made):
    await key_use.add(database, {(made.public_key.id + 100, TODAY): Use(1, 1, NOON)})
    await key_use.add(database, {})
    assert await rows(database) == []


async def test_a_day_stands_in_the_audit_log_once_it_is_over(database, made):
    key = made.public_key
    await key_use.add(database, {(key.id, TODAY - 1): Use(7, 90, NOON), (key.id, TODAY): Use(1, 1, NOON)})
    too_early = TODAY * DAY + HOUR - 1
    await key_use.audit_days(database, too_early)
    assert [entry.action for entry in await audit.recent(database)].count("key.use") == 0
    for at in (TODAY * DAY + HOUR, NOON):
        await key_use.audit_days(database, at)
    (entry,) = [entry for entry in await audit.recent(database) if entry.action == "key.use"]
    assert (entry.actor, entry.subject, entry.detail) == (key.prefix, "Blog", "7 requests with 90 events")
    assert await rows(database) == [(TODAY - 1, 7, 90, 1), (TODAY, 1, 1, 0)]
    await key_use.audit_days(database, NOON + 500 * DAY)
    assert await rows(database) == []
