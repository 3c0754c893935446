"""The tracker in a real browser against the real appliance: what a visitor does is what is stored, and nothing else.

Beside it: test_tracker_identity.py, who did it; test_tracker_delivery.py, when the network fails.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Playwright, expect

from tests.e2e.tracked import (
    BERLIN,
    OPERATOR,
    PASSWORD,
    PLAIN,
    SECOND,
    Event,
    Make,
    Tracked,
    Visit,
    at,
    delivery,
    leave,
    view,
)
from tests.tracker import chromium

pytestmark = pytest.mark.browser

WITH_PIXEL = """<!doctype html><title>Both</title><!-- tracker --><noscript>
    <img src="{{scripts}}/pixel.gif?key={{key}}" alt="" referrerpolicy="no-referrer-when-downgrade"></noscript>"""


# ---------------------------------------------------------------------- page views


async def test_a_page_load_is_stored_with_all_that_it_says(page: Page, tracked: Tracked) -> None:
    tags = "utm_source=letter&utm_medium=email&utm_campaign=spring&gclid=abc"
    await page.goto(tracked.site.url(f"plain.html?{tags}#part"), referer="https://www.google.com/search?q=secret")
    await leave(page)
    visit = Visit(1, 1, "/plain.html", "/plain.html", bounce=True, referrer_source="letter")
    (row,) = await tracked.stores([PLAIN], [visit])
    taken = ("event_id", "timestamp", "received_at", "visit_id", "visit_end", "visitor", "salt_day")
    said = {name: row.pop(name) for name in taken}
    assert len(said["event_id"]) == 14
    assert abs(at(said["timestamp"]) - datetime.now(UTC)) < timedelta(seconds=10)
    assert 0 < row.pop("engaged_ms") < 10_000
    assert at(said["timestamp"]) <= at(said["visit_end"])
    assert row == BERLIN | {
        "kind": "pageview",
        "event": "pageview",
        "path": "/plain.html",
        "title": "Plain page",
        "referrer": "www.google.com/search",
        "referrer_source": "letter",
        "channel": "Email",
        "utm_source": "letter",
        "utm_medium": "email",
        "utm_campaign": "spring",
        "click_id": "abc",
        "scroll_depth": 100,
        "rate": 1_000_000,
        "flags": "browser",
        "interactive": 1,
    }


async def test_navigation_inside_an_application(page: Page, tracked: Tracked) -> None:
    navigate = "history.pushState({}, '', '/cart?step=2'); setTimeout(() => { document.title = 'Cart' }, 20)"
    async with delivery(page):
        await page.goto(tracked.site.url("plain.html"), referer="https://www.google.com/")
    async with delivery(page):
        await page.evaluate(navigate)
    await page.evaluate("history.replaceState({open: true}, '', location.href)")  # same address: no page view
    await page.evaluate("location.hash = '/inbox'")  # nor a fragment, where nobody asked for hash routing
    await page.evaluate("history.replaceState({}, '', '/cart?step=3')")
    await page.evaluate("history.go(-2)")
    await page.wait_for_url("**/plain.html")
    await leave(page)
    await tracked.stores(
        [PLAIN, view("/cart", "Cart"), view("/cart", "Cart"), view("/plain.html", "Cart")],
        [Visit(4, 4, "/plain.html", "/plain.html", referrer_source="Google")],
    )


async def test_fragments_are_pages_when_the_tag_asks_for_it(page: Page, tracked: Tracked) -> None:
    await page.goto(tracked.site.url("hash.html"))
    await page.click("a")
    await page.evaluate("history.back()")
    await page.wait_for_url("**/hash.html")
    await leave(page)
    await tracked.stores(
        [view(path, "Hash routing") for path in ("/hash.html", "/hash.html#/inbox", "/hash.html")],
        [Visit(3, 3, "/hash.html", "/hash.html")],
    )


async def test_back_from_the_back_forward_cache(page: Page, tracked: Tracked) -> None:
    await page.goto(tracked.site.url("plain.html"))
    await page.evaluate("addEventListener('pageshow', event => { window.wasPersisted = event.persisted })")
    await page.click("a")
    await page.wait_for_url("**/second.html")
    await page.evaluate("history.back()")
    await page.wait_for_function("window.wasPersisted")
    await leave(page)
    await tracked.stores([PLAIN, SECOND, PLAIN], [Visit(3, 3, "/plain.html", "/plain.html")])


async def test_a_prerendered_page_counts_when_it_is_shown(
    chromium_path: str, tracked: Tracked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chromium without a debugger drives itself: see prerender.html. Here it goes on to a page without the tag."""
    tracked.site.pages["prerendered.html"] = """<!doctype html><title>Prerendered</title><!-- tracker -->
        <script>
          const began = { prerendering: document.prerendering };
          addEventListener("load", () => appliance.track("Loaded", began));
          const go = () => setTimeout(() => { location.href = "/left" }, 300);
          document.prerendering ? document.addEventListener("prerenderingchange", go) : go();
        </script>"""
    tracked.site.pages["unseen.html"] = "<!doctype html><title>Unseen</title><!-- tracker -->"
    tracked.site.pages["prerender.html"] = """<!doctype html><title>Before</title><!-- tracker -->
        <script type="speculationrules">
          {"prerender": [{"urls": ["/prerendered.html", "/unseen.html"], "eagerness": "immediate"}]}
        </script>
        <script>setTimeout(() => { location.href = "/prerendered.html" }, 1200)</script>"""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    loaded = Event("Loaded", "/prerendered.html", properties={"prerendering": True})
    async with chromium.unattended(chromium_path, tracked.site.url("prerender.html")):
        rows = await tracked.stores(
            [view("/prerender.html", "Before"), loaded, view("/prerendered.html", "Prerendered")],
            [Visit(2, 3, "/prerender.html", "/prerendered.html")],
            place={"hostname": "localhost", "country": "DE", "browser": "Chrome", "device": "Desktop"},
        )
    before, shown = (row for row in rows if row["event"] == "pageview")
    waited = at(shown["timestamp"]) - at(before["timestamp"])
    assert waited.total_seconds() >= 1, "from when the visitor came, not from when the browser began"
    assert shown["engaged_ms"] < 1000, "and it was read from then on"


async def test_a_page_from_a_disk(page: Page, tracked: Tracked, tmp_path: Path) -> None:
    local = tmp_path / "page.html"
    local.write_text(tracked.site.render("<!doctype html><title>On a disk</title><!-- tracker -->"))
    async with delivery(page):
        await page.goto(local.as_uri())
    async with delivery(page):
        await chromium.flush(page)  # on a busy machine the beacon of such a page has been seen to go missing
    await leave(page)
    visit = Visit(1, 1, str(local), str(local), bounce=True)
    await tracked.stores([view(str(local), "On a disk")], [visit], place=BERLIN | {"hostname": ""})


async def test_a_browser_whose_clock_is_wrong(page: Page, context: BrowserContext, tracked: Tracked) -> None:
    await context.add_init_script("const real = Date.now; Date.now = () => real() - 10 * 864e5")
    async with delivery(page):  # what is corrected by the time of arrival is ordered by it
        await page.goto(tracked.site.url("plain.html"))
    await page.evaluate("history.pushState({}, '', '/next')")
    await leave(page)
    rows = await tracked.stores([PLAIN, view("/next", "Plain page")], [Visit(2, 2, "/plain.html", "/next")])
    assert all(abs(at(row["timestamp"]) - datetime.now(UTC)) < timedelta(seconds=10) for row in rows)


async def test_without_javascript_the_pixel_counts(browser: Browser, tracked: Tracked) -> None:
    tracked.site.pages["noscript.html"] = WITH_PIXEL
    plain = await browser.new_context(java_script_enabled=False, locale="de-DE", user_agent=chromium.AGENT)
    page = await plain.new_page()
    await page.goto(tracked.site.url("noscript.html?utm_source=letter"))  # whose load event waits for images
    await plain.close()
    seen = view("/noscript.html", "", scroll_depth=0, engaged=False)
    visit = Visit(1, 1, "/noscript.html", "/noscript.html", bounce=True, referrer_source="letter")
    silent = BERLIN | {"country": "", "screen": ""}  # what only a script can tell
    await tracked.stores([seen], [visit], place=silent)


async def test_with_javascript_the_pixel_does_not_count_as_well(page: Page, tracked: Tracked) -> None:
    tracked.site.pages["noscript.html"] = WITH_PIXEL
    await page.goto(tracked.site.url("noscript.html"))
    await leave(page)
    visit = Visit(1, 1, "/noscript.html", "/noscript.html", bounce=True)
    await tracked.stores([view("/noscript.html", "Both")], [visit])


async def test_automation_is_refused_for_a_reason_that_can_be_seen(
    playwright: Playwright, chromium_path: str, browser: Browser, tracked: Tracked
) -> None:
    robot = await chromium.launch(playwright, chromium_path)  # which says navigator.webdriver
    page = await robot.new_page()
    await page.goto(tracked.site.url("long.html"))
    await page.evaluate("scrollTo(0, 5000); appliance.track('Robot'); appliance.identify('robot')")
    await leave(page)
    await tracked.stores([], [], refused={"automation": 1})
    await robot.close()

    operator = await browser.new_context()
    page = await operator.new_page()
    await page.goto(f"{tracked.server.url}/login?next=/sites/{tracked.project['id']}/settings/refused")
    await page.get_by_label("E-mail").fill(OPERATOR)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.locator("form button.primary").click()
    row = page.locator("tbody tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("/long.html")
    await expect(row).to_contain_text("automat", ignore_case=True)
    await operator.close()


# ---------------------------------------------------------------------- whose project it is


async def test_without_a_key_the_page_says_whose_it_is(page: Page, make: Make) -> None:
    tracked = make("localhost")
    tags = ('data-domain="localhost"', f'data-website-id="{tracked.project["id"]}"', "data-anonymous")
    for number, tag in enumerate(tags):
        tracked.site.pages[f"{number}.html"] = f"<!doctype html><title>Keyless</title><!-- tracker {tag} -->"
        await page.goto(tracked.site.url(f"{number}.html"))
    await leave(page)
    await tracked.stores(
        [view(f"/{number}.html", "Keyless") for number in range(3)], [Visit(3, 3, "/0.html", "/2.html")]
    )


async def test_without_a_key_no_other_site_can_send(page: Page, make: Make) -> None:
    tracked = make("shop.example")
    tracked.site.pages["foreign.html"] = (
        '<!doctype html><title>Foreign</title><!-- tracker data-domain="shop.example" -->'
    )
    async with page.expect_console_message(lambda message: message.type == "warning") as warning:
        await page.goto(tracked.site.url("foreign.html"))
    assert "is not one of the project" in (await warning.value).text, "whoever looks for the reason finds it"
    await leave(page)
    # The page view, and the beacon of the page that is left.
    await tracked.stores([], [], refused={"origin_not_allowed": 2})


# ---------------------------------------------------------------------- events


async def test_events_with_properties_and_revenue(page: Page, tracked: Tracked) -> None:
    await page.goto(tracked.site.url("events.html"))
    await page.click("#inside")
    await page.evaluate(
        """() => {
            appliance.track("Order", {items: 3, plan: "trial"}, {revenue: {amount: 19.9, currency: "USD"}});
            appliance.track("Autoplay", {}, {interactive: false});
        }"""
    )
    await leave(page)
    common = {"plan": "pro", "page-type": "shop"}
    rows = await tracked.stores(
        [
            view("/events.html", "Events", properties=common),
            Event("Buy", "/events.html", properties=common | {"colour": "red", "size-eu": "42"}),
            Event("Order", "/events.html", properties=common | {"items": 3, "plan": "trial"}),
            Event("Autoplay", "/events.html", properties=common, interactive=False),
        ],
        [Visit(1, 4, "/events.html", "/events.html")],
    )
    revenue = [(row["event"], row["revenue"], row["currency"]) for row in rows if "revenue" in row]
    assert revenue == [("Order", "19.90", "USD")]


async def test_an_outbound_link_that_is_followed(page: Page, tracked: Tracked) -> None:
    elsewhere = tracked.site.url("elsewhere?q=1").replace("localhost", "127.0.0.1")
    tracked.site.pages["leaving.html"] = f"""<!doctype html><title>Leaving</title>
        <!-- tracker data-outbound data-downloads --><a href="{elsewhere}">Outside</a>"""
    await page.goto(tracked.site.url("leaving.html"))
    await page.click("a")
    await page.wait_for_url(elsewhere)
    click = Event("Outbound Link: Click", "/leaving.html", properties={"url": elsewhere})
    visit = Visit(1, 2, "/leaving.html", "/leaving.html")
    await tracked.stores([view("/leaving.html", "Leaving"), click], [visit])


async def test_a_download(page: Page, tracked: Tracked) -> None:
    tracked.site.pages["files.html"] = """<!doctype html><title>Files</title><!-- tracker data-downloads -->
        <a href="files/Report.PDF?token=secret" download>Report</a>"""
    await page.goto(tracked.site.url("files.html"))
    async with page.expect_download():
        await page.click("a")
    await leave(page)
    download = Event("File Download", "/files.html", properties={"url": tracked.site.url("files/Report.PDF")})
    await tracked.stores([view("/files.html", "Files"), download], [Visit(1, 2, "/files.html", "/files.html")])


async def test_a_form_that_is_sent(page: Page, tracked: Tracked) -> None:
    tracked.site.pages["contact.html"] = """<!doctype html><title>Contact</title><!-- tracker data-forms -->
        <form action="/contact/send?ref=secret" method="post">
          <input name="email" required><button>Send</button>
        </form>"""
    await page.goto(tracked.site.url("contact.html"))
    await page.click("button")  # the required field is empty: the browser sends nothing
    await page.fill("input", "someone@example.com")
    await page.click("button")
    await page.wait_for_url("**/contact/send*")
    sent = {"path": "/contact.html", "action": tracked.site.url("contact/send")}
    await tracked.stores(
        [view("/contact.html", "Contact"), Event("Form: Submission", "/contact.html", properties=sent)],
        [Visit(1, 2, "/contact.html", "/contact.html")],
    )


async def test_a_page_that_was_not_found_still_bounces(page: Page, tracked: Tracked) -> None:
    await page.goto(tracked.site.url("missing.html"))
    await leave(page)
    missing = Event("404", "/missing.html", properties={"path": "/missing.html"}, interactive=False)
    await tracked.stores(
        [view("/missing.html", "Not found"), missing], [Visit(1, 2, "/missing.html", "/missing.html", bounce=True)]
    )


# ---------------------------------------------------------------------- engagement


async def test_scrolling_and_reading(page: Page, tracked: Tracked) -> None:
    """Two pages inside an application; the second is read in two goes, with the tab hidden for a second between."""
    await page.goto(tracked.site.url("long.html"))
    await page.evaluate("new Promise(done => { onscroll = done; scrollTo(0, 2880) })")
    await page.wait_for_timeout(600)
    await page.evaluate("history.pushState({}, '', '/next')")
    await page.wait_for_timeout(400)
    await chromium.set_hidden(page, True)
    await page.wait_for_timeout(1000)
    await chromium.set_hidden(page, False)
    await page.evaluate("new Promise(done => { onscroll = done; scrollTo(0, 7200) })")
    await page.evaluate("new Promise(done => { onscroll = done; scrollTo(0, 0) })")
    await page.wait_for_timeout(200)
    await leave(page)
    rows = await tracked.stores(
        # 2,880 px and a window of 720 out of 7,200; then down to the end.
        [view("/long.html", "Long page", scroll_depth=50), view("/next", "Long page")],
        [Visit(2, 2, "/long.html", "/next")],
    )
    (visit,) = tracked.export("visits")
    first, second = (row["engaged_ms"] for row in rows)
    changed = at(rows[1]["timestamp"]) - at(rows[0]["timestamp"])
    assert 600 <= first <= changed.total_seconds() * 1000 + 5, "all the time until the address changed"
    assert second >= 600, "both goes"
    assert first + second <= visit["duration_seconds"] * 1000 - 990, "without the second when it was hidden"
    assert visit["duration_seconds"] >= 2.2, "the last page was read too"
    assert tracked.query("pageviews", "bounce_rate", "visit_duration") == [2, 0, round(visit["duration_seconds"])]
