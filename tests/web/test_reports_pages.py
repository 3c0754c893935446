"""The reports about people as a browser meets them, against counts by hand on the site of tests/web/dashboards.py."""

import re
from html import unescape

import pytest
from httpx2 import Response

from appliance.web import strings_reports
from appliance.web.navigation import REPORTS
from appliance.web.routes import MODULES
from appliance.web.strings import TEXTS
from appliance.web.strings_admin import ADMIN
from tests.builders import event
from tests.web.administration import Browser, words
from tests.web.dashboards import (
    ANN,
    GERMAN,
    Dashboards,
    Visit,
    chips,
    link,
    links_in,
    microseconds,
    table,
)
from tests.web.report_sites import APP, COMING, ORDER, PERIOD, SHOP, the_app, the_shop


@pytest.fixture(scope="module")
async def shop(dashboards: Dashboards) -> Browser:
    """Who may see the shop."""
    await the_shop(dashboards)
    return await dashboards.owner()


@pytest.fixture(scope="module")
async def known(dashboards: Dashboards) -> Browser:
    """Who may see the app, whose users are identified."""
    await the_app(dashboards)
    return await dashboards.owner()


def heads(answer: Response) -> list[str]:
    head = answer.text.partition("<thead")[2].partition("</thead>")[0]
    return [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<th.*?</th>", head, re.DOTALL)]


async def test_cohorts_show_who_came_back(shop: Browser) -> None:
    answer = await shop.get(f"{SHOP}/retention?{PERIOD}&by=week")
    assert answer.status_code == 200
    assert heads(answer) == ["First seen", "Visitors", "Week 0", "Week 1", "Week 2", "Week 3"]
    thin = " %"
    assert [[cell.replace("\xa0", " ") for cell in row] for row in table(answer, "cohorts")] == [
        ["All", "3", f"100{thin}", f"33{thin}", f"50{thin}", ""],
        ["23 Feb", "2", f"100{thin}", f"50{thin}", f"50{thin}", f"50{thin}"],
        ["2 Mar", "1", f"100{thin}", f"0{thin}", f"0{thin}", ""],
    ]
    assert answer.text.count("incomplete") == 2  # the week that runs, of each cohort
    assert "so far" in answer.text
    assert "id that changes every day" in words(answer)


async def test_cohorts_of_a_named_event_and_under_a_filter(shop: Browser) -> None:
    answer = await shop.get(f"{SHOP}/retention?{PERIOD}&by=week&first=Signup&back=Order")
    assert [row[1:] for row in table(answer, "cohorts")][1:] == [["1", "0 %", "100 %", "0 %", "0 %"]]
    answer = await shop.get(f"{SHOP}/retention?{PERIOD}&by=week&f=is:visit:country:FR")
    assert chips(answer) == ["Country is France"]
    assert [row[:2] for row in table(answer, "cohorts")] == [["All", "2"], ["23 Feb", "1"], ["2 Mar", "1"]]
    # The filter goes, the rest stays.
    without = await shop.get(link_of(answer, 'class="remove" href="'))
    assert chips(without) == []
    assert [row[1] for row in table(without, "cohorts")] == ["3", "2", "1"]


def passage(answer: Response) -> list[str]:
    """Each step of a funnel with what came before it, as it is read."""
    body = answer.text.partition('id="passage"')[2].partition("</ol>")[0]
    return [" ".join(re.sub(r"<[^>]*>", " ", each).split()) for each in body.split("<li>")[1:]]


def visitors(answer: Response) -> list[str]:
    """Of each step of a funnel."""
    return re.findall(r'<b class="num" title="([^"]*)"', answer.text)


async def test_a_funnel_counts_visitors_and_their_time(shop: Browser) -> None:
    steps = "step=/&step=/pricing&step=Signup&on=page&on=page&on=event"
    answer = await shop.get(f"{SHOP}/funnels?{PERIOD}&{steps}")
    assert passage(answer) == [  # in one visit: only Ann goes on, Ben comes to / from /pricing
        "1 / 2 100 %",
        "50 % went on 1 visitor left median 1m 00s 2 /pricing 1 50 %",
        "100 % went on 0 visitors left median 1m 00s 3 Signup 1 50 %",
    ]
    assert "1 of 2 visitors reached the last step" in words(answer)
    assert "ends at midnight" not in words(answer)
    within = await shop.get(f"{SHOP}/funnels?{PERIOD}&step=/pricing&step=/&within=30d")
    assert passage(within) == [  # Ben a minute later, Ann after a week
        "1 /pricing 2 100 %",
        "100 % went on 0 visitors left median 1m 00s 2 / 2 100 %",
    ]
    assert "ends at midnight" in words(within)


async def test_a_funnel_of_patterns_conditions_and_strict_steps(shop: Browser) -> None:
    steps = "step=/p*&step=/&within=30d&where=visit:country&where=&value=DE&value="
    answer = await shop.get(f"{SHOP}/funnels?{PERIOD}&{steps}")
    assert visitors(answer) == ["1", "1"]  # Ann alone
    assert "Country is Germany" in words(answer)
    steps = "step=/&step=Order&on=page&on=event&within=30d"
    assert visitors(await shop.get(f"{SHOP}/funnels?{PERIOD}&{steps}")) == ["2", "1"]
    strict = "step=/pricing&step=Order&on=page&on=event&within=30d&strict=1"
    assert visitors(await shop.get(f"{SHOP}/funnels?{PERIOD}&{strict}")) == ["2", "0"]


async def test_the_form_of_a_funnel_holds_its_steps_and_room_for_one_more(shop: Browser) -> None:
    answer = await shop.get(f"{SHOP}/funnels?{PERIOD}&step=/&step=&step=Signup&on=page&on=page&on=event")
    assert re.findall(r'class="input" name="step" value="([^"]*)"', answer.text) == ["/", "Signup", ""]
    assert '<option value="/pricing"></option>' in answer.text
    assert '<option value="Signup"></option>' in answer.text
    earlier = await shop.get(link_of(answer, '<a class="button square" href="'))
    assert re.findall(r'class="input" name="step" value="([^"]*)"', earlier.text) == ["/", "Signup", ""]
    assert 'name="from" value="2026-01-26"' in earlier.text


async def test_the_log_lists_events_and_opens_what_was_sent(known: Browser) -> None:
    answer = await known.get(f"{APP}/events")
    assert lines(answer) == ["/welcome", "Order", "/shop", "/shop", "/"]
    order = opened_lines(answer)[1]
    for fact in ("Name as sent Order", "User ann@example.com", "Revenue €19.99", "plan pro", 'tags ["a","<b>"]'):
        assert fact in order, fact
    assert "Properties none" in opened_lines(answer)[0]
    filtered = await known.get(f"{APP}/events?f=is:visit:country:FR")
    assert lines(filtered) == ["/welcome"]
    assert "Newest" not in answer.text
    assert lines(await known.get(f"{APP}/events?f=is:event:page:/none")) == []


async def test_pages_of_the_log_lead_to_older_events_and_back(dashboards: Dashboards) -> None:
    paths = [f"/{place}" for place in range(120)]
    await dashboards.site([Visit("2026-03-10 08:00", ANN, paths, GERMAN)], "long.example")
    browser, seen = await dashboards.owner(), []
    answer = await browser.get("/sites/long.example/events?period=28d")
    while True:
        seen += lines(answer)
        if "Older" not in words(answer):
            break
        answer = await browser.get(link(answer, "Older"))
    assert seen == paths[::-1]
    assert lines(await browser.get(link(answer, "Newest"))) == paths[:-51:-1]


async def test_users_are_listed_with_what_is_known_of_them(known: Browser) -> None:
    answer = await known.get(f"{APP}/users?period=28d")
    assert table(answer, "users") == [
        ["ben/1?x=&y", "2 days ago", "16 Mar 2026", "1", "1", ""],
        ["ann@example.com", "3 days ago", "10 Mar 2026", "2", "4", 'plan pro tags ["x"]'],
    ]
    assert [row[0] for row in table(await known.get(f"{APP}/users?period=28d&search=ANN"), "users")] == [
        "ann@example.com"
    ]
    assert [row[0] for row in table(await known.get(f"{APP}/users?f=is:visit:country:FR"), "users")] == ["ben/1?x=&y"]
    assert 'class="empty"' in (await known.get(f"{APP}/users?search=nobody")).text


async def test_a_user_has_a_page_of_visits_and_events(known: Browser) -> None:
    answer = await known.get(link(await known.get(f"{APP}/users?period=28d"), "ann@example.com"))
    assert lines(answer) == ["Order", "/shop", "/shop", "/"]
    heads_ = re.findall(r'<li class="visit-head">(.*?)</li>', answer.text, re.DOTALL)
    assert len(heads_) == 2
    assert "Firefox" in heads_[0]
    assert "First seen 10 Mar 2026" in words(answer)
    assert "plan pro" in words(answer)
    assert "All users" in words(answer)
    other = await known.get(link(await known.get(f"{APP}/users?period=28d"), "ben/1"))
    assert lines(other) == ["/welcome"]
    nobody = await known.get(f"{APP}/user?period=28d&user=nobody")
    assert (nobody.status_code, "Nothing of this user here" in words(nobody)) == (404, True)
    filtered = await known.get(f"{APP}/user?period=28d&user=ann@example.com&f=is:event:page:/none")
    assert (filtered.status_code, "Nothing of this user here" in words(filtered)) == (200, True)
    assert chips(filtered) == ["Page is /none"]
    assert (await known.get(f"{APP}/user?period=28d")).status_code == 404


ADDRESSES = (
    f"retention?{PERIOD}&by=week",
    f"funnels?{PERIOD}&step=/pricing&step=/&within=30d",
    f"funnels?{PERIOD}&step=/&step=/pricing",
    f"journeys?{PERIOD}&step=/pricing&custom=1",
    f"users?{PERIOD}",
    f"user?{PERIOD}&user=ann",
    f"events?{PERIOD}",
)


async def test_sealing_changes_no_report(dashboards: Dashboards) -> None:
    site, browser = "/sites/sealed.example", await dashboards.owner()
    ann = {"user_id": "ann"}
    visits = [each._replace(fields=each.fields | ann) if each.visitor == ANN else each for each in COMING]
    project = await dashboards.site(visits, "sealed.example")
    bought = {**GERMAN, **ORDER, "user_id": "ann", "path": "/blog", "time": microseconds("2026-03-10 10:05")}
    dashboards.store([event(visitor=ANN, name="Bought", project_id=project.id, **bought)])
    before = {address: main_of(await browser.get(f"{site}/{address}")) for address in ADDRESSES}
    assert "Revenue €19.99" in " ".join(before[f"events?{PERIOD}"].split())
    await dashboards.database.seal()
    ((hot,),) = await dashboards.database.read(
        "SELECT count(*) FROM event WHERE project_id = :project", {"project": project.id}
    )
    assert hot == 0
    for address in ADDRESSES[:-2]:
        assert main_of(await browser.get(f"{site}/{address}")) == before[address], address
    # What was sent with a sealed event has a page of its own.
    log = await browser.get(f"{site}/events?{PERIOD}")
    assert log.text.count("Show what was sent") == len(lines(log)) == 12
    place = lines(log).index("Bought")
    href = [unescape(each) for each in re.findall(r'href="([^"]*/event\?[^"]*)"', log.text)][place]
    one = await browser.get(href)
    assert lines(one) == ["Bought"]
    for fact in ("Revenue €19.99", "plan pro", 'tags ["a","<b>"]'):
        assert fact in opened_lines(one)[0]
    assert "<details open>" in one.text
    assert (await browser.get(f"{site}/event?{PERIOD}&at=1.1")).status_code == 404


def main_of(answer: Response) -> str:
    """What a page says, without its frame."""
    assert answer.status_code == 200
    return unescape(re.sub(r"<[^>]*>", " ", answer.text.partition("<main")[2].partition("</main>")[0]))


def journey(answer: Response) -> list[list[str]]:
    """What stands in each column around the chosen place, as it is read."""
    body = answer.text.partition('id="journey"')[2].partition("</form>")[0]
    columns = re.findall(r"<section.*?</section>", body, re.DOTALL)
    return [[" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in column.split("<li>")[1:]] for column in columns]


async def test_journeys_show_what_comes_before_and_after(shop: Browser) -> None:
    answer = await shop.get(f"{SHOP}/journeys?{PERIOD}&step=/pricing&custom=1")
    assert "2 visits were here" in words(answer)
    assert journey(answer) == [
        ["Visit began later 100 %"],
        ["/ 50 %", "Visit began here 50 %"],
        ["/ 50 %", "Signup 50 %"],
        ["Visit was over 100 %"],
    ]
    pages = await shop.get(f"{SHOP}/journeys?{PERIOD}&step=/pricing")
    assert journey(pages)[2] == ["/ 50 %", "Visit ended here 50 %"]
    around = await shop.get(link(answer, "Signup"))
    assert "1 visit was here" in words(around)
    assert journey(around)[:2] == [["/ 100 %"], ["/pricing 100 %"]]
    # Without a choice it is the most visited page.
    usual = await shop.get(f"{SHOP}/journeys?{PERIOD}")
    assert 'class="input" name="step" value="/"' in usual.text
    pattern = await shop.get(f"{SHOP}/journeys?{PERIOD}&step=/p**")
    assert journey(pattern) == journey(pages)


def lines(answer: Response) -> list[str]:
    """Of each event of the log its page, or its name."""
    return re.findall(r'class="what" dir="auto" title="([^"]*)"', answer.text)


def opened_lines(answer: Response) -> list[str]:
    """What each event of the log opens, as it is read."""
    found = re.findall(r'<dl class="facts-list">(.*?)</dl>', answer.text.partition('id="log"')[2], re.DOTALL)
    return [unescape(" ".join(re.sub(r"<[^>]*>", " ", each).split())) for each in found]


def link_of(answer: Response, before: str) -> str:
    return answer.text.partition(before)[2].partition('"')[0].replace("&amp;", "&")


@pytest.mark.parametrize("report", REPORTS)
async def test_a_report_is_reached_from_the_dashboard_and_keeps_its_state(shop: Browser, report: str) -> None:
    state = f"{PERIOD}&f=is:visit:country:FR"
    dashboard = await shop.get(f"{SHOP}?{state}")
    nav = dashboard.text.partition('<nav class="reports"')[2].partition("</nav>")[0]
    (href,) = [href for href in links_in(nav) if f"/{report}?" in href]
    answer = await shop.get(href)
    assert answer.status_code == 200
    assert chips(answer) == ["Country is France"]
    assert '<input class="input" type="date" name="from" value="2026-02-23"' in answer.text
    back = link(answer, "Overview")
    assert back.startswith(f"{SHOP}?")
    assert (await shop.get(back)).text.count('class="chip"') == 1
    for href in links_in(answer.text.partition("<main")[2].partition("</main>")[0]):
        assert (await shop.get(href, follow_redirects=True)).status_code == 200, href


@pytest.mark.parametrize("report", REPORTS)
async def test_a_report_without_data_says_so(dashboards: Dashboards, report: str) -> None:
    owner = await dashboards.owner()
    if (await owner.get("/sites/empty.example")).status_code == 404:
        await dashboards.project("empty.example")
    answer = await owner.get(f"/sites/empty.example/{report}")
    assert answer.status_code == 200
    assert 'class="empty"' in answer.text


def test_the_application_serves_every_report() -> None:
    paths = {route.path for module in MODULES for route in module.routes()}
    assert {f"/sites/{{site}}/{name}" for name in (*REPORTS, "user")} <= paths


@pytest.mark.parametrize("report", REPORTS)
async def test_a_report_is_for_who_may_see_the_site(shop: Browser, dashboards: Dashboards, report: str) -> None:
    answer = await dashboards.client().get(f"{SHOP}/{report}")
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")


@pytest.mark.parametrize(
    ("address", "parameter"),
    [
        ("retention?by=hour", "by"),
        (f"retention?first={'x' * 1001}", "first"),
        ("retention?f=is:visit:colour:red", "f"),
        ("funnels?step=/&step=/b&within=2d", "within"),
        ("funnels?step=/&step=/b&on=page", "on"),
        ("funnels?step=/&step=/b&on=page&on=click", "on"),
        ("funnels?step=/&step=/b&where=colour&where=&value=a&value=", "where"),
        ("funnels?step=/&step=/b&where=visit:country&where=&value=Germany&value=", "value"),
        (f"funnels?{'step=/&' * 9}", "step"),
        ("events?before=12", "before"),
        ("journeys?on=click&step=/", "on"),
        ("events?before=x.1", "before"),
        ("users?before=12", "before"),
        ("user?user=a&before=1", "before"),
        ("event?at=1", "at"),
    ],
)
async def test_what_cannot_be_read_is_named(shop: Browser, address: str, parameter: str) -> None:
    answer = await shop.get(f"{SHOP}/{address}")
    assert answer.status_code == 400
    assert parameter in words(answer)


def test_the_words_of_reports_are_no_other_pages_words() -> None:
    assert strings_reports.REPORTS.keys().isdisjoint(ADMIN)
    assert {key: TEXTS[key] for key in strings_reports.REPORTS} == strings_reports.REPORTS


async def test_markup_in_an_address_stays_text(shop: Browser) -> None:
    answer = await shop.get(f"{SHOP}/retention?first=%3Cimg%20src%3Dx%3E")
    assert answer.status_code == 200
    assert "<img" not in answer.text
