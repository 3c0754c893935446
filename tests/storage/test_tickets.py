"""Tickets open something once, soon, and for a login session alone."""

import asyncio

from appliance.clock import MICROSECONDS
from appliance.storage import accounts, login_sessions, tickets

NOW = 1_760_000_000_000_000
SESSION, TICKET = b"session" * 4, b"ticket" * 5


async def begin(database):
    ada = await accounts.create(
        database, email="ada@example.com", password="correct horse battery", role="owner", actor="cli", at=NOW
    )
    await login_sessions.create(database, ada.id, SESSION, "", at=NOW)
    return ada


async def test_a_ticket_is_taken_once_whoever_tries_at_once(database):
    await begin(database)
    await tickets.create(database, TICKET, SESSION, at=NOW)
    taken = await asyncio.gather(*(tickets.take(database, TICKET, at=NOW) for _ in range(5)))
    assert sorted(taken, key=str) == [None] * 4 + [SESSION] or sorted(taken, key=str) == [SESSION] + [None] * 4
    assert await tickets.take(database, b"another", at=NOW) is None


async def test_it_holds_for_half_a_minute_and_is_forgotten_then(database):
    await begin(database)
    await tickets.create(database, TICKET, SESSION, at=NOW)
    assert await tickets.take(database, TICKET, at=NOW + 30 * MICROSECONDS) is None
    await tickets.create(database, b"second", SESSION, at=NOW + 29 * MICROSECONDS)
    assert len(await database.read("SELECT 1 FROM ticket")) == 2
    await tickets.create(database, b"third", SESSION, at=NOW + 30 * MICROSECONDS)
    assert len(await database.read("SELECT 1 FROM ticket")) == 2
    assert await tickets.take(database, b"second", at=NOW + 58 * MICROSECONDS) == SESSION


async def test_it_dies_with_its_session_and_none_is_made_for_one_that_ended(database):
    ada = await begin(database)
    await tickets.create(database, TICKET, SESSION, at=NOW)
    await login_sessions.end(database, ada.id, SESSION)
    await tickets.create(database, b"late", SESSION, at=NOW)
    assert await database.read("SELECT 1 FROM ticket") == []
    assert await tickets.take(database, TICKET, at=NOW) is None
