"""Custom properties among the figures: the card, details, files, filters and chips, against counts by hand."""

import csv
import io
import re
from html import unescape
from urllib.parse import quote

import pytest
from httpx2 import Response

from tests.builders import event
from tests.queries.worlds import compact
from tests.web.administration import Browser, words
from tests.web.dashboards import ANN, BEN, DAN, EVE, FRENCH, Dashboards, card, chips, figures, link, microseconds, rows
from tests.web.dashboards import table as cells_of
from tests.web.test_filter import applied, offered

SITE = "/sites/shop.example"
ODD = 'si/ze: "?#\\|.x'
SWAP = {"HX-Request": "true"}
SENT = [
    (ANN, "2026-03-10 10:02", {"plan": "pro", ODD: "XL"}),
    (ANN, "2026-03-10 10:02", {"plan": "pro", "coupon": ""}),
    (BEN, "2026-03-10 11:00", {"plan": "free"}),
    (DAN, "2026-03-11 09:00", {"plan": "pro", ODD: True}),
    (EVE, "2026-03-11 20:01", {ODD: "XL"}),
    (EVE, "2026-02-01 20:01", {"before": "1"}),
]


@pytest.fixture(scope="module")
async def shop(dashboards: Dashboards) -> Browser:
    project = await dashboards.site(domain="shop.example")
    dashboards.store(
        event(
            visitor=who,
            name="Choose",
            time=microseconds(when),
            project_id=project.id,
            properties=compact(sent),
            **FRENCH,
        )
        for who, when, sent in SENT
    )
    return await dashboards.owner()


def menu(answer: Response) -> list[str]:
    """The properties that the card can list, the chosen one in brackets."""
    html = card(answer, "events").partition('class="choosing"')[2].partition("</details>")[0]
    found = re.findall(r'class="item( on)?"[^>]*><span>(.*?)</span>', html)
    return [f"[{unescape(name)}]" if on else unescape(name) for on, name in found]


async def test_the_card_lists_the_property_that_most_events_have(shop: Browser) -> None:
    answer = await shop.get(f"{SITE}?events=event:props")
    assert menu(answer) == ["[plan]", ODD]
    assert rows(answer, "events") == [("pro", "2", "3", "40 %"), ("free", "1", "1", "20 %")]
    alone = await shop.get(f"{SITE}/panel/events?events=event:props", headers=SWAP)
    assert (menu(alone), rows(alone, "events")) == (menu(answer), rows(answer, "events"))
    assert 'id="tab-events-3" aria-controls="body-events" aria-selected="true"' in answer.text


async def test_the_menu_leads_to_the_others(shop: Browser) -> None:
    answer = await shop.get(link(await shop.get(f"{SITE}?events=event:props"), ODD))
    assert menu(answer) == ["plan", f"[{ODD}]"]
    assert rows(answer, "events") == [("XL", "2", "2", "40 %"), ("true", "1", "1", "20 %")]


async def test_only_properties_under_the_filters_are_offered(shop: Browser) -> None:
    answer = await shop.get(f"{SITE}?events=event:props:plan&f=is:event:name:Choose&from=2026-03-11&to=2026-03-11")
    assert menu(answer) == [ODD, "[plan]"]
    nobody = await shop.get(f"{SITE}?events=event:props:plan&f=is:event:name:Signup")
    assert (menu(nobody), rows(nobody, "events")) == (["[plan]"], [])
    none = await shop.get(f"{SITE}?events=event:props&f=is:event:name:Signup")
    assert "No properties yet. Send them with your events." in words(none)
    assert 'class="choosing"' not in none.text


@pytest.mark.parametrize("key", ["event:props:", "event:props:" + 301 * "x", "event:page"])
async def test_what_is_no_property_is_told(shop: Browser, key: str) -> None:
    assert (await shop.get(f"{SITE}?events={key}")).status_code == 400


async def test_a_line_and_a_chip_filter_by_it(shop: Browser) -> None:
    answer = await shop.get(link(await shop.get(f"{SITE}?events=event:props:{quote(ODD)}"), "XL"))
    assert chips(answer) == [f"{ODD} is XL"]
    assert (figures(answer)["Visitors"], figures(answer)["Pageviews"]) == ("2", "0")
    form = await shop.get(link(answer, f"{ODD} is XL"))
    assert offered(form) == [("XL", "2", True), ("(none)", "5", False), ("true", "1", False)]
    changed = await applied(shop, form, dimension=f"event:props:{ODD}", op="is", value=["true"])
    assert chips(changed) == [f"{ODD} is true"]


async def test_the_form_offers_them_as_a_group(shop: Browser) -> None:
    for headers in ({}, SWAP):
        form = await shop.get(f"{SITE}/filter?dimension=event:props:plan", headers=headers)
        group = form.text.partition('<optgroup label="Properties">')[2].partition("</optgroup>")[0]
        found = re.findall(r'<option value="([^"]*)"( selected)?>(.*?)</option>', group)
        assert [unescape(name) for _, _, name in found] == ["plan", ODD]
        assert [unescape(value) for value, on, _ in found if on] == ["event:props:plan"]
        assert offered(form) == [("(none)", "5", False), ("pro", "2", False), ("free", "1", False)]
    made = await applied(shop, form, dimension="event:props:plan", op="is", text="PR")
    assert chips(made) == ["plan is pro"]
    part = await applied(shop, form, dimension="event:props:plan", op="contains", text="R")
    assert (chips(part), figures(part)["Visitors"]) == (["plan contains R"], "3")


async def test_details_and_their_file(shop: Browser) -> None:
    opened = await shop.get(f"{SITE}?events=event:props:{quote(ODD)}")
    href = unescape(re.search(r'<footer><a class="more" href="([^"]*)"', card(opened, "events"))[1])  # type: ignore[index]
    page = await shop.get(href)
    assert page.status_code == 200
    assert f"<h1>{ODD}</h1>" in unescape(page.text)
    assert cells_of(page, "details-table") == [["XL", "2", "2", "40 %"], ["true", "1", "1", "20 %"]]
    found = await shop.get(href + "&search=TR")
    assert [row[0] for row in cells_of(found, "details-table")] == ["true"]
    assert f'<h2 id="dialog-title">{ODD}</h2>' in unescape((await shop.get(href, headers=SWAP)).text)

    file = await shop.get(link(page, "CSV"))
    assert list(csv.reader(io.StringIO(file.text))) == [
        [f"props:{ODD}", "visitors", "events", "percentage"],
        ["XL", "2", "2", "40.0"],
        ["true", "1", "1", "20.0"],
    ]
    assert re.search(r'filename="[\w.-]+\.csv"', file.headers["content-disposition"])


@pytest.mark.parametrize(
    ("dimension", "head", "row"),
    [
        ("event:currency", "Currency", ["(none)", "5", "14", "100 %"]),
        ("visit:entry_page_hostname", "Entry hostname", ["example.com", "5", "6"]),
        ("visit:exit_page_hostname", "Exit hostname", ["example.com", "5", "6"]),
        ("visit:country_name", "Country", ["FR", "3", "3"]),
    ],
)
async def test_whatever_can_be_grouped_by_has_details(shop: Browser, dimension: str, head: str, row: list[str]) -> None:
    page = await shop.get(f"{SITE}/details/{dimension}")
    assert f"<h1>{head}</h1>" in page.text
    assert cells_of(page, "details-table")[0][: len(row)] == row
    assert (await shop.get(f"{SITE}/details/{dimension}.csv")).text.count("\r\n") > 1
    lines = page.text.partition('id="details-table"')[2].partition("<tbody>")[2]
    filtered = await shop.get(unescape(re.search(r'<a class="clip" href="([^"]*)"', lines)[1]))  # type: ignore[index]
    assert chips(filtered) == [f"{head} is {row[0]}"]
