"""Accounts and login sessions."""

import asyncio

import pytest

from appliance.clock import DAY, HOUR
from appliance.credentials import digest
from appliance.errors import Forbidden, Invalid, NotFound
from appliance.storage import accounts, audit, login_sessions, memberships, projects
from appliance.storage.catalogue import catalogue_version

NOW = 1_760_000_000_000_000
PASSWORD = "correct horse battery"


async def make(database, email="ada@example.com", role="owner", **more):
    return await accounts.create(
        database, **{"email": email, "password": PASSWORD, "role": role, "actor": "cli", "at": NOW, **more}
    )


# ---------------------------------------------------------------- accounts


async def test_an_account_is_found_and_logs_in_however_its_address_is_written(database):
    ada = await make(database, " Ada@Example.COM ", name=" Ada \0 Lovelace ")
    assert (ada.email, ada.name, ada.role) == ("ada@example.com", "Ada Lovelace", "owner")
    assert await accounts.by_email(database, "ADA@example.com") == ada
    assert await accounts.authenticate(database, "aDa@example.com ", PASSWORD) == ada
    assert await accounts.authenticate(database, "ada@example.com", PASSWORD + "!") is None
    assert await accounts.authenticate(database, "bob@example.com", PASSWORD) is None


async def test_a_password_is_stored_only_as_a_hash(database):
    await make(database)
    assert PASSWORD not in repr(await database.read("SELECT * FROM account"))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("email", {"email": "ada"}),
        ("email", {"email": "@example.com"}),
        ("email", {"email": "ada@exa mple.com"}),
        ("email", {"email": "a@b@c"}),
        ("email", {"email": "a" * 250 + "@b.de"}),
        ("email", {"email": "ADA@example.com"}),  # taken
        ("password", {"password": "short"}),
        ("name", {"name": "x" * 101}),
        ("role", {"role": "emperor"}),
    ],
)
async def test_an_account_that_cannot_be_is_refused_with_its_field(database, field, values):
    await make(database)
    with pytest.raises(Invalid) as caught:
        await make(database, **{"email": "bob@example.com", **values})
    assert caught.value.field == field
    assert len(await accounts.list_all(database)) == 1
    assert len(await audit.recent(database)) == 1


async def test_of_many_who_set_up_at_once_one_becomes_owner(database):
    assert not await accounts.any_exist(database)
    results = await asyncio.gather(
        *(make(database, f"p{n}@example.com", only_first=True) for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(result, Forbidden) for result in results) == 4
    assert await accounts.any_exist(database)
    assert len(await accounts.list_all(database)) == len(await audit.recent(database)) == 1


async def test_a_new_password_ends_every_session_but_the_one_it_was_set_in(database):
    ada = await make(database)
    bob = await make(database, "bob@example.com")
    for token, account in (("here", ada), ("phone", ada), ("bobs", bob)):
        await login_sessions.create(database, account.id, digest(token), "", at=NOW)
    await accounts.set_password(database, ada, "a new long one", keep=digest("here"), actor=ada.email, at=NOW)
    assert await accounts.authenticate(database, ada.email, PASSWORD) is None
    assert await accounts.authenticate(database, ada.email, "a new long one") == ada
    left = [t for t in ("here", "phone", "bobs") if await login_sessions.find(database, digest(t), at=NOW)]
    assert left == ["here", "bobs"]
    with pytest.raises(Invalid):
        await accounts.set_password(database, ada, "short", actor=ada.email, at=NOW)


async def test_the_last_owner_can_neither_step_down_nor_leave(database):
    ada = await make(database)
    await make(database, "bob@example.com", "admin")
    with pytest.raises(Forbidden):
        await accounts.set_role(database, ada, "viewer", actor="cli", at=NOW)
    with pytest.raises(Forbidden):
        await accounts.remove(database, ada, actor="cli", at=NOW)
    assert await accounts.by_id(database, ada.id) == ada
    assert {entry.action for entry in await audit.recent(database)} == {"account.create"}


async def test_one_of_two_owners_can(database):
    ada, bob = await make(database), await make(database, "bob@example.com")
    await accounts.set_role(database, ada, "viewer", actor="cli", at=NOW)
    ada = await accounts.by_id(database, ada.id)
    assert ada.role == "viewer"
    await accounts.set_role(database, ada, "owner", actor="cli", at=NOW)
    await accounts.remove(database, bob, actor="cli", at=NOW)
    assert [account.email for account in await accounts.list_all(database)] == ["ada@example.com"]
    assert (await audit.recent(database))[0].action == "account.remove"


async def test_two_owners_who_leave_at_once_leave_one(database):
    ada, bob = await make(database), await make(database, "bob@example.com")
    results = await asyncio.gather(
        *(accounts.remove(database, account, actor="cli", at=NOW) for account in (ada, bob)), return_exceptions=True
    )
    assert sum(isinstance(result, Forbidden) for result in results) == 1
    assert len(await accounts.list_all(database)) == 1


async def test_a_removed_account_takes_its_sessions_and_memberships_along(database):
    await make(database)
    bob = await make(database, "bob@example.com", "viewer")
    site = (await projects.create(database, name="Blog", actor="cli", at=NOW)).project
    await memberships.give(database, bob, site, "viewer", actor="cli", at=NOW)
    await login_sessions.create(database, bob.id, digest("t"), "", at=NOW)
    await accounts.remove(database, bob, actor="cli", at=NOW)
    assert await login_sessions.find(database, digest("t"), at=NOW) is None
    assert await database.read("SELECT 1 FROM membership") == []
    with pytest.raises(NotFound):
        await accounts.remove(database, bob, actor="cli", at=NOW)


async def test_changes_of_accounts_raise_the_catalogue_version(database):
    bob = await make(database, role="viewer")
    before = await catalogue_version(database)
    await accounts.set_role(database, bob, "admin", actor="cli", at=NOW)
    assert await catalogue_version(database) == before + 1


# ---------------------------------------------------------------- login sessions


async def test_a_session_lasts_thirty_days_from_its_last_use(database):
    ada = await make(database)
    await login_sessions.create(database, ada.id, digest("t"), "Firefox", at=NOW)
    account, session = await login_sessions.find(database, digest("t"), at=NOW + 29 * DAY)
    assert (account, session.user_agent, session.used_at) == (ada, "Firefox", NOW)
    assert await login_sessions.renew(database, session, at=NOW + 29 * DAY)
    assert await login_sessions.find(database, digest("t"), at=NOW + 58 * DAY)
    assert await login_sessions.find(database, digest("t"), at=NOW + 59 * DAY) is None


async def test_a_session_in_use_is_written_at_most_once_an_hour(database):
    ada = await make(database)
    await login_sessions.create(database, ada.id, digest("t"), "", at=NOW)
    renewed = []
    for at in (NOW + 1, NOW + HOUR - 1, NOW + HOUR, NOW + HOUR + 1, NOW + 2 * HOUR):
        _, session = await login_sessions.find(database, digest("t"), at=at)
        renewed.append(await login_sessions.renew(database, session, at=at))
    assert renewed == [False, False, True, False, True]


async def test_sessions_are_listed_by_last_use_and_end_one_by_one(database):
    ada, bob = await make(database), await make(database, "bob@example.com")
    for n in range(3):
        await login_sessions.create(database, ada.id, digest(f"t{n}"), f"agent {n}", at=NOW + n)
    await login_sessions.end(database, bob.id, digest("t0"))  # not his
    await login_sessions.end(database, ada.id, digest("t1"))
    found = await login_sessions.list_of(database, ada.id, at=NOW + 5)
    assert [session.user_agent for session in found] == ["agent 2", "agent 0"]
    await login_sessions.end_all(database, ada.id, keep=digest("t0"))
    found = await login_sessions.list_of(database, ada.id, at=NOW + 5)
    assert [session.user_agent for session in found] == ["agent 0"]


async def test_an_account_has_a_bounded_number_of_sessions_and_expired_ones_go(database):
    ada = await make(database)
    for n in range(login_sessions.SESSIONS_MAX + 2):
        await login_sessions.create(database, ada.id, digest(f"t{n}"), "", at=NOW + n)
    assert len(await login_sessions.list_of(database, ada.id, at=NOW)) == login_sessions.SESSIONS_MAX
    assert await login_sessions.find(database, digest("t1"), at=NOW + 100) is None
    await login_sessions.create(database, ada.id, digest("new"), "", at=NOW + 31 * DAY)
    assert len(await database.read("SELECT 1 FROM login_session")) == 1


async def test_the_audit_log_is_read_in_pages_newest_first(database):
    for n in range(5):
        await audit.record(database, NOW + n, "cli", f"action.{n}")
    first = await audit.recent(database, limit=2)
    then = await audit.recent(database, offset=2, limit=2)
    assert [entry.action for entry in first + then] == ["action.4", "action.3", "action.2", "action.1"]
    await audit.purge(database, NOW + 3)
    assert await audit.count(database) == 2
