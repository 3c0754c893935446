"""When a page view is sent, and what it says."""

import re
import time

import pytest
from playwright.async_api import BrowserContext, Page, Playwright

from tests.tracker import chromium
from tests.tracker.serving import INGEST, PAGES, Recorder, Site

pytestmark = pytest.mark.browser


def paths(recorder: Recorder) -> list[str]:
    return [event["url"].partition("localhost:")[2].partition("/")[2] for event in recorder.events("pageview")]


async def settled(page: Page) -> None:
    """Long enough for a page view that should not be sent to have been sent."""
    await page.wait_for_timeout(300)


async def test_a_page_view_is_sent_at_once_and_says_everything(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("plain.html?utm_source=letter#part"), referer="https://search.example/")
    view = await recorder.event("pageview")
    (request,) = recorder.received
    assert request.path == INGEST
    assert request.query == {"key": "sa_test"}
    assert request.method == "POST", "no pre-flight came before it"
    assert request.headers["content-type"] == "text/plain;charset=UTF-8"
    assert abs(request.body["sent_at"] - time.time() * 1000) < 3000
    minted = view.pop("event_id")
    assert re.fullmatch("[0-9a-z]{14}", minted)
    assert 0 <= view.pop("timestamp") - int(minted[:8], 36) <= 2
    assert view == {
        "event": "pageview",
        "url": site.url("plain.html?utm_source=letter#part"),
        "title": "Plain page",
        "referrer": "https://search.example/",
        "properties": {},
        "screen": "1280x720",
        "language": "de-DE",
        "timezone": "Europe/Berlin",
    }


async def test_cookies_of_the_appliance_stay_at_home(
    page: Page, context: BrowserContext, recorder: Recorder, site: Site
) -> None:
    """The site is reached by the appliance's own host name here, else the browser would hold them back itself."""
    await context.add_cookies([{"name": "login", "value": "secret", "url": recorder.origin}])
    await page.goto(site.url("plain.html").replace("localhost", "127.0.0.1"))
    await recorder.event("pageview")
    assert recorder.received[0].headers["sec-fetch-site"] == "same-site"
    assert "cookie" not in recorder.received[0].headers


@pytest.mark.parametrize(
    ("tag", "path", "query"),
    [
        ('data-key="sa_1"', INGEST, {"key": "sa_1"}),
        ('data-domain="example.com"', INGEST, {"domain": "example.com"}),
        ('data-website-id="b59e9c65"', INGEST, {"project": "b59e9c65"}),
        ('data-project="sa_2"', INGEST, {"key": "sa_2"}),
        ('data-key="sa_1" data-api="/collect?x=1"', "/collect", {"key": "sa_1"}),
        ('data-anonymous=""', INGEST, {"domain": "localhost"}),
    ],
)
async def test_the_tag_says_where_events_go(
    page: Page, recorder: Recorder, site: Site, tag: str, path: str, query: dict[str, str]
) -> None:
    site.pages["tagged.html"] = f"<!doctype html><title>Tagged</title><!-- tracker {tag} -->"
    await page.goto(site.url("tagged.html"))
    await recorder.event("pageview")
    assert (recorder.received[0].path, recorder.received[0].query) == (path, query)


async def test_navigation_by_push_state_is_a_page_view_with_the_new_title(
    page: Page, recorder: Recorder, site: Site
) -> None:
    await page.goto(site.url("plain.html"), referer="https://search.example/")
    await page.evaluate(
        "history.pushState({}, '', '/cart?step=2'); setTimeout(() => { document.title = 'Your cart' }, 20)"
    )
    second = await recorder.event("pageview", 2)
    assert second["url"] == site.url("cart?step=2")
    assert second["title"] == "Your cart"
    assert "referrer" not in second, "it is the same visit"
    assert second["event_id"] != recorder.events("pageview")[0]["event_id"]


async def test_going_back_inside_an_application_is_a_page_view(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("plain.html"))
    await page.evaluate("history.pushState({}, '', '/a')")
    await page.evaluate("history.back()")
    await recorder.event("pageview", 3)
    assert paths(recorder) == ["plain.html", "a", "plain.html"]


async def test_replace_state_counts_only_when_path_or_query_change(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("plain.html"))
    await page.evaluate("history.replaceState({open: true}, '', location.href)")
    await page.evaluate("history.replaceState({}, '', '#section')")
    await settled(page)
    assert paths(recorder) == ["plain.html"]
    await page.evaluate("history.replaceState({}, '', '?page=2')")
    await recorder.event("pageview", 2)
    assert paths(recorder) == ["plain.html", "plain.html?page=2"]


async def test_a_new_fragment_is_a_page_view_only_with_hash_routing(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("plain.html"))
    await page.evaluate("location.hash = '/inbox'")
    await settled(page)
    assert paths(recorder) == ["plain.html"]

    await page.goto(site.url("hash.html"))
    await page.click("a")
    await recorder.event("pageview", 3)
    assert paths(recorder)[1:] == ["hash.html", "hash.html#/inbox"]
    assert [event.get("hash") for event in recorder.events("pageview")] == [None, True, True]


async def test_back_from_the_back_forward_cache_is_a_new_page_view(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("plain.html"), referer="https://search.example/")
    await page.evaluate("addEventListener('pageshow', event => { window.wasPersisted = event.persisted })")
    await page.click("a")
    await recorder.event("pageview", 2)
    await page.evaluate("history.back()")
    back = await recorder.event("pageview", 3)
    assert await page.evaluate("window.wasPersisted"), "the browser kept the page"
    assert paths(recorder) == ["plain.html", "second.html", "plain.html"]
    assert "referrer" not in back
    assert len({event["event_id"] for event in recorder.events("pageview")}) == 3


async def test_a_prerendered_page_is_viewed_when_it_is_shown(
    chromium_path: str, recorder: Recorder, site: Site
) -> None:
    async with chromium.unattended(chromium_path, site.url("prerender.html")):
        await recorder.until(lambda r: r.events("Loaded"))
    loaded, view = recorder.events("Loaded")[0], recorder.events("pageview")[1]
    first = recorder.received[0].at
    sent = next(request.at for request in recorder.received if loaded in request.events)
    assert loaded["properties"] == {"prerendering": True}, "the browser did prerender it"
    assert view["url"] == site.url("prerendered.html")
    assert sent - first > 0.8, "nothing left before the visitor came, 1.2 s later"
    assert view["timestamp"] > loaded["timestamp"], "what happened before keeps its time"


async def test_manual_pages_send_nothing_until_asked(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("manual.html"), referer="https://search.example/")
    await page.evaluate("history.pushState({}, '', '/ignored')")
    await settled(page)
    assert recorder.received == []
    await page.evaluate("appliance.page('/accounts/:id', {plan: 'pro'}); appliance.track('Opened')")
    view, opened = await recorder.event("pageview"), await recorder.event("Opened")
    assert (view["url"], view["properties"]) == (site.url("accounts/:id"), {"plan": "pro"})
    assert view["referrer"] == "https://search.example/"
    assert opened["url"] == view["url"], "the address given stands in for the real one"


@pytest.mark.parametrize("name", ["twice.html", "module.html", "late.html"])
async def test_however_the_tag_comes_it_counts_once(page: Page, recorder: Recorder, site: Site, name: str) -> None:
    await page.goto(site.url(name))
    await recorder.event("pageview")
    await settled(page)
    assert paths(recorder) == [name]


async def test_pages_from_a_file_are_sent_too(
    page: Page, recorder: Recorder, site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    local = tmp_path_factory.mktemp("site") / "page.html"
    local.write_text(site.render((PAGES / "plain.html").read_text()))
    await page.goto(local.as_uri())
    assert (await recorder.event("pageview"))["url"] == local.as_uri()
    assert recorder.received[0].headers["origin"] == "null"


async def test_automation_is_said_once_a_page_and_nothing_else_is_sent(
    playwright: Playwright, chromium_path: str, recorder: Recorder, site: Site
) -> None:
    browser = await chromium.launch(playwright, chromium_path)
    page = await browser.new_page()
    await page.goto(site.url("long.html"))
    view = await recorder.event("pageview")
    assert view["automation"] is True
    await page.evaluate("scrollTo(0, 5000); appliance.track('Robot'); appliance.identify('robot')")
    await page.goto("about:blank")
    await browser.close()
    assert [event["event"] for event in recorder.events()] == ["pageview"]


async def test_a_strict_content_security_policy_is_enough(
    page: Page, context: BrowserContext, recorder: Recorder, site: Site
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    await page.goto(site.url("policy.html"))
    await recorder.event("pageview")
    await page.wait_for_function("window.umami")
    await page.evaluate("appliance.track('Allowed')")
    await chromium.flush(page)
    await recorder.event("Allowed")
    assert said == []
