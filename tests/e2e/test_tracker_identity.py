"""Who did it, from the browser to the figures: users, tabs, profiles, those who do not want to be counted."""

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.e2e.tracked import PLAIN, SECOND, Event, Tracked, Visit, delivery, leave, view
from tests.tracker import chromium

pytestmark = pytest.mark.browser


async def test_who_logs_in_counts_once_and_is_somebody_else_after_logging_out(page: Page, tracked: Tracked) -> None:
    await page.goto(tracked.site.url("plain.html"), referer="https://www.google.com/")
    await page.evaluate(
        "appliance.track('Anonymous'); appliance.identify('u1', {plan: 'pro'}); appliance.track('Known')"
    )
    await page.goto(tracked.site.url("second.html"))
    await leave(page)
    by_u1 = [
        PLAIN,
        Event("Anonymous", "/plain.html"),
        Event("Known", "/plain.html", user_id="u1"),
        view("/second.html", "Second page", user_id="u1"),
    ]
    first = Visit(2, 4, "/plain.html", "/second.html", user_id="u1", referrer_source="Google")
    await tracked.stores(by_u1, [first])
    assert tracked.query("visitors", "visits", "bounce_rate") == [1, 1, 0]

    await page.goto(tracked.site.url("plain.html"))
    await page.evaluate("appliance.reset(); appliance.track('Stranger')")
    await page.goto(tracked.site.url("second.html"))
    await leave(page)
    await tracked.stores(
        [
            *by_u1,
            view("/plain.html", "Plain page", user_id="u1"),
            Event("Stranger", "/plain.html", visit=2),
            view("/second.html", "Second page", visit=2),
        ],
        [
            Visit(3, 5, "/plain.html", "/plain.html", user_id="u1", referrer_source="Google"),
            Visit(1, 2, "/second.html", "/second.html", visitor=2),
        ],
    )
    assert tracked.query("visitors", "visits") == [2, 2]


async def test_calls_before_the_script_name_the_visit_from_its_start(page: Page, tracked: Tracked) -> None:
    await page.goto(tracked.site.url("stub.html"))
    await leave(page)
    early = Event("Early", "/stub.html", user_id="early-bird", properties={"order": 1}, interactive=False)
    await tracked.stores(
        [view("/stub.html", "Calls before the script"), early],
        [Visit(1, 2, "/stub.html", "/stub.html", bounce=True, user_id="early-bird")],
    )
    assert tracked.query("visitors", "visits") == [1, 1]


async def test_another_user_in_the_same_visit_starts_one(page: Page, tracked: Tracked) -> None:
    await page.goto(tracked.site.url("plain.html"))
    for user in ("u1", "u2", "u1"):
        await page.evaluate("user => { appliance.identify(user); appliance.track('Here') }", user)
        await page.wait_for_timeout(5)
    await leave(page)
    await tracked.stores(
        [
            PLAIN,
            Event("Here", "/plain.html", user_id="u1"),
            Event("Here", "/plain.html", user_id="u2", visit=2),
            Event("Here", "/plain.html", user_id="u1"),
        ],
        [
            Visit(1, 3, "/plain.html", "/plain.html", user_id="u1"),
            Visit(0, 1, "", "", user_id="u2", visitor=2),
        ],
    )


async def test_two_tabs_are_one_visit(context: BrowserContext, tracked: Tracked) -> None:
    first, second = await context.new_page(), await context.new_page()
    await first.goto(tracked.site.url("plain.html"))
    await second.goto(tracked.site.url("second.html"), referer="https://www.google.com/")
    await first.evaluate("appliance.identify('u1'); appliance.track('In the first tab')")
    await second.wait_for_timeout(5)
    await second.evaluate("appliance.track('In the second tab')")
    await leave(first)
    await leave(second)
    rows = await tracked.stores(
        [
            PLAIN,
            SECOND,
            Event("In the first tab", "/plain.html", user_id="u1"),
            Event("In the second tab", "/second.html"),  # the tab does not know, the appliance does
        ],
        [Visit(2, 4, "/plain.html", "/second.html", user_id="u1")],
    )
    assert tracked.query("visitors", "visits") == [1, 1]
    assert [row.get("referrer_source") for row in rows] == [None, "Google", None, None], "of the event, not its visit"


async def test_profiles_at_one_address_are_told_apart_by_the_opt_in_id_only(browser: Browser, tracked: Tracked) -> None:
    profiles = [await chromium.visitor(browser) for _ in range(2)]
    for name in ("plain.html", "persist.html"):
        for profile in profiles:
            for _ in range(2):
                page = await profile.new_page()
                await page.goto(tracked.site.url(name))
                await leave(page)
    await tracked.stores(
        [PLAIN] * 4 + [view("/persist.html", "Known again", visit=number) for number in (2, 2, 3, 3)],
        [
            Visit(4, 4, "/plain.html", "/plain.html"),
            Visit(2, 2, "/persist.html", "/persist.html", visitor=2),
            Visit(2, 2, "/persist.html", "/persist.html", visitor=3),
        ],
    )
    for profile in profiles:
        await profile.close()


async def test_a_privacy_signal_makes_the_opt_in_id_useless(browser: Browser, tracked: Tracked) -> None:
    """What a project does unless it says otherwise: who asks for privacy has the rotating id of the day."""
    profiles = [await chromium.visitor(browser) for _ in range(2)]
    for profile in profiles:
        await profile.set_extra_http_headers({"Sec-GPC": "1"})
        page = await profile.new_page()
        await page.goto(tracked.site.url("persist.html"))
        await leave(page)
    await tracked.stores([view("/persist.html", "Known again")] * 2, [Visit(2, 2, "/persist.html", "/persist.html")])
    for profile in profiles:
        await profile.close()


async def test_opting_out_and_in_again(page: Page, tracked: Tracked) -> None:
    async with delivery(page):
        await page.goto(tracked.site.url("plain.html"))
    await page.evaluate("appliance.track('Waiting'); appliance.optOut(); appliance.track('Unseen')")
    await page.goto(tracked.site.url("second.html"))
    await page.evaluate("appliance.track('Unseen'); appliance.identify('u1'); history.pushState({}, '', '/unseen')")
    assert await page.evaluate("[{...localStorage}, {...sessionStorage}]") == [{"appliance.optout": "1"}, {}]
    await leave(page)
    # What had been sent is stored; the time on that page was not reported any more.
    seen = view("/plain.html", "Plain page", scroll_depth=0, engaged=False)
    await tracked.stores([seen], [Visit(1, 1, "/plain.html", "/plain.html", bounce=True)])

    await page.goto(tracked.site.url("second.html"))
    await page.evaluate("appliance.optIn(); appliance.track('Back')")
    await leave(page)
    await tracked.stores([seen, Event("Back", "/second.html")], [Visit(1, 2, "/plain.html", "/plain.html")])


async def test_opting_out_while_a_request_is_failing_leaves_nothing(
    page: Page, context: BrowserContext, tracked: Tracked
) -> None:
    async with delivery(page):
        await page.goto(tracked.site.url("plain.html"))
    await context.set_offline(True)
    async with page.expect_event("requestfailed"):  # ten events leave at once
        await page.evaluate("for (let n = 0; n < 10; n++) appliance.track('Unseen'); appliance.optOut()")
    assert await page.evaluate("({...localStorage})") == {"appliance.optout": "1"}
    await context.set_offline(False)
    await page.evaluate("appliance.optIn()")
    await leave(page)
    await tracked.stores([PLAIN], [Visit(1, 1, "/plain.html", "/plain.html", bounce=True)])
