"""Segments on the pages: saved from the chips, chosen in the form, one chip, managed in the settings; by admins."""

import re
from html import unescape

import pytest
from httpx2 import Response

from appliance.storage import audit, goals, projects, segments
from appliance.storage.segments import Segment
from appliance.web.audit_words import sentence
from tests.web.administration import Browser, words
from tests.web.dashboards import NOW, Dashboards, chips, figures, link, rows
from tests.web.test_filter import applied, offered

SITE = "/sites/kept.example"
PAGE = f"{SITE}/settings/segments"
FRENCH_DOCS = "f=is:visit:country:FR&f=is:event:page:/docs"
SWAP = {"HX-Request": "true"}


@pytest.fixture(scope="module")
async def site(dashboards: Dashboards) -> Browser:
    await dashboards.site(domain="kept.example")
    return await dashboards.owner()


@pytest.fixture(autouse=True)
async def none_left(dashboards: Dashboards, site: Browser) -> None:
    project = await projects.by_domain(dashboards.database, "kept.example")
    assert project is not None
    for each in await segments.of_project(dashboards.database, project.id):
        await segments.delete(dashboards.database, project.id, each.id, actor="cli", at=NOW)


async def keep(dashboards: Dashboards, name: str, *filters: list[object]) -> Segment:
    project = await projects.by_domain(dashboards.database, "kept.example")
    assert project is not None
    return await segments.create(dashboards.database, project.id, name, list(filters), actor="cli", at=NOW)


def action(answer: Response, part: str) -> str:
    """Where a form posts to."""
    found = re.search(rf'<form [^>]*method="post" action="([^"]*{part}[^"]*)"', answer.text)
    assert found, f"no form posts to {part}"
    return unescape(found[1])


async def test_filters_are_saved_and_become_one_chip(dashboards: Dashboards, site: Browser) -> None:
    before = await site.get(f"{SITE}?period=28d&{FRENCH_DOCS}&metric=visits&sources=visit:channel")
    saved = await site.post(action(before, "/segments/save"), name=" French readers ")
    assert saved.status_code == 303
    after = await site.get(saved.headers["location"])
    assert "Segment saved." in words(after)
    assert chips(after) == ["Segment: French readers"]
    assert (figures(after), rows(after, "sources")) == (figures(before), rows(before, "sources"))
    assert re.search(r"\?f=is:segment:\d+&metric=visits&sources=visit:channel$", saved.headers["location"])
    assert "/segments/save" not in after.text  # it is saved
    assert "/segments/save" not in (await site.get(SITE)).text  # there is nothing to save
    said = [sentence(entry)[:2] for entry in await audit.recent(dashboards.database, limit=1)]
    assert said == [("Saved a segment (2 filters)", "French readers")]
    for path in ("details/visit:source", "details/visit:source.csv", "series.csv", "funnels", "events", "users"):
        answer = await site.get(f"{SITE}/{path}?{saved.headers['location'].partition('?')[2]}")
        assert answer.status_code == 200, path
    details = await site.get(f"{SITE}/details/visit:source?{saved.headers['location'].partition('?')[2]}")
    assert chips(details) == ["Segment: French readers"]


async def test_a_name_that_is_taken_is_said_in_the_form(dashboards: Dashboards, site: Browser) -> None:
    await keep(dashboards, "Germans", ["is", "visit:country", ["DE"]])
    page = await site.get(f"{SITE}?{FRENCH_DOCS}")
    answer = await site.post(action(page, "/segments/save"), name="Germans")
    assert answer.status_code == 422
    assert "There is a segment named “Germans” already." in words(answer)
    assert '<details class="menu" name="menu" open>' in answer.text
    assert chips(answer) == ["Country is France", "Page is /docs"]


async def test_the_form_offers_them_by_name(dashboards: Dashboards, site: Browser) -> None:
    assert '<option value="segment"' not in (await site.get(f"{SITE}/filter")).text
    first = await keep(dashboards, "Germans", ["is", "visit:country", ["DE"]])
    await keep(dashboards, "<b>Docs</b>", ["is", "event:page", ["/docs"]])
    form = await site.get(f"{SITE}/filter?dimension=segment")
    assert re.findall(r'name="op" value="(\w+)"', form.text) == ["is"]
    assert "&lt;b&gt;Docs&lt;/b&gt;" in form.text
    found = await site.get(f"{SITE}/filter/values?dimension=segment&text=GERM", headers=SWAP)
    assert re.findall(r'name="value" value="(\d+)"', found.text) == [str(first.id)]
    chosen = await applied(site, form, dimension="segment", op="is", value=str(first.id))
    assert (chips(chosen), figures(chosen)["Visitors"]) == (["Segment: Germans"], "1")
    typed = await applied(site, form, dimension="segment", op="contains", text="doc")
    assert chips(typed) == ["Segment: <b>Docs</b>"]
    edited = await site.get(link(chosen, "Segment: Germans"))
    assert re.findall(r'name="value" value="(\d+)" checked', edited.text) == [str(first.id)]
    both = await applied(
        site, edited, dimension="segment", op="is", value=re.findall(r'"value" value="(\d+)"', edited.text)
    )
    assert chips(both) == ["Segment: Germans or <b>Docs</b>"]
    assert figures(both)["Visitors"] == "3"
    nothing = await site.get(f"{SITE}/filter/apply?dimension=segment&op=is&text=nobody")
    assert (nothing.status_code, "No segment is called" in words(nothing)) == (400, True)
    narrowed = await site.get(f"{SITE}/filter?dimension=event:page&f=is:segment:{first.id}")
    assert [value for value, _, _ in offered(narrowed)] == ["/", "/blog", "/pricing"]


async def test_an_address_of_one_that_is_gone_says_so(site: Browser) -> None:
    for path in ("", "/details/event:page", "/filter", "/funnels"):
        answer = await site.get(f"{SITE}{path}?f=is:segment:99999")
        assert (answer.status_code, "there is no segment 99999" in words(answer)) == (400, True)


async def test_the_settings_list_rename_and_delete_them(dashboards: Dashboards, site: Browser) -> None:
    assert "No segments yet" in words(await site.get(PAGE))
    await keep(dashboards, "Germans", ["is", "visit:country", ["DE"]], ["is_not", "event:page", ["/docs"]])
    await keep(dashboards, "Others", ["is_not", "visit:country", ["DE"]])
    page = await site.get(PAGE)
    assert "Country is Germany and Page is not /docs" in words(page)
    assert chips(await site.get(link(page, "Germans"))) == ["Segment: Germans"]
    rename = action(page, "/rename")
    taken = await site.post(rename, name="Others")
    assert taken.status_code == 422
    assert "There is a segment named “Others” already." in words(taken)
    assert taken.text.count('name="menu" open') == 1
    renamed = await site.post(rename, name="Deutsche")
    assert (renamed.status_code, renamed.headers["location"]) == (303, PAGE)
    page = await site.get(PAGE)
    assert "Segment renamed." in words(page)
    deleted = await site.post(action(page, "/delete"))
    assert deleted.status_code == 303
    page = await site.get(PAGE)
    assert ("Deutsche" in page.text, "Others" in page.text) == (False, True)
    said = [sentence(entry)[:2] for entry in await audit.recent(dashboards.database, limit=2)]
    assert said == [("Deleted the segment", "Deutsche"), ("Renamed the segment Germans to", "Deutsche")]


async def test_a_segment_whose_goal_is_gone_says_so(dashboards: Dashboards, site: Browser) -> None:
    project = await projects.by_domain(dashboards.database, "kept.example")
    assert project is not None
    goal = await goals.create(dashboards.database, project.id, "event", "Signup", actor="cli", at=NOW)
    kept = await keep(dashboards, "Signed up", ["is", "event:goal", ["Signup"]])
    answer = await site.get(f"{SITE}?f=is:segment:{kept.id}")
    assert figures(answer)["Visitors"] == "1"
    await goals.delete(dashboards.database, project.id, goal.id, actor="cli", at=NOW)
    assert "cannot be asked any more" in words(await site.get(PAGE))
    assert (await site.get(f"{SITE}?f=is:segment:{kept.id}")).status_code == 400


async def test_who_only_looks_chooses_but_does_not_save(dashboards: Dashboards, site: Browser) -> None:
    kept = await keep(dashboards, "Germans", ["is", "visit:country", ["DE"]])
    project = await projects.by_domain(dashboards.database, "kept.example")
    assert project is not None
    viewer = await dashboards.signed_in("viewer")
    await dashboards.database.write(
        "INSERT INTO membership (account_id, project_id, role) VALUES (:account, :project, 'viewer')",
        {"account": viewer.account.id, "project": project.id},
    )
    page = await viewer.get(f"{SITE}?f=is:segment:{kept.id}")
    assert chips(page) == ["Segment: Germans"]
    assert "/segments/save" not in (await viewer.get(f"{SITE}?{FRENCH_DOCS}")).text
    assert (await viewer.post(f"{SITE}/segments/save?{FRENCH_DOCS}", name="x")).status_code in (403, 404)
    assert (await viewer.get(PAGE)).status_code in (403, 404)
    assert (await viewer.post(f"{PAGE}/{kept.id}/delete")).status_code in (403, 404)
