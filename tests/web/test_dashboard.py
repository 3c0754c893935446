"""The dashboard against counts by hand: figures, chart, cards, controls, and the state in every address."""

import re

import pytest

from appliance.clock import DAY
from appliance.queries.period import Named
from appliance.web.dashboard_state import default_period
from tests.web.administration import Browser, words
from tests.web.dashboards import NOW, SITE, ZONE, card, changes, chips, figures, link, links_in, rows, table

SWAP = {"HX-Request": "true"}
ROSE = ["up 400 %", "up 500 %", "up 700 %", "up 33 %", "down 33 pt", "New"]  # since one visit of one page

# ---------------------------------------------------------------------- figures


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # Ann twice, Ben, Dan, Eve, Cat. One visit of 3 events lasts 2 minutes, one of 2 lasts 1: 180 s over 6 visits.
        # All but these two are bounces.
        ("", ["5", "6", "8", "1.33", "67\u202f%", "30s"]),
        ("?f=is:visit:country:FR", ["3", "3", "4", "1.33", "67\u202f%", "20s"]),
        # Whoever saw /pricing: Ann's whole visit counts, of pageviews only the one.
        ("?f=is:event:page:/pricing", ["2", "2", "2", "1.50", "50\u202f%", "1m\xa000s"]),
        ("?f=is:visit:country:FR&f=is:visit:source:Google", ["2", "2", "3", "1.50", "50\u202f%", "30s"]),
        ("?f=is:event:name:Signup", ["1", "1", "0", "2.00", "0\u202f%", "2m\xa000s"]),
        ("?period=day", ["1", "1", "1", "1.00", "100\u202f%", "0s"]),
        ("?period=all", ["8", "9", "11", "1.22", "78\u202f%", "20s"]),
        ("?from=2026-03-10&to=2026-03-10", ["2", "2", "3", "1.50", "50\u202f%", "1m\xa000s"]),
    ],
)
async def test_the_figures_are_those_counted_by_hand(reader: Browser, query: str, expected: list[str]) -> None:
    answer = await reader.get(SITE + query)
    assert answer.status_code == 200
    names = ["Visitors", "Visits", "Pageviews", "Views per visit", "Bounce rate", "Visit duration"]
    assert figures(answer) == dict(zip(names, expected, strict=True))


@pytest.mark.parametrize(
    ("query", "key", "expected"),
    [
        ("", "sources", [("Google", "3"), ("Direct / None", "2"), ("newsletter", "1")]),
        ("?sources=visit:channel", "sources", [("Organic Search", "3"), ("Direct", "2"), ("Email", "1")]),
        ("?sources=visit:utm_campaign", "sources", [("spring", "1")]),
        ("?sources=visit:utm_medium", "sources", []),
        ("", "pages", [("/", "3"), ("/docs", "2"), ("/pricing", "2"), ("/blog", "1")]),
        ("?pages=visit:entry_page", "pages", [("/", "2"), ("/docs", "2"), ("/blog", "1"), ("/pricing", "1")]),
        ("?pages=visit:exit_page", "pages", [("/", "2"), ("/pricing", "2"), ("/blog", "1"), ("/docs", "1")]),
        ("?locations=visit:country", "locations", [("France", "3"), ("Germany", "1"), ("United States", "1")]),
        (
            "?locations=visit:language",
            "locations",
            [("French", "3"), ("German (Germany)", "1"), ("English (United States)", "1")],
        ),
        ("?locations=visit:city", "locations", []),
        ("", "devices", [("Chrome", "3"), ("Firefox", "1"), ("Safari", "1")]),
        ("?devices=visit:device", "devices", [("Mobile", "4"), ("Desktop", "1")]),
        ("", "events", [("Signup", "1", "1", "20 %")]),
    ],
)
async def test_each_card_lists_what_was_counted_by_hand(
    reader: Browser, query: str, key: str, expected: list[tuple[str, ...]]
) -> None:
    answer = await reader.get(SITE + query)
    assert rows(answer, key) == expected
    fragment = await reader.get(f"{SITE}/panel/{key}{query}", headers=SWAP)
    assert rows(fragment, key) == expected
    assert "<html" not in fragment.text


async def test_the_map_has_every_country_with_its_name_figure_and_filter(reader: Browser) -> None:
    html = card(await reader.get(SITE), "locations")
    assert html.count("data-name=") == 3
    assert 'data-name="France" data-value="3"' in html
    assert f'href="{SITE}?f=is:visit:country:FR"' in html


async def test_the_chart_has_every_day_and_zooms_into_it(reader: Browser) -> None:
    answer = await reader.get(SITE)
    days = table(answer)
    assert len(days) == 28
    assert [row[1] for row in days[-9:]] == ["0", "2", "2", "1", "0", "0", "0", "0", "1"]
    assert days[0][2] == "Wed 21 Jan"
    assert [row[3] for row in days if row[2] == "Sun 1 Feb"] == ["1"]
    zoomed = await reader.get(link(answer, "Tue 10 Mar"))
    assert [row[1] for row in table(zoomed)] == ["0"] * 10 + ["1", "1"] + ["0"] * 12


async def test_before_the_first_event_there_is_nothing_instead_of_zero(reader: Browser) -> None:
    months = table(await reader.get(SITE + "?period=12mo&compare=off"))
    assert [row[1] for row in months] == ["Nothing collected"] * 9 + ["1", "1", "6"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ROSE),
        ("?compare=off", []),
        # A year before, the site was not there yet: no part of that is a whole.
        ("?compare=year_over_year", ["–"] * 6),
        ("?period=all", []),
        ("?compare=custom&compare_from=2026-02-01&compare_to=2026-02-01", ROSE),
    ],
)  # fmt: skip
async def test_figures_are_compared(reader: Browser, query: str, expected: list[str]) -> None:
    assert changes(await reader.get(SITE + query)) == expected


async def test_a_running_day_is_measured_by_as_much_of_the_other_day(reader: Browser) -> None:
    # Last Wednesday Dan came at 9 and Eve at 20 o'clock; it is 15:30 now. The chart shows Eve's hour all the same.
    answer = await reader.get(SITE + "?period=day")
    assert changes(answer)[0] == "0 %"
    assert [row[3] for row in table(answer)] == ["0"] * 9 + ["1"] + ["0"] * 10 + ["1"] + ["0"] * 3
    assert [row[1] for row in table(answer)[14:17]] == ["0", "0", "Nothing collected"]


@pytest.mark.parametrize(
    ("metric", "on_10_march"),
    [("visits", "2"), ("pageviews", "3"), ("bounce_rate", "50 %"), ("visit_duration", "1m 00s")],
)
async def test_a_chosen_figure_is_drawn(reader: Browser, metric: str, on_10_march: str) -> None:
    answer = await reader.get(f"{SITE}/main?metric={metric}", headers=SWAP)
    assert [row[1] for row in table(answer) if row[0] == "Tue 10 Mar"] == [on_10_march]
    assert answer.text.count('aria-pressed="true"') == 1


# ---------------------------------------------------------------------- controls


@pytest.mark.parametrize(
    ("period", "label", "days"),
    [
        ("", "Last 28 days", "18 Feb – 17 Mar"),
        ("period=day", "Today", "Wed 18 Mar"),
        ("period=yesterday", "Yesterday", "Tue 17 Mar"),
        ("period=24h", "Last 24 hours", "17 Mar – 18 Mar"),
        ("period=30m", "Last 30 minutes", "Wed 18 Mar"),
        ("period=7d", "Last 7 days", "11 Mar – 17 Mar"),
        ("period=30d", "Last 30 days", "16 Feb – 17 Mar"),
        ("period=91d", "Last 91 days", "17 Dec 2025 – 17 Mar 2026"),
        ("period=month", "This month", "1 Mar – 18 Mar"),
        ("period=last_month", "Last month", "1 Feb – 28 Feb"),
        ("period=year", "This year", "1 Jan – 18 Mar"),
        ("period=6mo", "Last 6 months", "1 Oct 2025 – 31 Mar 2026"),
        ("period=12mo", "Last 12 months", "1 Apr 2025 – 31 Mar 2026"),
        ("period=all", "All time", "10 Jan – 18 Mar"),
        ("period=day&date=2026-03-10", "Tue 10 Mar", "Tue 10 Mar"),
        ("from=2026-03-10&to=2026-03-12", "10 Mar – 12 Mar", "10 Mar – 12 Mar"),
        ("from=2026-03-12&to=2026-03-10", "10 Mar – 12 Mar", "10 Mar – 12 Mar"),
    ],
)
async def test_every_period_has_its_name_and_days(reader: Browser, period: str, label: str, days: str) -> None:
    answer = await reader.get(f"{SITE}?{period}", headers={"accept-language": "en-GB"})
    menu = answer.text.partition('class="group period"')[2].partition("</summary>")[0].replace("\xa0", " ")
    assert f'title="{days}"' in menu
    assert f"<span>{label}</span>" in menu


async def test_the_menu_of_periods_leads_to_each_with_its_key(reader: Browser) -> None:
    answer = await reader.get(SITE)
    for key, address in [
        ("d", "?period=day"), ("e", "?period=yesterday"), ("h", "?period=24h"), ("r", "/live"), ("w", "?period=7d"),
        ("f", ""), ("t", "?period=30d"), ("n", "?period=91d"), ("m", "?period=month"), ("p", "?period=last_month"),
        ("y", "?period=year"), ("l", "?period=12mo"), ("a", "?period=all"), ("x", "?compare=off"),
    ]:  # fmt: skip
        assert re.search(rf'href="{re.escape(SITE + address)}"[^>]* data-key="{key}"', answer.text), key


@pytest.mark.parametrize(
    ("period", "before", "after"),
    [
        ("period=day", "period=yesterday", None),
        ("period=yesterday", "period=day&date=2026-03-16", "period=day"),
        ("", "period=28d&date=2026-02-18", None),
        ("period=28d&date=2026-02-18", "period=28d&date=2026-01-21", ""),
        ("period=month", "period=last_month", None),
        ("period=last_month", "period=month&date=2026-01-01", "period=month"),
        ("from=2026-03-10&to=2026-03-12", "from=2026-03-07&to=2026-03-09", "from=2026-03-13&to=2026-03-15"),
        ("period=month&date=2026-01-01", None, "period=last_month"),  # the first event came in January
        ("period=all", None, None),
    ],
)
async def test_the_steppers_lead_to_the_neighbours(
    reader: Browser, period: str, before: str | None, after: str | None
) -> None:
    group = (
        (await reader.get(f"{SITE}?{period}")).text.partition('class="group period"')[2].partition("</div>\n</div>")[0]
    )
    for key, neighbour in (("ArrowLeft", before), ("ArrowRight", after)):
        address = None if neighbour is None else f"{SITE}?{neighbour}".rstrip("?").replace("&", "&amp;")
        assert (f'href="{address}" data-key="{key}"' in group) is (neighbour is not None), key
        assert (f'data-key="{key}"' in group) is (neighbour is not None), key


async def test_only_intervals_that_fit_are_offered_and_another_falls_back(reader: Browser) -> None:
    def offered(html: str) -> list[str]:
        nav = html.partition('class="segments intervals"')[2].partition("</nav>")[0]
        return [part.partition("</a>")[0].strip() for part in nav.split(">") if "</a" in part]

    assert offered((await reader.get(SITE)).text) == ["Hour</a", "Day</a", "Week</a"]
    assert offered((await reader.get(SITE + "?period=day")).text) == ["Minute</a", "Hour</a"]
    assert len(table(await reader.get(SITE + "?interval=week"))) == 5
    assert len(table(await reader.get(SITE + "?interval=minute"))) == 28


@pytest.mark.parametrize(
    ("age_days", "name"), [(None, "day"), (0, "day"), (1, "day"), (2, "7d"), (7, "7d"), (8, "28d"), (400, "28d")]
)
def test_a_young_site_opens_on_what_it_has(age_days: int | None, name: str) -> None:
    first_event = None if age_days is None else NOW - age_days * DAY
    assert default_period(ZONE.key, NOW, first_event) == Named(name)


# ---------------------------------------------------------------------- state


@pytest.mark.parametrize(
    ("part", "own"),
    [
        ("period=7d", "group period"),
        ("f=is:visit:country:FR", "chips"),
        ("compare=year_over_year", "git-compare-arrows"),
        ("metric=visits", "kpis"),
        ("devices=visit:os", "panel-devices"),
        ("pages=visit:exit_page", "panel-pages"),
    ],
)
async def test_every_link_but_a_parts_own_keeps_the_whole_state(reader: Browser, part: str, own: str) -> None:
    state = (
        "period=7d&f=is:visit:country:FR&compare=year_over_year&metric=visits&devices=visit:os&pages=visit:exit_page"
    )
    html = (await reader.get(f"{SITE}?{state}", headers=SWAP)).text
    ends = {"chips": "</div>", "kpis": "</div>", "git-compare-arrows": "</form>", "group period": "</form>"}
    before, _, after = html.partition(own)
    others = links_in(before + after.partition(ends.get(own, "</section>"))[2])
    assert len(others) > 40
    zooming = [href for href in others if "date=2026-03-" in href or "period=yesterday" in href]
    assert [href for href in others if part not in href and not href.endswith("/live") and href not in zooming] == []


async def test_a_row_filters_and_the_filter_goes_again(reader: Browser) -> None:
    answer = await reader.get(SITE + "?locations=visit:country")
    filtered = await reader.get(link(answer, "Germany"))
    assert chips(filtered) == ["Country is Germany"]
    assert figures(filtered)["Visitors"] == "1"
    both = await reader.get(link(filtered, "/pricing"))
    assert chips(both) == ["Country is Germany", "Page is /pricing"]
    assert figures(both)["Pageviews"] == "1"
    assert chips(await reader.get(link(both, "Clear all"))) == []
    other = await reader.get(SITE + "?f=is:visit:country:DE&f=is:event:page:/")
    remove = other.text.partition('class="remove" href="')[2].partition('"')[0]
    assert chips(await reader.get(remove)) == ["Page is /"]


async def test_once_one_browser_is_chosen_its_versions_are_offered(reader: Browser) -> None:
    assert "Browser versions" not in card(await reader.get(SITE), "devices")
    chosen = await reader.get(SITE + "?f=is:visit:browser:Chrome")
    assert "Browser versions" in card(chosen, "devices")
    versions = await reader.get(SITE + "?f=is:visit:browser:Chrome&devices=visit:browser_version")
    assert rows(versions, "devices") == [("Chrome 140", "3")]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("is:visit:country:DE|FR", "Country is Germany or France"),
        ("is_not:visit:country:DE|FR|US", "Country is not Germany or 2 others"),
        ("contains~:event:page:/docs", "Page contains /docs"),
        ("is:visit:source:Direct / None", "Source is Direct / None"),
        ('json:["not",["is","visit:browser",["Chrome"]]]', "Browser is not Chrome"),
        ("contains:visit:country_name:land", "Country contains land"),
        ("is:event:source:web", "Sending part is web"),
        (
            'json:["or",[["is","visit:os",["iOS"]],["is","visit:device",["TV"]]]]',
            "Operating system is iOS or Device is TV",
        ),
        ('json:["has_done",["is","event:name",["Signup"]]]', "Has done: Event is Signup"),
        ('json:["has_not_done",["is","event:page",["/a","/b"]]]', "Has not done: Page is /a or /b"),
    ],
)
async def test_every_filter_that_an_address_can_hold_is_shown(reader: Browser, written: str, said: str) -> None:
    answer = await reader.get(SITE, params={"f": written})
    assert answer.status_code == 200
    assert chips(answer) == [said]


@pytest.mark.parametrize("first", ["1970-01-01", "1985-06-01"])
async def test_decades_are_shown_in_months(reader: Browser, first: str) -> None:
    answer = await reader.get(f"{SITE}?from={first}&to=2026-03-28")
    assert answer.status_code == 200
    assert len(table(answer)) > 40 * 12
    assert (await reader.get(f"{SITE}/retention?from={first}&to=2026-03-28")).status_code == 200


@pytest.mark.parametrize(
    ("query", "parameter", "why"),
    [
        ("period=fortnight", "period", "is not a period"),
        ("period=day&date=2026-02-30", "period", "is not a date"),
        ("from=2026-03-01", "to", "needs both dates"),
        ("from=yesterday&to=today", "period", "is not a timestamp"),
        ("compare=custom", "compare_from", "two dates"),
        ("compare=moon", "compare", "compare with"),
        (
            "period=7d&interval=hour&compare=custom&compare_from=1970-01-01&compare_to=2026-01-01",
            "compare",
            "of one hour",
        ),
        ("interval=second", "interval", "is not an interval"),
        ("metric=events", "metric", "is not drawn"),
        ("sources=visit:browser", "sources", "is not a list of sources"),
        ("f=is:visit:planet:Mars", "f", "is not a dimension"),
        ("f=is:visit:country:Germany", "f", "two letters"),
        ("f=matches:event:page:(", "f", "regular expression"),
        ("f=json:{", "f", "is no JSON"),
        ("f=json:" + "[" * 5_000, "f", "is nested too deeply"),
    ],
)
async def test_what_an_address_says_wrong_is_named(reader: Browser, query: str, parameter: str, why: str) -> None:
    answer = await reader.get(f"{SITE}?{query}")
    assert answer.status_code == 400
    assert f"{parameter} : " in words(answer)
    assert why in words(answer)


@pytest.mark.parametrize(
    "query", ["from=1999-01-01&to=2026-01-01", "from=2100-01-01&to=2100-02-01", "period=day&date=1970-01-01"]
)
async def test_periods_far_away_are_answered(reader: Browser, query: str) -> None:
    assert (await reader.get(f"{SITE}?{query}")).status_code == 200


async def test_an_hour_that_the_period_cuts_off_is_still_that_hour(reader: Browser) -> None:
    hours = [row[0] for row in table(await reader.get(SITE + "?period=24h", headers={"accept-language": "en-GB"}))]
    assert hours[0] == "Tue 17 Mar, 15:00–16:00 so far"
    assert hours[-1] == "Wed 18 Mar, 15:00–16:00 so far"
    assert len(hours) == 25
