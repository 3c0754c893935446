"""Who is sending: identify, reset, the opt-in id, opting out, and storage that is refused."""

import re

import pytest
from playwright.async_api import BrowserContext, Page

from tests.tracker import chromium
from tests.tracker.serving import Answer, Recorder, Site

pytestmark = pytest.mark.browser


async def test_nothing_is_kept_in_the_browser_by_default(
    page: Page, context: BrowserContext, recorder: Recorder, site: Site
) -> None:
    await page.goto(site.url("plain.html"))
    view = await recorder.event("pageview")
    assert {"user_id", "anonymous_id"}.isdisjoint(view)
    assert await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert await context.cookies() == []


async def test_identify_names_the_user_from_then_on_in_this_tab(
    page: Page, context: BrowserContext, recorder: Recorder, site: Site
) -> None:
    await page.goto(site.url("plain.html"))
    await page.evaluate("appliance.identify(42, {plan: 'pro'}); appliance.track('After')")
    await page.goto(site.url("second.html"))
    await recorder.until(lambda r: len(r.events("pageview")) == 2 and r.events("After"))
    identify, after = recorder.events("identify")[0], recorder.events("After")[0]
    assert (identify["user_id"], identify["traits"]) == ("42", {"plan": "pro"})
    assert "user_id" not in recorder.events("pageview")[0]
    assert after["user_id"] == recorder.events("pageview")[1]["user_id"] == "42"
    other = await context.new_page()
    await other.goto(site.url("plain.html"))
    assert "user_id" not in await recorder.event("pageview", 3), "another tab does not know"


async def test_identify_without_an_id_is_ignored(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("plain.html"))
    await page.evaluate("for (const id of [undefined, null, '']) appliance.identify(id); appliance.track('Next')")
    await chromium.flush(page)
    assert "user_id" not in await recorder.event("Next")
    assert recorder.events("identify") == []


async def test_reset_forgets_after_saying_so(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("persist.html"))
    await page.evaluate("appliance.identify('u1'); appliance.reset(); appliance.track('Stranger')")
    await chromium.flush(page)
    stranger = await recorder.event("Stranger")
    view, reset = recorder.events("pageview")[0], recorder.events("reset")[0]
    assert (reset["user_id"], reset["anonymous_id"]) == ("u1", view["anonymous_id"]), "whose visit ends"
    assert "user_id" not in stranger
    assert stranger["anonymous_id"] != view["anonymous_id"]


async def test_the_opt_in_id_and_the_user_outlive_the_tab(
    page: Page, context: BrowserContext, recorder: Recorder, site: Site
) -> None:
    await page.goto(site.url("persist.html"))
    await page.evaluate("appliance.identify('u1')")
    await page.close(run_before_unload=True)
    identify = await recorder.event("identify")
    page = await context.new_page()
    await page.goto(site.url("persist.html"))
    first, second = recorder.events("pageview")[0], await recorder.event("pageview", 2)
    assert re.fullmatch("[0-9a-z]{14}", first["anonymous_id"])
    assert first["anonymous_id"] == identify["anonymous_id"] == second["anonymous_id"]
    assert second["user_id"] == "u1"


async def test_opting_out_stops_everything_and_forgets(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("persist.html"))
    await recorder.event("pageview")
    await page.evaluate("appliance.identify('u1'); appliance.track('Waiting'); appliance.optOut()")
    await page.evaluate("appliance.track('Later'); history.pushState({}, '', '/next')")
    await chromium.flush(page)
    assert await page.evaluate("({...localStorage})") == {"appliance.optout": "1"}
    await page.goto(site.url("persist.html"))
    await page.wait_for_timeout(300)
    assert [event["event"] for event in recorder.events()] == ["pageview"]

    await page.evaluate("appliance.optIn(); appliance.track('Back')")
    await chromium.flush(page)
    await recorder.event("Back")
    assert await page.evaluate("'appliance.optout' in localStorage") is False


async def test_the_opt_out_key_set_by_hand_is_honoured(
    page: Page, context: BrowserContext, recorder: Recorder, site: Site
) -> None:
    await context.add_init_script("if (location.host) localStorage.setItem('appliance.optout', 'true')")
    await page.goto(site.url("stub.html"))
    await page.evaluate("appliance.track('Ignored'); history.pushState({}, '', '/next')")
    await page.goto("about:blank")
    await page.wait_for_timeout(300)
    assert recorder.received == []


async def test_it_works_where_storage_is_refused(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("sandbox.html"))
    view = await recorder.event("pageview")
    frame = page.frames[1]
    assert await frame.evaluate("(() => { try { localStorage } catch (e) { return e.name } })()") == "SecurityError"
    recorder.answers.append(Answer(503))  # so that failed events are kept in the page's memory
    await frame.evaluate("appliance.identify('u1'); appliance.track('Inside'); appliance.page('/frame')")
    inside = await recorder.event("Inside")
    assert inside["user_id"] == "u1"
    assert inside["anonymous_id"] == view["anonymous_id"], "as long as the page lives"
    await frame.evaluate("appliance.optOut(); appliance.page('/unseen')")
    await page.wait_for_timeout(300)
    assert len(recorder.events("pageview")) == 2


async def test_full_storage_costs_the_id_and_not_the_event(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("second.html"))
    await page.evaluate(
        """() => {
            for (let size = 2 ** 23; size; size = Math.floor(size / 2)) {
                try { localStorage["filler" + size] = "x".repeat(size); } catch {}
            }
        }"""
    )
    await page.goto(site.url("persist.html"))
    await page.evaluate("appliance.identify('u1')")
    await page.goto("about:blank")
    await recorder.event("identify")
    assert "anonymous_id" not in recorder.events("pageview")[1]
    assert recorder.events("identify")[0]["user_id"] == "u1"
