"""Funnels that are kept under a name: saved from the report, opened over any period, deleted; by admins."""

import re
from html import unescape

import pytest
from httpx2 import Response

from appliance.storage import audit, funnels, projects
from appliance.storage.funnels import Step
from appliance.web.audit_words import sentence
from tests.web.administration import Browser, words
from tests.web.dashboards import Dashboards, link
from tests.web.report_sites import PERIOD, the_shop

SITE = "/sites/saved.example"
STEPS = "on=page&step=/&where=&value=&on=page&step=/pricing&where=visit:country&value=DE&within=7d"


@pytest.fixture(scope="module")
async def shop(dashboards: Dashboards) -> Browser:
    await the_shop(dashboards, "saved.example")
    return await dashboards.owner()


def action(answer: Response, part: str) -> str:
    """Where a form posts to."""
    found = re.search(rf'<form [^>]*method="post" action="([^"]*{part}[^"]*)"', answer.text)
    assert found, f"no form posts to {part}"
    return unescape(found[1])


async def kept(dashboards: Dashboards) -> list[funnels.Funnel]:
    project = await projects.by_domain(dashboards.database, "saved.example")
    assert project is not None
    return await funnels.of_project(dashboards.database, project.id)


async def test_a_funnel_is_saved_opened_and_deleted(dashboards: Dashboards, shop: Browser) -> None:
    page = await shop.get(f"{SITE}/funnels?{PERIOD}&{STEPS}")
    assert 'class="saved-funnels"' not in page.text
    saved = await shop.post(action(page, "/funnels/save"), name=" To the prices ")
    assert saved.status_code == 303
    (funnel,) = await kept(dashboards)
    assert (funnel.name, funnel.within, funnel.strict) == ("To the prices", "7d", False)
    assert funnel.steps == (Step("page", "/"), Step("page", "/pricing", "visit:country", "DE"))
    again = await shop.get(saved.headers["location"])
    assert "Funnel saved." in words(again)
    assert "from=2026-02-23" in saved.headers["location"]
    assert "/funnels/save" not in again.text  # it is saved

    other = await shop.get(f"{SITE}/funnels?period=day&f=is:visit:country:FR")
    assert 'class="badge accent"' not in other.text
    opened = await shop.get(link(other, "To the prices"))
    assert re.findall(r'class="input" name="step" value="([^"]*)"', opened.text) == ["/", "/pricing", ""]
    assert "period=day&f=is:visit:country:FR" in str(opened.url)
    assert 'aria-current="true"' in opened.text.partition('class="saved-funnels"')[2].partition("</nav>")[0]
    assert (await shop.get(str(opened.url) + "&strict=1")).text.count("/funnels/save") == 1  # another one

    deleted = await shop.post(action(opened, "/delete"))
    assert deleted.status_code == 303
    after = await shop.get(deleted.headers["location"])
    assert "Funnel deleted." in words(after)
    assert "/funnels/save" in after.text  # it is still shown, and can be saved again
    assert await kept(dashboards) == []
    said = [sentence(entry)[:2] for entry in await audit.recent(dashboards.database, limit=2)]
    assert said == [("Deleted the funnel", "To the prices"), ("Saved a funnel (2 steps)", "To the prices")]


@pytest.mark.parametrize(
    ("name", "said"), [("", "Give it a name"), ("x" * 101, "Give it a name"), ("Taken", "already")]
)
async def test_a_name_that_will_not_do_is_said_beside_it(
    dashboards: Dashboards, shop: Browser, name: str, said: str
) -> None:
    await shop.post(f"{SITE}/funnels/save?step=/a&step=/b", name="Taken")
    answer = await shop.post(f"{SITE}/funnels/save?{PERIOD}&{STEPS}", name=name)
    assert answer.status_code == 422
    form = answer.text.partition("/funnels/save")[2].partition("</form>")[0]
    assert said in form.partition('id="name-about"')[2]
    assert f'value="{name}"' in form
    assert '<details class="menu" name="menu" open>' in answer.text
    (funnel,) = await kept(dashboards)
    assert (funnel.name, funnel.steps[0].step) == ("Taken", "/a")


async def test_less_than_two_steps_are_no_funnel(shop: Browser) -> None:
    answer = await shop.post(f"{SITE}/funnels/save?step=/a", name="Short")
    assert answer.status_code == 400
    assert "at least 2 steps" in words(answer)


async def test_a_viewer_opens_funnels_and_changes_none(dashboards: Dashboards, shop: Browser) -> None:
    await shop.post(f"{SITE}/funnels/save?step=/c&step=/d", name="For all")
    (funnel,) = [each for each in await kept(dashboards) if each.name == "For all"]
    viewer = await dashboards.signed_in("viewer")
    page = await viewer.get(f"{SITE}/funnels?step=/c&step=/d")
    assert "For all" in words(page)
    assert 'method="post" action="/sites/saved.example' not in page.text
    assert "/funnels/save" not in (await viewer.get(f"{SITE}/funnels?step=/c&step=/e")).text
    assert (await viewer.post(f"{SITE}/funnels/save?step=/c&step=/e", name="Mine")).status_code == 403
    assert (await viewer.post(f"{SITE}/funnels/{funnel.id}/delete")).status_code == 403
    assert (await shop.post(f"{SITE}/funnels/99999/delete")).status_code == 404


async def test_goals_are_no_condition_of_a_step(shop: Browser) -> None:
    answer = await shop.get(f"{SITE}/funnels?step=/&step=/b&where=event:goal&where=&value=Signup&value=")
    assert answer.status_code == 400
