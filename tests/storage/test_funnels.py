"""Saved funnels: kept, found again, refused, deleted."""

import pytest

from appliance.errors import Invalid, NotFound
from appliance.storage import audit, funnels, projects
from appliance.storage.funnels import Step

NOW = 1_760_000_000_000_000
STEPS = (Step("page", "/pricing"), Step("event", "Signup", "visit:country", "DE"))


@pytest.fixture
async def project(database):
    return (await projects.create(database, name="Blog", domains=["example.com"], actor="cli", at=NOW)).project.id


async def keep(database, project, name="Sign-ups", steps=STEPS, **more):
    return await funnels.create(database, project, name, steps, actor="ada@example.com", at=NOW, **more)


async def test_funnels_are_listed_by_name_and_belong_to_a_project(database, project):
    second = await keep(database, project, "  Sign-ups ")
    first = await keep(database, project, "Orders", within="7d", strict=True)
    assert await funnels.of_project(database, project) == [first, second]
    assert (second.name, second.steps, second.within, second.strict) == ("Sign-ups", STEPS, "visit", False)
    assert (first.within, first.strict) == ("7d", True)
    other = (await projects.create(database, name="Shop", domains=[], actor="cli", at=NOW)).project.id
    assert await funnels.of_project(database, other) == []
    entries = [entry for entry in await audit.recent(database) if entry.action == "funnel.create"]
    assert [(entry.subject, entry.detail) for entry in entries] == [("Orders", "2 steps"), ("Sign-ups", "2 steps")]


async def test_the_same_funnel_again_is_the_same(database, project):
    kept = await keep(database, project)
    assert await keep(database, project) == kept
    with pytest.raises(Invalid) as caught:
        await keep(database, project, strict=True)
    assert (caught.value.code, caught.value.field) == ("taken", "name")
    assert [entry.action for entry in await audit.recent(database)].count("funnel.create") == 1


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "x" * 101}),
        ("steps", {"steps": STEPS[:1]}),
        ("steps", {"steps": STEPS[:1] * 9}),
        ("steps", {"steps": (*STEPS, Step("click", "a"))}),
        ("steps", {"steps": (*STEPS, Step("page", ""))}),
        ("steps", {"steps": (*STEPS, Step("page", "/" + "x" * 1000))}),
        ("steps", {"steps": (*STEPS, Step("page", "/", "visit:country"))}),
        ("steps", {"steps": (*STEPS, Step("page", "/", "", "DE"))}),
        ("within", {"within": "2d"}),
    ],
)
async def test_a_funnel_that_cannot_be_is_refused_with_its_field(database, project, field, values):
    with pytest.raises(Invalid) as caught:
        await keep(database, project, **values)
    assert caught.value.field == field
    assert await funnels.of_project(database, project) == []


async def test_a_project_has_a_bounded_number_of_saved_funnels(database, project, monkeypatch):
    monkeypatch.setattr(funnels, "FUNNELS_MAX", 1)
    await keep(database, project)
    await keep(database, project)
    with pytest.raises(Invalid):
        await keep(database, project, "Another")


async def test_only_the_projects_own_funnel_is_deleted(database, project):
    kept = await keep(database, project)
    with pytest.raises(NotFound):
        await funnels.delete(database, project + 1, kept.id, actor="cli", at=NOW)
    await funnels.delete(database, project, kept.id, actor="cli", at=NOW)
    assert await funnels.of_project(database, project) == []
    with pytest.raises(NotFound):
        await funnels.delete(database, project, kept.id, actor="cli", at=NOW)
    assert (await audit.recent(database))[0].action == "funnel.delete"
