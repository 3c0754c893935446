"""Who may do what: roles and memberships on pages, private keys on the API."""

from base64 import b64encode

import pytest

from appliance import clock
from appliance.storage import audit, keys, projects
from appliance.web.access import Viewer
from tests.memberships import set_memberships


async def give(administration, browser, roles):
    await set_memberships(administration.database, browser.account, roles)


# ---------------------------------------------------------------- roles

SITE = "/sites/example.com"

# What each role gets: of GET a page's status, of POST what an allowed one answers (303) or 403.
TABLE = [
    # method, path, owner, admin, viewer; what a member gets is in test_members.py
    ("get", "/sites", 200, 200, 200),
    ("get", SITE, 200, 200, 200),
    ("get", "/account", 200, 200, 200),
    ("get", "/sites/new", 200, 200, 403),
    ("get", f"{SITE}/settings", 200, 200, 403),
    ("get", f"{SITE}/settings/keys", 200, 200, 403),
    ("get", f"{SITE}/install", 200, 200, 403),
    ("get", "/admin/sites", 200, 200, 403),
    ("get", "/admin/accounts", 200, 200, 403),
    ("get", "/admin/accounts/1/access", 200, 200, 403),
    ("post", "/admin/accounts/1/access", 403, 403, 403),  # of an owner, who sees all sites
    ("post", "/admin/accounts/1/access/take", 403, 403, 403),
    ("post", "/admin/accounts/1/access/all", 403, 403, 403),
    ("get", "/admin/system", 200, 200, 403),
    ("get", "/admin/audit", 200, 200, 403),
    ("get", "/admin/dead-letters", 200, 200, 403),
    ("post", "/admin/dead-letters/retry", 303, 303, 403),
    ("post", "/admin/dead-letters/delete", 303, 303, 403),
    ("post", "/sites/new", 422, 422, 403),
    ("post", "/setup/site", 422, 422, 403),
    ("post", f"{SITE}/settings", 422, 422, 403),
    ("post", f"{SITE}/settings/keys", 422, 422, 403),
    ("post", f"{SITE}/settings/keys/rotate", 303, 303, 403),
    ("post", f"{SITE}/install/test", 303, 303, 403),
    ("post", f"{SITE}/settings/delete", 422, 403, 403),
    ("post", f"{SITE}/restore", 404, 404, 404),  # it is not deleted
    ("post", "/admin/accounts", 422, 422, 403),
]


@pytest.mark.parametrize(("method", "path", "owner", "admin", "viewer"), TABLE)
async def test_what_each_role_may_do(administration, method, path, owner, admin, viewer):
    await administration.project()
    statuses = []
    for role in ("owner", "admin", "viewer"):
        browser = await administration.signed_in(role)
        statuses.append((await getattr(browser, method)(path)).status_code)
    assert statuses == [owner, admin, viewer]


@pytest.mark.parametrize(("method", "path"), sorted({(row[0], row[1]) for row in TABLE}))
async def test_nobody_may_do_anything_without_a_login(administration, method, path):
    await administration.account()
    await administration.project()
    answer = await getattr(administration.client(), method)(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


async def test_a_viewer_with_memberships_sees_those_sites_alone(administration):
    blog, shop = (await administration.project()), (await administration.project("shop.example"))
    browser = await administration.signed_in("viewer")
    assert [(await browser.get(f"/sites/{d}")).status_code for d in ("example.com", "shop.example")] == [200, 200]
    await give(administration, browser, {shop.project.id: "viewer"})
    assert (await browser.get("/sites/shop.example")).text == "shop.example for viewer"
    for name in ("example.com", blog.project.public_id):
        assert (await browser.get(f"/sites/{name}")).status_code == 404
    assert "example.com" not in (await browser.get("/sites")).text.replace("viewer@example.com", "")
    assert (await browser.get("/")).headers["location"] == "/sites/shop.example"


async def test_a_membership_can_give_more_in_one_site(administration):
    await administration.project()
    shop = (await administration.project("shop.example")).project
    browser = await administration.signed_in("viewer")
    await give(administration, browser, {shop.id: "admin"})
    assert (await browser.get("/sites/shop.example/settings")).status_code == 200
    assert (await browser.post("/sites/shop.example/settings/delete")).status_code == 403
    assert (await browser.get("/sites/example.com/settings")).status_code == 404
    assert (await browser.get("/admin/accounts")).status_code == 403


async def test_a_membership_never_takes_anything_from_an_admin(administration):
    await administration.project()
    shop = (await administration.project("shop.example")).project
    browser = await administration.signed_in("admin")
    await give(administration, browser, {shop.id: "viewer"})
    assert (await browser.get("/sites/example.com/settings")).status_code == 200


def test_nobody_has_no_role_anywhere():
    assert Viewer().role_in(1) is None
    assert not Viewer().may("viewer")


@pytest.mark.parametrize("site", ["example.com", "www.example.com", "EXAMPLE.com", "id", "example.org"])
async def test_a_site_is_found_by_its_id_and_each_of_its_domains(administration, site):
    made = await administration.project(domains=["example.com", "example.org"])
    name = made.project.public_id if site == "id" else site
    assert (await administration.client().get("/find", params={"site": name})).text == "example.com"


@pytest.mark.parametrize("site", ["nothing.example", "", "x/y", "exa mple", "a" * 300])
async def test_what_is_no_site_is_not_found(administration, site):
    await administration.project()
    assert (await administration.client().get("/find", params={"site": site})).text == "none"


async def test_a_deleted_site_is_not_there_for_anybody(administration):
    made = await administration.project()
    browser = await administration.signed_in()
    await projects.delete(administration.database, made.project, actor="cli", at=clock.now())
    assert (await browser.get("/sites/example.com")).status_code == 404


async def test_a_deleted_site_is_brought_back_by_an_owner_of_it_alone(administration):
    made, shop = await administration.project(), await administration.project("shop.example")
    await projects.delete(administration.database, made.project, actor="cli", at=clock.now())
    back = f"/sites/{made.project.public_id}/restore"
    assert (await (await administration.signed_in("admin")).post(back)).status_code == 403
    viewer = await administration.signed_in("viewer")
    assert (await viewer.post(back)).status_code == 403
    await give(administration, viewer, {shop.project.id: "owner"})
    assert (await viewer.post(back)).status_code == 404
    await give(administration, viewer, {made.project.id: "owner"})
    assert (await viewer.post(back)).headers["location"] == "/sites/example.com"


# ---------------------------------------------------------------- private keys


@pytest.fixture
async def made(administration):
    return await administration.project(private_key=True)


async def ask(administration, headers, path="/api/figures"):
    client = administration.client()
    client.headers["accept"] = "application/json"
    return await client.get(path, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer {key}"},
        {"authorization": "bearer   {key} "},
        {"x-api-key": "{key}"},
        {"x-api-key": "{key}", "sec-fetch-mode": "cors"},  # as Node's fetch says
        {"authorization": "Basic {basic}"},
    ],
)
async def test_a_private_key_is_taken_from_each_place_it_may_stand(administration, made, headers):
    basic = b64encode(f"{made.private_key}:".encode()).decode()
    sent = {name: value.format(key=made.private_key, basic=basic) for name, value in headers.items()}
    answer = await ask(administration, sent)
    assert (answer.status_code, answer.text) == (200, "example.com")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_key"),
        ({"authorization": "Bearer"}, 401, "missing_key"),
        ({"authorization": "Basic !!!"}, 401, "missing_key"),
        ({"authorization": "Basic /////w=="}, 401, "missing_key"),
        ({"authorization": "Bearer nonsense"}, 401, "unknown_key"),
        ({"authorization": "Bearer sa_unknownunknownunknownunknownunkn"}, 401, "unknown_key"),
        ({"authorization": "Bearer sa_priv_unknown"}, 401, "unknown_key"),
        ({"authorization": "Bearer {public}"}, 403, "public_key"),
        ({"authorization": "Bearer {private}", "origin": "https://example.com"}, 401, "private_key_from_browser"),
        ({"authorization": "Bearer {private}", "sec-fetch-site": "none"}, 401, "private_key_from_browser"),
        ({"authorization": "Bearer {private}x"}, 401, "unknown_key"),
    ],
)
async def test_another_key_is_refused_with_its_reason(administration, made, headers, status, code):
    sent = {
        name: value.format(private=made.private_key, public=made.public_key.token) for name, value in headers.items()
    }
    answer = await ask(administration, sent)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize("name", ["key", "api_key", "anything"])
async def test_a_private_key_in_a_url_is_refused_even_with_a_right_one_in_a_header(administration, made, name):
    answer = await ask(
        administration,
        {"authorization": f"Bearer {made.private_key}"},
        f"/api/figures?{name}={made.private_key}",
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "private_key_in_query")
    assert made.private_key not in answer.text


async def test_an_exposed_key_is_reported_once_a_day_for_each_place_and_an_invented_one_never(administration, made):
    headers = {"authorization": f"Bearer {made.private_key}", "origin": "https://example.com"}
    for _ in range(3):
        await ask(administration, headers)
        await ask(administration, {}, f"/api/figures?key={made.private_key}")
        await ask(administration, {}, "/api/figures?key=sa_priv_invented")
    entries = [e for e in await audit.recent(administration.database) if e.action.startswith("key.exposed")]
    assert sorted((e.actor, e.action, e.subject, e.detail) for e in entries) == [
        (made.private_key[:12], "key.exposed.browser", "example.com", "203.0.113.0/24"),
        (made.private_key[:12], "key.exposed.url", "example.com", "203.0.113.0/24"),
    ]


async def test_a_browser_on_another_site_is_told_about_the_key_and_not_about_the_site(administration, made):
    client = administration.client()
    headers = {"authorization": f"Bearer {made.private_key}", "sec-fetch-site": "cross-site"}
    answer = await client.post("/api/figures", {**headers, "accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (401, "private_key_from_browser")


async def test_a_key_opens_what_its_scopes_say(administration, made):
    for scopes, status in ((["read"], 200), (["manage", "send"], 403)):
        key = await keys.mint(
            administration.database, made.project.public_id, "private", scopes=scopes, actor="cli", at=1
        )
        answer = await ask(administration, {"x-api-key": key.token})
        assert answer.status_code == status
    assert answer.json()["code"] == "scope"


async def test_a_revoked_key_and_the_key_of_a_deleted_project_open_nothing(administration, made):
    database = administration.database
    headers = {"x-api-key": made.private_key}
    key = await keys.by_token(database, made.private_key)
    await projects.delete(database, made.project, actor="cli", at=1)
    assert (await ask(administration, headers)).json()["code"] == "unknown_key"
    await projects.restore(database, made.project.public_id, actor="cli", at=2)
    assert (await ask(administration, headers)).status_code == 200
    await keys.revoke(database, made.project.id, key.id, actor="cli", at=3)
    assert (await ask(administration, headers)).json()["code"] == "unknown_key"


async def test_a_keys_use_is_noted(administration, made):
    await ask(administration, {"x-api-key": made.private_key})
    key = await keys.by_token(administration.database, made.private_key)
    assert clock.now() - key.last_used_at < 10 * clock.MICROSECONDS
