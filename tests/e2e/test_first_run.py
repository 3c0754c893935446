"""From an empty folder to a live dashboard, as a newcomer does it: set up, paste the snippet, see the visit appear."""

import asyncio
import http.server
import re
import threading
from collections.abc import AsyncIterator, Iterator
from html import unescape
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from tests.process import Server
from tests.tracker import chromium
from tests.tracker.conftest import browser, chromium_path, playwright  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"


class Site:
    """Somebody's website: a folder served as it is. Its own origin, as in life."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    served = Site(folder)
    yield served
    served.server.shutdown()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data") as started:
        yield started


@pytest.fixture
async def operator(browser: Browser) -> AsyncIterator[BrowserContext]:  # noqa: F811
    """Who runs the appliance. No page may log a word to the console under the strict policy."""
    context = await browser.new_context(timezone_id="Europe/Berlin", locale="en-GB")
    said: list[str] = []
    context.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    context.on("weberror", lambda error: said.append(str(error.error)))
    yield context
    await context.close()
    assert said == []


async def set_up(server: Server, page: Page) -> str:
    """The first-run pages, from the address that was printed to the snippet; the snippet."""
    printed = re.search(r"(http\S+/setup\?token=\S+)", server.log.read_text())
    assert printed is not None
    await page.goto(server.url)
    assert "/setup" in page.url, "with no account every page leads to the set-up"
    await page.goto(printed[1])
    await page.get_by_label("Your name").fill("Ann")
    await page.get_by_label("E-mail").fill("ann@example.com")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.locator("form button.primary").click()
    await page.get_by_label("Domain").fill("example.com")
    await expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")
    await page.locator("form button.primary").click()
    await expect(page.locator("#waiting")).to_have_attribute("data-received", "false")
    snippet = await page.locator("#snippet-html").text_content()
    assert snippet is not None
    return unescape(snippet).strip()


async def test_from_an_empty_folder_to_a_live_dashboard(
    server: Server,
    site: Site,
    operator: BrowserContext,
    browser: Browser,  # noqa: F811
) -> None:
    page = await operator.new_page()
    snippet = await set_up(server, page)
    assert re.fullmatch(rf'<script defer data-key="sa_\w+" src="{server.url}/script.js"></script>', snippet)
    live = await operator.new_page()
    await live.goto(f"{server.url}/sites/example.com/live")
    await expect(live.locator("[data-live]").first).to_have_text("0")

    (site.folder / "index.html").write_text(f"<!doctype html><title>Hello</title>{snippet}<h1>Hello</h1>")
    visitor = await chromium.visitor(browser)
    visit = await visitor.new_page()
    await visit.goto(f"{site.url}/index.html?utm_source=newsletter&utm_medium=email")

    # Neither page is touched: the install page turns by itself, the live page shows the visit by itself.
    await expect(page.locator("#waiting")).to_have_attribute("data-received", "true", timeout=10_000)
    row = live.locator("#feed li").first
    await expect(row).to_contain_text("/index.html", timeout=10_000)
    await expect(row).to_contain_text("Chrome")
    await expect(row.locator("svg.flag")).to_have_attribute("aria-label", "Germany")
    await expect(live.locator(".live-count [data-live]")).to_have_text("1")

    await page.goto(f"{server.url}/sites/example.com")
    kpis = page.locator(".kpis")
    await expect(kpis).to_contain_text("Visitors")
    await expect(page.locator("#panel-sources")).to_contain_text("newsletter", ignore_case=True)
    await expect(page.locator("#panel-pages")).to_contain_text("/index.html")
    await expect(page.locator("#panel-devices")).to_contain_text("Chrome")
    await page.goto(f"{server.url}/sites/example.com?locations=visit:country")
    await expect(page.locator("#panel-locations")).to_contain_text("Germany")
    await visitor.close()


async def test_logging_out_and_in_again(server: Server, operator: BrowserContext) -> None:
    page = await operator.new_page()
    await set_up(server, page)
    await operator.clear_cookies()
    await page.goto(f"{server.url}/sites/example.com/live")
    assert "/login" in page.url
    await page.get_by_label("E-mail").fill("ann@example.com")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.locator("form button.primary").click()
    await expect(page).to_have_url(f"{server.url}/sites/example.com/live")


def public_key(snippet: str) -> str:
    key = re.search(r"sa_\w+", snippet)
    assert key is not None
    return key[0]


async def test_a_refused_event_shows_in_the_feed_with_its_reason(server: Server, operator: BrowserContext) -> None:
    page = await operator.new_page()
    key = public_key(await set_up(server, page))
    await page.goto(f"{server.url}/sites/example.com/live", wait_until="commit")
    server.ingest(key, {"event": "pageview", "url": "https://example.com/robot", "automation": True})
    row = page.locator("#feed li.refused").first
    await expect(row).to_contain_text("/robot", timeout=10_000)
    await expect(page.locator("[data-state-on]")).to_be_visible()


async def test_a_stream_tells_what_was_missed(server: Server, operator: BrowserContext) -> None:
    page = await operator.new_page()
    key = public_key(await set_up(server, page))
    connect = asyncio.Event()

    async def late(route: Route) -> None:
        await connect.wait()
        await route.continue_()

    await page.route("**/stream?*", late)
    await page.goto(f"{server.url}/sites/example.com/live")
    await expect(page.locator("[data-state-off]")).to_be_visible()
    event = {"event": "pageview", "automation": True}
    server.ingest(key, event | {"url": "https://example.com/before-it-listened"})
    connect.set()
    rows = page.locator("#feed li")
    await expect(rows).to_contain_text(["/before-it-listened"], timeout=10_000)
    await page.unroute("**/stream?*")

    await chromium.set_hidden(page, True)
    await expect(page.locator("[data-state-off]")).to_be_visible()
    server.ingest(key, event | {"url": "https://example.com/while-hidden"})
    await chromium.set_hidden(page, False)
    await expect(rows).to_contain_text(["/while-hidden", "/before-it-listened"], timeout=10_000)

    stream = f"{server.url}/sites/example.com/stream"
    read = """async ([stream, id, last]) => {
        const reader = (await fetch(stream, { headers: { "Last-Event-ID": id } })).body.getReader();
        const decoder = new TextDecoder();
        let text = "";
        while (!text.includes(last)) text += decoder.decode((await reader.read()).value);
        reader.cancel();
        return text;
    }"""
    told = await page.evaluate(read, [stream, "0", "event: feed"])
    assert "/before-it-listened" in told, "as a browser asks that connects again by itself"
    server.ingest(key, {"event": "pageview", "url": "https://example.com/stored"})
    without = await page.evaluate(read, [f"{stream}?only=none", "0", "event: tick"])
    assert "event: feed" not in without, "for pages that show none"
    wrong = await operator.request.get(f"{stream}?after=x")
    assert (wrong.status, (await wrong.text()).count("after: not a position in this stream")) == (400, 1)


async def test_a_stream_ends_soon_after_its_session(server: Server, operator: BrowserContext) -> None:
    page = await operator.new_page()
    await set_up(server, page)
    await page.close()  # its own stream would ask again and be refused
    other = await operator.new_page()
    await other.goto(f"{server.url}/sites")
    opened = await other.evaluate_handle(
        """() => new Promise(resolve => {
            const source = new EventSource('/sites/example.com/stream');
            source.onopen = () => resolve(source);
        })"""
    )
    server.cli("user", "passwd", "ann@example.com", "--password", PASSWORD + "!")
    await other.wait_for_function("source => source.readyState !== EventSource.OPEN", arg=opened, timeout=8_000)
