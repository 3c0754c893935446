"""The page of a site's filters: rules made and taken back, switches, one's own address, what was filtered lately."""

import re
from pathlib import Path

import pytest

from appliance import clock
from appliance.ingest.data_centres import DataCentres
from appliance.ingest.refusals import Refusal
from appliance.model import ProjectSettings
from appliance.storage import audit, exclusions, projects
from appliance.web.audit_words import sentence
from tests.web.administration import words

PAGE = "/sites/example.com/settings/filters"


async def rules(administration, project):
    found = await exclusions.of_project(administration.database, project.id)
    return [(rule.kind, rule.value, rule.note) for rule in found if rule.removed_at is None]


def filtered(administration, project, reason="blocked_path", rule=0, event=b"event", **fields):
    values = {"message": "", "name": "pageview", "page": "/x", "dialect": "native", **fields}
    refusal = Refusal(clock.now(), "dropped", reason, rule=rule, **values)
    administration.refusals.add(project.id, refusal, event)


async def test_rules_are_made_shown_and_taken_back(administration):
    project = (await administration.project()).project
    browser = await administration.signed_in("admin")
    assert "No rules yet" in words(await browser.get(PAGE))
    answer = await browser.post(PAGE, kind="path", value=" /admin/** ", note="Our own pages")
    assert answer.headers["location"] == PAGE
    page = await browser.get(PAGE)
    assert "From now on this is left out." in words(page)
    assert "/admin/** Page Our own pages admin@example.com, just now" in words(page)
    assert await rules(administration, project) == [("path", "/admin/**", "Our own pages")]
    (rule,) = await exclusions.of_project(administration.database, project.id)
    answer = await browser.post(f"{PAGE}/{rule.id}/take-back")
    assert answer.headers["location"] == PAGE
    page = words(await browser.get(PAGE))
    assert "Taken back" in page
    assert "No rules yet" in page
    assert await rules(administration, project) == []
    said = [sentence(entry)[:2] for entry in await audit.recent(administration.database, limit=2)]
    assert said == [
        ("Took back a filter (path /admin/**) of the site", "example.com"),
        ("Added a filter (path /admin/**) to the site", "example.com"),
    ]
    assert (await browser.post(f"{PAGE}/{rule.id}/take-back")).status_code == 404


@pytest.mark.parametrize(
    ("form", "kept"),
    [
        ({"kind": "address", "value": "203.0.113.77/24"}, ("address", "203.0.113.0/24", "")),
        ({"kind": "country", "value": "germany"}, ("country", "DE", "")),
        ({"kind": "country", "value": "de"}, ("country", "DE", "")),
        ({"kind": "hostname", "value": "https://test.example.com/"}, ("hostname", "test.example.com", "")),
        ({"kind": "only_hostname", "value": "*.example.com"}, ("only_hostname", "*.example.com", "")),
        ({"kind": "referrer", "value": "spam.example"}, ("referrer", "spam.example", "")),
    ],
)
async def test_values_as_people_type_them(administration, form, kept):
    project = (await administration.project()).project
    browser = await administration.signed_in()
    assert (await browser.post(PAGE, **form)).status_code == 303
    assert await rules(administration, project) == [kept]
    page = words(await browser.get(PAGE))
    assert kept[1] in page
    assert kept[0] != "country" or "Germany DE Country" in page


@pytest.mark.parametrize(
    ("form", "field", "said"),
    [
        ({"kind": "address", "value": "office"}, "value", "is no address or network"),
        ({"kind": "address", "value": "0.0.0.0/0"}, "value", "This would leave out everybody."),
        ({"kind": "country", "value": "Atlantis"}, "value", "is no country"),
        ({"kind": "hostname", "value": "exa$mple"}, "value", "is no domain"),
        ({"kind": "path", "value": "admin"}, "value", "Give a path that begins with /"),
        ({"kind": "browser", "value": "x"}, "kind", "Choose what the rule looks at."),
        ({"value": "x"}, "kind", "Choose what the rule looks at."),
        ({"kind": "path", "value": "/x", "note": "n" * 201}, "note", "Use at most 200 characters."),
        ({"kind": "path", "value": '/"><script>alert(1)</script>', "note": "n" * 201}, "note", "Use at most 200"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field(administration, form, field, said):
    project = (await administration.project()).project
    browser = await administration.signed_in()
    answer = await browser.post(PAGE, **form)
    assert answer.status_code == 422
    assert said in words(answer)
    assert field == "kind" or f'id="{field}-about"' in answer.text
    assert "<script>alert" not in answer.text
    assert await rules(administration, project) == []


async def test_what_is_typed_is_shown_as_text(administration):
    await administration.project()
    browser = await administration.signed_in()
    await browser.post(PAGE, kind="path", value="/<b>x</b>", note="<i>y</i>")
    page = (await browser.get(PAGE)).text
    assert "<b>x</b>" not in page
    assert "<i>y</i>" not in page


async def test_switches_change_nothing_else(administration):
    kept = ProjectSettings(visit_timeout_seconds=600, origins=("https://example.com",), deduplication_days=30)
    project = (await administration.project(settings=kept)).project
    browser = await administration.signed_in("admin")
    page = (await browser.get(PAGE)).text
    assert re.findall(r'role="switch" name="(drop_\w+)" value="on" checked', page) == [
        "drop_bots", "drop_data_centres", "drop_referrer_spam",
    ]  # fmt: skip
    await browser.post(f"{PAGE}/switches", drop_data_centres="on")
    changed = await projects.by_id(administration.database, project.id)
    assert changed.settings == ProjectSettings(
        visit_timeout_seconds=600,
        origins=("https://example.com",),
        deduplication_days=30,
        drop_bots=False,
        drop_data_centres=True,
        drop_referrer_spam=False,
    )
    assert "Saved." in words(await browser.get(PAGE))


async def test_saving_the_general_settings_leaves_the_switches(administration):
    kept = ProjectSettings(drop_bots=False, drop_referrer_spam=False)
    project = (await administration.project(settings=kept)).project
    browser = await administration.signed_in()
    form = {"name": "Blog", "domains": "example.com", "timezone": "UTC", "currency": "EUR", "origins": "*"}
    form |= {"visit_timeout_minutes": "30", "privacy_signal": "rotate", "raw_retention_days": ""}
    await browser.post("/sites/example.com/settings", **form)
    changed = await projects.by_id(administration.database, project.id)
    assert changed.name == "Blog"
    assert (changed.settings.drop_bots, changed.settings.drop_referrer_spam) == (False, False)
    assert changed.settings.drop_data_centres


async def test_what_is_known_of_the_list_of_data_centres(administration, tmp_path: Path):
    await administration.project()
    browser = await administration.signed_in()
    assert "APPLIANCE_DATACENTRE_RANGES names a file" in words(await browser.get(PAGE))
    path = tmp_path / "centres"
    path.write_text("3.0.0.0/9\n4.0.0.0/9\n")
    centres = administration.app.state.data_centres = DataCentres(path)
    assert "The list has 2 networks; it was read just now ." in words(await browser.get(PAGE))
    path.write_text("nonsense\n")
    await centres.refresh()
    assert "What was read before stays in force" in words(await browser.get(PAGE))
    assert "line 1: 'nonsense' is no network" in words(await browser.get(PAGE))


async def test_what_was_filtered_lately_is_counted_by_reason_and_rule(administration):
    project = (await administration.project()).project
    browser = await administration.signed_in()
    assert "Every event was taken." in words(await browser.get(PAGE))
    await browser.post(PAGE, kind="path", value="/admin/**")
    (rule,) = await exclusions.of_project(administration.database, project.id)
    for _ in range(3):
        filtered(administration, project, rule=rule.id)
    filtered(administration, project, "bot")
    page = await browser.get(PAGE)
    assert "Blocked path 3 Bot 1" in words(page)
    assert 'href="/sites/example.com/settings/refused?reason=blocked_path"' in page.text
    assert f'href="/sites/example.com/settings/refused?rule={rule.id}"' in page.text
    assert "3 left out" in words(page)
    assert "Let in 3" not in words(page)
    await browser.post(f"{PAGE}/{rule.id}/take-back")
    assert "Let in 3" in words(await browser.get(PAGE))


# ---------------------------------------------------------------- one's own address


@pytest.mark.parametrize(
    ("address", "left_out"), [("91.10.10.10", "91.10.10.10"), ("2a02:1:2:3:4:5:6:7", "2a02:1:2:3::/64")]
)
async def test_ones_own_address_is_left_out(administration, address, left_out):
    project = (await administration.project()).project
    signed_in = await administration.signed_in("admin")
    browser = administration.client(address)
    browser.cookies = signed_in.cookies
    assert left_out in words(await browser.get(PAGE))
    assert (await browser.post(f"{PAGE}/own-address")).headers["location"] == PAGE
    assert await rules(administration, project) == [("address", left_out, "Own address")]
    page = await browser.get(PAGE)
    assert f"Visits from {left_out}, where you are, are left out." in words(page)
    assert "own-address" not in page.text
    await browser.post(f"{PAGE}/own-address")
    assert len(await rules(administration, project)) == 1


async def test_not_where_everybody_seems_to_have_it(administration):
    project = (await administration.project()).project
    browser = await administration.signed_in()
    for _ in range(50):
        administration.crowd.add("172.17.0.1", clock.now())
    page = await browser.get(PAGE)
    assert "All of the last 50 requests of browsers came from one private address." in words(page)
    assert "own-address" not in page.text
    await browser.post(f"{PAGE}/own-address")
    assert await rules(administration, project) == []


# ---------------------------------------------------------------- who may


async def test_who_may(administration):
    project = (await administration.project()).project
    viewer = await administration.signed_in("viewer")
    for answer in (
        await viewer.get(PAGE),
        await viewer.post(PAGE, kind="path", value="/x"),
        await viewer.post(f"{PAGE}/switches"),
        await viewer.post(f"{PAGE}/own-address"),
        await viewer.post(f"{PAGE}/1/take-back"),
    ):
        assert answer.status_code == 403
    assert (await administration.client().get(PAGE)).headers["location"].startswith("/login")
    assert await rules(administration, project) == []
    owner = await administration.signed_in()
    assert (await owner.post(PAGE, {"sec-fetch-site": "cross-site"}, kind="path", value="/x")).status_code == 403
    assert f'href="{PAGE}"' in (await owner.get("/sites/example.com/settings")).text


async def test_a_rule_of_another_site_is_not_taken_back(administration):
    await administration.project()
    other = (await administration.project("shop.example")).project
    browser = await administration.signed_in()
    await browser.post("/sites/shop.example/settings/filters", kind="path", value="/x")
    (rule,) = await exclusions.of_project(administration.database, other.id)
    assert (await browser.post(f"{PAGE}/{rule.id}/take-back")).status_code == 404
    assert await rules(administration, other) == [("path", "/x", "")]
