"""Projects: fields, domains that belong to one, deletion, and the catalogue that follows all of it."""

import asyncio

import msgspec
import pytest

from appliance import clock
from appliance.clock import DAY
from appliance.errors import Invalid, NotFound
from appliance.model import ProjectSettings
from appliance.storage import accounts, audit, keys, memberships, project_fields, projects
from appliance.storage.catalogue import catalogue_version, load_catalogue
from tests.engines import AnyDatabase
from tests.memberships import set_memberships

NOW = 1_760_000_000_000_000


async def make(database, name="Blog", domains=("example.com",), **more):
    return await projects.create(database, name=name, domains=domains, actor="ada@example.com", at=NOW, **more)


# ---------------------------------------------------------------- fields


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("example.com", "example.com"),
        ("  Example.COM ", "example.com"),
        ("www.example.com", "example.com"),
        ("https://www.example.com/", "example.com"),
        ("http://example.com:8080", "example.com"),
        ("example.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("straße.de", "xn--strae-oqa.de"),  # IDNA 2008: not strasse.de, which is somebody else's
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("my_app.example.com", "my_app.example.com"),
        ("localhost", "localhost"),
        ("localhost:3000", "localhost"),
        ("192.168.0.7", "192.168.0.7"),
        ("[2001:DB8::0:1]:8000", "2001:db8::1"),
    ],
)
def test_a_domain_is_stored_as_an_event_will_name_it(given, stored):
    assert project_fields.domain(given) == stored


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "required"),
        ("   ", "required"),
        ("exa mple.com", "malformed"),
        ("example..com", "malformed"),
        ("-example.com", "malformed"),
        ("*.example.com", "malformed"),
        ("ada@example.com", "malformed"),
        ("example.com:port", "malformed"),
        ("300.1.1.1", "malformed"),
        ('exa"mple.com', "malformed"),
        ("a" * 64 + ".com", "malformed"),
        ("https://", "malformed"),
        ("[::1", "malformed"),
        ("example.com/blog", "path_in_domain"),
        ("https://example.com/?a=1", "path_in_domain"),
    ],
)
def test_what_is_no_domain_is_refused_with_its_reason(given, code):
    with pytest.raises(Invalid) as caught:
        project_fields.domain(given)
    assert (caught.value.code, caught.value.field) == (code, "domains")


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("*", "*"),
        ("https://Example.com", "https://example.com"),
        ("https://example.com:443/", "https://example.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_stored_as_browsers_send_it(given, stored):
    assert project_fields.origin(given) == stored


@pytest.mark.parametrize("given", ["example.com", "ftp://example.com", "https://example.com/x", "https://", "null"])
def test_what_is_no_origin_is_refused(given):
    with pytest.raises(Invalid) as caught:
        project_fields.origin(given)
    assert caught.value.field == "origins"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": "  "}),
        ("name", {"name": "x" * 101}),
        ("timezone", {"timezone": "Europe/Atlantis"}),
        ("timezone", {"timezone": "../../etc/passwd"}),
        ("timezone", {"timezone": ""}),
        ("currency", {"currency": "EURO"}),
        ("currency", {"currency": "XAU"}),  # gold is no money that a shop takes
        ("domains", {"domains": [f"a{n}.com" for n in range(51)]}),
        ("visit_timeout_seconds", {"settings": ProjectSettings(visit_timeout_seconds=59)}),
        ("visit_timeout_seconds", {"settings": ProjectSettings(visit_timeout_seconds=43_201)}),
        ("visit_window_minutes", {"settings": ProjectSettings(visit_window_minutes=0)}),
        ("visit_window_minutes", {"settings": ProjectSettings(visit_window_minutes=1441)}),
        ("visit_rule", {"settings": ProjectSettings(visit_rule="day")}),  # type: ignore[arg-type]
        ("deduplication_days", {"settings": ProjectSettings(deduplication_days=0)}),
        ("origins", {"settings": ProjectSettings(origins=("example.com",))}),
        ("privacy_signal", {"settings": ProjectSettings(privacy_signal="maybe")}),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_stored(database, field, values):
    with pytest.raises(Invalid) as caught:
        await projects.create(database, **{"name": "Blog", "actor": "cli", "at": NOW, **values})
    assert caught.value.field == field
    assert await projects.list_all(database) == []


# ---------------------------------------------------------------- projects


async def test_a_project_comes_with_a_public_key_and_if_asked_a_private_one_with_all_scopes(database):
    made = await make(database, timezone="Europe/Berlin", currency="chf", private_key=True)
    assert made.project.domains == ("example.com",)
    assert (made.project.timezone, made.project.currency) == ("Europe/Berlin", "CHF")
    assert made.public_key.scopes == ("send",)
    private = await keys.by_token(database, made.private_key)
    assert private.scopes == ("send", "read", "manage")
    assert private.token is None
    assert (await make(database, "Shop", ["shop.example"])).private_key is None


async def test_a_project_without_a_name_is_called_by_its_domain(database):
    assert (await make(database, name="")).project.name == "example.com"


async def test_a_project_is_found_by_id_public_id_and_any_domain(database):
    project = (await make(database, domains=["example.com", "www.example.org", "EXAMPLE.com"])).project
    assert project.domains == ("example.com", "example.org")
    assert await projects.by_id(database, project.id) == project
    assert await projects.by_public_id(database, project.public_id) == project
    assert await projects.by_domain(database, "example.org") == project
    assert await projects.by_domain(database, "ample.org") is None
    assert await projects.by_domain(database, "") is None


@pytest.mark.parametrize("taken", ["example.com", "https://www.EXAMPLE.com/", "b.example.com"])
async def test_a_domain_belongs_to_one_project_only(database, taken):
    await make(database, domains=["example.com", "b.example.com"])
    with pytest.raises(Invalid) as caught:
        await make(database, "Other", ["other.com", taken])
    assert (caught.value.code, caught.value.field) == ("taken", "domains")
    assert len(await projects.list_all(database)) == 1
    assert len(await database.read("SELECT 1 FROM api_key")) == 1
    assert [entry.action for entry in await audit.recent(database)] == ["project.create"]


async def test_a_domain_that_is_part_of_anothers_is_free(database):
    await make(database, domains=["my.example.com"])
    await make(database, "Other", ["example.com"])
    await make(database, "Third", ["y.example.com"])
    assert len(await projects.list_all(database)) == 3


async def test_of_many_who_want_a_domain_at_once_one_gets_it(database):
    results = await asyncio.gather(
        *(make(database, f"Site {n}", ["example.com"]) for n in range(8)), return_exceptions=True
    )
    assert sum(isinstance(result, Invalid) for result in results) == 7
    assert len(await projects.list_all(database)) == 1


async def test_a_change_is_kept_with_who_made_it(database):
    project = (await make(database)).project
    settings = ProjectSettings(hash_routing=True, origins=("https://example.com",))
    changed = await projects.update(
        database, project, name="Weblog", timezone="Asia/Tokyo", settings=settings, actor="bob@example.com", at=NOW + 5
    )
    assert changed == await projects.by_id(database, project.id)
    assert (changed.name, changed.timezone, changed.settings) == ("Weblog", "Asia/Tokyo", settings)
    assert (changed.domains, changed.created_at, changed.updated_at) == (project.domains, NOW, NOW + 5)
    entry = (await audit.recent(database))[0]
    assert (entry.actor, entry.action, entry.subject) == ("bob@example.com", "project.update", "Weblog")
    assert "timezone: UTC → Asia/Tokyo" in entry.detail


async def test_a_change_that_changes_nothing_writes_nothing(database):
    project = (await make(database)).project
    before = await catalogue_version(database)
    assert await projects.update(database, project, name="Blog", currency="eur", actor="cli", at=NOW + 5) == project
    assert await catalogue_version(database) == before


async def test_a_project_may_keep_its_own_domain_and_may_not_take_anothers(database):
    project = (await make(database)).project
    await make(database, "Other", ["other.com"])
    changed = await projects.update(database, project, domains=["example.com", "new.com"], actor="cli", at=NOW + 1)
    assert changed.domains == ("example.com", "new.com")
    with pytest.raises(Invalid) as caught:
        await projects.update(database, changed, domains=["other.com"], actor="cli", at=NOW + 2)
    assert caught.value.code == "taken"
    assert "other.com" in str(caught.value)
    assert await projects.by_id(database, project.id) == changed


async def test_settings_of_a_newer_version_are_read_without_what_is_not_known(database):
    project = (await make(database)).project
    await database.write("UPDATE project SET settings = :s", {"s": '{"hash_routing":true,"from_the_future":1}'})
    assert (await projects.by_id(database, project.id)).settings == ProjectSettings(hash_routing=True)


# ---------------------------------------------------------------- owners


async def member(database, email="bob@example.com"):
    return await accounts.create(
        database, email=email, password="correct horse battery", role="member", actor="cli", at=NOW
    )


async def test_a_project_that_is_made_for_an_account_is_owned_by_it(database):
    bob = await member(database)
    blog = (await make(database, owner_id=bob.id, private_key=True)).project
    await make(database, "Other", ["other.com"])
    assert await memberships.of_account(database, bob) == {blog.id: "owner"}
    with pytest.raises(Invalid):
        await make(database, "Again", owner_id=bob.id)  # the domain is taken
    assert await memberships.of_account(database, bob) == {blog.id: "owner"}


async def test_a_project_of_an_account_that_is_gone_meanwhile_is_nobodys(database):
    await make(database, owner_id=999)
    assert len(await projects.list_all(database)) == 1
    assert await database.read("SELECT 1 FROM membership") == []


async def test_an_account_owns_a_bounded_number_of_projects_however_many_it_asks_for_at_once(database, monkeypatch):
    monkeypatch.setattr(projects, "OWNED_MAX", 3)
    bob, eve = await member(database), await member(database, "eve@example.com")
    results = await asyncio.gather(
        *(make(database, f"Site {n}", [], owner_id=bob.id) for n in range(5)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, Invalid)]
    assert [(error.code, error.field) for error in refused] == [("too_many", None)] * 2
    first = (await projects.list_all(database))[0]
    await projects.delete(database, first, actor="cli", at=NOW)
    with pytest.raises(Invalid, match="at most 3 sites"):
        await make(database, "Another", [], owner_id=bob.id)
    await make(database, "Hers", [], owner_id=eve.id)
    await make(database, "Nobody's", [])
    assert len(await memberships.of_account(database, bob)) == 3


# ---------------------------------------------------------------- deletion


async def test_a_deleted_project_is_gone_everywhere_and_its_domain_is_free(database):
    made = await make(database, private_key=True)
    await projects.delete(database, made.project, actor="ada@example.com", at=NOW + 1)
    assert await projects.list_all(database) == []
    assert await projects.by_public_id(database, made.project.public_id) is None
    assert await projects.by_domain(database, "example.com") is None
    catalogue = await load_catalogue(database)
    assert (catalogue.projects, catalogue.public_keys, catalogue.private_keys) == ({}, {}, {})
    with pytest.raises(NotFound):
        await projects.update(database, made.project, name="Again", actor="cli", at=NOW + 2)
    assert (await make(database, "New owner")).project.domains == ("example.com",)


async def test_a_deletion_can_be_taken_back_with_its_keys(database):
    made = await make(database, private_key=True)
    await projects.delete(database, made.project, actor="cli", at=NOW + 1)
    assert await projects.restore(database, made.project.public_id, actor="cli", at=NOW + 2) == made.project
    catalogue = await load_catalogue(database)
    assert catalogue.public_keys[made.public_key.token][0] == made.project
    assert [entry.action for entry in await audit.recent(database)][:2] == ["project.restore", "project.delete"]


async def test_a_deletion_cannot_be_taken_back_over_a_new_owner_of_the_domain(database):
    project = (await make(database)).project
    await projects.delete(database, project, actor="cli", at=NOW + 1)
    await make(database, "New owner")
    with pytest.raises(Invalid) as caught:
        await projects.restore(database, project.public_id, actor="cli", at=NOW + 2)
    assert caught.value.code == "taken"
    assert len(await projects.list_all(database)) == 1


async def test_only_a_deleted_project_can_be_restored(database):
    project = (await make(database)).project
    for public_id in (project.public_id, "unknown"):
        with pytest.raises(NotFound):
            await projects.restore(database, public_id, actor="cli", at=NOW)


# ---------------------------------------------------------------- catalogue


async def test_the_catalogue_finds_projects_by_everything_a_request_can_name(database):
    made = await make(database, domains=["example.com", "example.org"], private_key=True)
    catalogue = await load_catalogue(database)
    project = made.project
    assert catalogue.projects == {project.id: project}
    assert catalogue.public_ids == {project.public_id: project}
    assert set(catalogue.domains) == {"example.com", "example.org"}
    assert catalogue.by_hostname("www.example.org") == catalogue.by_hostname("example.org") == project
    assert catalogue.by_hostname("example.net") is None
    assert catalogue.public_keys[made.public_key.token] == (project, made.public_key)
    found = catalogue.by_private_key(made.private_key)
    assert found[0] == project
    assert found[2] == {"send", "read", "manage"}
    assert catalogue.by_private_key(made.private_key + "x") is None


async def test_every_change_of_projects_and_keys_raises_the_version(database):
    async def raised(change):
        before = await catalogue_version(database)
        result = await change
        assert await catalogue_version(database) == before + 1
        return result

    assert await catalogue_version(database) == 0
    made = await raised(make(database))
    project = await raised(projects.update(database, made.project, name="Weblog", actor="cli", at=NOW))
    key = (await raised(keys.mint(database, project.public_id, "private", name="k", actor="cli", at=NOW))).key
    await raised(keys.revoke(database, project.id, key.id, actor="cli", at=NOW))
    await raised(keys.rotate_public(database, project.public_id, actor="cli", at=NOW))
    await raised(projects.delete(database, project, actor="cli", at=NOW))
    await raised(projects.restore(database, project.public_id, actor="cli", at=NOW))
    assert (await load_catalogue(database)).version == await catalogue_version(database) == 7


async def test_a_project_that_cannot_be_made_leaves_no_trace_but_a_version(database):
    await make(database)
    with pytest.raises(Invalid):
        await make(database)
    assert len((await load_catalogue(database)).public_keys) == 1


def test_stored_settings_hold_only_what_differs_from_the_defaults():
    assert msgspec.json.encode(ProjectSettings(hash_routing=True)) == b'{"hash_routing":true}'


async def test_what_no_text_of_a_database_has_is_found_nowhere(database):
    await make(database)
    assert await projects.by_public_id(database, "a\0b") is None
    assert await projects.by_domain(database, "example.com\0") is None
    assert await accounts.by_email(database, "ada\0@example.com") is None


async def test_who_sees_but_one_site_sees_no_others_when_that_is_removed(database: AnyDatabase) -> None:
    long_ago = clock.now() - projects.DELETED_KEPT - DAY
    people = {}
    for name in ("all", "one", "two"):
        made = await accounts.create(
            database, email=f"{name}@example.com", password="a long password", role="viewer", actor="t", at=1
        )
        people[name] = made
    gone, kept = [(await projects.create(database, name=name, actor="t", at=1)).project for name in ("gone", "kept")]
    await set_memberships(database, people["one"], {gone.id: "owner"})
    await set_memberships(database, people["two"], {gone.id: "viewer", kept.id: "viewer"})
    await projects.delete(database, gone, actor="t", at=long_ago)
    assert (await database.purge()).projects == 1
    roles = dict(await database.read("SELECT email, role FROM account"))
    assert roles == {"all@example.com": "viewer", "one@example.com": "member", "two@example.com": "viewer"}
