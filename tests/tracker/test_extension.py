"""script.x.js: outbound links, downloads, forms, pages not found; only where the tag asks for them."""

import pytest
from playwright.async_api import Page

from tests.tracker import chromium
from tests.tracker.serving import Json, Recorder, Site

pytestmark = pytest.mark.browser

OWN = ("pageview", "engagement")


async def ready(page: Page, recorder: Recorder, url: str) -> None:
    """Open a page; its load event waits for the second script."""
    await page.goto(url)
    await recorder.event("pageview")


async def sent(page: Page, recorder: Recorder) -> list[tuple[str, Json]]:
    """Name and properties of what was sent beside page view and engagement, once the tab was hidden."""
    await chromium.set_hidden(page, True)
    await recorder.event("engagement")
    return [(event["event"], event["properties"]) for event in recorder.events() if event["event"] not in OWN]


async def test_it_is_loaded_only_when_asked_for(page: Page, recorder: Recorder, site: Site) -> None:
    for name in ("plain", "hash", "manual", "persist", "events"):
        await page.goto(site.url(f"{name}.html"))
    await page.wait_for_timeout(100)
    assert set(recorder.fetched) == {"/script.js"}


async def test_outbound_links_and_downloads(page: Page, recorder: Recorder, site: Site) -> None:
    await ready(page, recorder, site.url("links.html"))
    for link in ("#outside", "#inside", "#file", "#marked", "#mail", "#shadowed b"):
        await page.click(link)
    assert await sent(page, recorder) == [
        ("Outbound Link: Click", {"url": f"{recorder.origin}/elsewhere?q=1"}),
        ("File Download", {"url": site.url("files/Report.PDF")}),
        ("File Download", {"url": site.url("files/data")}),
        ("Outbound Link: Click", {"url": f"{recorder.origin}/shadowed"}),
    ]


async def test_the_middle_button_counts_and_the_right_one_does_not(page: Page, recorder: Recorder, site: Site) -> None:
    await ready(page, recorder, site.url("links.html"))
    await page.evaluate("addEventListener('auxclick', event => event.preventDefault())")
    await page.click("#outside", button="right")
    await page.click("#outside", button="middle")
    assert [name for name, _ in await sent(page, recorder)] == ["Outbound Link: Click"]


async def test_the_operator_names_the_downloads(page: Page, recorder: Recorder, site: Site) -> None:
    site.pages["own.html"] = """<!doctype html><title>Own list</title><!-- tracker data-downloads=".blend, c++" -->
        <a id="pdf" href="a.pdf">a</a> <a id="blend" href="scene.blend">b</a>
        <script>addEventListener("click", event => event.preventDefault())</script>"""
    await ready(page, recorder, site.url("own.html"))
    await page.click("#pdf")
    await page.click("#blend")
    assert await sent(page, recorder) == [("File Download", {"url": site.url("scene.blend")})]


async def test_an_outbound_click_arrives_although_the_page_goes(page: Page, recorder: Recorder, site: Site) -> None:
    site.pages["leaving.html"] = """<!doctype html><title>Leaving</title><!-- tracker data-outbound -->
        <a href="{{scripts}}/elsewhere">Outside</a>"""
    await ready(page, recorder, site.url("leaving.html"))
    await page.click("a")
    await recorder.event("Outbound Link: Click")


async def test_forms_are_reported_without_what_was_typed(page: Page, recorder: Recorder, site: Site) -> None:
    await ready(page, recorder, site.url("form.html"))
    await page.click("#contact button")  # the required field is empty: the browser submits nothing
    await page.fill("[name=email]", "someone@example.com")
    await page.click("#contact button")
    await page.click("#close")
    assert await sent(page, recorder) == [
        ("Form: Submission", {"path": "/form.html", "action": site.url("contact/send")})
    ]
    assert "someone@example.com" not in str(recorder.received)


async def test_a_page_that_was_not_found_says_so(page: Page, recorder: Recorder, site: Site) -> None:
    await ready(page, recorder, site.url("missing.html"))
    assert await sent(page, recorder) == [("404", {"path": "/missing.html"})]
    assert recorder.events("404")[0]["interactive"] is False


async def test_under_a_policy_of_nonces_it_is_a_tag_of_its_own(page: Page, recorder: Recorder, site: Site) -> None:
    site.pages["nonce.html"] = """<!doctype html><title>Nonces</title>
        <meta http-equiv="Content-Security-Policy" content="script-src 'nonce-abc'">
        <!-- tracker nonce="abc" -->
        <script nonce="abc" defer src="{{scripts}}/script.x.js" data-404></script>"""
    await ready(page, recorder, site.url("nonce.html"))
    assert await sent(page, recorder) == [("404", {"path": "/nonce.html"})]
