"""Pages written for other products: their calls keep working after only the address of the script changed."""

import pytest
from playwright.async_api import Page

from tests.tracker import chromium
from tests.tracker.serving import Json, Recorder, Site

pytestmark = pytest.mark.browser


async def sent(page: Page, recorder: Recorder) -> list[Json]:
    """What was sent beside engagement, without what every event carries, up to now."""
    await page.wait_for_timeout(150)  # a page view waits for its title
    await page.evaluate("appliance.track('End')")
    await chromium.flush(page)
    await recorder.event("End")
    common = ("event_id", "timestamp", "screen", "language", "timezone", "referrer", "title")
    return [
        {name: value for name, value in event.items() if name not in common}
        for event in recorder.events()
        if event["event"] not in ("engagement", "End")
    ]


async def test_plausible(page: Page, recorder: Recorder, site: Site) -> None:
    url = site.url("plausible.html")
    await page.goto(url)
    await page.wait_for_function("window.plausible && !window.plausible.q")
    called_back = await page.evaluate(
        """new Promise(done => {
            setTimeout(() => done("never"), 2000);
            plausible("Sale", {revenue: {amount: 5, currency: "EUR"}, interactive: false});
            plausible("Elsewhere", {u: "/other"});
            plausible("pageview", {u: "/virtual", props: {author: "Ann"}});
            plausible("Signup", {callback: () => done("yes")});
        })"""
    )
    assert called_back == "yes", "pages navigate in there"
    assert await sent(page, recorder) == [
        {"event": "pageview", "url": url, "properties": {}},
        {"event": "Early", "url": url, "properties": {"order": 1}},
        {
            "event": "Sale",
            "url": url,
            "properties": {},
            "revenue": {"amount": 5, "currency": "EUR"},
            "interactive": False,
        },
        {"event": "Elsewhere", "url": site.url("other"), "properties": {}},
        {"event": "pageview", "url": site.url("virtual"), "properties": {"author": "Ann"}},
        {"event": "Signup", "url": site.url("virtual"), "properties": {}},
    ]
    assert recorder.received[0].query == {"domain": "localhost"}


async def test_umami_with_its_own_tag(page: Page, recorder: Recorder, site: Site) -> None:
    url = site.url("umami.html")
    await page.goto(url)
    await page.evaluate(
        """() => {
            umami.track("Sale", {revenue: 12, currency: "EUR"});
            umami.track(fields => ({...fields, name: "From fields", data: {language: fields.language}}));
            umami.track(() => undefined);
            umami.track(fields => ({...fields, url: "/virtual"}));
            umami.identify("u1", {plan: "pro"});
            umami.identify({theme: "dark"});
            umami.track();
        }"""
    )
    await page.click("button")
    assert recorder.received[0].query == {"project": "b59e9c65-ae32-47f1-8400-119fcf4861c4"}
    virtual = site.url("virtual")
    assert await sent(page, recorder) == [
        {"event": "pageview", "url": url, "properties": {}},
        {"event": "Ready", "url": url, "properties": {"order": 1}},
        {
            "event": "Sale",
            "url": url,
            "properties": {"revenue": 12, "currency": "EUR"},
            "revenue": {"amount": 12, "currency": "EUR"},
        },
        {"event": "From fields", "url": url, "properties": {"language": "de-DE"}},
        {"event": "pageview", "url": virtual, "properties": {}},
        {"event": "identify", "url": virtual, "user_id": "u1", "traits": {"plan": "pro"}},
        {"event": "pageview", "url": url, "user_id": "u1", "properties": {}},
        {"event": "Sign up", "url": url, "user_id": "u1", "properties": {"plan": "pro"}},
    ]


async def test_system_c_with_its_own_tag(page: Page, recorder: Recorder, site: Site) -> None:
    """Its tag is not deferred, and its pages call at once."""
    url = site.url("dashboard-c.html")
    await page.goto(url)
    await recorder.event("pageview")
    await page.evaluate("tracker.reset()")
    assert recorder.fetched == ["/static/sdk/tracker.min.js"]
    assert recorder.received[0].query == {"key": "sa_test"}
    assert await sent(page, recorder) == [
        {"event": "pageview", "url": url, "properties": {}},
        {"event": "button_click", "url": url, "properties": {"button_id": "signup"}},
        {"event": "identify", "url": url, "user_id": "user_42", "traits": {"plan": "pro", "company": "Acme"}},
        {"event": "reset", "url": url, "user_id": "user_42"},
    ]


async def test_segment_with_its_stub(page: Page, recorder: Recorder, site: Site) -> None:
    url = site.url("segment.html")
    await page.goto(url)
    await page.wait_for_function("window.wasReady")
    called_back = await page.evaluate(
        """new Promise(done => {
            setTimeout(() => done("never"), 2000);
            analytics.identify("u1", {plan: "pro"});
            analytics.identify({theme: "dark"});
            analytics.group("g1");
            analytics.track("Order Completed", {revenue: 25, currency: "EUR"}, {}, () => done("yes"));
        })"""
    )
    assert called_back == "yes"
    await page.evaluate("analytics.page(); analytics.reset()")
    assert await sent(page, recorder) == [
        {
            "event": "pageview",
            "url": url,
            "properties": {"category": "Shop", "name": "Home", "section": "top"},
        },
        {"event": "identify", "url": url, "user_id": "u1", "traits": {"plan": "pro"}},
        {
            "event": "Order Completed",
            "url": url,
            "user_id": "u1",
            "properties": {"revenue": 25, "currency": "EUR"},
            "revenue": {"amount": 25, "currency": "EUR"},
        },
        {"event": "pageview", "url": url, "user_id": "u1", "properties": {}},
        {"event": "reset", "url": url, "user_id": "u1"},
    ]


async def test_names_can_be_asked_for(page: Page, recorder: Recorder, site: Site) -> None:
    site.pages["all.html"] = '<!doctype html><title>All</title><!-- tracker data-compat="tracker analytics" -->'
    await page.goto(site.url("all.html"))
    await page.wait_for_function("window.tracker")
    await page.evaluate("tracker.event('One'); tracker.identify('u1'); analytics.track('Two')")
    names = [event["event"] for event in await sent(page, recorder)]
    assert names == ["pageview", "One", "identify", "Two"]
    assert await page.evaluate("[typeof window.plausible, typeof window.umami]") == ["undefined", "undefined"]
