"""The filter form over a report: it comes back to where it was opened, with what was chosen there."""

import re
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from httpx2 import Response

from appliance.storage import projects
from tests.web.administration import Browser, words
from tests.web.dashboards import Dashboards, chips, link
from tests.web.report_sites import APP, PERIOD, SHOP, the_app, the_shop

SWAP = {"HX-Request": "true"}
OWN = {
    "retention": "by=week&first=Signup&back=Order",
    "funnels": "on=page&step=/&where=&value=&on=event&step=a%26b&where=visit:country&value=DE&within=7d&strict=1",
    "journeys": "on=page&step=/pricing&custom=1",
    "users": "search=ann",
    "events": "",
}


@pytest.fixture(scope="module")
async def reading(dashboards: Dashboards) -> Browser:
    await the_shop(dashboards)
    await the_app(dashboards)
    return await dashboards.owner()


def form_of(page: Response) -> tuple[str, list[tuple[str, str]]]:
    """Where the filter form goes, and what it sends along."""
    form = page.text.partition('<form class="filter-form"')[2].partition("</form>")[0]
    action = re.search(r'action="([^"]*)"', form)
    assert action
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form)
    return unescape(action[1]), [(name, unescape(value)) for name, value in hidden]


async def applied(reading: Browser, page: Response, **fields: str) -> Response:
    action, hidden = form_of(page)
    answer = await reading.get(f"{action}?{urlencode([*hidden, *fields.items()])}")
    assert answer.status_code == 303, answer.text
    return await reading.get(answer.headers["location"])


def query(answer: Response) -> dict[str, list[str]]:
    return parse_qs(str(answer.url).partition("?")[2], keep_blank_values=True)


@pytest.mark.parametrize("report", OWN)
async def test_a_filter_is_added_changed_and_removed_on_a_report(reading: Browser, report: str) -> None:
    own = parse_qs(OWN[report], keep_blank_values=True)
    page = await reading.get(f"{SHOP}/{report}?{PERIOD}&f=is:visit:country:DE&{OWN[report]}")
    form = await reading.get(link(page, "Filter"))
    back = link(form, "Back to")
    assert urlsplit(back).path == f"{SHOP}/{report}"
    both = await applied(reading, form, dimension="event:page", op="is", value="/")
    assert both.status_code == 200
    assert urlsplit(str(both.url)).path == f"{SHOP}/{report}"
    assert chips(both) == ["Country is Germany", "Page is /"]
    assert {name: value for name, value in query(both).items() if name not in ("f", "from", "to")} == own

    changed = await applied(
        reading, await reading.get(link(both, "Country is Germany")), dimension="visit:country", op="is", value="FR"
    )
    assert chips(changed) == ["Country is France", "Page is /"]
    assert {name: value for name, value in query(changed).items() if name not in ("f", "from", "to")} == own
    removed = re.search(r'class="remove" href="([^"]*)"', changed.text)
    assert removed
    fewer = await reading.get(unescape(removed[1]))
    assert chips(fewer) == ["Page is /"]
    assert {name: value for name, value in query(fewer).items() if name not in ("f", "from", "to")} == own


async def test_the_dialog_swaps_the_report_and_closes_on_it(reading: Browser) -> None:
    page = await reading.get(f"{SHOP}/retention?{PERIOD}&by=week")
    dialog = await reading.get(link(page, "Filter"), headers=SWAP)
    assert "<html" not in dialog.text
    assert f'data-close-href="{SHOP}/retention?from=2026-02-23&amp;to=2026-03-22&amp;by=week"' in dialog.text
    assert 'hx-target="#main" hx-select="#main"' in dialog.text
    over_dashboard = await reading.get(f"{SHOP}/filter", headers=SWAP)
    assert 'hx-target="#dash"' in over_dashboard.text
    assert "hx-select" not in over_dashboard.text


async def test_a_filter_on_a_users_page_stays_with_the_user(reading: Browser) -> None:
    user = await reading.get(f"{APP}/user?period=28d&user=ann@example.com")
    form = await reading.get(link(user, "Filter"))
    filtered = await applied(reading, form, dimension="event:page", op="is", value="/shop")
    assert urlsplit(str(filtered.url)).path == f"{APP}/user"
    assert query(filtered)["user"] == ["ann@example.com"]
    assert chips(filtered) == ["Page is /shop"]


async def test_a_filter_on_one_event_leads_to_the_log(dashboards: Dashboards, reading: Browser) -> None:
    app = await projects.by_domain(dashboards.database, "app.example")
    assert app is not None
    of_app = "SELECT time, id FROM event WHERE project_id = :id"
    ((time, id_), *_) = await dashboards.database.read(of_app, {"id": app.id})
    event = await reading.get(f"{APP}/event?at={time}.{id_}")
    assert event.status_code == 200
    form = await reading.get(link(event, "Filter"))
    assert urlsplit(link(form, "Back to Events")).path == f"{APP}/events"


@pytest.mark.parametrize("back", ["dashboards", "https://elsewhere.example/", "//elsewhere.example", "settings"])
async def test_it_leads_back_to_reports_only(reading: Browser, back: str) -> None:
    for path in ("filter", "filter/values", "filter/apply"):
        answer = await reading.get(
            f"{SHOP}/{path}?{urlencode({'back': back, 'dimension': 'event:page', 'value': '/'})}"
        )
        assert answer.status_code == 400
        assert "is not a report" in words(answer)


async def test_too_many_parameters_are_refused(reading: Browser) -> None:
    back = "events?" + "&".join(f"a{place}=1" for place in range(101))
    answer = await reading.get(f"{SHOP}/filter", params={"back": back})
    assert answer.status_code == 400
