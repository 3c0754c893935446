"""Plausible's own tracker in a real browser against the real appliance: what it sends is stored, and each once."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, Request

from tests import clients
from tests.clients.npm import installed
from tests.e2e.tracked import BERLIN, Event, Make, Tracked, Visit, leave, view
from tests.tracker import chromium

pytestmark = pytest.mark.browser

API = "**/api/event"
# It says neither where the visitor's clock is nor how large the screen is.
PLACE = {name: value for name, value in BERLIN.items() if name not in ("country", "screen")}
LONG = "<p style='height: 4000px'>Much to read</p>"


@pytest.fixture(scope="session")
def tracker() -> str:
    folder = installed(Path(clients.__file__).parent / "plausible")
    return (folder / "node_modules" / "@plausible-analytics" / "tracker" / "plausible.js").read_text()


class Site:
    """A site whose pages carry the tracker, and the project that it sends to."""

    def __init__(self, tracked: Tracked, tracker: str) -> None:
        self.tracked = tracked
        self._tracker = tracker

    def page(self, name: str, body: str = "", more: str = "", **options: Any) -> str:
        """The address of a page; `more` are options that JSON cannot say."""
        told = {
            "domain": self.tracked.project["public_key"], "endpoint": f"{self.tracked.server.url}/api/event",
            "captureOnLocalhost": True,
        } | options  # fmt: skip
        start = f"init(Object.assign({json.dumps(told)}, {{{more}}}));"
        script = f'<script type="module">{self._tracker}\n{start}</script>'
        self.tracked.site.pages[name] = f"<!doctype html><title>{name}</title><body>{body}{script}"
        return self.tracked.site.url(name)

    async def stores(self, events: list[Event], visits: list[Visit], **more: Any) -> list[dict[str, Any]]:
        return await self.tracked.stores(events, visits, place=PLACE, **more)


@pytest.fixture
def site(make: Make, tracker: str) -> Site:
    return Site(make(), tracker)


@contextlib.asynccontextmanager
async def delivery(page: Page) -> AsyncIterator[None]:
    """Wait for an answer of the appliance, which the page sees too."""
    async with page.expect_response(API) as answer:
        yield
    assert (await answer.value).status == 202
    await page.wait_for_timeout(50)


@contextlib.asynccontextmanager
async def page_view(page: Page) -> AsyncIterator[None]:
    """The same for a page view, whatever else is answered before."""
    async with page.expect_response(lambda answer: '"pageview"' in (answer.request.post_data or "")):
        yield
    await page.wait_for_timeout(50)


async def load(page: Page, url: str, referer: str | None = None) -> None:
    async with delivery(page):
        await page.goto(url, referer=referer)


def seen(path: str, **more: Any) -> Event:
    return view(path, "", **more)


async def test_a_page_load_with_all_that_it_says(page: Page, site: Site) -> None:
    tags = "utm_source=letter&utm_medium=email&utm_campaign=spring"
    await load(page, f"{site.page('plain.html')}?{tags}#part", referer="https://www.google.com/search?q=secret")
    await leave(page)
    visit = Visit(1, 1, "/plain.html", "/plain.html", bounce=True, referrer_source="letter")
    (row,) = await site.stores([seen("/plain.html")], [visit])
    assert {name: row[name] for name in ("referrer", "utm_source", "utm_medium", "utm_campaign", "channel")} == {
        "referrer": "www.google.com/search", "utm_source": "letter", "utm_medium": "email", "utm_campaign": "spring",
        "channel": "Email",
    }  # fmt: skip


async def test_navigation_inside_an_application(page: Page, site: Site) -> None:
    await load(page, site.page("plain.html"), referer="https://www.google.com/")
    await page.wait_for_timeout(50)
    for change in ("history.pushState({}, '', '/cart?step=2')", "history.pushState({}, '', '/pay')", "history.back()"):
        async with page_view(page):
            await page.evaluate(change)
    await leave(page)
    pages = [seen("/plain.html"), seen("/cart"), seen("/pay"), seen("/cart")]
    await site.stores(pages, [Visit(4, 4, "/plain.html", "/cart", referrer_source="Google")])


async def test_hash_routing(page: Page, site: Site) -> None:
    await load(page, site.page("app.html", hashBasedRouting=True) + "#/inbox")
    async with page_view(page):
        await page.evaluate("location.hash = '/sent'")
    await leave(page)
    pages = [seen("/app.html#/inbox"), seen("/app.html#/sent")]
    await site.stores(pages, [Visit(2, 2, "/app.html#/inbox", "/app.html#/sent")])


async def test_custom_events_with_properties_and_revenue(page: Page, site: Site) -> None:
    url = site.page("shop.html", customProperties={"plan": "team"})
    await load(page, url, referer="https://news.ycombinator.com/item")
    async with delivery(page):
        await page.evaluate(
            "plausible('Purchase', {props: {sku: 'A 1', count: 2}, revenue: {amount: '12.50', currency: 'USD'}})"
        )
    async with delivery(page):
        await page.evaluate("plausible('Seen', {interactive: false})")
    await leave(page)
    rows = await site.stores(
        [
            seen("/shop.html", properties={"plan": "team"}),
            Event("Purchase", "/shop.html", properties={"plan": "team", "sku": "A 1", "count": 2}),
            Event("Seen", "/shop.html", properties={"plan": "team"}, interactive=False),
        ],
        [Visit(1, 3, "/shop.html", "/shop.html", referrer_source="Hacker News")],
    )
    assert [(row.get("revenue"), row.get("currency")) for row in rows] == [(None, None), ("12.50", "USD"), (None, None)]


async def test_what_it_captures_by_itself(page: Page, site: Site) -> None:
    body = """<a id=out href="https://example.org/x?y" target=_blank>out</a> <a id=file href="/a.pdf" download>file</a>
        <button id=tagged class="plausible-event-name=Signup+now plausible-event-plan=pro">tagged</button>
        <form onsubmit="event.preventDefault()"><button id=send>send</button></form>"""
    url = site.page("links.html", body, outboundLinks=True, fileDownloads=True, formSubmissions=True)
    await page.context.route("https://example.org/**", lambda route: route.fulfill(body="elsewhere"))
    await load(page, url)
    for button in ("out", "file", "tagged", "send"):
        async with page.expect_response(lambda answer: '"engagement"' not in (answer.request.post_data or "")):
            await page.click(f"#{button}")
        await page.bring_to_front()
    await leave(page)
    path = "/links.html"
    await site.stores(
        [
            seen(path),
            Event("Outbound Link: Click", path, properties={"url": "https://example.org/x?y"}),
            Event("File Download", path, properties={"url": site.tracked.site.url("a.pdf")}),
            Event("Signup now", path, properties={"plan": "pro"}),
            Event("Form: Submission", path),
        ],
        [Visit(1, 5, path, path)],
    )


async def test_what_is_read_in_pieces_adds_up(page: Page, site: Site) -> None:
    await load(page, site.page("long.html", LONG))
    for depth in (1000, 2500):
        await page.evaluate(f"scrollTo(0, {depth})")
        await page.wait_for_timeout(150)
        async with delivery(page):
            await chromium.set_hidden(page, True)
        await chromium.set_hidden(page, False)
    await page.goto("about:blank")
    (row,) = await site.stores(
        [seen("/long.html", scroll_depth=80)], [Visit(1, 1, "/long.html", "/long.html", bounce=True)]
    )
    assert row["engaged_ms"] >= 300


async def test_of_a_page_that_is_loaded_again_each_view_has_its_own_reading(page: Page, site: Site) -> None:
    await load(page, site.page("long.html", LONG))
    await page.evaluate("history.scrollRestoration = 'manual'; scrollTo(0, 2500)")
    await page.wait_for_timeout(100)
    async with page_view(page):
        await page.reload()
    await page.wait_for_timeout(50)
    await leave(page)
    views = [seen("/long.html", scroll_depth=80), seen("/long.html", scroll_depth=18)]
    await site.stores(views, [Visit(2, 2, "/long.html", "/long.html")])


async def test_back_and_forth_between_pages(page: Page, site: Site) -> None:
    first, second = site.page("one.html"), site.page("two.html")
    await load(page, first)
    await load(page, second)
    async with page_view(page):
        await page.evaluate("history.back()")  # out of the back-forward cache
    await leave(page)
    pages = [seen("/one.html"), seen("/two.html"), seen("/one.html")]
    await site.stores(pages, [Visit(3, 3, "/one.html", "/one.html")])


async def test_what_is_sent_again_with_an_id_counts_once(page: Page, site: Site) -> None:
    bodies: list[str] = []
    page.on("request", lambda request: bodies.append(request.post_data or "") if _is_event(request) else None)
    url = site.page("plain.html", more="transformRequest: (sent) => ({...sent, event_id: crypto.randomUUID()})")
    await load(page, url)
    async with delivery(page):
        await page.evaluate("plausible('Signup', {props: {plan: 'pro'}})")
    for body in bodies * 2:
        answer = await page.evaluate(
            "([url, body]) => fetch(url, {method: 'POST', body}).then((answer) => answer.text())",
            [f"{site.tracked.server.url}/api/event", body],
        )
        assert answer == "ok"
    await leave(page)
    await site.stores(
        [seen("/plain.html"), Event("Signup", "/plain.html", properties={"plan": "pro"})],
        [Visit(1, 2, "/plain.html", "/plain.html")],
    )


def _is_event(request: Request) -> bool:
    return request.url.endswith("/api/event") and request.method == "POST"


async def test_a_site_that_is_named_by_its_domain(page: Page, make: Make, tracker: str) -> None:
    host = "plausible.localhost"  # every such host is this machine
    site = Site(make(host), tracker)
    await load(page, site.page("plain.html", domain=host).replace("localhost", host))
    await leave(page)
    visit = Visit(1, 1, "/plain.html", "/plain.html", bounce=True)
    await site.tracked.stores([seen("/plain.html")], [visit], place=PLACE | {"hostname": host})


async def test_pages_of_a_host_that_is_not_the_sites_are_refused_and_shown(
    context: BrowserContext, make: Make, tracker: str
) -> None:
    other = Site(make("another.example"), tracker)
    page = await context.new_page()
    await load(page, other.page("plain.html", domain="another.example"))
    await asyncio.sleep(0.1)
    await page.goto("about:blank")
    await other.tracked._rest()
    assert other.tracked.export("events") == []
    assert set(other.tracked._newly_refused()) == {"origin_not_allowed"}
