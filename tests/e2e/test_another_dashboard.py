"""System C's dashboard as it was: pages on an origin of their own, which ask with `fetch` in a real browser."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from playwright.async_api import Browser, Error, Page, expect

from tests.process import Server
from tests.tracker.conftest import browser, chromium_path, playwright  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser

ADA = {"email": "ada@example.com", "password": "correct horse battery"}
ASK = """async ([path, method, token, body]) => {
  const headers = body ? {"Content-Type": "application/json"} : {};
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(appliance + path, {method, headers, body});
  return [answer.status, await answer.text()];
}"""


class Sites(NamedTuple):
    """The appliance, the origin that it lists, and one that it does not."""

    appliance: Server
    listed: str
    other: str


class Empty(http.server.BaseHTTPRequestHandler):
    """A page without anything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,><title>Dashboard</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    dashboards = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) for _ in range(2)]
    for dashboard in dashboards:
        threading.Thread(target=dashboard.serve_forever, daemon=True).start()
    listed, other = (f"http://localhost:{dashboard.server_address[1]}" for dashboard in dashboards)
    operator = {"admin_email": "owner@example.com", "admin_password": "correct horse battery"}
    folder = tmp_path_factory.mktemp("another") / "data"
    with Server(folder, open_registration="true", read_origins=listed, **operator) as started:
        yield Sites(started, listed, other)
    for dashboard in dashboards:
        dashboard.shutdown()
        dashboard.server_close()


async def opened(browser: Browser, sites: Sites, origin: str) -> Page:  # noqa: F811
    """A page of that origin, in a browser that has no cookie."""
    page = await (await browser.new_context()).new_page()
    await page.goto(f"{origin}/")
    await page.evaluate("(url) => { window.appliance = url; }", sites.appliance.url)
    return page


async def ask(page: Page, method: str, path: str, token: str = "", body: Any = None) -> tuple[int, Any]:
    sent = [path, method, token, json.dumps(body) if body is not None else None]
    status, text = await page.evaluate(ASK, sent)
    return status, json.loads(text) if text else None


async def test_from_an_account_to_figures(sites: Sites, browser: Browser) -> None:  # noqa: F811
    page = await opened(browser, sites, sites.listed)
    status, account = await ask(page, "POST", "/api/v1/auth/register", body=ADA | {"full_name": "Ada"})
    assert (status, account["role"]) == (201, "member")
    assert (await ask(page, "POST", "/api/v1/auth/register", body=ADA))[0] == 422
    token = (await ask(page, "POST", "/api/v1/auth/login", body=ADA))[1]["access_token"]
    assert (await ask(page, "GET", "/api/v1/auth/me", token)) == (200, account)
    assert (await ask(page, "GET", "/api/v1/auth/me", "at_wrong"))[0] == 401
    body = {"name": "App", "domain": "app.example.com"}
    status, project = await ask(page, "POST", "/api/v1/projects/", token, body)
    assert status == 201
    one = f"/api/v1/projects/{project['id']}"
    assert (await ask(page, "PATCH", one, token, {"name": "Apps"}))[1]["name"] == "Apps"
    status, overview = await ask(page, "GET", f"/api/v1/analytics/{project['id']}/overview", token)
    assert (status, overview["total_events"]) == (200, 0)
    assert (await ask(page, "DELETE", one, token)) == (204, None)
    await page.context.close()


@pytest.mark.parametrize(("whose", "path"), [("other", "/api/v1/auth/login"), ("listed", "/login")])
async def test_no_other_origin_and_no_other_path(
    sites: Sites,
    browser: Browser,  # noqa: F811
    whose: str,
    path: str,
) -> None:
    page = await opened(browser, sites, getattr(sites, whose))
    with pytest.raises(Error, match="Failed to fetch"):
        await ask(page, "POST", path, body=ADA)
    await page.context.close()


async def test_somebody_registers_on_the_page(sites: Sites, browser: Browser) -> None:  # noqa: F811
    page = await (await browser.new_context()).new_page()
    await page.goto(f"{sites.appliance.url}/login")
    await page.get_by_role("link", name="Create an account").click()
    await page.get_by_label("Your name").fill("Bob")
    await page.get_by_label("E-mail").fill("bob@example.com")
    await page.get_by_label("Password").fill("bobs long password")
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("heading", name="No sites yet")).to_be_visible()
    await page.get_by_role("link", name="Add a site").click()
    await page.get_by_label("Name").fill("Blog")
    await page.get_by_label("Domains").fill("blog.example.com")
    await page.locator("form button.primary").click()
    await expect(page).to_have_url(f"{sites.appliance.url}/sites/blog.example.com/install")
    await page.context.close()
