"""Goals and reports in a real browser: the filter over a report and the way back, rows of tabs on a phone, and
everything without a script."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.process import Server
from tests.tracker.conftest import browser, chromium_path, playwright  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser

ANN = {"admin_email": "ann@example.com", "admin_password": "correct horse battery staple"}
SITE = "/sites/example.com"
PERIOD = "period=28d"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An appliance with a site to which four known users came each day of a week; one of them ordered."""
    with Server(tmp_path_factory.mktemp("served") / "data", **ANN) as started:
        project = started.project()
        noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        events = [
            {
                "event": name,
                "user_id": f"user-{visitor}",
                "url": f"https://example.com{path}",
                "timestamp": (noon - timedelta(days=day) + timedelta(minutes=minute)).isoformat(),
                "language": "de-DE" if visitor % 2 else "en-US",
            }
            for day in range(1, 8)
            for visitor in range(4)
            for minute, (name, path) in enumerate((("pageview", "/"), ("pageview", "/pricing"), ("Order", "/pricing")))
            if name == "pageview" or visitor == 1
        ]
        status, answer = started.ingest(project["public_key"], {"events": events})
        assert (status, answer["accepted"]) == (202, len(events)), answer
        assert started.wait_until_stored(len(events)) == len(events)
        yield started


@pytest.fixture(scope="module")
async def signed_in(server: Server, browser: Browser) -> dict[str, Any]:  # noqa: F811
    """The cookies of who owns it."""
    context = await browser.new_context(base_url=server.url)
    page = await context.new_page()
    await page.goto("/login")
    await page.get_by_label("E-mail").fill(ANN["admin_email"])
    await page.get_by_label("Password").fill(ANN["admin_password"])
    await page.locator("form button.primary").click()
    await expect(page.locator(".kpi").first).to_be_visible()
    state: dict[str, Any] = dict(await context.storage_state())
    await context.close()
    return state


@pytest.fixture
async def opened(server: Server, browser: Browser, signed_in: dict[str, Any]) -> AsyncIterator[BrowserContext]:  # noqa: F811
    """Browsing on a desktop. Nothing may be written to the console."""
    context = await browser.new_context(
        base_url=server.url,
        viewport={"width": 1280, "height": 900},
        storage_state=signed_in,
    )
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text))
    context.on("weberror", lambda error: said.append(str(error.error)))
    yield context
    await context.close()
    assert said == []


async def test_a_report_is_filtered_in_a_dialog_and_back_leads_to_all(opened: BrowserContext) -> None:
    page = await opened.new_page()
    await page.goto(f"{SITE}/journeys?{PERIOD}&on=page&step=/pricing")
    await page.evaluate("window.same = true")
    await page.keyboard.press("i")
    await page.wait_for_selector("#dialog[open] input[name=text]")
    await page.select_option("#filter-dimension", "visit:language")
    await expect(page.locator("#filter-operators label")).to_have_text(["is", "is not"])
    await page.select_option("#filter-dimension", "event:page")
    await expect(page.locator("#filter-operators label")).to_have_count(6)
    await page.select_option("#filter-dimension", "visit:language")
    await expect(page.locator("#filter-values")).to_contain_text("German")
    await page.check("#filter-values label:has-text('German') input")
    await page.click("#dialog button.primary")
    await expect(page.locator(".chip")).to_have_text(re.compile("Language is German"))
    await expect(page).to_have_url(
        re.compile(r"/journeys\?period=28d&f=is:visit:language:de-DE&on=page&step=/pricing$")
    )
    await expect(page.locator("#dialog")).not_to_be_visible()
    assert await page.locator("main").count() == 1
    await page.go_back()
    await expect(page.locator(".chip")).to_have_count(0)
    await expect(page).to_have_url(re.compile(r"/journeys\?period=28d&on=page&step=/pricing$"))
    await page.click(".chips a:has-text('Filter')")
    await expect(page.locator("#dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(re.compile(r"/journeys\?period=28d&on=page&step=/pricing$"))
    assert await page.evaluate("window.same"), "the page was left"


async def test_after_going_back_the_dashboard_still_opens_its_dialogs(opened: BrowserContext) -> None:
    page = await opened.new_page()
    await page.goto(f"{SITE}?{PERIOD}&f=is:visit:language:de-DE")
    await page.click(".chip .remove")
    await expect(page.locator(".chip")).to_have_count(0)
    await page.go_back()
    await expect(page.locator(".chip")).to_have_count(1)
    await page.click(".chips a:has-text('Filter')")
    await expect(page.locator("#dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("Retention")
    await expect(page.locator("#palette [aria-selected=true]")).to_contain_text("Retention")


async def test_the_chosen_tab_is_in_sight_on_a_phone(
    server: Server,
    browser: Browser,  # noqa: F811
    signed_in: dict[str, Any],
) -> None:
    context = await browser.new_context(
        base_url=server.url,
        viewport={"width": 390, "height": 844},
        storage_state=signed_in,
    )
    page = await context.new_page()
    for report in ("events", "users", "retention"):
        await page.goto(f"{SITE}/{report}?{PERIOD}")
        assert await hangs_out(page, ".reports", "[aria-current]") is False
    await page.goto(f"{SITE}?{PERIOD}")
    assert await page.evaluate("scrollY") == 0
    await page.set_viewport_size({"width": 320, "height": 640})
    await page.locator("#panel-locations [role=tab]:has-text('Languages')").click()
    await expect(page.locator("#panel-locations .rows")).to_contain_text("German")
    assert await hangs_out(page, "#panel-locations .tabs", "[aria-selected=true]") is False
    await context.close()


async def hangs_out(page: Page, row: str, tab: str) -> bool:
    """Whether the tab is cut off by its row."""
    out: bool = await page.evaluate(
        """([row, tab]) => {
          const frame = document.querySelector(row), edge = frame.getBoundingClientRect();
          const at = frame.querySelector(tab).getBoundingClientRect();
          return at.left < edge.left - 1 || at.right > edge.right + 1;
        }""",
        [row, tab],
    )
    return out


async def test_goals_and_funnels_are_made_without_a_script(
    server: Server,
    browser: Browser,  # noqa: F811
    signed_in: dict[str, Any],
) -> None:
    context = await browser.new_context(base_url=server.url, java_script_enabled=False, storage_state=signed_in)
    page = await context.new_page()
    await page.goto(f"{SITE}/settings")
    await page.click(".side a:has-text('Goals')")
    await page.locator(".tile-choice:has-text('Page')").click()
    await page.fill("[name=pattern]", "pricing")
    await page.click("button:has-text('Create goal')")
    await expect(page.locator("#pattern-about")).to_contain_text("begins with /")
    await page.fill("[name=pattern]", "/pricing")
    await page.click("button:has-text('Create goal')")
    await expect(page.locator("#goals")).to_contain_text("Visit /pricing")
    await page.fill("[name=pattern]", "Order")
    await page.click("button:has-text('Create goal')")
    await page.goto(f"{SITE}?{PERIOD}")
    await page.click("#panel-events .row:has-text('Order')")
    await expect(page.locator(".chip")).to_contain_text("Goal is Order")
    await expect(page.locator(".kpi").first).to_contain_text("1")

    await page.click(".reports a:has-text('Funnels')")
    await page.click(".chip .remove")
    await page.locator("[name=step]:not([type=hidden])").nth(0).fill("/")
    await page.locator("[name=step]:not([type=hidden])").nth(1).fill("/pricing")
    await page.click("button:has-text('Show')")
    await expect(page.locator("#passage .row")).to_have_count(2)
    await page.click(".funnel-total summary")
    await page.fill("#name", "To the prices")
    await page.click("button:has-text('Save funnel')")
    await expect(page.locator(".saved-funnels [aria-current]")).to_have_text("To the prices")
    await page.click("button:has-text('Delete saved funnel')")
    await expect(page.locator(".saved-funnels")).to_have_count(0)
    await expect(page.locator("#passage .row")).to_have_count(2)
    async with page.expect_download() as download:
        await page.click("a[download]")
    assert (await download.value).suggested_filename.startswith("example.com-funnel-")
    await context.close()
