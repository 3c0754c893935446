"""A dashboard in a real browser: parts that swap alone and what their links then say, dialogs, keys, going back."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from tests.process import Server
from tests.tracker.conftest import browser, chromium_path, playwright  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser

ANN = {"admin_email": "ann@example.com", "admin_password": "correct horse battery staple"}
PAGES = ("/", "/pricing", "/docs/install", "/blog/first")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An appliance with a site that has had three visits a day for 60 days."""
    with Server(tmp_path_factory.mktemp("served") / "data", **ANN) as started:
        project = started.project()
        noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        events = [
            {
                "event": "pageview",
                "user_id": f"{day}-{visit}",
                "url": f"https://example.com{PAGES[(day + visit) % 4]}",
                "referrer": "https://news.ycombinator.com/" if visit else "",
                "timestamp": (noon - timedelta(days=day, minutes=visit)).isoformat(),
                "user_agent": AGENTS[visit % 2],
            }
            for day in range(1, 61)
            for visit in range(3)
        ]
        status, answer = started.ingest(project["public_key"], {"events": events})
        assert (status, answer["accepted"]) == (202, 180), answer
        assert started.wait_until_stored(180) == 180
        yield started


@pytest.fixture
async def page(server: Server, browser: Browser) -> AsyncIterator[Page]:  # noqa: F811
    """The dashboard. Nothing may be written to the console."""
    context = await browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 900})
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text))
    context.on("weberror", lambda error: said.append(str(error.error)))
    page = await context.new_page()
    await page.goto("/login")
    await page.get_by_label("E-mail").fill(ANN["admin_email"])
    await page.get_by_label("Password").fill(ANN["admin_password"])
    await page.locator("form button.primary").click()
    await expect(page.locator(".kpi").first).to_contain_text("84")  # 28 days of 3
    await page.wait_for_load_state()
    yield page
    await context.close()
    assert said == []


async def test_what_was_chosen_in_one_part_stays_when_another_changes(page: Page) -> None:
    await page.click("#panel-sources [role=tab]:has-text('Channels')")
    await expect(page.locator("#panel-sources .rows")).to_contain_text("Social")
    await page.click(".kpi:has-text('Pageviews')")
    await expect(page).to_have_url(re.compile(r"\?metric=pageviews&sources=visit:channel$"))
    await expect(page.locator(".kpi[aria-pressed=true]")).to_contain_text("Pageviews")
    await page.keyboard.press("w")
    await expect(page).to_have_url(re.compile(r"\?period=7d&metric=pageviews&sources=visit:channel$"))
    await expect(page.locator(".kpi[aria-pressed=true]")).to_contain_text("21")
    await expect(page.locator("#panel-sources [aria-selected=true]")).to_have_text("Channels")
    await page.click("#panel-pages .row >> nth=0")
    await expect(page).to_have_url(re.compile(r"&f=is:event:page:\S+&metric=pageviews&sources=visit:channel$"))
    assert await page.locator("svg use[href*='metric=']").count() == 0, "drawings are no links"
    await page.fill(".period [name=from]", "2026-01-01", force=True)
    form = page.locator(".period form")
    assert await form.locator("[name=metric]").input_value() == "pageviews"
    await page.go_back()
    await expect(page).to_have_url(re.compile(r"\?period=7d&metric=pageviews&sources=visit:channel$"))
    await expect(page.locator(".chip")).to_have_count(0)


async def test_a_tick_of_the_stream_keeps_the_chosen_tabs_in_the_links(page: Page) -> None:
    await page.click("#panel-devices [role=tab]:has-text('OS')")
    await expect(page.locator("#panel-devices .rows")).to_contain_text("Linux")
    await page.keyboard.press("d")
    await expect(page.locator("#main-card")).to_have_attribute("data-tick", re.compile("devices=visit:os"))


async def test_details_keep_their_order_in_the_address(page: Page) -> None:
    await page.click("#panel-pages footer a")
    await page.wait_for_selector("#dialog[open] table")
    await page.click("#dialog thead a:has-text('Bounce')")
    await expect(page).to_have_url(re.compile(r"/details/event:page\?sort=bounce_rate&dir=desc$"))
    await page.fill("#details-search", "docs")
    await expect(page.locator("#dialog tbody tr")).to_have_count(1)
    await expect(page).to_have_url(re.compile("sort=bounce_rate.*search=docs$"))
    await page.click("#dialog [data-close]")
    await expect(page).to_have_url(re.compile("/sites/example.com$"))


async def test_a_filter_that_is_wrong_comes_back_in_its_dialog(page: Page) -> None:
    before = page.url
    await page.keyboard.press("i")
    await page.wait_for_selector("#dialog[open] input[name=text]")
    await page.click("#dialog label:has(input[value=matches])")
    await page.fill("#dialog input[name=text]", "(")
    await page.click("#dialog .primary")
    await expect(page.locator("#dialog[open] #filter-error .error")).to_be_visible()
    await expect(page.locator("#dash[aria-busy]")).to_have_count(0)
    await page.fill("#dialog input[name=text]", "/")
    await page.click("#dialog .primary")
    await expect(page.locator(".chip").first).to_be_visible()
    await expect(page.locator("#dialog[open]")).to_have_count(0)
    await page.go_back()
    await expect(page).to_have_url(before)


async def test_a_filter_takes_the_place_of_its_dialog_in_the_history(page: Page) -> None:
    await page.keyboard.press("i")
    await page.wait_for_selector("#dialog[open] input[name=text]")
    await page.keyboard.type("pric")
    await expect(page.locator("#filter-values label")).to_have_count(1)
    await page.keyboard.press("Enter")
    await expect(page.locator(".chip")).to_contain_text("Page is /pricing")
    await expect(page).to_have_url(re.compile(r"\?f=is:event:page:/pricing$"))
    await page.go_back()
    await expect(page).to_have_url(re.compile("/sites/example.com$"))
    await expect(page.locator(".kpi").first).to_contain_text("84")


async def test_it_works_without_a_script(server: Server, browser: Browser, page: Page) -> None:  # noqa: F811
    context = await browser.new_context(
        base_url=server.url, java_script_enabled=False, storage_state=await page.context.storage_state()
    )
    plain = await context.new_page()
    await plain.goto("/sites/example.com")
    await plain.click("#panel-devices [role=tab]:has-text('OS')")
    await plain.click(".kpi:has-text('Bounce rate')")
    await plain.click(".period summary")
    await plain.click(".period .item:has-text('Last 7 days')")
    await expect(plain).to_have_url(re.compile(r"\?period=7d&metric=bounce_rate&devices=visit:os$"))
    await plain.click(".chips a:has-text('Filter')")
    await plain.select_option("#filter-dimension", "visit:os")
    await plain.click("button:has-text('Show values')")
    await plain.check("label:has-text('Windows') input")
    await plain.click("button:has-text('Apply filter')")
    filtered = re.compile(r"\?period=7d&f=is:visit:os:Windows&metric=bounce_rate&devices=visit:os$")
    await expect(plain).to_have_url(filtered)
    await plain.click("#panel-sources footer a")
    await expect(plain.locator("#details-table tbody tr")).to_have_count(1)
    await plain.click("text=Back to the dashboard")
    await expect(plain.locator(".chip")).to_have_text("Operating system is Windows")
    await context.close()
