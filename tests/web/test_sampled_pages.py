"""Pages and files say when what they show rests on sampled data, and only then."""

import pytest
from httpx2 import Response

from appliance.storage import goals
from tests.web.administration import Browser, words
from tests.web.dashboards import ANN, BEN, GERMAN, NOW, Dashboards, Visit, card, rows

SITE = "/sites/sampled.example"
SAMPLED, WHOLE = "from=2026-03-10&to=2026-03-10", "from=2026-03-03&to=2026-03-03"
HALF = {"rate": 500_000}
VISITS = (
    Visit("2026-03-03 10:00", ANN, ["/", "/pricing"], GERMAN | {"user_id": "ann"}, "Signup"),
    Visit("2026-03-10 10:00", BEN, ["/", "/pricing"], GERMAN | HALF | {"user_id": "ben"}, "Signup"),
)
COUNTS = "Part of this period was sampled: these are counts of what was kept."
LOG = "Part of this period was sampled: these are the events that were kept."
EVER = "Part of the data was sampled, in this period or another: these are counts of what was kept."
ESTIMATES = "Part of this period was sampled: figures are estimated from what was kept."
BY_PERIOD = [
    ("funnels", "&step=/&step=/pricing", COUNTS),
    ("journeys", "&step=/", COUNTS),
    ("events", "", LOG),
    ("details/event:goal", "", ESTIMATES),
    ("details/visit:country", "", ESTIMATES),
    ("details/event:page", "", ESTIMATES),
]
OF_ALL_TIME = [("retention", ""), ("users", ""), ("user", "&user=ann")]


@pytest.fixture(scope="module")
async def browser(dashboards: Dashboards) -> Browser:
    """Who may see a site with a sampled day, and one with the same visits of which none was."""
    for domain, visits in (
        ("sampled.example", VISITS),
        ("whole.example", [each._replace(fields=each.fields | {"rate": 1_000_000}) for each in VISITS]),
    ):
        project = await dashboards.site(visits, domain)
        await goals.create(dashboards.database, project.id, "event", "Signup", actor="cli", at=NOW)
    return await dashboards.owner()


def notes(answer: Response) -> list[str]:
    """What a page says of sampling, in lines of their own."""
    assert answer.status_code == 200, answer.text
    return [line for line in (COUNTS, LOG, EVER, ESTIMATES) if line in words(answer)]


def is_marked(answer: Response) -> bool:
    """Whether a file says it."""
    assert answer.status_code == 200, answer.text
    return answer.headers.get("x-sampled") == "true"


@pytest.mark.parametrize(("page", "more", "note"), BY_PERIOD)
async def test_a_page_about_a_sampled_period_says_so(browser: Browser, page: str, more: str, note: str) -> None:
    assert notes(await browser.get(f"{SITE}/{page}?{SAMPLED}{more}")) == [note]
    assert notes(await browser.get(f"{SITE}/{page}?{WHOLE}{more}")) == []


@pytest.mark.parametrize(("page", "more"), OF_ALL_TIME)
async def test_a_page_that_looks_at_all_time_says_so_in_every_period(browser: Browser, page: str, more: str) -> None:
    assert notes(await browser.get(f"{SITE}/{page}?{WHOLE}{more}")) == [EVER]
    assert notes(await browser.get(f"/sites/whole.example/{page}?{WHOLE}{more}")) == []


async def test_retention_without_a_newcomer_says_it_too(browser: Browser) -> None:
    answer = await browser.get(f"{SITE}/retention?from=2026-03-05&to=2026-03-06")
    assert ('class="empty"' in answer.text, notes(answer)) == (True, [EVER])


async def test_details_say_it_in_their_dialog(browser: Browser) -> None:
    answer = await browser.get(f"{SITE}/details/event:goal?{SAMPLED}", headers={"HX-Request": "true"})
    assert notes(answer) == [ESTIMATES]


async def test_cards_of_the_dashboard_have_the_mark_of_its_figures(browser: Browser) -> None:
    mark = '<abbr class="muted" title="Estimated from a sample">≈</abbr>'
    for period, count in ((SAMPLED, 1), (WHOLE, 0)):
        answer = await browser.get(f"{SITE}?{period}")
        alone = await browser.get(f"{SITE}/panel/events?{period}", headers={"HX-Request": "true"})
        assert rows(answer, "events")[0][0] == "Signup"
        for html in (card(answer, "events"), card(answer, "sources"), alone.text):
            assert html.count(mark) == count
        assert answer.text.partition('class="kpis"')[2].partition("</div>")[0].count(mark) == 6 * count


@pytest.mark.parametrize(("page", "more", "_"), [*BY_PERIOD, ("series", "", "")])
async def test_a_file_of_a_sampled_period_says_so_in_a_header(browser: Browser, page: str, more: str, _: str) -> None:
    sampled, whole = [await browser.get(f"{SITE}/{page}.csv?{period}{more}") for period in (SAMPLED, WHOLE)]
    assert (is_marked(sampled), is_marked(whole)) == (True, False)
    assert sampled.text.partition("\r\n")[0] == whole.text.partition("\r\n")[0]


@pytest.mark.parametrize("report", ["retention", "users"])
async def test_a_file_that_looks_at_all_time_says_so_in_every_period(browser: Browser, report: str) -> None:
    assert is_marked(await browser.get(f"{SITE}/{report}.csv?{WHOLE}"))
    assert not is_marked(await browser.get(f"/sites/whole.example/{report}.csv?{WHOLE}"))
