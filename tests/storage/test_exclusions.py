"""A site's own rules of what is filtered: made, refused, taken back, remembered for a while, in the catalogue."""

import pytest

from appliance.clock import HOUR
from appliance.errors import Invalid, NotFound
from appliance.storage import audit, exclusions, projects
from appliance.storage.catalogue import catalogue_version, load_catalogue

NOW = 1_760_000_000_000_000


@pytest.fixture
async def project(database):
    return (await projects.create(database, name="Blog", domains=["example.com"], actor="cli", at=NOW)).project


async def make(database, project, kind="path", value="/admin/**", at=NOW, **more):
    return await exclusions.create(database, project, kind, value, actor="ada@example.com", at=at, **more)


async def said(database):
    entries = [entry for entry in await audit.recent(database) if entry.action.startswith("exclusion.")]
    return [(entry.action, entry.subject, entry.detail) for entry in entries]


@pytest.mark.parametrize(
    ("kind", "typed", "kept"),
    [
        ("address", " 203.0.113.7 ", "203.0.113.7"),
        ("address", "203.0.113.7/32", "203.0.113.7"),
        ("address", "203.0.113.7/24", "203.0.113.0/24"),
        ("address", "::ffff:203.0.113.7", "203.0.113.7"),
        ("address", "::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("address", "2001:DB8:0::/48", "2001:db8::/48"),
        ("address", "2001:db8::1", "2001:db8::1"),
        ("country", "de", "DE"),
        ("hostname", "https://WWW.Test.example.com:8080/", "test.example.com"),
        ("hostname", "localhost", "localhost"),
        ("hostname", "*.Example.com", "*.example.com"),
        ("hostname", "bücher.example", "xn--bcher-kva.example"),
        ("only_hostname", "example.com", "example.com"),
        ("path", "/admin/**", "/admin/**"),
        ("path", "**/print", "**/print"),
        ("referrer", "http://spam.example/", "spam.example"),
    ],
)
async def test_a_value_is_kept_as_it_is_looked_up(database, project, kind, typed, kept):
    rule = await make(database, project, kind, typed, note="  the\n office ")
    assert (rule.kind, rule.value, rule.note) == (kind, kept, "the office")
    assert (rule.author, rule.created_at, rule.removed_at) == ("ada@example.com", NOW, None)
    assert await exclusions.of_project(database, project.id) == [rule]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("kind", {"kind": "browser"}),
        ("value", {"value": ""}),
        *(
            ("value", {"kind": "address", "value": value})
            for value in (
                "",
                "203.0.113.256",
                "203.0.113.0/33",
                "example.com",
                "0.0.0.0/0",
                "::/0",
                "10.0.0.1-10.0.0.9",
            )
        ),
        *(("value", {"kind": "country", "value": value}) for value in ("", "D", "DEU", "Germany", "D1", "ÄÖ")),
        *(
            ("value", {"kind": "hostname", "value": value})
            for value in ("", "*.", "exa$mple.com", "a.com/b", "*.*.com")
        ),
        ("value", {"kind": "path", "value": "admin"}),
        ("value", {"kind": "path", "value": "/" + "x" * 1000}),
        ("value", {"kind": "referrer", "value": "spam.example/page"}),
        ("note", {"note": "x" * 201}),
    ],
)
async def test_a_rule_that_cannot_be_is_refused_with_its_field(database, project, field, values):
    with pytest.raises(Invalid) as caught:
        await make(database, project, **values)
    assert caught.value.field == field
    assert str(caught.value)
    assert await exclusions.of_project(database, project.id) == []
    assert await said(database) == []


async def test_the_same_rule_again_is_the_same(database, project):
    rule = await make(database, project)
    assert await make(database, project, note="another note") == rule
    other = (await projects.create(database, name="Shop", domains=[], actor="cli", at=NOW)).project
    assert (await make(database, other)).id != rule.id
    assert len(await said(database)) == 2


async def test_a_rule_taken_back_is_named_for_a_while_and_may_be_made_again(database, project):
    first = await make(database, project)
    ended = await exclusions.take_back(database, project, first.id, actor="bob@example.com", at=NOW + HOUR)
    assert (ended.id, ended.removed_at) == (first.id, NOW + HOUR)
    second = await make(database, project, at=NOW + 2 * HOUR)
    assert second.id > first.id
    assert await exclusions.of_project(database, project.id) == [second, ended]
    for rule_id in (first.id, second.id + 1):
        with pytest.raises(NotFound):
            await exclusions.take_back(database, project, rule_id, actor="bob@example.com", at=NOW)
    other = (await projects.create(database, name="Shop", domains=[], actor="cli", at=NOW)).project
    with pytest.raises(NotFound):
        await exclusions.take_back(database, other, second.id, actor="bob@example.com", at=NOW)
    await make(database, project, "country", "DE", at=NOW + HOUR + exclusions.NAMED_FOR + 1)
    assert ended not in await exclusions.of_project(database, project.id)


async def test_an_id_is_never_given_again(database, project):
    first = await make(database, project)
    await exclusions.take_back(database, project, first.id, actor="a", at=NOW)
    later = NOW + 2 * exclusions.NAMED_FOR
    second = await make(database, project, "country", "DE", at=later)
    await exclusions.take_back(database, project, second.id, actor="a", at=later)
    assert (await make(database, project, at=later)).id > second.id > first.id


async def test_the_audit_log_has_no_address_of_a_person(database, project):
    for value in ("203.0.113.7", "203.0.0.0/16", "2001:db8:1:2::3"):
        rule = await make(database, project, "address", value)
    await exclusions.take_back(database, project, rule.id, actor="bob@example.com", at=NOW)
    assert await said(database) == [
        ("exclusion.remove", "Blog", "address 2001:db8:1::/48"),
        ("exclusion.create", "Blog", "address 2001:db8:1::/48"),
        ("exclusion.create", "Blog", "address 203.0.0.0/16"),
        ("exclusion.create", "Blog", "address 203.0.113.0/24"),
    ]


async def test_the_catalogue_has_what_is_in_force_and_notices_changes(database, project):
    before = await catalogue_version(database)
    first, second = await make(database, project), await make(database, project, "country", "DE")
    assert await catalogue_version(database) == before + 2
    assert (await load_catalogue(database)).exclusions == {project.id: (first, second)}
    await exclusions.take_back(database, project, first.id, actor="a", at=NOW)
    assert await catalogue_version(database) == before + 3
    assert (await load_catalogue(database)).exclusions == {project.id: (second,)}


async def test_there_are_not_more_than_can_be_looked_through(database, project, monkeypatch):
    monkeypatch.setattr(exclusions, "RULES_MAX", 2)
    first = await make(database, project, "country", "DE")
    await make(database, project, "country", "FR")
    with pytest.raises(Invalid) as caught:
        await make(database, project, "country", "IT")
    assert caught.value.code == "too_many"
    await exclusions.take_back(database, project, first.id, actor="a", at=NOW)
    await make(database, project, "country", "IT")
