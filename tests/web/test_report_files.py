"""The reports as CSV: the figures of the page, every row, and nothing that a spreadsheet would run."""

import csv
import io

import pytest
from httpx2 import Response

from appliance.web.pages import events, users
from tests.builders import event
from tests.web.administration import Browser
from tests.web.dashboards import ANN, GERMAN, Dashboards, Visit, links_in, microseconds
from tests.web.report_sites import APP, PERIOD, SHOP, the_app, the_shop


@pytest.fixture(scope="module")
async def reading(dashboards: Dashboards) -> Browser:
    """Who may see both sites."""
    await the_shop(dashboards)
    await the_app(dashboards)
    return await dashboards.owner()


def lines(answer: Response) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    return list(csv.reader(io.StringIO(answer.text)))


async def downloaded(reading: Browser, address: str) -> list[list[str]]:
    """The file that the page at an address links to."""
    page = await reading.get(address)
    (href,) = {href for href in links_in(page.text) if ".csv" in href}
    return lines(await reading.get(href))


async def test_retention_has_rates_and_the_visitors_behind_them(reading: Browser) -> None:
    rows = await downloaded(reading, f"{SHOP}/retention?{PERIOD}&by=week")
    weeks = [f"week_{after}" for after in range(4)]
    assert rows[0] == ["cohort", "visitors", *weeks, *(f"{week}_visitors" for week in weeks)]
    assert rows[1:] == [
        ["all", "3", "100.0", "33.3", "50.0", "", "", "", "", ""],
        ["2026-02-23", "2", "100.0", "50.0", "50.0", "50.0", "2", "1", "1", "1"],
        ["2026-03-02", "1", "100.0", "0.0", "0.0", "", "1", "0", "0", ""],
    ]
    filtered = await downloaded(reading, f"{SHOP}/retention?{PERIOD}&by=week&first=Signup&back=Order")
    assert [row[:4] for row in filtered[1:]] == [["all", "1", "0.0", "100.0"], ["2026-02-23", "1", "0.0", "100.0"]]


async def test_a_funnel_has_a_row_a_step(reading: Browser) -> None:
    steps = "step=/&step=/pricing&step=Signup&on=page&on=page&on=event"
    steps += "&where=&where=visit:country&where=&value=&value=DE&value="
    rows = await downloaded(reading, f"{SHOP}/funnels?{PERIOD}&{steps}")
    assert rows == [
        ["number", "on", "step", "where", "value", "visitors", "rate", "rate_from_before", "dropped", "median_seconds"],
        ["1", "page", "/", "", "", "2", "100.0", "", "0", ""],
        ["2", "page", "/pricing", "visit:country", "DE", "1", "50.0", "50.0", "1", "60.0"],
        ["3", "event", "Signup", "", "", "1", "50.0", "100.0", "0", "60.0"],
    ]


async def test_journeys_have_a_row_a_place(reading: Browser) -> None:
    rows = await downloaded(reading, f"{SHOP}/journeys?{PERIOD}&step=/pricing&custom=1")
    assert rows == [
        ["distance", "kind", "place", "visits", "percentage"],
        ["-2", "outside", "", "2", "100.0"],
        ["-1", "page", "/", "1", "50.0"],
        ["-1", "outside", "", "1", "50.0"],
        ["0", "page", "/pricing", "2", "100.0"],
        ["1", "page", "/", "1", "50.0"],
        ["1", "event", "Signup", "1", "50.0"],
        ["2", "outside", "", "2", "100.0"],
    ]


async def test_users_have_all_their_traits(reading: Browser) -> None:
    rows = await downloaded(reading, f"{APP}/users?period=28d")
    ann = ["ann@example.com", "2026-03-10T10:00:00+01:00", "2026-03-15T10:05:00+01:00", "2", "4"]
    assert rows == [
        ["user", "first_seen", "last_seen", "visits", "events", "traits"],
        ["ben/1?x=&y", "2026-03-16T10:00:00+01:00", "2026-03-16T10:00:00+01:00", "1", "1", ""],
        [*ann, '{"plan":"pro","tags":["x"]}'],
    ]
    assert [row[0] for row in (await downloaded(reading, f"{APP}/users?period=28d&search=ANN"))[1:]] == [ann[0]]


async def test_the_log_has_what_its_lines_say(reading: Browser) -> None:
    rows = await downloaded(reading, f"{APP}/events")
    assert rows[0] == ["time", *events.FILE_COLUMNS]
    assert [dict(zip(rows[0], row, strict=True))["event"] for row in rows[1:]] == [
        "pageview",
        "Order",
        *["pageview"] * 3,
    ]
    order = dict(zip(rows[0], rows[2], strict=True))
    assert (order["time"], order["page"], order["user"]) == (
        "2026-03-15T10:05:00.000+01:00",
        "/shop",
        "ann@example.com",
    )
    assert (order["country"], order["browser"], order["source"]) == ("DE", "Firefox", "Direct / None")
    assert len(await downloaded(reading, f"{APP}/events?f=is:visit:country:FR")) == 2


async def test_a_file_has_the_rows_of_every_page(dashboards: Dashboards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMIT_MAX", 7)
    monkeypatch.setattr(users, "FILE_ROWS", 7)
    paths = [f"/{place}" for place in range(30)]
    visits = [
        Visit(
            f"2026-03-10 {8 + place // 60:02}:{place % 60:02}",
            100 + place,
            [path],
            GERMAN | {"user_id": f"u{place:02}"},
        )
        for place, path in enumerate(paths)
    ]
    await dashboards.site(visits, "pages.example")
    browser = await dashboards.owner()
    log = lines(await browser.get("/sites/pages.example/events.csv?period=28d"))
    assert [row[2] for row in log[1:]] == paths[::-1]
    known = lines(await browser.get("/sites/pages.example/users.csv?period=28d"))
    assert [row[0] for row in known[1:]] == [f"u{place:02}" for place in reversed(range(30))]


async def test_what_a_spreadsheet_would_run_is_neutral(dashboards: Dashboards) -> None:
    project = await dashboards.site([], "formulas.example")
    bad, time = "=cmd|' /C calc'!A0", microseconds("2026-03-17 10:00")
    fields = {"project_id": project.id, "user_id": "+1", **GERMAN}
    dashboards.store([event(visitor=ANN, name=bad, path="@x", title="-1", time=time, **fields)])
    browser = await dashboards.owner()
    site = "/sites/formulas.example"
    log = lines(await browser.get(f"{site}/events.csv?period=28d"))[1]
    assert [log[1], log[2], log[4], log[5]] == [f"'{bad}", "'@x", "'-1", "'+1"]
    assert lines(await browser.get(f"{site}/users.csv?period=28d"))[1][0] == "'+1"
    around = await browser.get(f"{site}/journeys.csv", params={"period": "28d", "on": "event", "step": bad})
    assert [row[2] for row in lines(around) if row[0] == "0"] == [f"'{bad}"]
    steps = await browser.get(f"{site}/funnels.csv", params={"period": "28d", "on": ["event"] * 2, "step": [bad, "@y"]})
    assert [row[2] for row in lines(steps)[1:]] == [f"'{bad}", "'@y"]


@pytest.mark.parametrize("report", ["retention", "funnels", "journeys", "users", "events"])
async def test_a_file_of_nothing_has_a_header_and_no_link(dashboards: Dashboards, report: str) -> None:
    browser = await dashboards.owner()
    if (await browser.get("/sites/nothing.example")).status_code == 404:
        await dashboards.project("nothing.example")
    assert len(lines(await browser.get(f"/sites/nothing.example/{report}.csv"))) == 1
    assert ".csv" not in (await browser.get(f"/sites/nothing.example/{report}")).text


@pytest.mark.parametrize("report", ["retention", "funnels", "journeys", "users", "events"])
async def test_a_file_is_for_who_may_see_the_site(dashboards: Dashboards, reading: Browser, report: str) -> None:
    answer = await dashboards.client().get(f"{SHOP}/{report}.csv")
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")
    assert (await reading.get(f"{SHOP}/{report}.csv?f=is:visit:colour:red")).status_code == 400
