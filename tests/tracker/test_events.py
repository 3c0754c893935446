"""Custom events: what they carry, how they are called, how they are batched."""

import pytest
from playwright.async_api import Page

from tests.tracker import chromium
from tests.tracker.serving import Recorder, Site

pytestmark = pytest.mark.browser

COMMON = {"plan": "pro", "page-type": "shop"}


async def test_an_event_is_complete_by_itself(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("events.html"))
    await page.evaluate(
        """() => {
            const properties = {colour: "red", plan: "trial", nested: {deep: [1, null]}};
            appliance.track("Order", properties, {revenue: {amount: 19.9, currency: "EUR"}});
            properties.colour = "changed afterwards";
            appliance.track("Seen", undefined, {interactive: false});
            appliance.track("Bare", null, null);
        }"""
    )
    await chromium.flush(page)
    order = await recorder.event("Order")
    assert {"event_id", "timestamp"} < set(order)
    assert {name: order[name] for name in set(order) - {"event_id", "timestamp"}} == {
        "event": "Order",
        "url": site.url("events.html"),
        "screen": "1280x720",
        "language": "de-DE",
        "timezone": "Europe/Berlin",
        "properties": {**COMMON, "colour": "red", "plan": "trial", "nested": {"deep": [1, None]}},
        "revenue": {"amount": 19.9, "currency": "EUR"},
    }
    seen, bare = recorder.events("Seen")[0], recorder.events("Bare")[0]
    assert (seen["interactive"], seen["properties"]) == (False, COMMON)
    assert "interactive" not in bare
    assert recorder.events("pageview")[0]["properties"] == COMMON


async def test_a_click_on_a_marked_element_is_an_event(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("events.html"))
    await page.evaluate("document.addEventListener('click', event => event.stopPropagation())")
    await page.click("#inside")
    await chromium.flush(page)
    bought = await recorder.event("Buy")
    assert bought["properties"] == {**COMMON, "colour": "red", "size-eu": "42"}


async def test_calls_before_the_script_are_kept(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("stub.html"))
    early = await recorder.event("Early")
    assert (early["properties"], early["interactive"], early["user_id"]) == ({"order": 1}, False, "early-bird")
    assert [event["event"] for event in recorder.events()] == ["pageview", "identify", "Early"]


async def test_eleven_events_are_two_requests(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("plain.html"))
    await recorder.event("pageview")
    await page.evaluate("for (let n = 0; n < 11; n++) appliance.track('E' + n)")
    await recorder.event("E10")
    first, ten, one = recorder.received
    assert [len(request.events) for request in (first, ten, one)] == [1, 10, 1]
    assert ten.at - first.at < 1.8
    assert 1.7 < one.at - ten.at < 5, "the rest waited for two seconds"
    assert [event["event"] for event in ten.events + one.events] == [f"E{n}" for n in range(11)]


async def test_what_cannot_be_sent_harms_nothing_else(page: Page, recorder: Recorder, site: Site) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.type))
    await page.goto(site.url("plain.html"))
    await page.evaluate("const loop = {}; loop.loop = loop; appliance.track('Loop', loop); appliance.track('Good')")
    await chromium.flush(page)
    await recorder.event("Good")
    assert recorder.events("Loop") == []
    assert said == ["warning"]


@pytest.mark.parametrize("leave", ["another page", "close"])
async def test_what_waits_goes_when_the_page_goes(page: Page, recorder: Recorder, site: Site, leave: str) -> None:
    await page.goto(site.url("plain.html"))
    await recorder.event("pageview")
    await page.evaluate("appliance.track('Last words')")
    await (page.close(run_before_unload=True) if leave == "close" else page.goto("about:blank"))
    await recorder.event("Last words")
    request = recorder.received[-1]
    assert [event["event"] for event in request.events] == ["Last words", "engagement"]
    assert request.headers["content-type"] == "text/plain;charset=UTF-8"
    assert request.headers["sec-fetch-mode"] == "no-cors", "a beacon"
