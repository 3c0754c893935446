"""Pages of other origins that ask what system C's dashboard asks."""

from collections.abc import AsyncIterator

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from appliance import clock
from appliance.storage import accounts
from tests.running import Running, started
from tests.web.administration import PASSWORD

ORIGIN, OTHER = "https://app.example.com", "https://evil.example"
BROWSER = {"origin": ORIGIN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
LOGIN = "/api/v1/auth/login"
ADA = {"email": "ada@example.com", "password": PASSWORD}


@pytest.fixture(scope="module")
async def listed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """An appliance that names an origin."""
    folder = tmp_path_factory.mktemp("origins")
    async with started(folder, read_origins=("http://localhost:3000", ORIGIN)) as joined:
        await accounts.create(joined.appliance.database, **ADA, actor="test", at=clock.now())
        yield joined


async def preflight(running: Running, path: str, origin: str = ORIGIN, method: str = "GET") -> Response:
    wanted = {"access-control-request-method": method, "access-control-request-headers": "authorization"}
    return await running.http.options(path, headers={"origin": origin, **wanted})


def allowed(answer: Response) -> str | None:
    assert "access-control-allow-credentials" not in answer.headers
    origin: str | None = answer.headers.get("access-control-allow-origin")
    return origin


COVERED = [
    LOGIN,
    "/api/v1/auth/me",
    "/api/v1/projects",
    "/api/v1/projects/",
    "/api/v1/projects/1/rotate-key",
    "/api/v1/analytics/1/overview",
    "/api/v1/live/1",
]


@pytest.mark.parametrize("path", COVERED)
async def test_a_pre_flight_is_answered_on_each_path(listed: Running, path: str) -> None:
    answer = await preflight(listed, path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert allowed(answer) == ORIGIN
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PATCH, DELETE, OPTIONS"
    assert answer.headers["access-control-allow-headers"] == "authorization, content-type"
    assert answer.headers["access-control-max-age"] == "86400"
    assert answer.headers["vary"].lower() == "origin"


@pytest.mark.parametrize(
    "origin",
    [
        OTHER,
        "null",
        "",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        f"{ORIGIN}:444",
        f"{ORIGIN}/",
    ],
)
async def test_another_origin_is_allowed_nothing(listed: Running, origin: str) -> None:
    answer = await preflight(listed, LOGIN, origin, "POST")
    assert answer.status_code == 405
    assert allowed(answer) is None
    assert "origin" in answer.headers["vary"].lower()  # a cache must not give it to who is allowed
    sent = await listed.http.post(LOGIN, json=ADA, headers=BROWSER | {"origin": origin})
    assert (sent.status_code, sent.json()["code"], allowed(sent)) == (403, "cross_site", None)


async def test_a_dashboard_elsewhere_logs_in_asks_and_changes(listed: Running) -> None:
    answer = await listed.http.post(LOGIN, json=ADA, headers=BROWSER)
    assert (answer.status_code, allowed(answer)) == (200, ORIGIN)
    assert "set-cookie" not in answer.headers
    bearer = BROWSER | {"authorization": f"Bearer {answer.json()['access_token']}"}
    made = await listed.http.post("/api/v1/projects/", json={"name": "App"}, headers=bearer)
    assert (made.status_code, allowed(made)) == (201, ORIGIN)
    one = f"/api/v1/projects/{made.json()['id']}"
    overview = await listed.http.get(f"/api/v1/analytics/{made.json()['id']}/overview", headers=bearer)
    assert (overview.status_code, allowed(overview), overview.headers["vary"]) == (200, ORIGIN, "Origin")
    assert "retry-after" in overview.headers["access-control-expose-headers"]
    assert (await listed.http.delete(one, headers=bearer)).status_code == 204


async def test_errors_can_be_read_too(listed: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        await listed.http.get("/api/v1/auth/me", headers=BROWSER),
        await listed.http.get("/api/v1/auth/me", headers=BROWSER | {"authorization": "Bearer at_wrong"}),
        await listed.http.post(LOGIN, content=b"{", headers=BROWSER),
        await listed.http.post("/api/v1/auth/register", json={}, headers=BROWSER),
        await listed.http.get("/api/v1/auth/nothing", headers=BROWSER),
        await listed.http.put(LOGIN, headers=BROWSER),
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 422, 403, 404, 405]

    async def crash(*_: object) -> None:
        raise RuntimeError("the secret of the stack")

    monkeypatch.setattr(listed.appliance.database, "read", crash)
    transport = ASGITransport(listed.appliance.endpoint, client=("203.0.113.7", 4711), raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://appliance.test") as http:
        answers.append(await http.post(LOGIN, json=ADA, headers=BROWSER))
    assert answers[-1].status_code == 500
    for answer in answers:
        assert allowed(answer) == ORIGIN
        assert answer.headers["vary"].lower() == "origin"


async def test_a_cookie_says_nothing_there(listed: Running) -> None:
    page = await listed.http.post("/login", data=ADA)
    assert page.status_code == 303
    assert (await listed.http.get("/account")).status_code == 200
    answer = await listed.http.get("/api/v1/auth/me", headers=BROWSER)
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_token")
    listed.http.cookies.clear()


async def test_a_private_key_stays_refused_in_a_browser(listed: Running) -> None:
    path = f"/api/v1/projects/{listed.project.public_id}"
    bearer = {"authorization": f"Bearer {listed.private}"}
    answer = await listed.http.get(path, headers=BROWSER | bearer)
    assert (answer.status_code, answer.json()["code"]) == (401, "private_key_from_browser")
    assert allowed(answer) == ORIGIN
    assert (await listed.http.get(path, headers=bearer)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/login", "/sites", "/api/v1/export", "/api/v1/verify", "/api/v1/projectsx"])
async def test_nothing_else_is_for_other_origins(listed: Running, path: str) -> None:
    answer = await listed.http.get(path, headers=BROWSER)
    assert allowed(answer) is None
    assert (await preflight(listed, path)).status_code == 404 or allowed(await preflight(listed, path)) is None
    sent = await listed.http.post("/login", data=ADA, headers=BROWSER)
    assert sent.status_code == 403


async def test_ingestion_answers_anybody_as_before(listed: Running) -> None:
    for origin in (ORIGIN, OTHER):
        answer = await preflight(listed, "/api/v1/events/ingest", origin, "POST")
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, origin)


@pytest.mark.parametrize("path", COVERED)
async def test_without_the_setting_nothing_is_different(running: Running, path: str) -> None:
    answer = await preflight(running, path)
    assert answer.status_code in (404, 405)
    assert allowed(answer) is None
    assert "vary" not in answer.headers
    sent = await running.http.post(LOGIN, json=ADA, headers=BROWSER)
    assert (sent.status_code, sent.json()["code"], allowed(sent)) == (403, "cross_site", None)
