"""Every page in a real browser: no console message under the strict policy, no sideways scroll, contrast, names, keys.

Pictures of each page and look are left in pytest's temporary folder (`gallery-…`).
"""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Response, expect, sync_playwright

from tests.web.gallery import LOOKS, PAGES, look, serving

KB = 1024
pytestmark = pytest.mark.browser

EXAMINE = (Path(__file__).parent / "examine.js").read_text()
# References to elements that do not exist; the empty dialog names the heading it will hold.
DANGLING = """() => ["aria-controls", "aria-labelledby", "aria-describedby", "for"].flatMap((name) =>
  [...document.querySelectorAll(`[${name}]:not(#dialog)`)].flatMap((element) => element.getAttribute(name).split(" ")))
  .filter((id) => !document.getElementById(id))"""
NAMED = {
    "button",
    "link",
    "textbox",
    "searchbox",
    "checkbox",
    "radio",
    "switch",
    "combobox",
    "tab",
    "dialog",
    "img",
    "DisclosureTriangle",
}


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Page]:
    """The dashboard on a desktop; no message may reach the console."""
    context = look(browser, "light", origin)
    tab = context.new_page()
    said = listen(tab)
    tab.goto("/p/1")
    tab.evaluate("document.fonts.ready")
    yield tab
    context.close()
    assert said == []


def listen(tab: Page) -> list[str]:
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    return said


@pytest.mark.parametrize("name", LOOKS)
def test_every_page_in_every_look(
    browser: Browser, origin: str, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pictures = tmp_path_factory.mktemp("gallery")
    context = look(browser, name, origin)
    tab = context.new_page()
    said = listen(tab)
    faults = {}
    for key in PAGES:
        tab.goto(f"/gallery/{key}")
        tab.evaluate("document.fonts.ready")
        found = tab.evaluate(EXAMINE)
        if found["wide"] > 0 or found["pale"] or found["tiny"]:
            faults[key] = found
        tab.screenshot(path=pictures / f"{key}-{name}.png", full_page=True, caret="initial")
    context.close()
    assert faults == {}
    assert said == []


def test_the_examination_sees_what_is_wrong(page: Page) -> None:
    # In one go: the page's stream may bring a new card at any time.
    found = page.evaluate(
        "() => { document.querySelector('.legend').insertAdjacentHTML('beforeend', '<span class=grid>Pale</span>');"
        " document.styleSheets[0].insertRule('@layer utilities { .legend .grid"
        " { color: #bbb !important; min-width: 2000px !important } }', 0);"
        f" return ({EXAMINE})(); }}"
    )
    assert [text.split()[1] for text in found["pale"]] == ["Pale"]
    assert found["wide"] > 0


def test_everything_that_can_be_used_has_a_name(browser: Browser, origin: str) -> None:
    context = look(browser, "light", origin)
    tab = context.new_page()
    nameless = {}
    for key in PAGES:
        tab.goto(f"/gallery/{key}")
        tab.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
        tree = context.new_cdp_session(tab).send("Accessibility.getFullAXTree")["nodes"]
        found = [
            node["role"]["value"]
            for node in tree
            if not node["ignored"]
            and node.get("role", {}).get("value") in NAMED
            and not node.get("name", {}).get("value", "").strip()
        ]
        broken = tab.evaluate(DANGLING)
        if found or broken:
            nameless[key] = (found, broken)
    context.close()
    assert nameless == {}


def test_without_scripts_the_pages_are_links_and_forms(browser: Browser, origin: str) -> None:
    context = look(browser, "light", origin, scripts=False)
    tab = context.new_page()
    tab.goto("/p/1")
    tab.click(".period summary")
    tab.click(".period .item:has-text('Last 7 days')")
    assert query(tab) == "period=7d"
    tab.click("#panel-sources footer a")
    assert urlsplit(tab.url).path == "/p/1/details/visit:source"
    tab.fill("input[name=search]", "hack")
    tab.press("input[name=search]", "Enter")
    assert tab.locator("table.details tbody tr").count() == 1
    tab.goto("/p/1/filter")
    tab.click("button:has-text('Apply filter')")
    assert query(tab) == "f=is:visit:country:DE"
    assert not tab.locator(".needs-script").first.is_visible()
    context.close()


def test_the_first_load_and_a_swap_stay_in_their_budget(browser: Browser, origin: str) -> None:
    context = look(browser, "light", origin)
    tab = context.new_page()
    sizes: dict[str, int] = {}

    def count(response: Response) -> None:
        path = urlsplit(response.url).path
        if not path.endswith("/stream"):
            body = response.body()
            sizes[path] = len(body) if path.endswith(".woff2") else len(gzip.compress(body))

    tab.on("response", count)
    tab.goto("/p/1", wait_until="networkidle")
    assert sum(sizes.values()) <= 150 * KB, sizes
    assert any(path.endswith(".woff2") for path in sizes)
    assert "/static/world.svg" in sizes
    sizes.clear()
    tab.keyboard.press("w")
    tab.wait_for_url("**period=7d")
    assert sum(sizes.values()) <= 30 * KB, sizes
    context.close()


def query(tab: Page) -> str:
    return urlsplit(tab.url).query


def test_a_period_by_key_swaps_the_dashboard_and_back_returns(page: Page) -> None:
    page.evaluate("window.same = true")
    page.keyboard.press("w")
    page.wait_for_url("**period=7d")
    expect(page).to_have_title(re.compile("^example.com 7d"))
    page.go_back()
    expect(page).to_have_title(re.compile("^example.com 30d"))
    assert query(page) == ""
    assert page.evaluate("window.same")  # the page was never left


def test_keys_rest_while_typing_and_when_switched_off(page: Page) -> None:
    page.click(".period summary")
    page.focus("input[name=from]")
    page.keyboard.press("w")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    assert "Last 7 days" in page.inner_text("#keys")
    page.click("#keys-on")
    page.keyboard.press("Escape")
    page.keyboard.press("w")
    page.wait_for_timeout(150)
    assert query(page) == ""


def test_a_figure_and_a_tab_swap_only_their_card(page: Page) -> None:
    page.evaluate("document.querySelector('#panel-pages').mark = 1")
    page.click(".kpi:has-text('Bounce rate')")
    page.wait_for_url("**metric=bounce_rate")
    expect(page.locator(".kpi[aria-pressed=true]")).to_contain_text("Bounce rate")
    expect(page.locator(".plot .text")).to_contain_text("60\u202f%")
    page.click("#panel-locations [role=tab]:has-text('Countries')")
    page.wait_for_url("**tab.locations=**")
    expect(page.locator("#panel-locations .flag")).to_have_count(9)
    assert page.evaluate("document.querySelector('#panel-pages').mark") == 1


def test_the_chart_speaks_to_pointer_and_keyboard(page: Page) -> None:
    assert page.get_attribute("#plot", "aria-label") == "Visitors, Last 30 days: 77,120, up 12\u202f%"
    box = page.locator("#plot").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 40)
    tip = page.locator("#tip")
    assert "Thu 20\u00a0Nov" in tip.inner_text()
    assert "1,310" in tip.inner_text()
    edge = tip.bounding_box()
    assert edge
    assert edge["x"] + edge["width"] < box["x"] + box["width"]
    page.mouse.move(5, 5)
    assert not tip.is_visible()
    page.focus("#plot")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert "Thu 23\u00a0Oct" in tip.inner_text()
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.wait_for_url("**date=2025-11-20")


def test_details_open_over_the_dashboard_under_their_own_address(page: Page) -> None:
    title = page.title()
    page.click("#panel-sources footer a")
    page.wait_for_selector("#dialog[open] table")
    assert page.title().startswith("Sources")
    assert urlsplit(page.url).path == "/p/1/details/visit:source"
    page.fill("#details-search", "hack")
    expect(page.locator("#dialog tbody tr")).to_have_count(1)
    assert page.evaluate("document.activeElement.id") == "details-search"  # the swap keeps the focus
    page.keyboard.press("Escape")  # empties the field, as browsers do
    page.keyboard.press("Escape")
    page.wait_for_url("**/p/1")
    assert not page.locator("#dialog").is_visible()
    assert page.title() == title
    page.click("#panel-sources footer a")
    page.wait_for_selector("#dialog[open] table")
    page.go_back()
    page.wait_for_url("**/p/1")
    assert not page.locator("#dialog").is_visible()
    page.click("#panel-sources footer a")
    page.click("#dialog tbody a:has-text('Google')")
    page.wait_for_url("**f=is**")
    assert not page.locator("#dialog").is_visible()
    assert page.locator("#dash .chip").count() == 1


def test_a_filter_is_found_and_applied_by_keyboard(page: Page) -> None:
    page.keyboard.press("i")
    page.wait_for_selector("#dialog[open] input[name=text]")
    page.keyboard.type("germ")
    expect(page.locator("#filter-values label")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**f=is:visit:country:DE")
    assert page.locator(".chip").inner_text() == "Country is Germany"
    assert not page.locator("#dialog").is_visible()


def test_the_map_filters_and_back_returns(page: Page) -> None:
    page.hover("use[data-name='India']")
    assert "India" in page.inner_text(".map .tip")
    assert "7,422" in page.inner_text(".map .tip")
    page.click("use[data-name='India']")
    page.wait_for_url("**country%3AIN")
    page.wait_for_selector(".chip")
    page.go_back()
    page.wait_for_selector(".chip", state="detached")


def test_the_palette_finds_what_the_page_offers(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("l7d")
    assert page.locator("#palette [aria-selected=true]").inner_text().startswith("Last 7 days")
    page.keyboard.press("Enter")
    page.wait_for_url("**period=7d")
    page.keyboard.press("/")
    assert page.locator("#palette .heading").first.inner_text() == "Recent"
    page.keyboard.type("zzzz")
    assert page.locator("#palette .empty").is_visible()


def test_the_theme_is_kept_by_the_server(page: Page) -> None:
    page.click("[data-theme-next]")
    page.click("[data-theme-next]")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_menus_close_by_escape_and_by_a_click_outside(page: Page) -> None:
    page.click(".period summary")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent").startswith("Yesterday")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('.period summary')")
    page.click(".site-menu summary")
    page.mouse.click(600, 700)
    assert page.locator("details.menu[open]").count() == 0


def test_the_stream_moves_the_page(page: Page) -> None:
    expect(page.locator("[data-live]")).to_have_text("41")
    assert page.inner_text("#announce") == "41 people on the site now"
    page.goto("/gallery/live")
    page.wait_for_selector("#feed .fresh")
    assert page.locator("#feed > li").count() == 9
    page.goto("/gallery/setup-install")
    page.wait_for_selector(".received .button:visible")
    assert page.inner_text("#waiting").startswith("First visit received")


def test_what_is_deleted_for_good_is_typed_first(page: Page) -> None:
    page.goto("/gallery/project")
    button = page.locator("#danger button")
    assert button.is_disabled()
    page.fill("#confirm", "example.com")
    assert button.is_enabled()


def test_code_is_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/gallery/setup-install")
    page.click("[data-copy=snippet-html]")
    page.wait_for_selector("[data-copy].done")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r'<script defer data-key="sa_[^"]+" src="https://[^"]+"></script>', copied)


def test_a_failed_swap_says_so_and_keeps_the_page(browser: Browser, origin: str) -> None:
    context = look(browser, "light", origin)
    tab = context.new_page()
    tab.goto("/p/1")
    context.set_offline(True)
    tab.click(".kpi:has-text('Visits')")
    tab.wait_for_selector(".error-toast")
    assert tab.locator(".kpi").count() == 6
    assert tab.locator("[aria-busy=true]").count() == 0
    context.close()
