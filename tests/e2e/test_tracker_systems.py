"""The tag of an earlier system, unchanged, in a real browser against the real appliance."""

import pytest
from playwright.async_api import Page

from tests.e2e.tracked import Event, Tracked, Visit, leave, view

pytestmark = pytest.mark.browser

CALLS = ("dashboard-c.html", "A page made for the Real-time Analytics Dashboard")


async def test_system_cs_tag(page: Page, tracked: Tracked) -> None:
    name, title = CALLS
    await page.goto(tracked.site.url(name))
    await leave(page)
    await tracked.stores(
        [
            view(f"/{name}", title),
            Event("button_click", f"/{name}", properties={"button_id": "signup"}),
        ],
        [Visit(1, 2, f"/{name}", f"/{name}", user_id="user_42")],
    )


async def test_after_reset_it_is_somebody_else(page: Page, tracked: Tracked) -> None:
    name, title = CALLS
    await page.goto(tracked.site.url(name))
    await page.evaluate("tracker.reset(); tracker.event('after')")
    await leave(page)
    events = [
        view(f"/{name}", title),
        Event("button_click", f"/{name}", properties={"button_id": "signup"}),
        Event("after", f"/{name}", visit=2),
    ]
    visits = [
        Visit(1, 2, f"/{name}", f"/{name}", user_id="user_42"),
        Visit(0, 1, "", "", visitor=2),
    ]
    await tracked.stores(events, visits)
