"""Details: every column against counts by hand, search, order, pages, and the same as CSV."""

import csv
import io

import pytest
from httpx2 import Response

from appliance.web.cards import OFFERED
from tests.builders import engagement, pageview
from tests.web.administration import Browser, words
from tests.web.dashboards import FRENCH, GERMAN, SITE, Dashboards, Visit, chips, link, microseconds, table

SWAP = {"HX-Request": "true"}
MANY = "/sites/many.example"
CAFES = [("Cologne Café", "/=1+1"), ("köln", "/b"), ("@home", '/c,"d"')]


def cells(answer: Response) -> list[list[str]]:
    return table(answer, "details-table")


def labels(answer: Response) -> list[str]:
    return [row[0] for row in cells(answer)]


@pytest.fixture(scope="module")
async def many(dashboards: Dashboards) -> Browser:
    """The reader, of a site with 120 pages of one visitor each, and odd names."""
    visits = [
        Visit(f"2026-03-10 {8 + n // 60:02}:{n % 60:02}", 1000 + n, [f"/page/{n:03}"], GERMAN) for n in range(120)
    ]
    visits += [
        Visit(f"2026-03-11 0{n}:00", 2000 + n, [path], FRENCH | {"referrer_source": source})
        for n, (source, path) in enumerate(CAFES)
    ]
    await dashboards.site(visits, "many.example")
    return await dashboards.owner()


@pytest.mark.parametrize(
    ("dimension", "heads", "rows"),
    [
        (
            "visit:source",
            ["Source", "Visitors", "Visits", "Pageviews", "Bounce rate", "Visit duration"],
            [
                ["Google", "3", "3", "5", "33 %", "1m 00s"],
                ["Direct / None", "2", "2", "2", "100 %", "0s"],
                ["newsletter", "1", "1", "1", "100 %", "0s"],
            ],
        ),
        (
            "event:page",
            [
                "Page",
                "Visitors",
                "Visits",
                "Pageviews",
                "Bounce rate",
                "Visit duration",
                "Time on page",
                "Scroll depth",
            ],
            [
                ["/", "3", "3", "3", "33 %", "1m 00s", "0s", "0 %"],
                ["/docs", "2", "2", "2", "50 %", "30s", "0s", "0 %"],
                ["/pricing", "2", "2", "2", "50 %", "1m 00s", "0s", "0 %"],
                ["/blog", "1", "1", "1", "100 %", "0s", "0s", "0 %"],
            ],
        ),
        (
            "visit:country",
            ["Country", "Visitors", "Visits", "Pageviews", "Bounce rate", "Visit duration"],
            [
                ["France", "3", "3", "4", "67 %", "20s"],
                ["Germany", "1", "2", "3", "50 %", "1m 00s"],
                ["United States", "1", "1", "1", "100 %", "0s"],
            ],
        ),
        (
            "event:name",
            ["Event", "Visitors", "Events", "Share"],
            [["pageview", "5", "8", "100 %"], ["Signup", "1", "1", "20 %"]],
        ),
    ],
)
async def test_the_columns_are_those_counted_by_hand(
    reader: Browser, dimension: str, heads: list[str], rows: list[list[str]]
) -> None:
    answer = await reader.get(f"{SITE}/details/{dimension}")
    assert answer.status_code == 200
    head = answer.text.partition("<thead")[2].partition("</thead>")[0]
    assert [part.partition("<")[0] for part in head.split('">')[1:] if part.partition("<")[0].strip()] == heads
    assert cells(answer) == rows


async def test_pages_say_how_long_and_how_far_they_were_read(dashboards: Dashboards) -> None:
    project = await dashboards.site(domain="read.example")
    common = {"project_id": project.id, "salt_day": None, **GERMAN}
    read = []
    for visitor, engaged_ms, scroll_depth in ((71, 10_000, 50), (72, 21_000, 100)):
        view = pageview(visitor=visitor, path="/long", time=microseconds("2026-03-12 09:00"), **common)
        time = microseconds("2026-03-12 09:01")
        read += [view, engagement(0, view, scroll_depth, engaged_ms, time=time, **common)]
    dashboards.store(read)
    browser = await dashboards.owner()
    page = await browser.get("/sites/read.example/details/event:page?search=long")
    assert [row[-2:] for row in cells(page)] == [["16s", "75 %"]]
    first = await browser.get("/sites/read.example/details/event:page?sort=scroll_depth")
    assert labels(first)[0] == "/long"
    file = await rows_of(browser, "/sites/read.example/details/event:page.csv?sort=time_on_page")
    assert file[0][-2:] == ["time_on_page", "scroll_depth"]
    assert file[1][-2:] == ["16", "75"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Google", "Direct / None", "newsletter"]),
        ("sort=visitors&dir=asc", ["newsletter", "Direct / None", "Google"]),
        ("sort=bounce_rate", ["Direct / None", "newsletter", "Google"]),
        ("sort=visit_duration", ["Google", "Direct / None", "newsletter"]),
        ("sort=value", ["Direct / None", "Google", "newsletter"]),
        ("sort=value&dir=desc", ["newsletter", "Google", "Direct / None"]),
        ("f=is:visit:country:DE", ["Google", "newsletter"]),
    ],
)
async def test_rows_are_ordered_by_any_column(reader: Browser, query: str, expected: list[str]) -> None:
    assert labels(await reader.get(f"{SITE}/details/visit:source?{query}")) == expected


async def test_names_of_countries_and_languages_are_what_is_searched_and_ordered(reader: Browser) -> None:
    assert labels(await reader.get(f"{SITE}/details/visit:country?search=STATES")) == ["United States"]
    assert labels(await reader.get(f"{SITE}/details/visit:country?search=de")) == ["Germany"]  # its code
    assert labels(await reader.get(f"{SITE}/details/visit:country?sort=value")) == [
        "France",
        "Germany",
        "United States",
    ]
    assert labels(await reader.get(f"{SITE}/details/visit:language?search=english")) == ["English (United States)"]
    assert "Nothing matches “moon”." in words(await reader.get(f"{SITE}/details/visit:country?search=moon"))


async def test_a_head_orders_and_turns_round(reader: Browser) -> None:
    path = f"{SITE}/details/visit:source"
    first = await reader.get(path)
    assert 'aria-sort="descending"><a href="' in first.text
    turned = await reader.get(link(first, "Visitors"))
    assert str(turned.url).endswith("?sort=visitors&dir=asc")
    assert str((await reader.get(link(turned, "Visitors"))).url).endswith(path)
    assert link(first, "Bounce rate") == f"{path}?sort=bounce_rate&dir=desc"
    assert f'<th scope="col"><a href="{path}?sort=value&amp;dir=asc">Source</a></th>' in first.text


async def test_pages_of_fifty_and_the_search_over_all_of_them(many: Browser) -> None:
    first = await many.get(f"{MANY}/details/event:page?sort=value")
    assert "1–50 of 123" in words(first)
    assert 'aria-disabled="true" rel="prev"' in first.text
    second = await many.get(f"{MANY}/details/event:page?sort=value&dir=asc&page=2")
    assert labels(second)[0] == "/page/047"  # three others come before the pages
    third = await many.get(f"{MANY}/details/event:page?sort=value&dir=asc&page=3")
    assert "101–123 of 123" in words(third)
    assert 'aria-disabled="true" rel="next"' in third.text
    found = await many.get(f"{MANY}/details/event:page?search=PAGE/11&sort=value")
    assert labels(found) == [f"/page/11{n}" for n in range(10)]
    assert "1–10 of 10" in words(found)


async def test_a_row_leads_to_the_dashboard_with_its_filter(reader: Browser) -> None:
    answer = await reader.get(f"{SITE}/details/event:page?period=7d&search=docs")
    filtered = await reader.get(link(answer, "/docs"))
    assert chips(filtered) == ["Page is /docs"]
    assert str(filtered.url).endswith(f"{SITE}?period=7d&f=is:event:page:/docs")
    assert 'href="https://example.com/docs" target="_blank" rel="noopener noreferrer"' in answer.text


async def test_a_swap_gets_the_dialog(reader: Browser) -> None:
    answer = await reader.get(f"{SITE}/details/event:page?period=7d", headers=SWAP)
    assert "<html" not in answer.text
    assert f'data-close-href="{SITE}?period=7d"' in answer.text
    assert answer.headers["vary"] == "HX-Request"
    assert answer.headers["cache-control"] == "private, max-age=5"


async def test_other_lists_of_the_card_are_one_click_away(reader: Browser) -> None:
    answer = await reader.get(f"{SITE}/details/visit:source?period=7d")
    assert link(answer, "UTM media") == f"{SITE}/details/visit:utm_medium?period=7d"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("details/visit:planet", 404),
        ("details/time:day", 404),
        ("details/event:props", 404),
        ("details/event:props:", 404),
        ("details/visit:source?sort=magic", 400),
        ("details/event:name?sort=bounce_rate", 400),
        ("details/visit:source?dir=up", 400),
        ("details/visit:source?page=0", 400),
        ("details/visit:source?page=-1", 400),
        ("details/visit:source?page=99999999999999999999", 400),
        ("details/visit:planet.csv", 404),
        ("series.csv?metric=joy", 400),
    ],
)
async def test_what_an_address_says_wrong_is_an_answer(reader: Browser, path: str, status: int) -> None:
    assert (await reader.get(f"{SITE}/{path}")).status_code == status


async def test_every_offered_dimension_has_details_and_csv(reader: Browser) -> None:
    for dimension in OFFERED:
        assert (await reader.get(f"{SITE}/details/{dimension}")).status_code == 200, dimension
        assert (await reader.get(f"{SITE}/details/{dimension}.csv")).status_code == 200, dimension


# ---------------------------------------------------------------------- CSV


async def rows_of(reader: Browser, path: str) -> list[list[str]]:
    answer = await reader.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert not answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(answer.content.decode(), newline="")))


async def test_details_as_csv_have_codes_names_and_plain_numbers(reader: Browser) -> None:
    assert await rows_of(reader, f"{SITE}/details/visit:country.csv?search=a&sort=value") == [
        ["country", "country_name", "visitors", "visits", "pageviews", "bounce_rate", "visit_duration"],
        ["FR", "France", "3", "3", "4", "67", "20"],
        ["DE", "Germany", "1", "2", "3", "50", "60"],
        ["US", "United States", "1", "1", "1", "100", "0"],
    ]


async def test_the_page_links_to_its_own_list_as_csv(reader: Browser) -> None:
    page = await reader.get(f"{SITE}/details/visit:source?search=o&sort=value&period=7d")
    assert await rows_of(reader, link(page, "CSV")) == [
        ["source", "visitors", "visits", "pageviews", "bounce_rate", "visit_duration"],
        ["Google", "2", "2", "3", "50", "30"],
    ]


async def test_csv_holds_every_row_and_nothing_that_a_spreadsheet_runs(many: Browser) -> None:
    pages = await rows_of(many, f"{MANY}/details/event:page.csv?sort=value")
    assert len(pages) == 1 + 123
    assert [row[0] for row in pages[1:4]] == ["/=1+1", "/b", '/c,"d"']  # a path begins with a slash
    sources = await rows_of(many, f"{MANY}/details/visit:source.csv?sort=value")
    assert [row[0] for row in sources[1:]] == ["'@home", "Cologne Café", "Direct / None", "köln"]


async def test_a_file_is_named_after_site_list_and_days(reader: Browser) -> None:
    answer = await reader.get(f"{SITE}/details/visit:utm_source.csv?period=7d")
    assert answer.headers["content-disposition"] == (
        'attachment; filename="example.com-utm_source-2026-03-11-2026-03-17.csv"'
    )
    assert answer.headers["cache-control"] == "private, no-store"


async def test_the_chart_as_csv_has_every_figure(reader: Browser) -> None:
    page = await reader.get(f"{SITE}?from=2026-03-10&to=2026-03-12")
    rows = await rows_of(reader, link(page, "Download as CSV"))
    assert rows == [
        ["time", "visitors", "visits", "pageviews", "views_per_visit", "bounce_rate", "visit_duration", "events"],
        ["2026-03-10T00:00:00+01:00", "2", "2", "3", "1.5", "50", "60", "4"],
        ["2026-03-11T00:00:00+01:00", "2", "2", "3", "1.5", "50", "30", "3"],
        ["2026-03-12T00:00:00+01:00", "1", "1", "1", "1.0", "100", "0", "1"],
    ]
