"""Scroll depth and the time a page was really looked at."""

import pytest
from playwright.async_api import Page

from tests.tracker import chromium
from tests.tracker.serving import Json, Recorder, Site

pytestmark = pytest.mark.browser


async def test_time_counts_while_seen_and_adds_up_over_hiding(
    chromium_path: str, recorder: Recorder, site: Site
) -> None:
    """A real second tab covers the page for 1.2 s: see attention.html for the timing."""
    url = site.url("attention.html")

    def reports(recorder: Recorder) -> list[Json]:
        return [event for event in recorder.events("engagement") if event["url"] == url]

    async with chromium.unattended(chromium_path, url):
        await recorder.until(lambda r: len(reports(r)) == 2, seconds=10)
    first, second = reports(recorder)
    (view,) = [event for event in recorder.events("pageview") if event["url"] == url]
    assert first["pageview_id"] == second["pageview_id"] == view["event_id"]
    assert first["engaged_ms"] >= 350, "until the other tab came"
    assert second["engaged_ms"] >= 500, "after it had gone"
    total = first["engaged_ms"] + second["engaged_ms"]
    assert second["timestamp"] - view["timestamp"] - total >= 1100, "not the 1.2 s behind it, and nothing twice"
    assert first["scroll_depth"] < 20
    assert second["scroll_depth"] in range(55, 70), "3,000 px down of 6,000, and a window's height"
    assert not {"title", "properties"} & set(first)


async def test_navigation_reports_the_page_that_was_left(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("long.html"))
    await page.evaluate("new Promise(done => { onscroll = done; scrollTo(0, 2880) })")
    await page.evaluate("history.pushState({}, '', '/next')")
    await recorder.event("pageview", 2)
    report = await recorder.event("engagement")
    first, second = recorder.events("pageview")
    assert (report["url"], report["pageview_id"]) == (first["url"], first["event_id"])
    assert report["scroll_depth"] == 50, "2,880 px and a window of 720 out of 7,200"
    assert recorder.received[-1].events == [report, second], "in one request, in this order"


async def test_the_deepest_point_counts_not_the_last(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("long.html"))
    for position in (7200, 0):
        await page.evaluate("y => new Promise(done => { onscroll = done; scrollTo(0, y) })", position)
    await page.goto("about:blank")
    assert (await recorder.event("engagement"))["scroll_depth"] == 100


async def test_a_window_without_focus_is_not_looked_at(page: Page, recorder: Recorder, site: Site) -> None:
    await page.goto(site.url("plain.html"))
    await recorder.event("pageview")
    await chromium.real_focus(page)
    other = await page.context.new_page()
    await other.bring_to_front()
    await other.wait_for_timeout(700)
    await page.bring_to_front()
    await page.evaluate("history.pushState({}, '', '/next')")
    await recorder.event("pageview", 2)
    (report,) = recorder.events("engagement")
    assert report["engaged_ms"] < 700, "reported on the loss of focus; what came after is too little for another"


async def test_three_seconds_are_worth_a_report_and_less_is_kept_for_the_next(
    page: Page, recorder: Recorder, site: Site
) -> None:
    await page.goto(site.url("plain.html"))
    await chromium.set_hidden(page, True)
    await recorder.event("engagement")
    for _ in range(2):
        await chromium.set_hidden(page, False)
        await page.wait_for_timeout(1600)
        await chromium.set_hidden(page, True)
    report = await recorder.event("engagement", 2)
    assert report["engaged_ms"] >= 3150, "twice 1.6 s, of which the first alone was not reported"
    assert len(recorder.events("engagement")) == 2
