"""Accounts that people make for themselves, on the page and as system C's clients do."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response

from appliance.storage import accounts, audit
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.web.api import auth
from appliance.web.api import projects as api_projects
from tests.web.administration import PASSWORD, Administration, Browser, words

API = "/api/v1/auth/register"
ADA = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}

Open = Callable[..., Administration]


@pytest.fixture
def make(database: SqliteDatabase, tmp_path: Path) -> Open:
    """An appliance, with what of system C belongs to accounts; registration is open unless told otherwise."""

    def made(**settings: Any) -> Administration:
        administration = Administration(database, tmp_path, **{"open_registration": True, **settings})
        administration.app.router.routes.extend([*auth.routes(), *api_projects.routes()])
        return administration

    return made


@pytest.fixture
async def opened(make: Open) -> Administration:
    """One that has an owner."""
    administration = make()
    await administration.account()
    return administration


async def ask(administration: Administration, body: Any, path: str = API, **headers: str) -> Response:
    """As a program does."""
    client = super(Browser, administration.client())
    sent = {"accept": "application/json", **headers}
    if isinstance(body, bytes):
        return await client.post(path, content=body, headers=sent)
    return await client.post(path, json=body, headers=sent)


def ada(**changes: Any) -> dict[str, Any]:
    return {"email": "Ada@example.com ", "password": PASSWORD, "full_name": "Ada  Lovelace", **changes}


# ---------------------------------------------------------------- the API


async def test_an_account_is_made_that_can_log_in_and_is_a_member(opened: Administration) -> None:
    answer = await ask(opened, ada())
    assert answer.status_code == 201
    body = answer.json()
    assert list(body) == ["id", "email", "full_name", "role", "created_at"]
    assert (body["email"], body["full_name"], body["role"]) == ("ada@example.com", "Ada Lovelace", "member")
    (entry,) = await audit.recent(opened.database, limit=1)
    assert entry[2:] == ("register", "account.create", "ada@example.com", "member")
    token = (await ask(opened, ada(), "/api/v1/auth/login")).json()["access_token"]
    me = await opened.client().get("/api/v1/auth/me", headers={"authorization": f"Bearer {token}"})
    assert me.json() == body


@pytest.mark.parametrize("name", [None, "", " "])
async def test_a_name_may_be_left_out(opened: Administration, name: str | None) -> None:
    answer = await ask(opened, ada(full_name=name))
    assert (answer.status_code, answer.json()["full_name"]) == (201, "")
    answer = await ask(opened, {"email": "bob@example.com", "password": PASSWORD})
    assert (answer.status_code, answer.json()["full_name"]) == (201, "")


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"email": "ada"}, "email", "malformed"),
        ({"email": ""}, "email", "malformed"),
        ({"email": "a\0@example.com"}, "email", "malformed"),
        ({"email": "OWNER@example.com"}, "email", "taken"),
        ({"password": "too short"}, "password", "too_short"),
        ({"password": "x" * 501}, "password", "too_long"),
        ({"full_name": "x" * 101}, "full_name", "too_long"),
    ],
)
async def test_what_is_wrong_is_named(opened: Administration, changes: dict[str, str], field: str, code: str) -> None:
    answer = await ask(opened, ada(**changes))
    assert (answer.status_code, answer.json()["field"], answer.json()["code"]) == (422, field, code)
    assert PASSWORD not in answer.text
    assert len(await accounts.list_all(opened.database)) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"email": "a@b.c"}', b'{"email": 1, "password": "x"}', b"\xff"])
async def test_what_is_no_registration(opened: Administration, body: bytes) -> None:
    answer = await ask(opened, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_nobody_registers_where_it_is_not_open_whatever_they_send(make: Open) -> None:
    administration = make(open_registration=False)
    await administration.account()
    for body in (ada(), b"nonsense"):
        answer = await ask(administration, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "registration_closed")
    assert len(await accounts.list_all(administration.database)) == 1


async def test_the_first_account_is_no_members(make: Open) -> None:
    administration = make()
    answer = await ask(administration, ada())
    assert (answer.status_code, answer.json()["code"]) == (403, "set_up_first")
    assert not await accounts.any_exist(administration.database)


async def test_from_one_address_five_register_at_once_and_then_they_wait(opened: Administration) -> None:
    answers = [await ask(opened, ada(email=f"p{n}@example.com")) for n in range(7)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429] * 2
    assert answers[5].json()["code"] == "too_many_attempts"
    assert 0 < int(answers[5].headers["retry-after"]) <= 2
    assert len(await accounts.list_all(opened.database)) == 6
    assert (await ask(opened, ada(), "/api/v1/auth/login")).status_code == 401  # logging in is counted for itself
    entries = [entry for entry in await audit.recent(opened.database) if entry.action == "register.throttled"]
    assert [(entry.subject, entry.detail) for entry in entries] == [("p5@example.com", "203.0.113.0/24")]


async def test_who_has_an_account_cannot_be_found_out_faster_than_accounts_are_made(opened: Administration) -> None:
    bodies = [ada(email="owner@example.com"), ada(password="short"), ada(email="nobody")] * 2
    answers = [await ask(opened, body) for body in bodies]
    assert [answer.status_code for answer in answers] == [422] * 5 + [429]


async def test_a_page_of_another_site_registers_nobody(opened: Administration) -> None:
    answer = await ask(opened, ada(), **{"sec-fetch-site": "cross-site", "content-type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert len(await accounts.list_all(opened.database)) == 1


# ---------------------------------------------------------------- the page


async def test_from_the_login_to_a_site_of_ones_own(opened: Administration) -> None:
    await opened.project("hidden.example")
    browser = opened.client()
    assert 'href="/register"' in (await browser.get("/login")).text
    page = await browser.get("/register")
    assert page.headers["cache-control"] == "no-store"
    assert 'href="/login"' in page.text
    answer = await browser.post("/register", **ADA)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")

    start = await browser.follow("/")
    assert (start.status_code, start.url.path) == (200, "/sites")
    assert "No sites yet" in words(start)
    assert "hidden.example" not in start.text
    assert "/admin" not in start.text
    assert re.findall(r'href="(/sites[^"]*)"', start.text)[0] == "/sites/new"
    assert (await browser.get("/sites/new")).status_code == 200
    answer = await browser.post("/sites/new", name="Blog", domains="blog.example", timezone="UTC", currency="EUR")
    assert answer.headers["location"] == "/sites/blog.example/install"
    assert (await browser.get("/")).headers["location"] == "/sites/blog.example"
    said = [(entry.actor, entry.action) for entry in await audit.recent(opened.database, limit=3)]
    assert said == [("ada@example.com", "project.create"), ("ada@example.com", "login"), ("register", "account.create")]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("password", "too short", "Use at least 10 characters; this has 9."),
        ("email", "ada", "Give an e-mail address"),
        ("email", "owner@example.com", "There is an account for owner@example.com already."),
        ("name", "x" * 101, "Use at most 100 characters"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field_and_the_rest_is_kept(
    opened: Administration, field: str, value: str, said: str
) -> None:
    answer = await opened.client().post("/register", **{**ADA, field: value})
    assert answer.status_code == 422
    assert said in words(answer)
    assert 'aria-invalid="true"' in answer.text.partition(f'id="{field}"')[2].partition(">")[0]
    assert PASSWORD not in answer.text
    assert "set-cookie" not in answer.headers
    assert len(await accounts.list_all(opened.database)) == 1


async def test_the_page_waits_like_the_login(opened: Administration) -> None:
    for n in range(5):
        await opened.client().post("/register", **{**ADA, "email": f"p{n}@example.com"})
    answer = await opened.client().post("/register", **ADA)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert "Try again in 1 second." in words(answer)
    assert 'value="ada@example.com"' in answer.text
    assert (await opened.client("198.51.100.7").post("/register", **ADA)).status_code == 303


async def test_where_it_is_not_open_there_is_no_such_page(make: Open) -> None:
    administration = make(open_registration=False)
    await administration.account()
    browser = administration.client()
    assert (await browser.get("/register")).status_code == 404
    assert (await browser.post("/register", **ADA)).status_code == 404
    assert "/register" not in (await browser.get("/login")).text
    assert len(await accounts.list_all(administration.database)) == 1


async def test_set_up_comes_first(make: Open) -> None:
    browser = make().client()
    for answer in (await browser.get("/register"), await browser.post("/register", **ADA)):
        assert (answer.status_code, answer.headers["location"]) == (303, "/setup")


async def test_who_is_logged_in_has_an_account(opened: Administration) -> None:
    browser = await opened.signed_in("viewer")
    for answer in (await browser.get("/register"), await browser.post("/register", **ADA)):
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert len(await accounts.list_all(opened.database)) == 2


async def test_another_site_cannot_send_the_form(opened: Administration) -> None:
    answer = await opened.client().post("/register", {"sec-fetch-site": "cross-site"}, **ADA)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
