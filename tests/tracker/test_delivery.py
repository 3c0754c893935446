"""What happens when sending fails: tried again, kept, sent later, never twice, never for ever."""

import json
import time

import pytest
from playwright.async_api import BrowserContext, Page

from tests.tracker import chromium
from tests.tracker.serving import INGEST, Answer, Json, Recorder, Site

pytestmark = pytest.mark.browser


async def stored(page: Page) -> list[Json]:
    """What the browser keeps for later."""
    events: list[Json] = await page.evaluate(
        """Object.keys(localStorage).filter(name => name.startsWith("appliance.queue"))
            .flatMap(name => JSON.parse(localStorage[name]))"""
    )
    return events


@pytest.mark.parametrize("status", [503, 408])  # 408: the line was slow when many wanted room
async def test_an_overloaded_server_is_asked_again_after_a_second(
    page: Page, recorder: Recorder, site: Site, status: int
) -> None:
    recorder.answers.append(Answer(status))
    await page.goto(site.url("plain.html"))
    await recorder.event("pageview")
    first, second = recorder.received
    assert first.events == second.events, "the same ids, so that it counts once"
    assert 0.9 < second.at - first.at < 3
    assert await stored(page) == []


async def test_the_server_may_say_how_long_to_wait(page: Page, recorder: Recorder, site: Site) -> None:
    recorder.answers.append(Answer(429, headers={"retry-after": "2"}))
    await page.goto(site.url("plain.html"))
    await recorder.event("pageview")
    first, second = recorder.received
    assert 1.9 < second.at - first.at < 4


async def test_after_three_tries_events_wait_for_the_next_page(page: Page, recorder: Recorder, site: Site) -> None:
    recorder.always = Answer(0)
    await page.goto(site.url("plain.html"))
    await recorder.until(lambda r: len(r.received) == 3, seconds=15)
    waits = [after.at - before.at for before, after in zip(recorder.received, recorder.received[1:], strict=False)]
    assert 0.9 < waits[0] < 3 < 3.9 < waits[1] < 7, "1 s, then 4 s"
    await page.wait_for_timeout(200)
    assert [event["event"] for event in await stored(page)] == ["pageview"]
    # Leaving now keeps what the page still has to say, because a beacon would tell of no failure.
    await page.goto("about:blank")
    assert len(recorder.received) == 3

    recorder.always = None
    await page.goto(site.url("second.html"))
    await recorder.event("pageview", 2)
    view, kept = recorder.received[3:]
    assert [event["url"] for event in view.events] == [site.url("second.html")], "the new page goes first"
    assert [event["event"] for event in kept.events] == ["pageview", "engagement"]
    assert kept.events[0] == recorder.received[0].events[0]
    assert await stored(page) == []


async def test_three_tries_and_no_more_until_the_browser_comes_online(
    page: Page, context: BrowserContext, recorder: Recorder, site: Site
) -> None:
    recorder.always = Answer(503, headers={"retry-after": "0.1"})
    await page.goto(site.url("plain.html"))
    await recorder.until(lambda r: len(r.received) == 3)
    recorder.always = None
    await page.wait_for_timeout(600)
    assert len(recorder.received) == 3
    await context.set_offline(True)
    await context.set_offline(False)
    await recorder.event("pageview")
    assert len(recorder.received) == 4


async def test_offline_events_are_sent_when_the_network_is_back(
    page: Page, context: BrowserContext, recorder: Recorder, site: Site
) -> None:
    await page.goto(site.url("plain.html"))
    await recorder.event("pageview")
    await context.set_offline(True)
    await page.evaluate("history.pushState({}, '', '/in-the-tunnel'); appliance.track('Read')")
    await page.wait_for_function("Object.keys(localStorage).some(name => name.startsWith('appliance.queue'))")
    assert len(recorder.received) == 1
    await context.set_offline(False)
    read = await recorder.event("Read")
    assert read["url"] == site.url("in-the-tunnel")
    ids = [event["event_id"] for event in recorder.events()]
    assert len(ids) == len(set(ids)) == 4, "two page views, one engagement, one event"


async def test_what_happened_offline_survives_the_page(
    page: Page, context: BrowserContext, recorder: Recorder, site: Site
) -> None:
    await page.goto(site.url("plain.html"))
    await recorder.event("pageview")
    await context.set_offline(True)
    await page.evaluate("appliance.track('Unsent')")
    await page.goto("about:blank")
    await context.set_offline(False)
    await page.goto(site.url("second.html"))
    await recorder.event("Unsent")


async def test_two_tabs_send_what_was_kept_once(context: BrowserContext, recorder: Recorder, site: Site) -> None:
    """Chance sets the tabs apart by up to a second; here it is a fifth of a second for certain."""
    first = await context.new_page()
    await first.add_init_script("Math.random = () => 3600")  # it looks for kept events, too, but not today
    await first.goto(site.url("second.html"))
    await keep(first, recorder, [{"event": "Kept", "event_id": "0" * 14, "timestamp": time.time() * 1000}])
    tabs = [await context.new_page() for _ in range(2)]
    opened = time.monotonic()
    for number, tab in enumerate(tabs):
        await tab.add_init_script(f"Math.random = () => {0.5 + 0.2 * number}")
        await tab.goto(site.url("plain.html"), wait_until="commit")
    await recorder.event("pageview", 3)
    await recorder.event("Kept")
    await first.wait_for_timeout(600)
    assert len(recorder.events("Kept")) == 1
    (kept,) = [request.at for request in recorder.received if request.events[0]["event"] == "Kept"]
    assert kept - opened > 0.5, "half a second after the page view"


async def test_what_is_kept_is_bounded_in_number(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("second.html"))
    fresh = [{"event": "Fresh", "event_id": f"{n:014}", "timestamp": time.time() * 1000} for n in range(80)]
    await keep(page, recorder, fresh)
    await page.goto("about:blank")
    await recorder.event("engagement")
    await page.add_init_script("Math.random = () => 0.5")
    recorder.answers.append(Answer(503))  # so the page view joins them before they are sent
    await page.goto(site.url("plain.html"))
    await recorder.until(lambda r: len(r.received) == 4)
    kept = [event["event"] for event in recorder.received[-1].events]
    assert kept == ["Fresh"] * 49 + ["pageview"], "the newest stay"


async def test_what_is_kept_is_dropped_after_a_day(page: Page, recorder: Recorder, site: Site) -> None:
    now, hour = time.time() * 1000, 3600 * 1000
    await page.goto(site.url("second.html"))
    ages = {"Old": 25, "Fresh": 23}
    await keep(
        page, recorder, [{"event": name, "event_id": name, "timestamp": now - age * hour} for name, age in ages.items()]
    )
    await page.goto(site.url("plain.html"))
    await recorder.event("Fresh")
    assert recorder.events("Old") == []


async def test_a_refusal_is_said_once_and_not_repeated(page: Page, recorder: Recorder, site: Site) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "warning" else None)
    recorder.answers.append(Answer(403, {"code": "origin_not_allowed", "detail": "example.com may not send here"}))
    await page.goto(site.url("plain.html"))
    await recorder.until(lambda r: r.received)
    await page.wait_for_timeout(1300)
    assert len(recorder.received) == 1
    assert await stored(page) == []
    assert len(said) == 1
    assert "example.com may not send here" in said[0]


async def test_a_large_event_passes_the_limit_of_keepalive(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("plain.html"))
    await recorder.event("pageview")
    await page.evaluate("appliance.track('Large', {text: 'x'.repeat(66000)})")
    await chromium.set_hidden(page, True)
    assert len((await recorder.event("Large"))["properties"]["text"]) == 66000
    assert len(recorder.received) == 2, "the browser refused the first try by itself"


async def test_success_sends_what_was_kept_without_waiting(page: Page, recorder: Recorder, site: Site) -> None:
    recorder.answers.append(Answer(503, headers={"retry-after": "60"}))
    await page.goto(site.url("plain.html"))
    await recorder.until(lambda r: r.received)
    await page.evaluate("history.pushState({}, '', '/next')")
    await recorder.event("pageview", 2)
    assert {event["url"] for event in recorder.events("pageview")} == {site.url("plain.html"), site.url("next")}


async def keep(page: Page, recorder: Recorder, events: list[Json]) -> None:
    """Put events where the tracker would have kept them."""
    name = f"appliance.queue{recorder.origin}{INGEST}?key=sa_test"
    await page.evaluate("([name, value]) => { localStorage[name] = value }", [name, json.dumps(events)])
