"""Answers from sampled data, by hand: what is estimated, what is not, and what an answer says of it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from appliance.model import Project, ProjectSettings
from appliance.queries import event_log, filters, funnels, overview
from appliance.queries.funnels import Funnel
from appliance.queries.metrics import Money
from appliance.queries.period import between
from appliance.queries.question import Order, Report
from appliance.queries.reports import Reports
from appliance.queries.results import Table
from appliance.queries.timeseries import report as over_time
from appliance.queries.verify import verify
from appliance.storage.evaluation import Answer, Plan, SampledData
from appliance.storage.goals import Goal
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.web.api.query import answer as api_answer
from tests.oracle import Event, Visit
from tests.queries.sealing import Sealer
from tests.queries.test_reports import Stored
from tests.queries.worlds import COUNTRIES, Store, instant

SITE = Project(1, "site", "Site", ("example.com",), "UTC", "EUR", ProjectSettings(), 0, 0)
NOW = instant("2026-03-20 12:00")
ANN, BOB, CAT, DAN = 1, 2, 3, 4
QUARTER, HALF, ALL = 250_000, 500_000, 1_000_000
PEOPLE = ("visitors", "visits")


class Spy:
    """The engine, with the plans that it was asked."""

    dialect = Evaluator.dialect
    rolled_dialect = Evaluator.rolled_dialect

    def __init__(self, engine: Evaluator) -> None:
        self._engine = engine
        self.plans: list[Plan] = []

    async def ask(self, plan: Plan) -> Answer:
        self.plans.append(plan)
        return await self._engine.ask(plan)

    async def first_event(self, project_id: int) -> int | None:
        return await self._engine.first_event(project_id)

    async def close(self) -> None:
        await self._engine.close()


class Place:
    """A project with these visits, and what asks it."""

    def __init__(self, store: Store, engine: Spy) -> None:
        self.store = store
        self.engine = engine
        self.reports = Reports(engine, COUNTRIES)

    async def table(self, days: tuple[str, str], report: Report) -> Table:
        return await self.reports.answer(await self.reports.scope(SITE, between(*days), NOW), report)

    async def figures(self, *metrics: str, days: tuple[str, str] = ("2026-03-01", "2026-03-31")) -> list[Any]:
        return list((await self.table(days, Report(metrics))).rows[0].values)


@asynccontextmanager
async def site(folder: Path, visits: list[Visit], *, sealed: bool = False) -> AsyncIterator[Place]:
    store = Store(folder / "appliance.db")
    store.add([(1, visit) for visit in visits])
    if sealed:
        Sealer(store, 1, "UTC").seal(visits)
    spy = Spy(Evaluator(store.path, temp_directory=folder / "tmp"))
    try:
        yield Place(store, spy)
    finally:
        await spy.close()


def at(text: str) -> int:
    return instant(f"2026-03-{text}")


def view(time: int, path: str, rate: int = ALL, *, by_visitor: bool = False, **more: Any) -> Event:
    return Event(time, values={"event:page": path}, rate=rate, by_visitor=by_visitor, **more)


def views(path: str, *rates: int, day: str = "09") -> list[Visit]:
    """Visits of one page each, by visitors of their own, sampled event by event."""
    time = at(f"{day} 10:00")
    return [Visit(crc32(f"{path} {number}".encode()), [view(time, path, rate)]) for number, rate in enumerate(rates)]


def body(day: str, metrics: list[str], **more: Any) -> bytes:
    return json.dumps({"metrics": metrics, "date_range": [day, day], **more}).encode()


def codes(answer: dict[str, Any]) -> dict[str, str]:
    return {name: warning["code"] for name, warning in answer["meta"]["metric_warnings"].items()}


async def test_sums_are_estimated_by_rate_and_rounded_once(tmp_path: Path) -> None:
    visits = [visit for path in ("/a", "/b", "/c") for visit in views(path, 300_000)]
    async with site(tmp_path, visits) as place:
        pages = await place.table(("2026-03-09", "2026-03-09"), Report(("pageviews",), ("event:page",)))
        assert [row.values for row in pages.rows] == [(3,), (3,), (3,)]
        assert await place.figures("pageviews", "events") == [10, 10]


async def test_half_is_rounded_up(tmp_path: Path) -> None:
    async with site(tmp_path, views("/", 400_000)) as place:
        assert await place.figures("events") == [3]  # 2.5


async def test_equal_figures_are_ordered_by_their_bytes_whatever_they_are_made_of(tmp_path: Path) -> None:
    made_of = {
        "/a": [300_000, 30_000, 3_000],
        "/b": [100_000] * 37,
        "/c": [100_000] * 36 + [300_000, 150_000],
        "/d": [*[100_000] * 37, ALL],
        "/e": [30_000] * 11 + [300_000] + [ALL] * 2,
    }
    visits = [visit for path, rates in made_of.items() for visit in views(path, *rates)]
    async with site(tmp_path, visits) as place:
        report = Report(("events",), ("event:page",))
        rows = (await place.table(("2026-03-09", "2026-03-09"), report)).rows
        # The first three are 370, once of three numbers with thirds. /d is 371, /e 372.
        assert "".join(row.labels[0] for row in rows) == "/e/d/a/b/c"
        assert [row.values[0] for row in rows] == [372, 371, 370, 370, 370]


async def test_visitors_and_visits_are_scaled_where_whole_visitors_were_kept(tmp_path: Path) -> None:
    visits = [
        Visit(ANN, [view(at(f"09 10:0{n}"), path, QUARTER, by_visitor=True) for n, path in enumerate(("/", "/b"))]),
        Visit(ANN, [view(at("10 10:00"), "/", QUARTER, by_visitor=True)]),
        Visit(BOB, [view(at("09 10:00"), "/"), view(at("09 10:02"), "/b")]),
    ]
    async with site(tmp_path, visits) as place:
        days = ("2026-03-09", "2026-03-10")
        everything = Report(("visitors", "visits", "events", "views_per_visit", "bounce_rate", "visit_duration"))
        table = await place.table(days, everything)
        # Ann stands for 4 visitors with 8 visits and 12 events. What is per visit is of the three that are stored.
        assert table.rows[0].values == (5, 9, 14, 1.67, 33, 60)
        assert (table.sampled, table.lower_bounds) == (True, ())
        pages = await place.table(days, Report(("visitors", "percentage"), ("event:page",)))
        assert [row.values for row in pages.rows] == [(5, 100.0), (5, 100.0)]


async def test_a_visitor_kept_at_several_rates_weighs_by_the_highest(tmp_path: Path) -> None:
    visits = [
        Visit(ANN, [view(at("09 10:00"), "/", QUARTER, by_visitor=True)]),
        Visit(ANN, [view(at("10 10:00"), "/", HALF, by_visitor=True)]),
    ]
    async with site(tmp_path, visits) as place:
        days = await place.table(("2026-03-09", "2026-03-10"), Report(("visitors", "visits"), ("time:day",)))
        assert [row.values for row in days.rows] == [(4, 4), (2, 2)]
        assert await place.figures("visitors", "visits", "events") == [2, 6, 6]


async def test_visitors_of_events_that_were_sampled_one_by_one_are_a_lower_bound(tmp_path: Path) -> None:
    visits = [Visit(ANN, [view(at("09 10:00"), "/", QUARTER), view(at("09 10:01"), "/", QUARTER)])]
    async with site(tmp_path, visits) as place:
        table = await place.table(("2026-03-09", "2026-03-09"), Report(("bounce_rate", *PEOPLE, "events")))
        assert table.rows[0].values == (0, 1, 1, 8)
        assert (table.sampled, table.lower_bounds) == (True, PEOPLE)


async def test_revenue_is_estimated_and_its_average_is_that_of_the_estimates(tmp_path: Path) -> None:
    sale = {"pageview": False, "name": "sale", "currency": "EUR"}
    visits = [
        Visit(ANN, [view(at("09 10:00"), "/", QUARTER, revenue=100, **sale)]),
        Visit(BOB, [view(at("09 10:00"), "/", revenue=1001, **sale), view(at("09 10:01"), "/", revenue=-7, **sale)]),
    ]
    async with site(tmp_path, visits) as place:
        found = await place.figures("total_revenue", "average_revenue", "events")
        assert found == [Money(1394, "EUR"), Money(232, "EUR"), 6]  # 1394 / 6 = 232.3


async def test_conversion_rates_are_of_the_estimates(tmp_path: Path) -> None:
    signup = {"pageview": False, "name": "Signup"}
    visits = [
        Visit(ANN, [view(at("09 10:00"), "/", QUARTER, by_visitor=True, **signup)]),
        Visit(BOB, [view(at("09 10:00"), "/")]),
        Visit(CAT, [view(at("09 10:00"), "/", HALF, by_visitor=True)]),
    ]
    metrics = ["visitors", "conversion_rate", "group_conversion_rate"]
    goals = [Goal(1, 0, "Signup", "event", "Signup")]
    async with site(tmp_path, visits) as place:
        reached = body("2026-03-09", metrics, filters=[["is", "event:goal", ["Signup"]]])
        found = await api_answer(reached, SITE, place.reports, NOW, goals)
        assert found["results"][0]["metrics"] == [4, 57.14, 57.14]  # 4 of 7
        assert codes(found) == dict.fromkeys(metrics, "sampled_estimate")


@pytest.mark.parametrize("sealed", [False, True])
async def test_only_ranges_with_sampled_data_are_weighted_and_marked(tmp_path: Path, sealed: bool) -> None:
    visits = [
        *views("/", HALF),
        *views("/", ALL, ALL, day="05"),
        # Begun when visitors were sampled, and gone on with after it: sampled on both days.
        Visit(DAN, [view(at("12 23:50"), "/", HALF, by_visitor=True), view(at("13 00:10"), "/")]),
    ]
    async with site(tmp_path, visits, sealed=sealed) as place:
        plans = place.engine.plans
        for day, sampled, figures in (
            ("05", False, (2, 2, 2)),
            ("09", True, (1, 1, 2)),
            ("13", True, (2, 0, 1)),
            ("14", False, (0, 0, 0)),
        ):
            plans.clear()
            table = await place.table((f"2026-03-{day}", f"2026-03-{day}"), Report((*PEOPLE, "events")))
            assert (table.rows[0].values, table.sampled) == (figures, sampled), day
            assert [plan.weighted for plan in plans] == [False, True][: sampled + 1]
            assert not {"rate", "flags"} & {*plans[0].event, *plans[0].visit, *plans[0].rest_event}
            assert not sampled or "rate" in plans[1].event


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_plan_that_is_not_weighted_is_refused_also_where_the_answer_is_known(
    tmp_path: Path, sealed: bool
) -> None:
    visits = [*views("/", ALL), *views("/b", ALL, day="10")]
    async with site(tmp_path, visits) as place:
        assert await place.figures("events") == [2]
        (plan,) = place.engine.plans
        late = Visit(CAT, [view(at("09 12:00"), "/c", QUARTER)])
        place.store.add([(1, late)])
        if sealed:
            Sealer(place.store, 1, "UTC").seal([late])
        with pytest.raises(SampledData):
            await place.engine.ask(plan)
        assert await place.figures("events") == [6]
        assert await place.figures("events", days=("2026-03-10", "2026-03-10")) == [1]


async def test_tables_that_are_asked_together_say_each_of_its_own_range_whether_it_is_sampled(tmp_path: Path) -> None:
    async with site(tmp_path, [*views("/", HALF), *views("/", ALL, day="10")]) as place:

        async def marks(*days: str) -> list[list[tuple[bool, tuple[str, ...]]]]:
            """Of figures and series of each day, as a dashboard asks for its period and the one before."""
            scopes = [await place.reports.scope(SITE, between(day, day), NOW) for day in days]
            reports = [overview.REPORT, over_time(("visitors",), "hour")]
            found = await place.reports.ask([(scope, reports) for scope in scopes])
            assert all(steps.rows for _, steps in found)
            return [[(table.sampled, table.lower_bounds) for table in tables] for tables in found]

        whole, sampled = [(False, ())] * 2, [(True, PEOPLE), (True, PEOPLE[:1])]
        assert await marks("2026-03-10") == [whole]
        assert await marks("2026-03-10", "2026-03-09") == [whole, sampled]
        assert await marks("2026-03-09") == [sampled]


async def test_reports_that_follow_people_say_it_and_scale_nothing(tmp_path: Path) -> None:
    both = [view(at("09 10:00"), "/", HALF), view(at("09 10:01"), "/b", HALF)]
    visits = [Visit(ANN, both), *views("/", ALL, day="10")]
    async with site(tmp_path, visits) as place:
        for day, sampled, visitors in (("2026-03-09", True, [1, 1]), ("2026-03-10", False, [1, 0])):
            scope = await place.reports.scope(SITE, between(day, day), NOW)
            steps = filters.parse([["is", "event:page", [path]] for path in ("/", "/b")]).parts
            passage = await funnels.ask(place.reports, scope, Funnel(steps))
            assert ([step.visitors for step in passage.steps], passage.sampled) == (visitors, sampled)
            assert (await event_log.ask(place.reports, scope)).sampled is sampled


async def test_a_series_and_an_order_by_a_ratio_are_of_the_estimates(tmp_path: Path) -> None:
    visits = [*views("/a", HALF, HALF, ALL), *views("/b", ALL, ALL, ALL, ALL), *views("/c", 100_000, day="10")]
    async with site(tmp_path, visits) as place:
        days = ("2026-03-09", "2026-03-10")
        series = await place.table(days, over_time(("events", "visitors"), "day"))
        assert [row.values for row in series.rows] == [(9, 7), (10, 1)]
        pages = Report(("events", "percentage"), ("event:page",), (Order("events"),), limit=2, total_rows=True)
        table = await place.table(days, pages)
        assert ([(row.labels[0], row.values) for row in table.rows], table.total_rows) == (
            [("/b", (4, 50.0)), ("/a", (5, 37.5))],
            3,
        )


async def test_the_api_warns_of_each_figure(tmp_path: Path) -> None:
    metrics = ["visitors", "events", "bounce_rate", "total_revenue"]
    compared = {"comparisons": {"mode": "previous_period"}}
    async with site(tmp_path, [*views("/", HALF), *views("/", ALL, day="10")]) as place:

        async def warnings(day: str, **more: Any) -> dict[str, str]:
            return codes(await api_answer(body(day, metrics, **more), SITE, place.reports, NOW))

        estimates = dict.fromkeys(("events", "bounce_rate"), "sampled_estimate")
        no_revenue = {"total_revenue": "no_revenue_goals_matching"}
        assert await warnings("2026-03-09") == {"visitors": "sampled_lower_bound", **estimates, **no_revenue}
        assert await warnings("2026-03-10") == no_revenue
        assert await warnings("2026-03-10", include=compared) == await warnings("2026-03-09")


async def test_figures_are_counted_again_by_the_same_rules(tmp_path: Path) -> None:
    visits = [*views("/", HALF, 300_000), Visit(DAN, [view(at("09 10:00"), "/b", QUARTER, by_visitor=True)])]
    async with site(tmp_path, visits) as place:
        scope = await place.reports.scope(SITE, between("2026-03-09", "2026-03-09"), NOW)
        stored: Any = Stored(place.store.path)
        found = await verify(place.reports, stored, scope, Report(("events", *PEOPLE), ("event:page",)))
        assert [(line.labels, line.values) for line in found.lines] == [(("/",), (5, 2, 2)), (("/b",), (4, 4, 4))]
        assert (found.is_equal, found.sampled, found.lower_bounds) == (True, True, PEOPLE)
