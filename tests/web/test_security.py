"""What every answer carries, which requests of other sites are refused, and what an error says."""

import re

import pytest

from appliance.errors import StorageUnavailable
from tests.web.administration import PASSWORD, Administration, words

LOGIN = {"email": "owner@example.com", "password": PASSWORD}


# ---------------------------------------------------------------- headers


@pytest.mark.parametrize("path", ["/login", "/nothing/here", "/crash", "/api/figures", "/sites"])
async def test_every_answer_has_the_security_headers_and_an_id(administration, path):
    await administration.account()
    answer = await administration.client().get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "cross-origin-resource-policy" not in answer.headers  # other sites load the tracker
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/login", "/setup/site", "/sites", "/sites/new", "/account", "/admin/system"])
async def test_a_page_has_nothing_that_its_policy_forbids(administration, path):
    browser = await administration.signed_in()
    if path == "/login":
        browser = administration.client()
    page = (await browser.get(path)).text
    assert 'style="' not in page
    assert "javascript:" not in page
    assert not re.search(r"<[^>]* on[a-z]+=", page)
    assert "<script>" not in page


async def test_pages_are_not_kept_by_caches(administration):
    browser = await administration.signed_in()
    assert (await browser.get("/sites")).headers["cache-control"] == "private, no-cache"
    assert (await administration.client().get("/login")).headers["cache-control"] == "no-store"


async def test_what_a_key_was_answered_is_kept_by_nobody(administration):
    key = (await administration.project(private_key=True)).private_key
    for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}, {}):
        answer = await administration.client().get("/api/figures", headers=headers)
        assert answer.headers["cache-control"] == "no-store", headers


# ---------------------------------------------------------------- other sites

OWN = "http://appliance.test"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),  # typed or bookmarked
        ({"sec-fetch-site": "same-site"}, False),  # a neighbouring host
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "nonsense"}, False),
        ({"sec-fetch-site": "cross-site", "origin": OWN}, False),
        ({"sec-fetch-site": "same-origin", "origin": "https://evil.example"}, True),  # the browser's own word counts
        ({"origin": OWN}, True),
        ({"origin": "http://APPLIANCE.test"}, True),
        ({"origin": "https://stats.example.com"}, True),  # the public URL, behind a proxy that changes Host
        ({"origin": "https://evil.example"}, False),
        ({"origin": "http://appliance.test.evil.example"}, False),
        ({"origin": "http://appliance.test:81"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({}, True),  # no browser
    ],
)
async def test_a_form_of_another_site_is_refused(database, tmp_path, headers, allowed):
    administration = Administration(database, tmp_path, public_url="https://stats.example.com")
    await administration.account()
    client = administration.client()
    answer = await super(type(client), client).post("/login", data=LOGIN, headers=headers)
    assert answer.status_code == (303 if allowed else 403)
    assert ("set-cookie" in answer.headers) == allowed


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_every_method_that_may_change_something_is_guarded(administration, method):
    await administration.account()
    headers = {"sec-fetch-site": "cross-site", "accept": "application/json"}
    answer = await administration.client().request(method, "/login", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Basic YWRhOng="}, 404),  # a key; there is nothing to do with it here
        ({"authorization": "Basic YWRhOng=", "cookie": "session=x"}, 403),  # of a proxy in front
        ({"x-api-key": "sa_priv_none", "cookie": "session=x"}, 404),
    ],
)
async def test_what_browsers_send_by_themselves_opens_nothing(administration, headers, status):
    cross = {"sec-fetch-site": "cross-site", "accept": "application/json"}
    answer = await administration.client().post("/api/v2/query", headers=cross | headers, json={})
    assert answer.status_code == status


async def test_links_of_other_sites_work(administration):
    await administration.account()
    answer = await administration.client().get("/login", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml;q=0.9", "text/html; charset=utf-8"),
        ("application/json", "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("", "application/problem+json"),
    ],
)
@pytest.mark.parametrize(("path", "status", "code"), [("/nothing", 404, "not_found"), ("/crash", 500, "internal")])
async def test_an_error_is_a_page_for_people_and_a_problem_for_programs(
    administration, accept, kind, path, status, code
):
    answer = await administration.client().get(path, headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert "secret of the stack" not in answer.text
    assert "Traceback" not in answer.text
    if "json" in kind:
        problem = answer.json()
        assert (problem["status"], problem["code"], problem["type"]) == (status, code, "about:blank")
        assert problem["request_id"] == answer.headers["x-request-id"]
    else:
        assert answer.headers["x-request-id"] in words(answer)


async def test_a_wrong_method_says_which_are_right(administration):
    answer = await administration.client().put("/login", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"]


async def test_a_program_without_a_login_gets_401_and_htmx_is_led_to_the_login(administration):
    await administration.account()
    client = administration.client()
    answer = await client.get("/account", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (401, "login_needed")
    answer = await client.get("/account", headers={"accept": "*/*", "hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login?next=/account")


async def test_a_database_that_is_away_is_said_with_when_to_come_back(administration, monkeypatch):
    async def away(*_: object) -> None:
        raise StorageUnavailable("the database answers SQLITE_BUSY: locked in /data/secret.db")

    browser = await administration.signed_in()
    monkeypatch.setattr(administration.database, "read", away)
    for accept in ("text/html", "application/json"):
        answer = await browser.get("/sites", headers={"accept": accept})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "/data/secret.db" not in answer.text
