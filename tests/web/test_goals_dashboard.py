"""Goals among the figures: the card, details, files, filters and chips, against counts by hand (goal_site.py)."""

import csv
import io
from urllib.parse import quote

import pytest
from httpx2 import Response

from appliance.web.navigation import REPORTS
from tests.web.administration import Browser, words
from tests.web.dashboards import Dashboards, card, chips, figures, link, links_in, rows, table
from tests.web.goal_site import with_goals

SITE = "/sites/goals.example"
ORDER = "f=" + quote("is:event:goal:=Order\\|now")
SWAP = {"HX-Request": "true"}


@pytest.fixture(scope="module")
async def shop(dashboards: Dashboards) -> Browser:
    await with_goals(dashboards, "goals.example")
    return await dashboards.owner()


def tabs(answer: Response) -> list[str]:
    html = card(answer, "events").partition('role="tablist"')[2].partition("</div>")[0]
    return [each.partition(">")[2] for each in html.replace("</a>", "").split("<a ")[1:]]


def lines(answer: Response) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.text)))


async def test_the_card_lists_every_goal(shop: Browser) -> None:
    dashboard = await shop.get(SITE)
    assert [each.strip() for each in tabs(dashboard)] == ["Goals", "Events", "Properties"]
    assert rows(dashboard, "events") == [
        ("Read the docs", "2", "2", "40 %", "–"),
        ("=Order|now", "1", "1", "20 %", "€19.99"),
        ("Signup", "1", "1", "20 %", "–"),
        ("Never", "0", "0", "0 %", "–"),
    ]
    alone = await shop.get(f"{SITE}/panel/events", headers=SWAP)
    assert rows(dashboard, "events") == rows(alone, "events")
    events = await shop.get(f"{SITE}?events=event:name")
    assert [row[0] for row in rows(events, "events")] == ["Order", "Signup"]


async def test_revenue_has_a_column_only_where_there_is_any(shop: Browser) -> None:
    answer = await shop.get(f"{SITE}?f=is:event:goal:Signup")
    assert rows(answer, "events") == [("Signup", "1", "1", "20 %")]
    assert "Revenue" not in words(answer)


async def test_a_goal_is_a_filter_like_any_other(shop: Browser) -> None:
    dashboard = await shop.get(SITE)
    href = next(href for href in links_in(card(dashboard, "events")) if "Order" in href)
    ordered = await shop.get(href)
    assert chips(ordered) == ["Goal is =Order|now"]
    assert figures(ordered)["Visitors"] == "1"
    assert rows(ordered, "sources") == [("Google", "1")]
    page = await shop.get(link(ordered, "Goal is"))
    assert 'name="value" value="=Order|now" checked' in page.text
    either = await shop.get(f"{SITE}?f=contains:event:goal:Sign|docs")
    assert chips(either) == ["Goal contains Sign or docs"]
    assert figures(either)["Visitors"] == "3"


@pytest.mark.parametrize("path", ["", "/details/visit:source", "/details/visit:country.csv", "/series.csv", "/filter"])
async def test_pages_and_files_take_goals(shop: Browser, path: str) -> None:
    answer = await shop.get(f"{SITE}{path}?{ORDER}")
    assert answer.status_code == 200
    if path == "/details/visit:country.csv":
        assert [row[:3] for row in lines(answer)] == [["country", "country_name", "visitors"], ["FR", "France", "1"]]


@pytest.mark.parametrize("report", REPORTS)
async def test_reports_take_goals(shop: Browser, report: str) -> None:
    answer = await shop.get(f"{SITE}/{report}?{ORDER}")
    assert answer.status_code == 200
    assert chips(answer) == ["Goal is =Order|now"]
    if report == "events":
        assert answer.text.count('class="what"') == 1
    assert (await shop.get(f"{SITE}/{report}.csv?{ORDER}")).status_code == 200


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("is:event:goal:Gone", "no goal"),
        ("is_not:event:goal:Signup", "goals are filtered by"),
        ('json:["has_done",["is","event:goal",["Gone"]]]', "no goal"),
    ],
)
async def test_a_goal_that_is_not_there_is_said(shop: Browser, written: str, said: str) -> None:
    for path in (SITE, f"{SITE}/panel/events", f"{SITE}/retention"):
        answer = await shop.get(path, params={"f": written}, headers=SWAP if "panel" in path else {})
        assert answer.status_code == 400
        assert said in words(answer)


async def test_details_list_order_and_search_goals(shop: Browser) -> None:
    answer = await shop.get(f"{SITE}/details/event:goal")
    assert [row[0] for row in table(answer, "details-table")] == ["Read the docs", "=Order|now", "Signup", "Never"]
    variants = answer.text.partition('class="segments"')[2].partition("</nav>")[0]
    assert variants.index("Goals") < variants.index("Events")  # as in the card
    assert table(answer, "details-table")[1] == ["=Order|now", "1", "1", "20 %", "€19.99"]
    upwards = await shop.get(f"{SITE}/details/event:goal?sort=visitors&dir=asc")
    assert [row[0] for row in table(upwards, "details-table")] == ["Never", "=Order|now", "Signup", "Read the docs"]
    by_name = await shop.get(f"{SITE}/details/event:goal?sort=value")
    assert [row[0] for row in table(by_name, "details-table")] == ["=Order|now", "Never", "Read the docs", "Signup"]
    found = await shop.get(f"{SITE}/details/event:goal?search=NE")
    assert [row[0] for row in table(found, "details-table")] == ["Never"]


async def test_goals_as_a_file_have_neutral_cells_and_money_in_units(shop: Browser) -> None:
    assert lines(await shop.get(f"{SITE}/details/event:goal.csv")) == [
        ["goal", "visitors", "events", "conversion_rate", "total_revenue", "currency"],
        ["Read the docs", "2", "2", "40.0", "", ""],
        ["'=Order|now", "1", "1", "20.0", "19.99", "EUR"],
        ["Signup", "1", "1", "20.0", "", ""],
        ["Never", "0", "0", "0.0", "", ""],
    ]


async def test_the_filter_form_offers_every_goal(shop: Browser) -> None:
    page = await shop.get(f"{SITE}/filter?dimension=event:goal&op=is_not")
    assert [each for each in ("is", "contains", "is_not") if f'name="op" value="{each}"' in page.text] == [
        "is",
        "contains",
    ]
    offered = [name for name in ("Read the docs", "=Order|now", "Signup", "Never") if f'value="{name}">' in page.text]
    assert offered == ["Read the docs", "=Order|now", "Signup", "Never"]
    swapped = await shop.get(f"{SITE}/filter/values?dimension=event:goal&text=si&value=Never", headers=SWAP)
    assert 'value="Never" checked' in swapped.text
    assert 'value="Signup"' in swapped.text
    assert "Read the docs" not in swapped.text
    assert 'id="filter-operators" hx-swap-oob="true"' in swapped.text


@pytest.mark.parametrize(
    ("fields", "chip"),
    [
        ("op=is&value=Signup&value=Never", "Goal is Signup or Never"),
        ("op=is_not&value=Signup", "Goal is Signup"),  # left at what another dimension had
        ("op=is&text=docs", "Goal is Read the docs"),
        ("op=contains&text=SIGN", "Goal contains SIGN"),
    ],
)
async def test_the_form_makes_filters_of_goals(shop: Browser, fields: str, chip: str) -> None:
    answer = await shop.get(f"{SITE}/filter/apply?dimension=event:goal&{fields}", follow_redirects=True)
    assert chips(answer) == [chip]


async def test_a_text_that_no_goal_has_is_said(shop: Browser) -> None:
    answer = await shop.get(f"{SITE}/filter/apply?dimension=event:goal&op=is&text=Gone")
    assert answer.status_code == 400
    assert "Nothing here matches." in words(await shop.get(f"{SITE}/filter?dimension=event:goal&text=Gone"))


async def test_without_goals_the_card_begins_with_events_and_says_what_a_goal_is(reader: Browser) -> None:
    site = "/sites/example.com"
    dashboard = await reader.get(site)
    assert [each.strip() for each in tabs(dashboard)] == ["Events", "Goals", "Properties"]
    goals = await reader.get(f"{site}/panel/events?events=event:goal", headers=SWAP)
    assert "A goal is an event or a page that you want to happen." in words(goals)
    assert f"{site}/settings/goals" in goals.text
    assert "event:goal" not in (await reader.get(f"{site}/filter")).text
    assert (await reader.get(f"{site}/filter?dimension=event:goal")).status_code == 400
    assert lines(await reader.get(f"{site}/details/event:goal.csv"))[1:] == []


async def test_a_viewer_is_not_sent_to_where_goals_are_made(dashboards: Dashboards, reader: Browser) -> None:
    viewer = await dashboards.signed_in("viewer")
    for path in ("/panel/events?events=event:goal", "?events=event:goal"):
        answer = await viewer.get(f"/sites/example.com{path}", headers=SWAP)
        assert answer.status_code == 200
        assert "No goals yet." in words(answer)
        assert "settings/goals" not in answer.text
