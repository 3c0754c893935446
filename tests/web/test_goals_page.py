"""The page of a site's goals: listed, made, refused with the field, deleted; for admins."""

import re

import pytest

from appliance.errors import QueryTimeout
from appliance.queries.reports import Reports
from appliance.storage import audit, goals, projects
from appliance.web.audit_words import sentence
from tests.web.administration import Browser, words
from tests.web.dashboards import Dashboards
from tests.web.goal_site import with_goals

PAGE = "/sites/made.example/settings/goals"
EMPTY = {"kind": "event", "pattern": "", "name": "", "property": "", "value": "", "currency": ""}


@pytest.fixture(scope="module")
async def site(dashboards: Dashboards) -> Browser:
    await dashboards.site(domain="made.example")
    return await dashboards.owner()


async def kept(dashboards: Dashboards) -> list[goals.Goal]:
    project = await projects.by_domain(dashboards.database, "made.example")
    assert project is not None
    return await goals.of_project(dashboards.database, project.id)


async def test_goals_are_made_listed_and_deleted(dashboards: Dashboards, site: Browser) -> None:
    empty = await site.get(PAGE)
    assert "A goal is an event or a page that you want to happen" in words(empty)
    assert '<option value="Signup">' in empty.text  # what the site sends is offered
    assert '<option value="/pricing">' in empty.text

    fields = {
        "kind": "event",
        "pattern": " Order ",
        "name": "Sold",
        "property": "plan",
        "value": "pro",
        "currency": "EUR",
    }
    assert (await site.post(PAGE, **fields)).headers["location"] == PAGE
    assert (await site.post(PAGE, **EMPTY | {"kind": "page", "pattern": "/blog/**"})).status_code == 303
    sold, blog = await kept(dashboards)
    assert (sold.name, sold.pattern, sold.property, sold.value, sold.currency) == (
        "Sold",
        "Order",
        "plan",
        "pro",
        "EUR",
    )
    assert (blog.name, blog.kind) == ("Visit /blog/**", "page")
    page = await site.get(PAGE)
    assert "Goal created." in words(page)
    assert "Sold Event Order only if plan is pro only with revenue in EUR Delete" in words(page)
    assert (await site.get("/sites/made.example?f=is:event:goal:Sold")).status_code == 200
    assert 'href="/sites/made.example?f=is%3Aevent%3Agoal%3ASold"' in page.text

    action = re.search(rf'action="({PAGE}/{sold.id}/delete)"', page.text)
    assert action
    assert (await site.post(action[1])).headers["location"] == PAGE
    assert "Goal deleted." in words(await site.get(PAGE))
    assert await kept(dashboards) == [blog]
    assert (await site.post(action[1])).status_code == 404
    said = [sentence(entry)[:2] for entry in await audit.recent(dashboards.database, limit=3)]
    assert said == [
        ("Deleted the goal", "Sold"),
        ("Created a goal (page /blog/**)", "Visit /blog/**"),
        ("Created a goal (event Order)", "Sold"),
    ]


@pytest.mark.parametrize(
    ("field", "fields", "said"),
    [
        ("pattern", {}, "Give the event&#39;s name"),
        ("pattern", {"kind": "page", "pattern": "blog"}, "begins with /"),
        ("name", {"pattern": "a", "name": "x" * 256}, "at most 255"),
        ("value", {"pattern": "a", "property": "plan"}, "go together"),
        ("property", {"pattern": "a", "value": "pro"}, "go together"),
        ("currency", {"pattern": "a", "currency": "XXX"}, "Give a currency"),
    ],
)
async def test_what_is_wrong_stands_at_its_field(site: Browser, field: str, fields: dict[str, str], said: str) -> None:
    answer = await site.post(PAGE, **EMPTY | fields)
    assert answer.status_code == 422
    error = re.search(rf'id="{field}-about"><svg.*?</svg><span>(.*?)</span>', answer.text)
    assert error, answer.text
    assert said in error[1]
    if fields.get("kind") == "page":
        assert 'name="kind" value="page" checked' in answer.text
        assert 'name="pattern" type="text" autocomplete="off" value="blog"' in answer.text


async def test_no_choice_and_a_name_that_is_taken(dashboards: Dashboards, site: Browser) -> None:
    unknown = await site.post(PAGE, **EMPTY | {"kind": "click", "pattern": "a"})
    assert unknown.status_code == 422
    assert "A goal is an event or a page." in words(unknown)
    await with_goals(dashboards, "taken.example")
    answer = await site.post("/sites/taken.example/settings/goals", **EMPTY | {"pattern": "Other", "name": "Signup"})
    assert "There is a goal named “Signup” already." in words(answer)


async def test_goals_are_for_admins(dashboards: Dashboards, site: Browser) -> None:
    viewer = await dashboards.signed_in("viewer")
    assert (await viewer.get(PAGE)).status_code == 403
    assert (await viewer.post(PAGE, **EMPTY | {"pattern": "a"})).status_code == 403
    assert (await viewer.post(f"{PAGE}/1/delete")).status_code == 403
    assert (await dashboards.client().get(PAGE)).headers["location"].startswith("/login")
    assert 'href="/sites/made.example/settings/goals"' in (await site.get("/sites/made.example/settings")).text


async def test_the_page_works_while_nothing_can_be_counted(
    dashboards: Dashboards, site: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise QueryTimeout

    monkeypatch.setattr(Reports, "ask", away)
    answer = await site.get(PAGE)
    assert answer.status_code == 200
    assert '<option value="Signup">' not in answer.text
