"""Who may do what in which project."""

import asyncio

import pytest

from appliance.errors import Invalid, NotFound
from appliance.model import Account, Project
from appliance.storage import accounts, audit, memberships, projects
from appliance.storage.catalogue import catalogue_version
from tests.engines import AnyDatabase
from tests.memberships import set_memberships

NOW = 1_760_000_000_000_000


async def account(database: AnyDatabase, role: str = "viewer", email: str = "bob@example.com") -> Account:
    return await accounts.create(
        database,
        email=email,
        password="correct horse battery",
        role=role,
        actor="cli",
        at=NOW,  # type: ignore[arg-type]
    )


async def project(database: AnyDatabase, name: str) -> Project:
    return (await projects.create(database, name=name, actor="cli", at=NOW)).project


async def test_a_membership_is_given_changed_and_taken(database: AnyDatabase) -> None:
    bob, blog, shop = await account(database), await project(database, "Blog"), await project(database, "Shop")
    assert await memberships.of_account(database, bob) == {}
    before = await catalogue_version(database)
    await memberships.give(database, bob, blog, "viewer", actor="ada", at=NOW)
    await memberships.give(database, bob, shop, "viewer", actor="ada", at=NOW)
    await memberships.give(database, bob, shop, "admin", actor="ada", at=NOW)
    assert await memberships.of_account(database, bob) == {blog.id: "viewer", shop.id: "admin"}
    assert await memberships.counts(database) == {bob.id: 2}
    assert not await memberships.take(database, bob, blog, actor="ada", at=NOW)
    assert await memberships.of_account(database, bob) == {shop.id: "admin"}
    assert await catalogue_version(database) == before + 4
    rows = [(entry.action, entry.subject, entry.detail) for entry in await audit.recent(database)][:4]
    assert rows == [
        ("access.take", "bob@example.com", "Blog"),
        ("access.give", "bob@example.com", "Shop: admin"),
        ("access.give", "bob@example.com", "Shop: viewer"),
        ("access.give", "bob@example.com", "Blog: viewer"),
    ]


async def test_nothing_is_given_to_or_taken_from_who_is_not_there(database: AnyDatabase) -> None:
    bob, blog, shop = await account(database), await project(database, "Blog"), await project(database, "Shop")
    await projects.delete(database, shop, actor="cli", at=NOW)
    await account(database, "owner", "ada@example.com")
    with pytest.raises(Invalid) as caught:
        await memberships.take(database, bob, blog, actor="ada", at=NOW)
    assert (caught.value.field, str(caught.value)) == ("site", "bob@example.com had no access to Blog.")
    with pytest.raises(Invalid) as caught:
        await memberships.give(database, bob, blog, "member", actor="ada", at=NOW)
    assert (caught.value.field, str(caught.value)) == ("role", "Choose owner, admin or viewer.")
    await accounts.remove(database, bob, actor="ada", at=NOW)
    with pytest.raises(NotFound):
        await memberships.give(database, bob, blog, "viewer", actor="ada", at=NOW)
    assert not [entry for entry in await audit.recent(database) if entry.action.startswith("access")]


async def test_who_loses_the_last_project_does_not_see_all_by_that(database: AnyDatabase) -> None:
    bob, blog, shop = await account(database), await project(database, "Blog"), await project(database, "Shop")
    await set_memberships(database, bob, {blog.id: "viewer", shop.id: "viewer"})
    taken = await asyncio.gather(*(memberships.take(database, bob, one, actor="a", at=NOW) for one in (blog, shop)))
    assert sorted(taken) == [False, True]
    found = await accounts.by_id(database, bob.id)
    assert found is not None
    assert found.role == "member"
    eve = await account(database, email="eve@example.com")
    await set_memberships(database, eve, {blog.id: "viewer"})
    await memberships.let_see_all(database, eve, actor="a", at=NOW)
    assert (await accounts.by_id(database, eve.id)) == eve


async def test_memberships_say_nothing_of_who_sees_all(database: AnyDatabase) -> None:
    ada, blog = await account(database, "admin"), await project(database, "Blog")
    await memberships.give(database, ada, blog, "viewer", actor="cli", at=NOW)
    assert await memberships.of_account(database, ada) == {}


@pytest.mark.parametrize(
    ("role", "membership", "outside"),
    [
        ("member", "owner", True),
        ("member", "admin", True),
        ("viewer", "admin", True),
        ("member", "viewer", False),
        ("viewer", "viewer", False),
        ("admin", "owner", False),
        ("owner", "owner", False),
    ],
)
async def test_who_administers_a_site_from_outside(
    database: AnyDatabase, role: str, membership: str, outside: bool
) -> None:
    await account(database, "owner", "first@example.com")
    bob, blog, shop = await account(database, role), await project(database, "B"), await project(database, "S")
    await memberships.give(database, bob, blog, membership, actor="cli", at=NOW)
    assert await memberships.has_outside_lead(database, blog.id) is outside
    assert not await memberships.has_outside_lead(database, shop.id)
