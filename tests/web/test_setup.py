"""First run: the token, the account, the site, the snippet; each step once."""

import asyncio

import pytest

from appliance.storage import accounts, audit, projects
from tests.web.administration import PASSWORD, SETUP_TOKEN, words

ADA = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}


@pytest.mark.parametrize("path", ["/", "/sites", "/account", "/admin/system", "/sites/example.com", "/login"])
async def test_without_an_account_every_page_leads_to_set_up(administration, path):
    answer = await administration.client().get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/setup")


async def test_from_the_printed_address_to_the_snippet(administration):
    browser = administration.client()
    address = f"/setup?token={SETUP_TOKEN}"
    page = await browser.get(address)
    assert page.status_code == 200
    assert f'action="{address}"' in page.text
    assert 'name="token"' not in page.text
    answer = await browser.post(address, **ADA)
    assert (answer.status_code, answer.headers["location"]) == (303, "/setup/site")

    page = await browser.get("/setup/site")
    assert 'data-guess="timezone"' in page.text
    assert '<option value="Asia/Kolkata"' in page.text
    answer = await browser.post(
        "/setup/site", domain="https://www.Example.com/", timezone="Europe/Berlin", currency="CHF"
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/sites/example.com/install")

    (project,) = await projects.list_all(administration.database)
    assert (project.domains, project.timezone, project.currency) == (("example.com",), "Europe/Berlin", "CHF")
    page = await browser.get("/sites/example.com/install")
    assert "http://appliance.test/script.js" in page.text
    assert "sa_" in page.text
    assert 'data-stream="/sites/example.com/stream?' in page.text
    assert 'data-received="false"' in page.text

    (ada,) = await accounts.list_all(administration.database)
    assert (ada.email, ada.name, ada.role) == ("ada@example.com", "Ada", "owner")
    said = [(entry.actor, entry.action) for entry in await audit.recent(administration.database)]
    assert said == [("ada@example.com", "project.create"), ("setup", "account.create")]


async def test_the_token_can_be_typed_instead(administration):
    browser = administration.client()
    assert 'name="token"' in (await browser.get("/setup")).text
    answer = await browser.post("/setup", token=f" {SETUP_TOKEN} ", **ADA)
    assert answer.headers["location"] == "/setup/site"


@pytest.mark.parametrize("token", ["wrong", "the-token-that-was-printe", SETUP_TOKEN + "x", "", "%00"])
async def test_a_wrong_token_makes_no_account_and_says_where_to_find_the_right_one(administration, token):
    answer = await administration.client().post(f"/setup?token={token}", **ADA)
    assert answer.status_code == 403
    assert "look at the last lines of its log" in words(answer)
    assert 'value="ada@example.com"' in answer.text
    assert PASSWORD not in answer.text
    assert not await accounts.any_exist(administration.database)


async def test_a_wrong_token_in_the_address_is_said_before_anything_is_typed(administration):
    answer = await administration.client().get("/setup?token=old")
    assert answer.status_code == 403
    assert "look at the last lines of its log" in words(answer)


async def test_without_a_token_in_force_nobody_can_set_up(administration):
    administration.app.state.setup_token = ""
    assert (await administration.client().post("/setup?token=", **ADA)).status_code == 403


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("password", "too short", "Use at least 10 characters; this has 9."),
        ("email", "ada", "Give an e-mail address"),
        ("name", "x" * 101, "Use at most 100 characters"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field_and_the_rest_is_kept(administration, field, value, said):
    answer = await administration.client().post(f"/setup?token={SETUP_TOKEN}", **{**ADA, field: value})
    assert answer.status_code == 422
    assert said in words(answer)
    assert f'aria-describedby="{field}-about" aria-invalid="true"' in answer.text
    assert f"/setup?token={SETUP_TOKEN}" in answer.text
    assert not await accounts.any_exist(administration.database)


async def test_set_up_works_once(administration):
    address = f"/setup?token={SETUP_TOKEN}"
    await administration.client().post(address, **ADA)
    for answer in (
        await administration.client().get(address),
        await administration.client().post(address, **{**ADA, "email": "eve@example.com"}),
    ):
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert len(await accounts.list_all(administration.database)) == 1


async def test_of_two_who_set_up_at_once_one_is_owner(administration):
    address = f"/setup?token={SETUP_TOKEN}"
    answers = await asyncio.gather(
        *(administration.client().post(address, **{**ADA, "email": f"p{n}@example.com"}) for n in range(3))
    )
    assert sorted(answer.headers["location"] for answer in answers) == ["/login", "/login", "/setup/site"]
    assert len(await accounts.list_all(administration.database)) == 1


@pytest.mark.parametrize(
    ("sent", "field", "said"),
    [
        ({"domain": ""}, "domain", "Give a domain"),
        ({"domain": "example.com/blog"}, "domain", "without a path"),
        ({"timezone": "Mars/Olympus"}, "timezone", "no IANA time zone"),
        ({"currency": "EURO"}, "currency", "no ISO 4217 currency"),
    ],
)
async def test_a_site_that_cannot_be_is_said_beside_its_field(administration, sent, field, said):
    browser = await administration.signed_in("owner")
    answer = await browser.post(
        "/setup/site", **{"domain": "example.com", "timezone": "UTC", "currency": "EUR", **sent}
    )
    assert answer.status_code == 422
    assert said in words(answer)
    assert f'id="{field}-about"' in answer.text
    assert await projects.list_all(administration.database) == []


async def test_the_site_step_needs_somebody_who_may_add_sites(administration):
    browser = await administration.signed_in("viewer")
    assert (await browser.get("/setup/site")).status_code == 403
    answer = await administration.client().get("/setup/site")
    assert answer.headers["location"] == "/login?next=/setup/site"


async def test_the_install_page_knows_the_public_url_the_scripts_name_and_the_first_event(database, tmp_path):
    from tests.web.administration import Administration

    administration = Administration(database, tmp_path, public_url="https://stats.example.com/", script_name="a.js")
    browser = administration.client(base_url="https://stats.example.com")
    await administration.account()
    await browser.post("/login", email="owner@example.com", password=PASSWORD)
    made = await administration.project()
    administration.first_event_at = 1_760_000_000_000_000
    page = await browser.get(f"/sites/{made.project.public_id}/install")
    assert "https://stats.example.com/a.js" in page.text
    assert made.public_key.token in page.text
    assert 'data-received="true"' in page.text


async def test_a_test_event_is_sent_for_the_site_and_said(administration):
    browser = await administration.signed_in("owner")
    made = await administration.project()
    answer = await browser.post("/sites/example.com/install/test")
    assert answer.headers["location"] == "/sites/example.com/install"
    assert administration.tests_sent == [made.project]
    assert "Test event sent." in words(await browser.get("/sites/example.com/install"))
    assert "Test event sent." not in words(await browser.get("/sites/example.com/install"))
