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


def custom(time: int, name: str, path: str = "/", interactive: bool = True) -> Event:
    return Event(time, False, name, interactive, {"event:page": path})


ANN, BOB, CAT = 1, 2, -3
GOOGLE = {"visit:source": "Google", "visit:country": "DE", "visit:channel": "Organic Search"}
DIRECT = {"visit:country": "FR", "visit:channel": "Direct"}
VISITS = [
    # 9 March: a bounce, a visit of three pages in 60 s, and one that crosses midnight.
    Visit(ANN, [view(at("03-09 10:00"), "/")], GOOGLE),
    Visit(BOB, [view(at("03-09 11:00") + s * 1_000_000, p) for s, p in ((0, "/"), (30, "/blog"), (60, "/"))], DIRECT),
    Visit(CAT, [view(at("03-09 23:50"), "/"), view(at("03-10 00:10"), "/blog")], {"visit:country": "IN"}),
    # 10 March: Ann again; she signs up. Bob's only event is passive.
    Visit(ANN, [view(at("03-10 09:00"), "/pricing"), custom(at("03-10 09:01"), "Signup", "/pricing")], GOOGLE),
    Visit(BOB, [custom(at("03-10 12:00"), "404", "/nowhere", interactive=False)], DIRECT),
]
DAY_9 = ["2026-03-09", "2026-03-09"]


@pytest.fixture(scope="module")
async def reports(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Reports]:
    folder: Path = tmp_path_factory.mktemp("site")
    store = Store(folder / "appliance.db")
    store.add([(1, visit) for visit in VISITS])
    evaluator = Evaluator(store.path, temp_directory=folder / "tmp")
    yield Reports(evaluator, Names(COUNTRIES))
    await evaluator.close()


async def ask(reports: Reports, project: Project = SITE, **fields: Any) -> dict[str, Any]:
    body = {"site_id": "example.com" if project is SITE else project.public_id, "date_range": "day", **fields}
    return await answer(json.dumps(body).encode(), project, reports, NOW)


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
        ({"dimensions": ["visit:country", "event:props:plan"]}, "#/dimensions/1"),
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
