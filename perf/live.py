"""Measures how soon a visit is seen: request received to row painted on the live page. `python -m perf.live`.

Half of the visits are a server's requests, half are pages with the tracker, opened in Chromium; the live page is open
in another tab. The clock starts when a request leaves its sender, a little before it is received, and stops in the
frame after the one that got the row.
"""

import argparse
import asyncio
import http.server
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from perf.figures import percentile, table
from perf.processes import DOMAIN, EMAIL, PASSWORD, Appliance

VISITS = 50
PAUSE_SECONDS = 0.35
ROW_SECONDS_MAX = 15
GOAL_MS = 500
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-blink-features=AutomationControlled", f"--user-agent={AGENT}")

# Notes when a text that begins with /visit/ was painted: the second frame after it came into the page.
WATCH = """() => {
  window.painted = {};
  new MutationObserver(() => {
    for (const [path] of document.body.innerText.matchAll(/\\/visit\\/\\w+/g)) {
      if (path in window.painted) continue;
      window.painted[path] = null;
      requestAnimationFrame(() => requestAnimationFrame(() => window.painted[path] = Date.now()));
    }
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m perf.live", description=__doc__)
    parser.add_argument("--visits", type=int, default=VISITS)
    options = parser.parse_args()
    with Appliance() as ours, _tracked_site(ours) as site:
        servers, browsers = asyncio.run(_measure(ours, site, options.visits))
    rows = [_row("server", servers), _row("browser with the tracker", browsers), _row("all", servers + browsers)]
    print(table(("visits by", "seen", "p50 ms", "p95 ms", "max ms", "goal p95"), rows))


def _row(name: str, taken: list[float]) -> tuple[str, ...]:
    figures = (percentile(taken, 50), percentile(taken, 95), max(taken, default=0))
    return (name, str(len(taken)), *(f"{figure:.0f}" for figure in figures), f"<= {GOAL_MS}")


async def _measure(ours: Appliance, site: str, visits: int) -> tuple[list[float], list[float]]:
    """Milliseconds from request to paint: of a server's requests, of a browser's."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("Chromium is missing; on Debian: sudo apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        live = await _open_live_page(browser, ours)
        servers = [
            await _seen(live, f"/visit/s{n}", await _by_server(ours, f"/visit/s{n}")) for n in range(visits // 2)
        ]
        context = await browser.new_context()
        browsers = [
            await _seen(live, f"/visit/b{n}", await _by_browser(context, site, f"/visit/b{n}"))
            for n in range(visits - visits // 2)
        ]
        await browser.close()
    return servers, browsers


async def _open_live_page(browser: Browser, ours: Appliance) -> Page:
    page = await browser.new_page()
    await page.goto(f"{ours.url}/login")
    await page.fill("input[name=email]", EMAIL)
    await page.fill("input[name=password]", PASSWORD)
    await page.press("input[name=password]", "Enter")
    await page.wait_for_url(lambda url: "/login" not in url)
    await page.goto(f"{ours.url}/sites/{DOMAIN}/live")
    await page.evaluate(WATCH)
    await asyncio.sleep(1)  # the stream is open by then
    return page


async def _by_server(ours: Appliance, path: str) -> float:
    """Send a page view; the time (ms since 1970) when it left."""
    event = {"event": "pageview", "url": f"https://{DOMAIN}{path}", "ip": "84.128.1.2", "user_agent": AGENT}
    at = time.time() * 1000
    await asyncio.to_thread(ours.send, event)
    return at


async def _by_browser(context: BrowserContext, site: str, path: str) -> float:
    """Open a page; the time when its tracker's request left."""
    page = await context.new_page()
    async with page.expect_response(lambda response: "/events/ingest" in response.url) as answered:
        await page.goto(site + path)
    at: float = (await answered.value).request.timing["startTime"]
    await page.close()
    return at


async def _seen(live: Page, path: str, at: float) -> float:
    await live.wait_for_function("path => window.painted[path]", arg=path, timeout=ROW_SECONDS_MAX * 1000)
    taken = await live.evaluate("path => window.painted[path]", path) - at
    await asyncio.sleep(PAUSE_SECONDS)
    return float(taken)


@contextmanager
def _tracked_site(ours: Appliance) -> Iterator[str]:
    """A site of one page, at any path, with the tracker."""
    tag = f'<script defer src="{ours.url}/script.js" data-key="{ours.project.public_key}"></script>'
    page = f"<!doctype html><title>A page</title>{tag}<p>Hello".encode()
    server = _Site(("127.0.0.1", 0), partial(_Pages, page))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()


class _Site(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Tabs that close do not wait for their icon."""


class _Pages(http.server.BaseHTTPRequestHandler):
    def __init__(self, page: bytes, *rest: Any) -> None:
        self._page = page
        super().__init__(*rest)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self._page)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    main()
