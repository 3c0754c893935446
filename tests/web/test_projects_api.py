"""System C's logins and projects, as its clients ask for them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from appliance import clock
from appliance.clock import DAY
from appliance.storage import accounts, keys, login_sessions, projects
from appliance.web.api import auth
from appliance.web.api import projects as api_projects
from tests.memberships import set_memberships
from tests.web.administration import PASSWORD, Administration

LOGIN, REFRESH, LOGOUT, ME = (f"/api/v1/auth/{name}" for name in ("login", "refresh", "logout", "me"))
PROJECTS = "/api/v1/projects/"


class Client:
    """A program that has logged in, or not."""

    def __init__(self, administration: Administration) -> None:
        self.administration = administration
        self.token = ""
        self.refresh_token = ""
        transport = ASGITransport(administration.asgi, client=("203.0.113.9", 5), raise_app_exceptions=False)
        self.http = AsyncClient(transport=transport, base_url="http://appliance.test")

    async def log_in(self, role: str) -> "Client":
        account = await self.administration.account(role)
        answer = await self.ask("POST", LOGIN, email=account.email, password=PASSWORD)
        assert answer.status_code == 200
        self.keep(answer)
        return self

    def keep(self, answer: Response) -> None:
        self.token, self.refresh_token = answer.json()["access_token"], answer.json()["refresh_token"]

    async def ask(self, method: str, path: str, token: str | None = None, **body: Any) -> Response:
        wanted = self.token if token is None else token
        headers = {"authorization": f"Bearer {wanted}"} if wanted else {}
        return await self.http.request(method, path, json=body or None, headers=headers)


@pytest.fixture
async def client(administration: Administration) -> AsyncIterator[Client]:
    administration.app.router.routes.extend([*auth.routes(), *api_projects.routes()])
    made = Client(administration)
    yield made
    await made.http.aclose()


# ---------------------------------------------------------------- logins


async def test_a_login_gives_tokens_that_open_and_end(client: Client) -> None:
    await client.administration.account("viewer")
    answer = await client.ask("POST", LOGIN, email=" Viewer@example.com ", password=PASSWORD)
    assert list(answer.json()) == ["access_token", "refresh_token", "token_type"]
    assert answer.json()["token_type"] == "bearer"
    assert answer.headers["cache-control"] == "no-store"
    client.keep(answer)
    me = await client.ask("GET", ME)
    assert (me.json()["email"], me.json()["full_name"], me.json()["role"]) == ("viewer@example.com", "Viewer", "viewer")
    assert (await client.ask("GET", ME, client.refresh_token)).status_code == 401
    assert (await client.ask("POST", LOGOUT)).json() == {"message": "Logged out"}
    assert (await client.ask("GET", ME)).status_code == 401
    assert (await client.ask("POST", REFRESH, refresh_token=client.refresh_token)).status_code == 401


async def test_a_refresh_takes_the_place_of_what_was_before(client: Client) -> None:
    await client.log_in("admin")
    before = client.token, client.refresh_token
    client.keep(await client.ask("POST", REFRESH, "", refresh_token=client.refresh_token))
    assert (await client.ask("GET", ME)).status_code == 200
    assert (await client.ask("GET", ME, before[0])).status_code == 401
    assert (await client.ask("POST", REFRESH, "", refresh_token=before[1])).status_code == 401
    assert (await client.ask("POST", REFRESH, "", refresh_token=client.token)).status_code == 401


async def test_tokens_end_with_the_session_and_the_password(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await client.log_in("owner")
    db = client.administration.database
    (account,) = await accounts.list_all(db)
    (session,) = await login_sessions.list_of(db, account.id, at=clock.now())
    assert client.token.encode() not in session.token_hash
    await login_sessions.end_all(db, account.id)
    assert (await client.ask("GET", ME)).json()["code"] == "unknown_token"
    client.keep(await client.ask("POST", LOGIN, email=account.email, password=PASSWORD))
    await accounts.set_password(db, account, "another password", actor="test", at=clock.now())
    assert (await client.ask("GET", ME)).status_code == 401
    client.keep(await client.ask("POST", LOGIN, email=account.email, password="another password"))
    later = clock.now() + 31 * DAY
    monkeypatch.setattr(clock, "now", lambda: later)
    assert (await client.ask("GET", ME)).status_code == 401


async def test_wrong_passwords_are_slowed_down(client: Client) -> None:
    account = await client.administration.account("owner")
    answers = [await client.ask("POST", LOGIN, email=account.email, password="wrong") for _ in range(7)]
    assert {answer.status_code for answer in answers} == {401, 429}
    assert answers[0].json()["code"] == "wrong_credentials"
    assert (answers[-1].json()["code"], int(answers[-1].headers["retry-after"]) > 0) == ("too_many_attempts", True)
    assert (await client.ask("POST", LOGIN, email="nobody@example.com", password="wrong")).status_code == 401


@pytest.mark.parametrize("body", [b"", b"[]", b'{"email": "a"}', b'{"email": 1, "password": "x"}'])
async def test_what_is_no_login(client: Client, body: bytes) -> None:
    assert (await client.http.post(LOGIN, content=body)).status_code == 422


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer " + "x" * 5000, "Bearer at_\xe9"])
async def test_what_is_no_token(client: Client, value: str) -> None:
    answer = await client.http.get(ME, headers={"authorization": value.encode("latin-1")} if value else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"]


# ---------------------------------------------------------------- projects


async def test_a_project_is_made_changed_and_deleted(client: Client) -> None:
    await client.log_in("owner")
    made = await client.ask("POST", PROJECTS, name="Shop", domain="shop.example.com")
    assert made.status_code == 201
    project = made.json()
    assert list(project) == ["id", "name", "api_key", "api_key_prefix", "domain", "created_at", "updated_at"]
    assert (project["name"], project["domain"]) == ("Shop", "shop.example.com")
    assert project["api_key"].startswith(project["api_key_prefix"])
    assert project["created_at"] == project["updated_at"]
    one = f"{PROJECTS}{project['id']}"
    assert (await client.ask("GET", one)).json() == project
    assert (await client.ask("GET", PROJECTS.rstrip("/"))).json() == [project]

    changed = (await client.ask("PATCH", one, name="Store")).json()
    assert (changed["name"], changed["domain"], changed["api_key"]) == ("Store", "shop.example.com", project["api_key"])
    assert changed["updated_at"] > changed["created_at"]
    assert (await client.ask("PATCH", one, domain="www.store.example.com")).json()["domain"] == "store.example.com"

    rotated = (await client.ask("POST", f"{one}/rotate-key")).json()
    assert rotated["api_key"] not in (None, project["api_key"])
    db = client.administration.database
    old = await keys.by_token(db, project["api_key"])
    assert old is not None
    assert not old.holds(clock.now() + 1)

    gone = await client.ask("DELETE", one)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await client.ask("GET", one)).status_code == 404
    assert (await client.ask("GET", PROJECTS)).json() == []


async def test_a_project_without_a_domain_and_with_several(client: Client) -> None:
    await client.log_in("admin")
    alone = (await client.ask("POST", PROJECTS, name="Alone")).json()
    assert alone["domain"] is None
    made = await client.administration.project("a.example.com", domains=["a.example.com", "b.example.com"])
    changed = await client.ask("PATCH", f"{PROJECTS}{made.project.public_id}", domain="c.example.com")
    assert changed.json()["domain"] == "c.example.com"
    found = await projects.by_public_id(client.administration.database, made.project.public_id)
    assert found is not None
    assert found.domains == ("c.example.com", "b.example.com")


async def test_what_is_no_project(client: Client) -> None:
    await client.log_in("admin")
    await client.administration.project("taken.example.com")
    for body, field in (({"name": ""}, "name"), ({"name": "x", "domain": "taken.example.com"}, "domains")):
        answer = await client.ask("POST", PROJECTS, **body)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert (await client.ask("POST", PROJECTS, domain="x.example.com")).status_code == 422
    assert (await client.ask("GET", f"{PROJECTS}nothing")).status_code == 404


async def test_who_may_what(client: Client) -> None:
    made = await client.administration.project(private_key=True)
    hidden = await client.administration.project("hidden.example.com")
    one = f"{PROJECTS}{made.project.public_id}"
    await client.log_in("viewer")
    (viewer,) = await accounts.list_all(client.administration.database)
    await set_memberships(client.administration.database, viewer, {made.project.id: "viewer"})
    assert [each["id"] for each in (await client.ask("GET", PROJECTS)).json()] == [made.project.public_id]
    assert (await client.ask("GET", f"{PROJECTS}{hidden.project.public_id}")).status_code == 404
    assert (await client.ask("GET", one)).status_code == 200
    for method, path in (("POST", PROJECTS), ("PATCH", one), ("DELETE", one), ("POST", f"{one}/rotate-key")):
        assert (await client.ask(method, path, name="x")).status_code == 403
        assert (await client.ask(method, path, "at_wrong", name="x")).status_code == 401

    key = made.private_key
    assert (await client.ask("GET", one, key)).status_code == 200
    assert (await client.ask("PATCH", one, key, name="Renamed")).json()["name"] == "Renamed"
    assert (await client.ask("DELETE", one, key)).status_code == 403
    assert (await client.ask("GET", f"{PROJECTS}{hidden.project.public_id}", key)).status_code == 404
    assert (await client.ask("GET", one, made.public_key.token)).status_code == 403
    assert (await client.ask("GET", PROJECTS, key)).status_code == 401
