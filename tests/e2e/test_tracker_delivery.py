"""When the network or the appliance fails in between: everything arrives, once, with the time at which it happened."""

import asyncio
from datetime import timedelta

import pytest
from playwright.async_api import BrowserContext, Page, Route

from tests.e2e.tracked import INGEST, PLAIN, SECOND, Event, Json, Tracked, Visit, at, delivery, leave, view

pytestmark = pytest.mark.browser

# Whether the browser keeps events for later.
KEPT = "Object.keys(localStorage).some(name => name.startsWith('appliance.queue'))"


async def test_offline_and_online_again(page: Page, context: BrowserContext, tracked: Tracked) -> None:
    async with delivery(page):
        await page.goto(tracked.site.url("plain.html"))
    await context.set_offline(True)
    await page.evaluate("history.pushState({}, '', '/tunnel'); appliance.track('Read')")
    await page.wait_for_function(KEPT)
    await page.wait_for_timeout(1000)
    async with delivery(page):
        await context.set_offline(False)
    await leave(page)
    rows = await tracked.stores(
        [PLAIN, view("/tunnel", "Plain page"), Event("Read", "/tunnel")], [Visit(2, 3, "/plain.html", "/tunnel")]
    )
    waited = [at(row["received_at"]) - at(row["timestamp"]) for row in rows[1:]]
    assert min(waited) > timedelta(seconds=1), "they keep the time at which they happened"


async def test_what_happened_offline_comes_with_the_next_page(
    page: Page, context: BrowserContext, tracked: Tracked
) -> None:
    async with delivery(page):
        await page.goto(tracked.site.url("plain.html"))
    await context.set_offline(True)
    await page.evaluate("appliance.track('Unsent')")
    await leave(page)
    await context.set_offline(False)
    await page.goto(tracked.site.url("second.html"))
    await page.wait_for_function(f"!{KEPT}")
    await leave(page)
    await tracked.stores([PLAIN, Event("Unsent", "/plain.html"), SECOND], [Visit(2, 3, "/plain.html", "/second.html")])


async def test_an_answer_that_was_lost_makes_nothing_count_twice(page: Page, tracked: Tracked) -> None:
    """The appliance takes the request, the browser never hears of it and sends it again."""
    lost: list[Json] = []

    async def lose_the_first_answer(route: Route) -> None:
        answer = await route.fetch()
        if lost:
            await route.fulfill(response=answer)
        else:
            lost.append(await answer.json())
            await route.abort()

    duplicates = tracked.metric("appliance_events_duplicate_total")
    await page.route(INGEST, lose_the_first_answer)
    async with delivery(page):
        await page.goto(tracked.site.url("plain.html"))
    await leave(page)
    await tracked.stores([PLAIN], [Visit(1, 1, "/plain.html", "/plain.html", bounce=True)])
    assert lost[0]["accepted"] == 1
    assert tracked.metric("appliance_events_duplicate_total") == duplicates + 1


async def test_an_appliance_that_was_away_for_a_moment(page: Page, tracked: Tracked) -> None:
    async with delivery(page):
        await page.goto(tracked.site.url("plain.html"))
    tracked.server.kill()
    try:
        await page.evaluate("history.pushState({}, '', '/meanwhile'); appliance.track('Meanwhile')")
        await page.wait_for_function(KEPT)
    finally:
        async with delivery(page):
            await asyncio.to_thread(tracked.server.start)
    await leave(page)
    await tracked.stores(
        [PLAIN, view("/meanwhile", "Plain page"), Event("Meanwhile", "/meanwhile")],
        [Visit(2, 3, "/plain.html", "/meanwhile")],
    )
