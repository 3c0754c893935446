"""Filtering as an operator meets it: a rule, what it left out, letting it in, and requests as they come."""

import asyncio

import pytest
from playwright.async_api import BrowserContext, expect

from tests.e2e.test_first_run import operator, public_key, server, set_up  # noqa: F401 - fixtures
from tests.process import Server
from tests.tracker.conftest import browser, chromium_path, playwright  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser


async def test_a_rule_leaves_out_and_what_it_left_out_is_let_in(
    server: Server,  # noqa: F811
    operator: BrowserContext,  # noqa: F811
) -> None:
    page = await operator.new_page()
    page.on("dialog", lambda dialog: dialog.accept())
    key = public_key(await set_up(server, page))
    await page.goto(f"{server.url}/sites/example.com/live/requests")
    server.ingest(key, {"event": "pageview", "url": "https://example.com/"})
    newest = page.locator("#feed tr").first
    await expect(newest).to_contain_text("1 accepted", timeout=10_000)
    await expect(newest).to_contain_text("POST /api/v1/events/ingest")

    await page.goto(f"{server.url}/sites/example.com/settings/filters")
    await page.get_by_text("Page", exact=True).click()
    await page.get_by_label("What it is").fill("/admin/**")
    await page.get_by_role("button", name="Add rule").click()
    await expect(page.locator(".rules")).to_contain_text("/admin/**")

    await page.goto(f"{server.url}/sites/example.com/live/requests")
    await expect(page.locator("[data-state-on]")).to_be_visible()
    accepted = 1
    async with asyncio.timeout(10):
        while server.ingest(key, {"event": "pageview", "url": "https://example.com/admin/users"})[1]["accepted"]:
            accepted += 1  # the rule takes a moment
            await asyncio.sleep(0.1)
    await expect(newest).to_contain_text("1 filtered", timeout=10_000)
    await expect(newest).to_contain_text("Blocked path")

    await page.goto(f"{server.url}/sites/example.com/settings/filters")
    await page.get_by_role("button", name="Take back the rule /admin/**").click()
    await page.get_by_role("link", name="Let in 1").click()
    await page.get_by_role("button", name="Let in 1 event").click()
    await expect(page.locator(".toast")).to_contain_text("Let in: 1.")
    await expect(page.locator("tbody tr")).to_contain_text("Let in")
    assert server.wait_until_stored(accepted + 1) == accepted + 1
    await page.goto(f"{server.url}/sites/example.com/live")
    await expect(page.locator("#feed")).to_contain_text("/admin/users")


async def test_requests_that_name_no_site_are_on_the_system_page(
    server: Server,  # noqa: F811
    operator: BrowserContext,  # noqa: F811
) -> None:
    page = await operator.new_page()
    await set_up(server, page)
    await page.goto(f"{server.url}/admin/system")
    await page.get_by_role("link", name="Watch them as they come").click()
    await expect(page.locator("[data-state-on]")).to_be_visible()
    assert server.ingest("sa_nobody", {"event": "pageview"})[0] == 401
    await expect(page.locator("#feed tr")).to_contain_text("Unknown key", timeout=10_000)
