"""What a member has: sites of their own, and of the rest of the appliance nothing, not even that it is there."""

import re
from collections.abc import AsyncIterator

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from appliance import clock
from appliance.storage import accounts, audit, projects
from appliance.storage.projects import NewProject
from appliance.web.api import streams
from tests.memberships import set_memberships
from tests.running import Running, started
from tests.web.administration import PASSWORD
from tests.web.every_route import filled, routes

HIDDEN = "hidden.example"


class Member:
    """Somebody with an account of this role, logged in by cookie and by token."""

    def __init__(self, running: Running, role: str, token: str, http: AsyncClient) -> None:
        self.running, self.role, self.http = running, role, http
        self.bearer = {"authorization": f"Bearer {token}"}

    async def page(self, method: str, path: str, **fields: str) -> Response:
        # As through a proxy that is not believed, of which admins are told.
        headers = {"sec-fetch-site": "same-origin", "accept": "text/html", "x-forwarded-for": "192.0.2.1"}
        return await self.http.request(method, path, data=fields or None, headers=headers)

    async def ask(self, method: str, path: str, body: object = None) -> Response:
        return await self.http.request(method, path, json=body, headers=self.bearer)


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with started(tmp_path_factory.mktemp("members"), open_registration=True) as joined:
        yield joined


@pytest.fixture(scope="module")
async def hidden(running: Running) -> NewProject:
    """A site that is somebody else's."""
    return await projects.create(
        running.appliance.database, name="Hidden", domains=[HIDDEN], private_key=True, actor="test", at=clock.now()
    )


async def joined(running: Running, role: str) -> Member:
    name = f"{role}{len(await accounts.list_all(running.appliance.database))}@example.com"
    await accounts.create(
        running.appliance.database, email=name, password=PASSWORD, role=role, actor="test", at=clock.now()
    )
    transport = ASGITransport(running.appliance.endpoint, client=("198.51.100.7", 5))
    http = AsyncClient(transport=transport, base_url="http://appliance.test")
    sent = {"email": name, "password": PASSWORD}
    token = (await http.post("/api/v1/auth/login", json=sent)).json()["access_token"]
    assert (await http.post("/login", data=sent)).status_code == 303
    return Member(running, role, token, http)


@pytest.fixture(scope="module")
async def owner(running: Running) -> Member:
    return await joined(running, "owner")


@pytest.fixture(scope="module")
async def nobody(running: Running, owner: Member) -> Member:
    """A member of nothing."""
    return await joined(running, "member")


# ---------------------------------------------------------------- every route


async def test_no_route_tells_a_member_of_the_sites_of_others(
    running: Running, hidden: NewProject, nobody: Member
) -> None:
    walked = 0
    for method, path in routes(running):
        if "{site}" not in path and "{project}" not in path:
            continue
        for site in (hidden.project.public_id, HIDDEN):
            walked += 1
            there, nowhere = filled(path, site), filled(path, "nowhere.example")
            as_page, as_program = await nobody.page(method, there), await nobody.ask(method, there)
            assert 404 in (as_page.status_code, as_program.status_code), (method, path)
            for answer, other in (
                (as_page, await nobody.page(method, nowhere)),
                (as_program, await nobody.ask(method, nowhere)),
            ):
                assert answer.status_code in (401, 404), (method, path, answer.status_code)
                assert answer.status_code == other.status_code
                assert without_names(answer, site) == without_names(other, "nowhere.example"), (method, path)
    assert walked > 150


def without_names(answer: Response, site: str) -> str:
    """What an answer says but for what was asked for, and the number of the request."""
    return answer.text.replace(site, "").replace(answer.headers["x-request-id"], "")


async def test_the_walk_is_about_something(running: Running, hidden: NewProject, owner: Member) -> None:
    """An owner is answered where a member is told that there is nothing."""
    paths = {path for method, path in routes(running) if method == "GET" and path.endswith(("{site}", "{project}"))}
    paths |= {f"/sites/{{site}}/{page}" for page in ("live", "settings", "settings/keys", "settings/goals", "events")}
    for path in paths - {streams.PATH}:  # which answers, and goes on
        there = filled(path, hidden.project.public_id)
        answers = [await owner.page("GET", there), await owner.ask("GET", there)]
        assert 200 in [answer.status_code for answer in answers], path


# Where a member of nothing is answered, in whatever way: nothing there is of one site or of the whole appliance.
OPEN = {
    "/", "/sites", "/sites/new", "/account", "/login", "/logout", "/account/sign-out", "/register", "/setup",
    "/health", "/healthz", "/api/health", "/readyz",
    "/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout", "/api/v1/auth/me",
    "/api/v1/auth/ws-ticket", "/api/v1/projects",
}  # fmt: skip


async def test_every_other_route_is_open_to_all_or_closed_to_members(
    running: Running, hidden: NewProject, nobody: Member
) -> None:
    walked = 0
    for method, path in routes(running):
        if "{site}" in path or "{project}" in path or path.rstrip("/") in OPEN or path in OPEN:
            continue
        if path.startswith("/static") or path.endswith((".js", "favicon.ico", "robots.txt")):
            continue
        walked += 1
        for answer in (await nobody.page(method, filled(path, "")), await nobody.ask(method, filled(path, ""))):
            assert answer.status_code in (401, 403, 404), (method, path, answer.status_code)
            assert HIDDEN not in answer.text
            assert hidden.project.public_id not in answer.text
    assert walked > 50


@pytest.mark.parametrize("path", ["/sites", "/sites/new", "/account", "/setup", "/register"])
async def test_pages_of_all_name_no_site_of_others(hidden: NewProject, nobody: Member, path: str) -> None:
    answer = await nobody.page("GET", path)
    assert answer.status_code in (200, 303)
    for told in (HIDDEN, "Hidden", hidden.project.public_id, "/sites/example.com", "/admin"):
        assert told not in answer.text
    assert (await nobody.page("GET", "/")).headers["location"] == "/sites"


async def test_the_set_up_of_the_appliance_is_not_for_members(nobody: Member) -> None:
    for method in ("GET", "POST"):
        assert (await nobody.page(method, "/setup/site", domain="mine.example")).status_code == 403


# ---------------------------------------------------------------- sites of their own


async def test_a_member_owns_what_they_make_on_the_pages(running: Running, hidden: NewProject, owner: Member) -> None:
    bob = await joined(running, "member")
    fields = {"name": "Blog", "domains": "blog.example", "timezone": "UTC", "currency": "EUR"}
    made = await bob.page("POST", "/sites/new", **fields)
    assert made.headers["location"] == "/sites/blog.example/install"
    for page in ("", "/install", "/live", "/live/requests", "/settings", "/settings/keys", "/settings/filters"):
        answer = await bob.page("GET", f"/sites/blog.example{page}")
        assert answer.status_code == 200, page
        assert HIDDEN not in answer.text
        assert 'href="/admin' not in answer.text, page
    goal = {"kind": "event", "pattern": "signup", "name": "Signup"}
    assert (await bob.page("POST", "/sites/blog.example/settings/goals", **goal)).status_code == 303
    assert (await bob.page("POST", "/sites/blog.example/settings/keys/rotate")).status_code == 303
    changed = await bob.page("POST", "/sites/blog.example/settings", **fields | {"domains": HIDDEN})
    assert changed.status_code == 422
    assert "Hidden" not in changed.text

    other = await joined(running, "member")
    assert (await other.page("GET", "/sites/blog.example")).status_code == 404
    assert 'href="/admin/address' in (await owner.page("GET", "/sites/blog.example/install")).text

    gone = await bob.page("POST", "/sites/blog.example/settings/delete", confirm="blog.example")
    assert gone.headers["location"] == "/sites"
    back = re.search(r'action="(/sites/[0-9a-f-]{36}/restore)"', (await bob.page("GET", "/sites")).text)
    assert back is not None
    assert (await other.page("POST", back[1])).status_code == 404
    assert (await bob.page("POST", back[1])).headers["location"] == "/sites/blog.example"


async def test_a_member_owns_what_they_make_as_a_program(running: Running, hidden: NewProject) -> None:
    bob, other = await joined(running, "member"), await joined(running, "member")
    assert (await bob.ask("GET", "/api/v1/projects/")).json() == []
    made = await bob.ask("POST", "/api/v1/projects/", {"name": "App", "domain": "app.example"})
    assert made.status_code == 201
    one = f"/api/v1/projects/{made.json()['id']}"
    assert (await bob.ask("GET", "/api/v1/projects/")).json() == [made.json()]
    assert (await other.ask("GET", "/api/v1/projects/")).json() == []
    overview = f"/api/v1/analytics/{made.json()['id']}/overview"
    assert (await bob.ask("GET", overview)).status_code == 200
    for method, path in (
        ("GET", one),
        ("PATCH", one),
        ("DELETE", one),
        ("POST", f"{one}/rotate-key"),
        ("GET", overview),
    ):
        assert (await other.ask(method, path, {"name": "Mine"} if method == "PATCH" else None)).status_code == 404
    assert (await bob.ask("PATCH", one, {"name": "Apps"})).json()["name"] == "Apps"
    assert (await bob.ask("POST", f"{one}/rotate-key")).status_code == 200
    entry = (await audit.recent(running.appliance.database, limit=1))[0]
    assert entry.actor.startswith("member")
    assert (await bob.ask("DELETE", one)).status_code == 204
    assert (await bob.ask("GET", "/api/v1/projects/")).json() == []


async def test_a_membership_gives_a_member_the_role_that_it_names(running: Running, owner: Member) -> None:
    bob, database = await joined(running, "member"), running.appliance.database
    shop = await projects.create(database, name="Shop", domains=["shop.example"], actor="test", at=clock.now())
    account = (await accounts.list_all(database))[-1]
    seen = []
    for role in ("viewer", "admin", "owner"):
        await set_memberships(database, account, {shop.project.id: role})
        pages = [("GET", ""), ("GET", "/settings"), ("POST", "/settings/delete")]
        seen.append([(await bob.page(m, f"/sites/shop.example{p}", confirm="no")).status_code for m, p in pages])
        assert (await bob.page("GET", "/")).headers["location"] == "/sites/shop.example"
    assert seen == [[200, 403, 403], [200, 200, 403], [200, 200, 422]]


async def test_who_was_a_member_and_is_an_admin_sees_all(running: Running, hidden: NewProject) -> None:
    bob, database = await joined(running, "member"), running.appliance.database
    for role, status in (("member", 404), ("admin", 200), ("member", 404)):
        account = (await accounts.list_all(database))[-1]
        await accounts.set_role(database, account, role, actor="test", at=clock.now())
        assert (await bob.page("GET", f"/sites/{HIDDEN}")).status_code == status


@pytest.mark.parametrize("path", ["/metrics", "/events/queue/status"])
async def test_figures_of_the_whole_appliance_are_not_for_keys_of_a_members_site(
    running: Running, hidden: NewProject, path: str
) -> None:
    database = running.appliance.database
    await joined(running, "member")
    account = (await accounts.list_all(database))[-1]
    made = await projects.create(
        database, name=path, private_key=True, owner_id=account.id, actor="test", at=clock.now()
    )
    of_member, of_admins = ({"x-api-key": each.private_key or ""} for each in (made, hidden))
    refused = await running.http.get(path, headers=of_member)
    assert refused.status_code == 403
    assert "not for the keys of this site" in refused.text
    assert (await running.http.get(path, headers=of_admins)).status_code == 200
    own = await running.http.get("/stats/top-events?from=2026-01-01&to=2026-01-02", headers=of_member)
    assert own.status_code == 200
