"""Goals: made, found again, refused, deleted."""

import pytest

from appliance.errors import Invalid, NotFound
from appliance.storage import audit, goals, projects

NOW = 1_760_000_000_000_000


@pytest.fixture
async def project(database):
    return (await projects.create(database, name="Blog", domains=["example.com"], actor="cli", at=NOW)).project.id


async def make(database, project, kind="event", pattern="Signup", **more):
    return await goals.create(database, project, kind, pattern, actor="ada@example.com", at=NOW, **more)


async def test_goals_are_listed_by_name_and_belong_to_a_project(database, project):
    page = await make(database, project, "page", "/blog/**")
    event = await make(database, project, name="Änderung", prop="plan", value="pro", currency="EUR")
    assert page.name == "Visit /blog/**"
    assert await goals.of_project(database, project) == [page, event]
    assert (event.property, event.value, event.currency) == ("plan", "pro", "EUR")
    other = (await projects.create(database, name="Shop", domains=[], actor="cli", at=NOW)).project.id
    assert await goals.of_project(database, other) == []
    assert [e.action for e in await audit.recent(database)][1:3] == ["goal.create", "goal.create"]


async def test_the_same_goal_again_is_the_same(database, project):
    made = await make(database, project)
    assert made.name == "Signup"
    assert await make(database, project) == made
    with pytest.raises(Invalid) as caught:
        await make(database, project, prop="plan", value="pro")
    assert (caught.value.code, caught.value.field) == ("taken", "name")
    assert [e.action for e in await audit.recent(database)].count("goal.create") == 1


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("kind", {"kind": "session"}),
        ("pattern", {"pattern": ""}),
        ("pattern", {"pattern": "x" * 1001}),
        ("pattern", {"kind": "page", "pattern": "blog"}),
        ("name", {"name": "x" * 256}),
        ("value", {"prop": "plan"}),
        ("property", {"value": "pro"}),
        ("currency", {"currency": "eur"}),
    ],
)
async def test_a_goal_that_cannot_be_is_refused_with_its_field(database, project, field, values):
    with pytest.raises(Invalid) as caught:
        await make(database, project, **values)
    assert caught.value.field == field
    assert await goals.of_project(database, project) == []


async def test_a_project_has_a_bounded_number_of_goals(database, project, monkeypatch):
    monkeypatch.setattr(goals, "GOALS_MAX", 2)
    await make(database, project, pattern="a")
    await make(database, project, pattern="b")
    await make(database, project, pattern="b")
    with pytest.raises(Invalid):
        await make(database, project, pattern="c")


async def test_only_the_projects_own_goal_is_deleted(database, project):
    made = await make(database, project)
    with pytest.raises(NotFound):
        await goals.delete(database, project + 1, made.id, actor="cli", at=NOW)
    await goals.delete(database, project, made.id, actor="cli", at=NOW)
    assert await goals.of_project(database, project) == []
    with pytest.raises(NotFound):
        await goals.delete(database, project, made.id, actor="cli", at=NOW)
