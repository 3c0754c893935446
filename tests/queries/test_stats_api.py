"""The Stats API v2 over a small site whose figures can be counted by hand."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import Invalid, Unauthorized
from appliance.model import Project, ProjectSettings
from appliance.queries.conditions import Names
from appliance.queries.reports import Reports
from appliance.storage.goals import Goal
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.web.api.query import answer
from tests.oracle import Event, Visit
from tests.queries.worlds import Store, instant

BERLIN = "Europe/Berlin"
NOW = instant("2026-03-10 13:34:56", BERLIN)
SITE = Project(1, "11111111-2222", "Site", ("example.com",), BERLIN, "EUR", ProjectSettings(), 0, 0)
EMPTY = Project(2, "empty", "Empty", (), "UTC", "EUR", ProjectSettings(), 0, 0)
COUNTRIES = {"DE": "Germany", "FR": "France", "IN": "India"}


def at(text: str) -> int:
    return instant(f"2026-{text}", BERLIN)


def view(time: int, path: str, **values: str) -> Event:
    return Event(time, values={"event:page": path, "event:hostname": "example.com", **values})


def custom(time: int, name: str, path: str = "/", interactive: bool = True, **more: Any) -> Event:
    return Event(time, False, name, interactive, {"event:page": path}, **more)


PRO = {"plan": "pro", "seats": 3, "trial": False}
ANN, BOB, CAT = 1, 2, -3
GOOGLE = {"visit:source": "Google", "visit:country": "DE", "visit:channel": "Organic Search"}
DIRECT = {"visit:country": "FR", "visit:channel": "Direct"}
VISITS = [
    # 9 March: a bounce, a visit of three pages in 60 s, and one that crosses midnight.
    Visit(ANN, [view(at("03-09 10:00"), "/")], GOOGLE),
    Visit(BOB, [view(at("03-09 11:00") + s * 1_000_000, p) for s, p in ((0, "/"), (30, "/blog"), (60, "/"))], DIRECT),
    Visit(CAT, [view(at("03-09 23:50"), "/"), view(at("03-10 00:10"), "/blog")], {"visit:country": "IN"}),
    # 10 March: Ann again; she signs up. Bob's only event is passive.
    Visit(
        ANN,
        [view(at("03-10 09:00"), "/pricing"), custom(at("03-10 09:01"), "Signup", "/pricing", properties=PRO)],
        GOOGLE,
    ),
    Visit(BOB, [custom(at("03-10 12:00"), "404", "/nowhere", interactive=False)], DIRECT),
]
DAY_9 = ["2026-03-09", "2026-03-09"]


@pytest.fixture(scope="module")
async def reports(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Reports]:
    folder: Path = tmp_path_factory.mktemp("site")
    store = Store(folder / "appliance.db")
    store.add([(1, visit) for visit in VISITS] + [(3, visit) for visit in SHOPPING])
    evaluator = Evaluator(store.path, temp_directory=folder / "tmp")
    yield Reports(evaluator, Names(COUNTRIES))
    await evaluator.close()


async def ask(reports: Reports, project: Project = SITE, **fields: Any) -> dict[str, Any]:
    body = {"site_id": "example.com" if project is SITE else project.public_id, "date_range": "day", **fields}
    return await answer(json.dumps(body).encode(), project, reports, NOW, GOALS if project is SHOP else ())


async def rows(reports: Reports, **fields: Any) -> list[tuple[list[str], list[Any]]]:
    return [(row["dimensions"], row["metrics"]) for row in (await ask(reports, **fields))["results"]]


async def test_the_whole_answer(reports: Reports) -> None:
    assert await ask(
        reports,
        metrics=["visitors", "pageviews"],
        date_range=["2026-03-09", "2026-03-10"],
        dimensions=["time:day", "visit:source"],
        filters=[["is", "visit:country", ["DE", "FR"]]],
        include={"time_labels": True, "total_rows": True, "imports": True},
        pagination={"limit": 3},
    ) == {
        "results": [
            {"dimensions": ["2026-03-09", "Direct / None"], "metrics": [1, 3]},
            {"dimensions": ["2026-03-09", "Google"], "metrics": [1, 1]},
            {"dimensions": ["2026-03-10", "Direct / None"], "metrics": [1, 0]},
        ],
        "meta": {
            "imports_included": False,
            "imports_skip_reason": "no_imported_data",
            "time_labels": ["2026-03-09", "2026-03-10"],
            "total_rows": 4,
        },
        "query": {
            "site_id": "example.com",
            "metrics": ["visitors", "pageviews"],
            "date_range": ["2026-03-09T00:00:00+01:00", "2026-03-11T00:00:00+01:00"],
            "filters": [["is", "visit:country", ["DE", "FR"]]],
            "dimensions": ["time:day", "visit:source"],
            "order_by": [["time:day", "asc"], ["visitors", "desc"]],
            "include": {"imports": True, "time_labels": True, "total_rows": True},
            "pagination": {"limit": 3, "offset": 0},
        },
    }


async def test_decades_are_shown_in_months(reports: Reports) -> None:
    since = {"date_range": ["1985-01-01", "2026-03-28"], "include": {"time_labels": True}}
    for dimension in ("time", "time:month"):
        found = await ask(reports, metrics=["visitors"], dimensions=[dimension], **since)
        assert [row["dimensions"] for row in found["results"]] == [["2026-03-01"]]
        assert len(found["meta"]["time_labels"]) == 41 * 12 + 3
    with pytest.raises(Invalid) as raised:
        await ask(reports, metrics=["visitors"], dimensions=["time:day"], **since)
    assert (raised.value.status, raised.value.pointer) == (400, "#/dimensions")


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("visitors", 3),
        ("visits", 3),
        ("pageviews", 5),  # the sixth is after midnight
        ("events", 5),
        ("views_per_visit", 2.0),  # 1 + 3 + 2 over 3 visits: a visit's pages belong to it wherever they fall
        ("bounce_rate", 33),
        ("visit_duration", 420),  # 0 + 60 + 1200 s
    ],
)
async def test_each_metric_of_a_day(reports: Reports, metric: str, value: float) -> None:
    assert await rows(reports, metrics=[metric], date_range=DAY_9) == [([], [value])]


async def test_a_visit_stands_where_it_starts_and_its_visitor_where_the_events_are(reports: Reports) -> None:
    assert await rows(reports, metrics=["visits", "visitors", "bounce_rate"]) == [([], [2, 3, 0])]


async def test_a_ratio_over_nothing_is_null_and_a_count_of_nothing_is_0(reports: Reports) -> None:
    metrics = ["visitors", "visits", "bounce_rate", "visit_duration", "views_per_visit"]
    assert await rows(reports, metrics=metrics, date_range=["2020-01-01", "2020-01-02"]) == [
        ([], [0, 0, None, None, None])
    ]
    assert (await ask(reports, EMPTY, metrics=metrics, date_range="all"))["results"] == [
        {"dimensions": [], "metrics": [0, 0, None, None, None]}
    ]


async def test_visits_by_page_are_those_with_a_matching_event_on_it(reports: Reports) -> None:
    found = await rows(
        reports, metrics=["visits", "bounce_rate", "pageviews"], dimensions=["event:page"], date_range=DAY_9
    )
    assert found == [(["/"], [3, 33, 4]), (["/blog"], [1, 0, 1])]


async def test_all_event_filters_must_hold_for_one_and_the_same_event(reports: Reports) -> None:
    page, name = ["is", "event:page", ["/pricing"]], ["is", "event:name", ["Signup"]]
    assert await rows(reports, metrics=["visits", "events"], filters=[page, name]) == [([], [1, 1])]
    elsewhere = ["is", "event:page", ["/nowhere"]]
    assert await rows(reports, metrics=["visits", "events"], filters=[elsewhere, name]) == [([], [0, 0])]


async def test_names_of_events(reports: Reports) -> None:
    assert await rows(reports, metrics=["events"], dimensions=["event:name"]) == [
        (["pageview"], [2]), (["404"], [1]), (["Signup"], [1]),
    ]  # fmt: skip
    assert await rows(reports, metrics=["events"], filters=[["contains", "event:name", ["view"]]]) == [([], [2])]


async def test_names_of_countries(reports: Reports) -> None:
    by_name: dict[str, Any] = {"metrics": ["visitors"], "dimensions": ["visit:country_name"], "date_range": DAY_9}
    assert await rows(reports, **by_name) == [(["France"], [1]), (["Germany"], [1]), (["India"], [1])]
    assert await rows(reports, **by_name, order_by=[["visit:country_name", "desc"]], pagination={"limit": 1}) == [
        (["India"], [1])
    ]
    found = await rows(
        reports, **by_name, filters=[["contains", "visit:country_name", ["AN"], {"case_sensitive": False}]]
    )
    assert found == [(["France"], [1]), (["Germany"], [1])]


async def test_missing_values_have_a_label_that_can_be_filtered_by(reports: Reports) -> None:
    found = await rows(
        reports, metrics=["visits"], dimensions=["visit:source", "visit:utm_source", "visit:channel"], date_range=DAY_9
    )
    assert found == [
        (["Direct / None", "(not set)", "(not set)"], [1]),
        (["Direct / None", "(not set)", "Direct"], [1]),
        (["Google", "(not set)", "Organic Search"], [1]),
    ]
    direct = [["is", "visit:source", ["Direct / None"]], ["is_not", "visit:channel", ["(not set)"]]]
    assert await rows(reports, metrics=["visits"], filters=direct, date_range=DAY_9) == [([], [1])]


async def test_percentage_is_of_all_visitors(reports: Reports) -> None:
    found = await rows(reports, metrics=["percentage", "visitors"], dimensions=["event:page"], date_range=DAY_9)
    assert found == [(["/"], [100.0, 3]), (["/blog"], [33.3, 1])]


async def test_time_labels_hold_empty_hours_results_do_not(reports: Reports) -> None:
    found = await ask(
        reports, metrics=["visits"], dimensions=["time:hour"], date_range=DAY_9, include={"time_labels": True}
    )
    assert [row["dimensions"] for row in found["results"]] == [
        ["2026-03-09 10:00:00"], ["2026-03-09 11:00:00"], ["2026-03-09 23:00:00"],
    ]  # fmt: skip
    assert len(found["meta"]["time_labels"]) == 24


async def test_time_alone_takes_the_interval_that_suits_the_range(reports: Reports) -> None:
    found = await rows(reports, metrics=["visits"], dimensions=["time"], date_range="7d")
    assert found == [(["2026-03-09"], [3])]
    assert (await rows(reports, metrics=["visits"], dimensions=["time"]))[0][0] == ["2026-03-10 09:00:00"]


async def test_all_begins_with_the_first_event(reports: Reports) -> None:
    found = await ask(reports, metrics=["visits"], date_range="all")
    assert found["results"][0]["metrics"] == [5]
    assert found["query"]["date_range"] == ["2026-03-09T00:00:00+01:00", "2026-03-11T00:00:00+01:00"]


async def test_the_echoed_range_asks_the_same_again(reports: Reports) -> None:
    for date_range in ("day", "24h", "7d", "28d", "30d", "91d", "month", "6mo", "12mo", "year", "all"):
        found = await ask(reports, metrics=["visitors", "visits", "events"], date_range=date_range)
        again = await ask(reports, metrics=["visitors", "visits", "events"], date_range=found["query"]["date_range"])
        assert found["results"] == again["results"], date_range


@pytest.mark.parametrize("time", ["2026-03-09T10:00:00+01:00", "2026-03-09T09:00:00Z"])
async def test_a_pair_of_timestamps_holds_its_start_but_not_its_end(reports: Reports, time: str) -> None:
    assert await rows(reports, metrics=["visits"], date_range=[time, "2026-03-09T11:00:00+01:00"]) == [([], [1])]
    assert await rows(reports, metrics=["visits"], date_range=["2026-03-09T09:00:00+01:00", time]) == [([], [0])]


async def test_an_event_at_the_very_start_counts_although_its_visit_began_before(reports: Reports) -> None:
    midnight = ["2026-03-10T00:10:00+01:00", "2026-03-10T00:10:01+01:00"]  # where Cat's visit also ends
    assert await rows(reports, metrics=["visitors", "visits", "pageviews"], date_range=midnight) == [([], [1, 0, 1])]
    before = ["2026-03-10T00:00:00+01:00", "2026-03-10T00:10:00+01:00"]
    assert await rows(reports, metrics=["visitors", "visits", "pageviews"], date_range=before) == [([], [0, 0, 0])]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"metrics": []}, "#/metrics"),
        ({"metrics": "visitors"}, "#/metrics"),
        ({"metrics": ["visitors", "revenue"]}, "#/metrics/1"),
        ({"metrics": ["visitors", "visits", "visitors"]}, "#/metrics/2"),
        ({"metrics": ["visitors", 5]}, "#/metrics/1"),
        ({"metrics": ["percentage"]}, "#/metrics/0"),
        ({"metrics": ["visitors", "time_on_page"]}, "#/metrics/1"),
        ({"date_range": "29d"}, "#/date_range"),
        ({"date_range": "30m"}, "#/date_range"),
        ({"date_range": ["2026-01-01"]}, "#/date_range"),
        ({"date_range": ["2026-01-02", "2026-01-01"]}, "#/date_range"),
        ({"date_range": ["2026-01-02T00:00:00", "2026-01-03T00:00:00"]}, "#/date_range"),
        ({"date_range": 7}, "#/date_range"),
        ({"dimensions": ["event:goal"]}, "#/dimensions/0"),
        ({"dimensions": ["visit:country", "event:props:"]}, "#/dimensions/1"),
        ({"metrics": ["scroll_depth"], "dimensions": ["visit:country"]}, "#/metrics/0"),
        ({"metrics": ["scroll_depth"], "filters": [["has_done", ["is", "event:page", ["/"]]]]}, "#/metrics/0"),
        ({"metrics": ["bounce_rate"], "dimensions": ["event:props:plan"]}, "#/metrics/0"),
        ({"metrics": ["bounce_rate"], "dimensions": ["event:props:plan", "event:page"]}, "#/metrics/0"),
        ({"order_by": "visitors"}, "#/order_by"),
        ({"order_by": [["visitors"]]}, "#/order_by/0"),
        ({"include": {"comparisons": {"mode": "last_week"}}}, "#/include/comparisons/mode"),
        ({"include": {"comparisons": {"mode": "custom"}}}, "#/include/comparisons/date_range"),
        ({"include": {"comparisons": {"mode": "custom", "date_range": "7d"}}}, "#/include/comparisons/date_range"),
        (
            {"include": {"comparisons": {"mode": "previous_period", "date_range": DAY_9}}},
            "#/include/comparisons/date_range",
        ),
        (
            {"include": {"comparisons": {"mode": "previous_period", "match_day_of_week": 1}}},
            "#/include/comparisons/match_day_of_week",
        ),
        ({"dimensions": ["time:day", "time:hour"]}, "#/dimensions/1"),
        ({"dimensions": ["visit:os", "visit:os"]}, "#/dimensions/1"),
        ({"dimensions": ["time:minute"], "date_range": "12mo"}, "#/dimensions"),
        ({"filters": [["is", "visit:country", ["Germany"]]]}, "#/filters/0/2/0"),
        ({"order_by": [["visits", "desc"]]}, "#/order_by/0/0"),
        ({"order_by": [["visitors", "down"]]}, "#/order_by/0"),
        ({"include": {"time_labels": True}}, "#/include/time_labels"),
        ({"include": {"everything": True}}, "#/include/everything"),
        ({"include": {"imports": 1}}, "#/include/imports"),
        ({"pagination": {"limit": 0}}, "#/pagination/limit"),
        ({"pagination": {"limit": 10_001}}, "#/pagination/limit"),
        ({"pagination": {"offset": -1}}, "#/pagination/offset"),
        ({"pagination": {"page": 2}}, "#/pagination/page"),
        ({"site_id": 5}, "#/site_id"),
        ({"compare": "previous_period"}, "#/compare"),
        ({"metrics": ["bounce_rate"], "dimensions": ["event:name"]}, "#/metrics/0"),
        ({"metrics": ["visit_duration"], "dimensions": ["event:hostname"]}, "#/metrics/0"),
        ({"metrics": ["visitors", "views_per_visit"], "dimensions": ["visit:country"]}, "#/metrics/1"),
        ({"metrics": ["views_per_visit"], "filters": [["is", "event:page", ["/"]]]}, "#/metrics/0"),
    ],
)
async def test_a_fault_is_400_and_pointed_at(reports: Reports, fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as raised:
        await ask(reports, **{"metrics": ["visitors"], **fields})
    assert (raised.value.status, raised.value.pointer) == (400, pointer)


# ---------------------------------------------------------------------- a shop of its own, in March 2025

SHOP = Project(3, "shop", "Shop", ("shop.example",), "UTC", "EUR", ProjectSettings(), 0, 0)


def shop_at(text: str) -> int:
    return instant(f"2025-03-{text}")


def bought(time: int, revenue: int, currency: str) -> Event:
    return custom(time, "Purchase", "/thanks", revenue=revenue, currency=currency, properties={"size": "M"})


def read(time: int, path: str, seconds: float, depth: int) -> Event:
    return Event(time, values={"event:page": path}, engaged_ms=int(seconds * 1000), scroll_depth=depth)


GOALS = [
    Goal(4, 3, "Paid in euro", "event", "Purchase", "size", "M", "EUR"),
    Goal(1, 3, "Purchase", "event", "Purchase"),
    Goal(2, 3, "Visit /", "page", "/"),
    Goal(3, 3, "Visit /bl*", "page", "/bl*"),
]
SHOPPING = [
    # 3 March (a Monday): 12.50 EUR by Ann, who reads / twice; 10 JPY by Bob.
    Visit(
        ANN,
        [
            read(shop_at("03 10:00"), "/", 10, 40),
            read(shop_at("03 10:01"), "/", 20.5, 90),
            bought(shop_at("03 10:02"), 1250, "EUR"),
        ],
        GOOGLE,
    ),
    Visit(BOB, [read(shop_at("03 11:00"), "/", 0, 5), bought(shop_at("03 11:01"), 10, "JPY")], DIRECT),
    # 4 March: Ann twice: 0.05 EUR and a refund of 1 EUR.
    Visit(
        ANN,
        [bought(shop_at("04 10:00"), 5, "EUR"), bought(shop_at("04 10:01"), -100, "EUR")],
        {"visit:country": "DE"},
    ),
    # 10 March (the next Monday): Cat only looks.
    Visit(CAT, [read(shop_at("10 09:00"), "/blog", 1.4, 100)], DIRECT),
]
MARCH_3, MARCH_4, MARCH_10 = ([f"2025-03-{day}", f"2025-03-{day}"] for day in ("03", "04", "10"))


async def shop(reports: Reports, **fields: Any) -> dict[str, Any]:
    return await ask(reports, SHOP, **{"date_range": ["2025-03-03", "2025-03-10"], **fields})


def euros(value: float, text: str) -> dict[str, Any]:
    return {"value": value, "currency": "EUR", "short": text, "long": text}


async def test_time_on_page_and_scroll_depth_are_means_over_visits_and_pages(reports: Reports) -> None:
    found = await shop(reports, metrics=["time_on_page", "scroll_depth"], dimensions=["event:page"])
    # "/": (10 + 20.5 and 0 s) / 2 = 15.25; (90 and 5 %) / 2 = 47.5
    assert [(row["dimensions"], row["metrics"]) for row in found["results"]] == [
        (["/"], [15, 48]),
        (["/blog"], [1, 100]),
    ]
    filtered = await shop(reports, metrics=["scroll_depth"], filters=[["is", "event:page", ["/", "/blog"]]])
    assert filtered["results"][0]["metrics"] == [65]  # (90 + 5 + 100) / 3
    nothing = await shop(reports, metrics=["time_on_page"], filters=[["is", "event:page", ["/thanks"]]])
    assert nothing["results"][0]["metrics"] == [None]


async def test_revenue_in_one_currency(reports: Reports) -> None:
    found = await shop(reports, metrics=["total_revenue", "average_revenue"], date_range=MARCH_4)
    assert found["results"][0]["metrics"] == [euros(-0.95, "−€0.95"), euros(-0.47, "−€0.47")]  # -47.5 rounded up
    assert found["meta"] == {}


async def test_revenue_is_never_added_up_across_currencies(reports: Reports) -> None:
    metrics = ["total_revenue", "average_revenue"]
    found = await shop(reports, metrics=metrics, date_range=MARCH_3)
    assert found["results"][0]["metrics"] == [None, None]
    assert {name: warning["code"] for name, warning in found["meta"]["metric_warnings"].items()} == dict.fromkeys(
        metrics, "no_single_revenue_currency"
    )
    by_currency = await shop(reports, metrics=["total_revenue", "events"], dimensions=["event:currency"])
    assert [(row["dimensions"], row["metrics"]) for row in by_currency["results"]] == [
        (["EUR"], [euros(11.55, "€11.55"), 3]),
        (["JPY"], [{"value": 10.0, "currency": "JPY", "short": "¥10", "long": "¥10"}, 1]),
        (["(none)"], [None, 4]),
    ]
    assert by_currency["meta"] == {}


async def test_without_revenue_there_is_a_warning(reports: Reports) -> None:
    found = await shop(reports, metrics=["visitors", "total_revenue"], date_range=MARCH_10)
    assert found["results"][0]["metrics"] == [1, None]
    assert found["meta"]["metric_warnings"]["total_revenue"]["code"] == "no_revenue_goals_matching"
    assert "visitors" not in found["meta"]["metric_warnings"]


async def test_custom_properties_are_dimensions(reports: Reports) -> None:
    by_plan = await rows(reports, metrics=["events", "visitors"], dimensions=["event:props:plan"])
    assert by_plan == [(["(none)"], [3, 3]), (["pro"], [1, 1])]
    by_two = await rows(
        reports,
        metrics=["events"],
        dimensions=["event:props:seats", "event:props:trial"],
        filters=[["is_not", "event:props:seats", ["(none)"]]],
    )
    assert by_two == [(["3", "false"], [1])]
    assert await rows(reports, metrics=["visits"], filters=[["contains", "event:props:plan", ["r"]]]) == [([], [1])]
    assert await rows(reports, metrics=["events"], dimensions=['event:props:it\'s "odd"; --']) == [(["(none)"], [4])]


async def test_what_a_visitor_has_done(reports: Reports) -> None:
    signed_up = ["is", "event:name", ["Signup"]]
    metrics = ["visitors", "events", "visits"]
    # Ann signs up on the 10th; the range decides what counts as done.
    assert await rows(reports, metrics=metrics, filters=[["has_done", signed_up]]) == [([], [1, 2, 1])]
    assert await rows(reports, metrics=metrics, filters=[["has_done", signed_up]], date_range=DAY_9) == [
        ([], [0, 0, 0])
    ]
    both = {"date_range": ["2026-03-09", "2026-03-10"], "metrics": metrics}
    assert await rows(reports, **both, filters=[["has_done", signed_up]]) == [([], [1, 3, 2])]
    assert await rows(reports, **both, filters=[["has_not_done", signed_up]]) == [([], [2, 6, 3])]
    assert await rows(reports, **both, filters=[["not", ["has_not_done", signed_up]]]) == [([], [1, 3, 2])]
    seen = ["or", [["has_done", signed_up], ["is", "event:page", ["/blog"]]]]
    assert await rows(reports, **both, filters=[seen]) == [([], [3, 5, 4])]


# ---------------------------------------------------------------------- goals


def purchase() -> list[Any]:
    return ["is", "event:goal", ["Purchase"]]


async def test_conversions_by_goal(reports: Reports) -> None:
    metrics = ["visitors", "events", "conversion_rate", "total_revenue"]
    found = await shop(reports, metrics=metrics, dimensions=["event:goal"])
    euro = [1, 3, 33.33, euros(11.55, "€11.55")]  # Ann of Ann, Bob and Cat
    assert [(row["dimensions"], row["metrics"]) for row in found["results"]] == [
        (["Purchase"], [2, 4, 66.67, None]),
        (["Visit /"], [2, 3, 66.67, None]),
        (["Paid in euro"], euro),
        (["Visit /bl*"], [1, 1, 33.33, None]),
    ]
    only = await shop(
        reports, metrics=metrics, dimensions=["event:goal"], filters=[["contains", "event:goal", ["euro"]]]
    )
    assert [(row["dimensions"], row["metrics"]) for row in only["results"]] == [(["Paid in euro"], euro)]


async def test_a_conversion_rate_leaves_the_goal_out_of_its_base_but_no_other_filter(reports: Reports) -> None:
    metrics = ["visitors", "conversion_rate", "group_conversion_rate"]
    found = await shop(reports, metrics=metrics, filters=[purchase()])
    assert found["results"][0]["metrics"] == [2, 66.67, 66.67]
    french = ["is", "visit:country", ["FR"]]
    found = await shop(reports, metrics=metrics, filters=[purchase(), french])
    assert found["results"][0]["metrics"] == [1, 50.0, 50.0]
    assert found["query"]["filters"] == [purchase(), french]
    written_out = [["and", [purchase(), french]]]
    found = await shop(reports, metrics=metrics, filters=written_out)
    assert found["results"][0]["metrics"] == [1, 50.0, 50.0]
    assert found["query"]["filters"] == written_out
    either = [["or", [purchase(), french]]]  # Bob and Cat are French, Ann and Bob buy; all three are the base
    assert (await shop(reports, metrics=metrics, filters=either))["results"][0]["metrics"] == [3, 100.0, 100.0]


async def test_group_conversion_rates_are_of_the_group(reports: Reports) -> None:
    metrics = ["visitors", "conversion_rate", "group_conversion_rate"]
    by_country = await shop(reports, metrics=metrics, dimensions=["visit:country"], filters=[purchase()])
    assert [(row["dimensions"], row["metrics"]) for row in by_country["results"]] == [
        (["DE"], [1, 33.33, 100.0]),
        (["FR"], [1, 33.33, 50.0]),
    ]
    by_day = await shop(reports, metrics=metrics, dimensions=["time:day"], filters=[purchase()])
    assert [(row["dimensions"], row["metrics"]) for row in by_day["results"]] == [
        (["2025-03-03"], [2, 100.0, 100.0]),
        (["2025-03-04"], [1, 100.0, 100.0]),
    ]


async def test_who_reached_a_goal(reports: Reports) -> None:
    bought = await shop(reports, metrics=["visitors", "pageviews"], filters=[["has_done", purchase()]])
    assert bought["results"][0]["metrics"] == [2, 3]
    others = await shop(reports, metrics=["visitors", "pageviews"], filters=[["has_not_done", purchase()]])
    assert others["results"][0]["metrics"] == [1, 1]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"filters": [["is_not", "event:goal", ["Purchase"]]]}, "#/filters/0/0"),
        ({"filters": [["matches", "event:goal", ["P"]]]}, "#/filters/0/0"),
        ({"filters": [["is", "event:goal", []]]}, "#/filters/0/2"),
        ({"filters": [["or", [purchase(), ["is", "event:goal", ["Purchase", "Sale"]]]]]}, "#/filters/0/1/1/2/1"),
        ({"metrics": ["visitors", "conversion_rate"]}, "#/metrics/1"),
        ({"metrics": ["group_conversion_rate"], "dimensions": ["visit:country"]}, "#/metrics/0"),
        ({"metrics": ["conversion_rate"], "filters": [["has_done", purchase()]]}, "#/metrics/0"),
        ({"metrics": ["bounce_rate"], "dimensions": ["event:goal"]}, "#/metrics/0"),
    ],
)
async def test_what_cannot_be_asked_of_goals(reports: Reports, fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as raised:
        await shop(reports, **{"metrics": ["visitors"], **fields})
    assert (raised.value.status, raised.value.pointer) == (400, pointer)


async def test_filters_are_bounded_also_by_what_their_goals_stand_for(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    every_goal = ["contains", "event:goal", [""]]  # eight comparisons
    monkeypatch.setattr("appliance.queries.question.COMPARISONS_MAX", 16)
    assert (await shop(reports, metrics=["visitors"], filters=[every_goal] * 2))["results"][0]["metrics"] == [3]
    with pytest.raises(Invalid) as raised:
        await shop(reports, metrics=["visitors"], filters=[every_goal] * 3)
    assert (raised.value.status, raised.value.pointer) == (400, "#/filters")


# ---------------------------------------------------------------------- comparisons


async def test_a_comparison_stands_beside_each_row(reports: Reports) -> None:
    found = await shop(
        reports,
        metrics=["visitors", "events", "bounce_rate"],
        dimensions=["visit:country"],
        date_range=MARCH_4,
        include={"comparisons": {"mode": "previous_period"}},
    )
    assert found["results"] == [
        {
            "dimensions": ["DE"],
            "metrics": [1, 2, 0],
            "comparison": {"dimensions": ["DE"], "metrics": [1, 3, 0], "change": [0, -33, None]},
        }
    ]
    assert found["query"]["comparison_date_range"] == ["2025-03-03T00:00:00+00:00", "2025-03-04T00:00:00+00:00"]
    assert found["query"]["include"]["comparisons"] == {"mode": "previous_period", "match_day_of_week": False}


async def test_a_group_that_was_not_there_before_is_compared_with_nothing(reports: Reports) -> None:
    found = await shop(
        reports,
        metrics=["visitors", "visit_duration"],
        dimensions=["visit:country"],
        date_range=MARCH_10,
        include={"comparisons": {"mode": "custom", "date_range": MARCH_4}},
    )
    compared = {"dimensions": ["FR"], "metrics": [0, None], "change": [None, None]}
    assert [row["comparison"] for row in found["results"]] == [compared]


async def test_buckets_are_compared_by_their_place(reports: Reports) -> None:
    found = await shop(
        reports,
        metrics=["visitors"],
        dimensions=["time:day"],
        date_range=["2025-03-10", "2025-03-11"],
        include={"comparisons": {"mode": "previous_period", "match_day_of_week": True}},
    )
    compared = {"dimensions": ["2025-03-03"], "metrics": [2], "change": [-50]}
    assert found["results"] == [{"dimensions": ["2025-03-10"], "metrics": [1], "comparison": compared}]


async def test_time_is_compared_in_the_same_buckets_whatever_the_other_range_is(reports: Reports) -> None:
    found = await shop(
        reports,
        metrics=["visitors"],
        dimensions=["time"],
        date_range=MARCH_10,
        include={"comparisons": {"mode": "custom", "date_range": ["2025-03-01", "2025-03-05"]}},
    )
    (row,) = found["results"]
    assert row["dimensions"][0].startswith("2025-03-10 ")
    assert row["comparison"]["dimensions"] == [row["dimensions"][0].replace("-10", "-01")]
    assert found["query"]["dimensions"] == ["time"]


@pytest.mark.parametrize("period", ["day", ["2026-03-10", "2026-03-10"], ["2026-03-10", "2026-03-11"]])
async def test_what_runs_is_compared_up_to_the_same_point(reports: Reports, period: Any) -> None:
    found = await ask(
        reports, metrics=["visitors"], date_range=period, include={"comparisons": {"mode": "previous_period"}}
    )
    start, end = found["query"]["comparison_date_range"]
    assert end in ("2026-03-09T13:35:00+01:00", "2026-03-08T13:35:00+01:00")
    # Ann and Bob; Cat came at ten to midnight.
    visitors = 2 if start.startswith("2026-03-09") else 0
    assert found["results"][0]["comparison"]["metrics"] == [visitors]
    assert found["query"]["date_range"][1].endswith("T00:00:00+01:00")


async def test_all_time_is_compared_only_with_dates_that_somebody_chose(reports: Reports) -> None:
    for mode in ("previous_period", "year_over_year"):
        with pytest.raises(Invalid) as raised:
            await ask(reports, metrics=["visitors"], date_range="all", include={"comparisons": {"mode": mode}})
        assert (raised.value.status, raised.value.pointer) == (400, "#/include/comparisons/mode")
    comparisons = {"mode": "custom", "date_range": DAY_9}
    found = await ask(reports, metrics=["visitors"], date_range="all", include={"comparisons": comparisons})
    assert found["results"][0]["comparison"]["metrics"] == [3]


async def test_money_is_compared_in_one_currency(reports: Reports) -> None:
    found = await shop(
        reports,
        metrics=["total_revenue"],
        dimensions=["visit:country"],
        date_range=MARCH_4,
        include={"comparisons": {"mode": "previous_period"}},
    )
    compared = {"dimensions": ["DE"], "metrics": [euros(12.5, "€12.50")], "change": [-108]}
    assert found["results"][0]["comparison"] == compared


@pytest.mark.parametrize("missing", ["metrics", "date_range"])
async def test_what_a_query_needs(reports: Reports, missing: str) -> None:
    body = {"metrics": ["visitors"], "date_range": "day"}
    del body[missing]
    with pytest.raises(Invalid) as raised:
        await answer(json.dumps(body).encode(), SITE, reports, NOW)
    assert raised.value.pointer == f"#/{missing}"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null", b'"all"'])
async def test_a_body_that_is_no_object(reports: Reports, body: bytes) -> None:
    with pytest.raises(Invalid) as raised:
        await answer(body, SITE, reports, NOW)
    assert (raised.value.status, raised.value.pointer) == (400, "#")


@pytest.mark.parametrize("site_id", ["example.com", "www.example.com", "Example.com", "11111111-2222", None])
async def test_the_site_may_be_named_by_domain_or_id_or_by_the_key_alone(reports: Reports, site_id: str | None) -> None:
    assert (await ask(reports, site_id=site_id, metrics=["visitors"]))["results"]


async def test_another_site_is_not_answered(reports: Reports) -> None:
    with pytest.raises(Unauthorized):
        await ask(reports, site_id="other.example", metrics=["visitors"])
