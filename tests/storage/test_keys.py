"""Keys: minted, found, revoked, rotated; a private one never stored."""

import asyncio

import pytest

from appliance.clock import HOUR
from appliance.errors import Invalid, NotFound
from appliance.storage import audit, keys, projects
from appliance.storage.catalogue import load_catalogue

NOW = 1_760_000_000_000_000


@pytest.fixture
async def project(database):
    return (await projects.create(database, name="Blog", domains=["example.com"], actor="cli", at=NOW)).project


async def mint(database, project, kind="private", **more):
    return await keys.mint(database, project.public_id, kind, actor="ada@example.com", at=NOW, **more)


async def test_a_private_key_is_stored_only_as_a_hash(database, project):
    minted = await mint(database, project, name="grafana", scopes=["manage", "read"])
    assert minted.token.startswith("sa_priv_")
    assert minted.key.token is None
    assert minted.key.prefix == minted.token[:12]
    assert minted.key.scopes == ("read", "manage")
    for table in ("api_key", "audit"):
        assert minted.token not in repr(await database.read(f"SELECT * FROM {table}"))
    assert await keys.by_token(database, minted.token) == minted.key


async def test_a_public_key_may_only_send_whatever_is_asked(database, project):
    minted = await mint(database, project, "public", scopes=["read", "manage"])
    assert minted.key.scopes == ("send",)
    assert minted.key.token == minted.token


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["read", "everything"]}),
        ("name", {"name": "x" * 101}),
        ("name", {"name": " taken  name "}),
    ],
)
async def test_a_key_that_cannot_be_is_refused_with_its_field(database, project, field, values):
    await mint(database, project, name="taken name")
    with pytest.raises(Invalid) as caught:
        await mint(database, project, **values)
    assert caught.value.field == field
    assert len(await keys.list_of(database, project.id)) == 2


async def test_a_project_that_is_not_there_gets_no_key(database):
    with pytest.raises(NotFound):
        await keys.mint(database, "unknown", "public", actor="cli", at=NOW)
    assert await database.read("SELECT 1 FROM api_key") == []


async def test_a_revoked_key_is_listed_last_and_no_longer_in_the_catalogue(database, project):
    minted = await mint(database, project, name="grafana")
    revoked = await keys.revoke(database, project.id, minted.key.id, actor="ada@example.com", at=NOW + 1)
    assert revoked.revoked_at == NOW + 1
    assert [key.revoked_at for key in await keys.list_of(database, project.id)] == [None, NOW + 1]
    assert not (await load_catalogue(database)).private_keys
    assert (await mint(database, project, name="grafana")).token != minted.token  # its name is free again


async def test_revoking_twice_keeps_the_first_time(database, project):
    key = (await mint(database, project)).key
    for later in (1, 2):
        revoked = await keys.revoke(database, project.id, key.id, actor="cli", at=NOW + later)
    assert revoked.revoked_at == NOW + 1
    assert [entry.action for entry in await audit.recent(database)].count("key.revoke") == 1


async def test_a_key_of_another_project_cannot_be_revoked(database, project):
    other = (await projects.create(database, name="Shop", actor="cli", at=NOW)).project
    key = (await mint(database, other)).key
    with pytest.raises(NotFound):
        await keys.revoke(database, project.id, key.id, actor="cli", at=NOW)
    assert (await keys.list_of(database, other.id))[0].revoked_at is None


async def test_rotating_replaces_every_public_key_and_no_private_one(database, project):
    old = [await keys.current_public(database, project.id), (await mint(database, project, "public")).key]
    private = await mint(database, project)
    new = await keys.rotate_public(database, project.public_id, actor="cli", at=NOW + 1)
    catalogue = await load_catalogue(database)
    assert set(catalogue.public_keys) == {new.token}
    assert [(await keys.by_token(database, key.token)).revoked_at for key in old] == [NOW + 1, NOW + 1]
    assert catalogue.by_private_key(private.token) is not None
    assert (await keys.current_public(database, project.id)).token == new.token


async def test_rotating_the_key_of_no_project_changes_nothing(database, project):
    with pytest.raises(NotFound):
        await keys.rotate_public(database, "unknown", actor="cli", at=NOW)
    assert (await keys.current_public(database, project.id)).revoked_at is None


async def test_use_is_noted_at_most_once_an_hour(database, project):
    key = (await mint(database, project)).key
    noted = []
    for at in (NOW, NOW + HOUR - 1, NOW + HOUR):
        current = next(k for k in await keys.list_of(database, project.id) if k.id == key.id)
        await keys.touch(database, current, at=at)
        noted.append(next(k for k in await keys.list_of(database, project.id) if k.id == key.id).last_used_at)
    assert noted == [NOW, NOW, NOW + HOUR]


@pytest.mark.parametrize("kind", ["public", "private"])
async def test_a_key_that_was_replaced_holds_for_its_grace_and_no_longer(database, project, kind):
    old = await mint(database, project, kind, name="grafana", scopes=["read", "manage"])
    new = await keys.rotate(database, project, old.key.id, grace_seconds=3600, actor="cli", at=NOW)
    assert (new.key.kind, new.key.name, new.key.scopes) == (kind, "grafana", old.key.scopes)
    assert new.token != old.token
    replaced = await keys.by_token(database, old.token)
    assert replaced.expires_at == NOW + HOUR
    assert [replaced.holds(at) for at in (NOW, NOW + HOUR - 1, NOW + HOUR)] == [True, True, False]
    assert (await keys.by_token(database, new.token)).holds(NOW + 1000 * HOUR)
    catalogue = await load_catalogue(database)
    assert {key.id for _, key, *_ in (*catalogue.public_keys.values(), *catalogue.private_keys.values())} >= {
        old.key.id, new.key.id,
    }  # fmt: skip


async def test_a_key_is_replaced_once_however_often_it_is_asked(database, project):
    old = await mint(database, project)
    await keys.rotate(database, project, old.key.id, grace_seconds=60, actor="cli", at=NOW)
    with pytest.raises(Invalid) as caught:
        await keys.rotate(database, project, old.key.id, grace_seconds=60, actor="cli", at=NOW + 1)
    assert caught.value.field == "key"
    at_once = await mint(database, project, name="other")
    await keys.rotate(database, project, at_once.key.id, actor="cli", at=NOW)
    assert not (await keys.by_token(database, at_once.token)).holds(NOW)
    with pytest.raises(NotFound):
        await keys.rotate(database, project, at_once.key.id, actor="cli", at=NOW)


async def test_no_key_holds_longer_because_it_was_replaced(database, project):
    await keys.rotate_public(database, project.public_id, grace_seconds=60, actor="cli", at=NOW)
    await keys.rotate_public(database, project.public_id, grace_seconds=3600, actor="cli", at=NOW)
    first = (await keys.list_of(database, project.id))[-1]
    assert first.expires_at == NOW + HOUR // 60


@pytest.mark.parametrize("grace", [-1, 31 * 86_400])
async def test_a_grace_that_cannot_be_is_refused(database, project, grace):
    made = await mint(database, project)
    with pytest.raises(Invalid) as caught:
        await keys.rotate(database, project, made.key.id, grace_seconds=grace, actor="cli", at=NOW)
    assert caught.value.field == "grace"
    assert (await keys.by_token(database, made.token)).expires_at is None


async def test_the_key_in_the_snippet_is_the_one_that_goes_on(database, project):
    await keys.rotate_public(database, project.public_id, grace_seconds=86_400, actor="cli", at=NOW)
    current = await keys.current_public(database, project.id)
    assert current.expires_at is None


async def test_a_form_that_is_sent_twice_makes_one_key(database, project):
    async def asked_at_once(make):
        results = await asyncio.gather(*(make() for _ in range(4)), return_exceptions=True)
        made = [result for result in results if isinstance(result, keys.NewKey)]
        assert len(made) == 1
        return made[0].key, {(error.field, error.code) for error in results if error not in made}

    before = len(await audit.recent(database))
    made, refused = await asked_at_once(
        lambda: keys.mint(database, project.public_id, "private", name="Reports", actor="ada", at=NOW)
    )
    assert refused == {("name", "taken")}
    renewed, refused = await asked_at_once(
        lambda: keys.rotate(database, project, made.id, grace_seconds=60, actor="ada", at=NOW)
    )
    assert refused == {("key", "replaced")}
    of_reports = [key.id for key in await keys.list_of(database, project.id) if key.name == "Reports"]
    assert of_reports == [renewed.id, made.id]
    await asyncio.gather(*(keys.revoke(database, project.id, renewed.id, actor="ada", at=NOW + n) for n in range(3)))
    noted = [entry.action for entry in await audit.recent(database)]
    assert noted[:-before] == ["key.revoke", "key.replace", "key.create"]


async def test_a_project_has_a_bounded_number_of_keys(database, project, monkeypatch):
    monkeypatch.setattr(keys, "KEYS_MAX", 2)
    asked = [keys.mint(database, project.public_id, "public", actor="ada", at=NOW) for _ in range(3)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [result.code for result in results if isinstance(result, Invalid)] == ["too_many", "too_many"]
    assert len(await keys.list_of(database, project.id)) == 2
