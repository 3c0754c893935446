"""Every report against plain counting, to the last digit, on random projects that share one database file."""

import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from appliance.clock import DAY, HOUR
from appliance.model import Project, ProjectSettings
from appliance.queries import beside, filters, overview, timeseries
from appliance.queries.comparison import Comparison, compared
from appliance.queries.dimensions import DIMENSIONS as KNOWN
from appliance.queries.dimensions import TIME_DIMENSIONS
from appliance.queries.filters import AllOf
from appliance.queries.goals import checking
from appliance.queries.period import Dates, Period, Range, Times, between, resolve
from appliance.queries.question import Order, Report
from appliance.queries.recount import recount
from appliance.queries.reports import Reports
from appliance.queries.results import Table
from appliance.storage.goals import Goal
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.sqlite.stored import stored_rows
from tests import oracle
from tests.oracle import Visit
from tests.postgresql import Server
from tests.queries.on_postgresql import asked
from tests.queries.worlds import (
    COUNTRIES,
    NAMED_OF_VISIT,
    NAMES,
    OF_EVENT,
    OF_VISIT,
    PROPERTIES,
    TEXTS,
    Store,
    instant,
    world,
)

NOW = instant("2026-06-15 12:00")
SEEDS = range(24)

# Zones, and days at whose edges their clocks do something.
PLACES = [
    ("UTC", "2026-02-27", "2026-03-02"),
    ("Europe/Berlin", "2026-03-28", "2026-03-30"),  # a day of 23 hours
    ("Europe/Berlin", "2025-10-25", "2025-10-26"),  # and one of 25
    ("America/New_York", "2026-03-01", "2026-03-31"),
    ("Asia/Kolkata", "2026-01-01", "2026-01-01"),  # half an hour off
    ("Pacific/Apia", "2011-12-28", "2012-01-02"),  # without 30 December
]
METRICS = ["visitors", "visits", "pageviews", "events", "views_per_visit", "bounce_rate", "visit_duration"]
GOALS = [
    Goal(1, 0, "Any blog page", "page", "/blog**"),
    Goal(2, 0, "Blog", "page", "/blog"),
    Goal(3, 0, "Pro sign-up", "event", "Signup", "plan", "pro"),
    Goal(4, 0, "Sale", "event", "download", currency="EUR"),
    Goal(5, 0, "Sign-up", "event", "Signup"),
    Goal(6, 0, "Top page", "page", "/*"),
]
PAGEVIEW = ["is", "event:name", ["pageview"]]
REACHED = {
    "Any blog page": ["and", [PAGEVIEW, ["matches", "event:page", ["^/blog"]]]],
    "Blog": ["and", [PAGEVIEW, ["is", "event:page", ["/blog"]]]],
    "Pro sign-up": ["and", [["is", "event:name", ["Signup"]], ["is", "event:props:plan", ["pro"]]]],
    "Sale": ["and", [["is", "event:name", ["download"]], ["is", "event:currency", ["EUR"]]]],
    "Sign-up": ["is", "event:name", ["Signup"]],
    "Top page": ["and", [PAGEVIEW, ["matches", "event:page", ["^/[^/]*$"]]]],
}
CONVERSION = ["conversion_rate", "group_conversion_rate"]
MORE_METRICS = ["active_visits", "time_on_page", "scroll_depth", "total_revenue", "average_revenue"]
OF_PROPERTY = [f"event:props:{name}" for name in (*PROPERTIES, "nobody has this")]
DIMENSIONS = [
    "event:goal", "event:goal",
    *OF_EVENT, "event:name", "event:sent_name", "event:currency", *OF_PROPERTY, *OF_VISIT, *NAMED_OF_VISIT,
    "visit:entry_page", "visit:exit_page", "visit:entry_page_hostname", "visit:exit_page_hostname",
    "time", "time:minute", "time:5min", "time:hour", "time:day", "time:week", "time:month",
]  # fmt: skip


class Place(NamedTuple):
    project: Project
    period: Period
    visits: list[Visit]


class Stored:
    """The rows of a file as `Database.stream_stored` gives them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def stream_stored(
        self, sql: str, project_id: int, start: int, end: int, *, batch_rows: int
    ) -> AsyncIterator[list[Any]]:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            for rows in stored_rows(connection, sql, project_id, start, end, batch_rows):
                yield rows

    async def raw_purged_before(self, project_id: int) -> int | None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            select = "SELECT raw_purged_before FROM project WHERE id = ?"
            row = connection.execute(select, (project_id,)).fetchone()
            return None if row is None else row[0]


class World(NamedTuple):
    """`ids`: what visits are stored under, by their `id` here."""

    reports: Reports
    places: list[Place]
    stored: Any
    store: Store
    ids: dict[int, int]


def project(number: int, zone: str) -> Project:
    return Project(number, f"id-{number}", f"p{number}", ("example.com",), zone, "EUR", ProjectSettings(), 0, 0)


@asynccontextmanager
async def worlds(folder: Path, seeds: Iterable[int], server: Server | None = None) -> AsyncIterator[World]:
    """Random projects in one file, or a database of a server, and what asks it."""
    store = Store(folder / "appliance.db")
    places, rows = [], []
    for seed in seeds:
        zone, first, last = PLACES[seed % len(PLACES)]
        start, end = instant(f"{first} 00:00", zone), instant(f"{last} 00:00", zone) + oracle.DAY
        visits = world(Random(seed), start, end, 60)
        places.append(Place(project(seed + 1, zone), between(first, last), visits))
        rows += [(seed + 1, visit) for visit in visits]
    Random(0).shuffle(rows)  # the projects' rows stand between each other
    ids = {id(visit): number for (_, visit), number in zip(rows, store.add(rows), strict=True)}
    if server is not None:
        async with asked(store.path, server, COUNTRIES) as (reports, database):
            yield World(reports, places, database, store, ids)
        return
    evaluator = Evaluator(store.path, temp_directory=folder / "tmp")
    try:
        yield World(Reports(evaluator, COUNTRIES), places, Stored(store.path), store, ids)
    finally:
        await evaluator.close()


@pytest.fixture(scope="module")
async def reports(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> AsyncIterator[World]:
    async with worlds(tmp_path_factory.mktemp("worlds"), SEEDS, server) as made:
        yield made


def random_filter(random: Random, depth: int = 0) -> list[Any]:
    kind = random.random()
    if depth < 2 and kind < 0.15:
        parts = [random_filter(random, depth + 1) for _ in range(random.randint(1, 3))]
        return [random.choice(["and", "or"]), parts]
    if depth < 2 and kind < 0.2:
        return ["not", random_filter(random, depth + 1)]
    if depth < 2 and kind < 0.27:
        return [random.choice(["has_done", "has_not_done"]), random_filter(random, 2)]
    if kind > 0.93:
        return ["is", "event:goal", random.sample(list(REACHED), random.randint(1, 2))]
    if kind > 0.9:
        return ["contains", "event:goal", [random.choice(["page", "ign-up", "no goal"])]]
    dimension = random.choice(
        [
            *OF_EVENT,
            "event:name",
            "event:sent_name",
            "event:currency",
            *OF_PROPERTY,
            *OF_VISIT,
            *NAMED_OF_VISIT,
            *oracle.PAGES,
        ]
    )
    operator = random.choice(["is", "is_not", "contains", "contains_not", "matches", "matches_not"])
    of_page = {name: of_event for name, (_, of_event) in oracle.PAGES.items()}
    of_property = {name: ["pro", "free", "true", "2.5", '["a","ä"]', ""] for name in OF_PROPERTY}
    texts = {
        **TEXTS,
        **of_property,
        "visit:country_name": [*oracle.COUNTRIES.values(), "X1", ""],
        "event:name": [*NAMES, "pageview"],
        "event:sent_name": [*NAMES, "pageview", "page_view"],
    }.get(of_page.get(dimension, dimension), ["a", "b", "c", ""])
    values = [value or oracle.missing(dimension) for value in random.sample(texts, 2)]
    if operator.startswith("contains"):
        values = [random.choice(["o", "blog", "/", "S", "ä", "e.c"])]
    if operator.startswith("matches"):
        values = random.choice([["^/b"], ["^.$", "o+g"], ["[A-Z]"], ["zzz"]])
    options = [{"case_sensitive": False}] if random.random() < 0.2 and not operator.startswith("matches") else []
    return [operator, dimension, values, *options]


def random_filters(random: Random) -> list[Any]:
    """What a question may be filtered by; sometimes with the AND written out."""
    trees = [random_filter(random) for _ in range(random.choice([0, 0, 1, 1, 2, 3]))]
    if random.random() < 0.2:
        trees.append(["is", "event:goal", random.sample(list(REACHED), random.randint(1, 3))])
    trees = [tree for tree in trees if is_askable(tree)]
    if not trees or random.random() < 0.7:
        return trees
    if random.random() < 0.3:
        return [["not", ["or", [["not", tree] for tree in trees]]]]
    return [["and", [["and", trees[:1]], *trees[1:]]]]


def random_report(random: Random, days: int) -> Report:
    known = DIMENSIONS if days < 7 else [name for name in DIMENSIONS if name != "time:minute"]
    dimensions = list(dict.fromkeys(random.sample(known, random.choice([0, 1, 1, 1, 2, 2, 3]))))
    times = [name for name in dimensions if name.startswith("time")]
    dimensions = [name for name in dimensions if name not in times[1:]]
    metrics = random.sample(
        METRICS + MORE_METRICS + CONVERSION + ["percentage"] * bool(dimensions), random.randint(1, 4)
    )
    order: tuple[Order, ...] = ()
    if random.random() < 0.5:
        keys = random.sample([*metrics, *dimensions], random.randint(1, min(2, len(metrics) + len(dimensions))))
        order = tuple(Order(key, random.random() < 0.5) for key in keys)
    return Report(tuple(metrics), tuple(dimensions), order)


def rows_of(table: Table) -> list[tuple[list[str], list[Any]]]:
    return [(list(row.labels), list(row.values)) for row in table.rows]


def marks_of(table: Table) -> tuple[bool, tuple[str, ...]]:
    return table.sampled, table.lower_bounds


def expected_marks(visits: list[Visit], there: Range, metrics: Sequence[str]) -> tuple[bool, tuple[str, ...]]:
    bounds = ("visitors", "active_visits", "visits") if oracle.loses_visitors(visits, there.start, there.end) else ()
    return oracle.is_sampled(visits, there.start, there.end), tuple(name for name in metrics if name in bounds)


def parsed(trees: list[Any]) -> AllOf:
    return filters.parse(trees, check=checking(GOALS))


async def compare(asked: Reports, place: Place, random: Random, questions: int, stored: Any = None) -> None:
    """Ask a project random questions, and count; half of them also by the product's own counting over `stored`."""
    for _ in range(questions):
        trees = random_filters(random)
        scope = await asked.scope(place.project, place.period, NOW, parsed(trees), GOALS)
        report = random_report(random, scope.range.days)
        expected = oracle.answer(
            place.visits, scope.range.start, scope.range.end, place.project.timezone,
            metrics=report.metrics, dimensions=report.dimensions,
            filters=trees, order=[(order.key, order.descending) for order in report.order], goals=REACHED,
        )  # fmt: skip
        table = await asked.answer(scope, report)
        assert rows_of(table) == expected, (report, trees)
        assert marks_of(table) == expected_marks(place.visits, scope.range, report.metrics)
        if stored is not None and random.random() < 0.5:
            recounted = await recount(stored, scope, report, asked.names)
            found = [(list(labels), list(values)) for (labels, _), values in recounted.items()]
            assert sorted(found, key=repr) == sorted(expected, key=repr), (report, trees)


@pytest.mark.parametrize("seed", SEEDS)
async def test_random_questions_are_answered_as_plain_counting_does(reports: World, seed: int) -> None:
    await compare(reports.reports, reports.places[seed], Random(1000 + seed), 12, reports.stored)


def random_comparison(random: Random, there: Range) -> Comparison:
    mode = random.choice(["previous_period", "previous_period", "year_over_year", "custom"])
    if mode != "custom":
        return Comparison(mode, random.random() < 0.5)
    first = there.first_day - timedelta(random.randint(0, 9))
    return Comparison("custom", dates=Dates(first, first + timedelta(random.randint(0, 5))))


def random_part(random: Random, period: Period, zone: str) -> Period:
    """The period, some hours of it, or a day and some hours more."""
    there = resolve(period, zone, NOW)
    start = there.start + random.randrange(24) * HOUR
    return random.choice(
        [period, Times(start, start + random.randint(1, 30) * HOUR), Times(start, start + random.randint(1, 3) * DAY)]
    )


async def compare_ranges(asked: Reports, place: Place, random: Random, questions: int) -> None:
    """Ask a project random questions beside the same about another range, and count both."""
    for _ in range(questions):
        trees = random_filters(random)
        period = random_part(random, place.period, place.project.timezone)
        scope = await asked.scope(place.project, period, NOW, parsed(trees), GOALS)
        there = compared(scope.range, random_comparison(random, scope.range))
        report = random_report(random, max(scope.range.days, there.days))
        if random.random() < 0.5 and not any(name.startswith("time") for name in report.dimensions):
            time = random.choice(["time", "time:hour", "time:day"])
            report = replace(report, dimensions=(time, *report.dimensions[:1]), order=())
        limit, offset = random.choice([(10_000, 0), (3, 2)])
        report = replace(report, limit=limit, offset=offset)
        (table,), (other,) = await asked.ask(
            [(scope, [report]), (replace(scope, range=there), [beside.counterpart(report, scope.range)])]
        )
        expected = oracle.beside(
            place.visits, (scope.range.start, scope.range.end), (there.start, there.end), place.project.timezone,
            metrics=report.metrics, dimensions=report.dimensions,
            filters=trees, order=[(order.key, order.descending) for order in report.order], goals=REACHED,
        )[offset:][:limit]  # fmt: skip
        found = [(list(row.labels), list(row.values)) for row in beside.matched(table, other)]
        assert found == expected, (report, trees, scope.range, there)


@pytest.mark.parametrize("seed", SEEDS)
async def test_random_questions_are_compared_as_plain_counting_does(reports: World, seed: int) -> None:
    await compare_ranges(reports.reports, reports.places[seed], Random(3000 + seed), 8)


def is_askable(tree: list[Any]) -> bool:
    """Whether it keeps the rule that a country is two letters; here only labels break it."""
    try:
        parsed([tree])
    except Exception:
        return False
    return True


@pytest.mark.parametrize("seed", SEEDS[:12])
async def test_a_dashboard_says_what_its_reports_say_alone(reports: World, seed: int) -> None:
    asked, places, *_ = reports
    place, random = places[seed], Random(2000 + seed)
    trees = [random_filter(random) for _ in range(seed % 3)]
    trees = [tree for tree in trees if is_askable(tree)]
    scope = await asked.scope(place.project, place.period, NOW, parsed(trees), GOALS)
    before = compared(scope.range, Comparison())
    panels = [
        Report(("visitors", "visits", "bounce_rate"), (name,)) for name in ("visit:source", "event:page", "event:name")
    ]
    over_time = timeseries.report(tuple(METRICS), "hour")
    earlier = replace(scope, range=before)
    (now, steps, *lists), (then, steps_then) = await asked.ask(
        [(scope, [overview.REPORT, over_time, *panels]), (earlier, [overview.REPORT, over_time])]
    )
    figures = overview.figures(now, then)

    def expected(there: Any, **report: Any) -> list[tuple[list[str], list[Any]]]:
        zone = place.project.timezone
        return oracle.answer(place.visits, there.start, there.end, zone, filters=trees, goals=REACHED, **report)

    metrics = [figure.metric for figure in figures]
    assert [figure.value for figure in figures] == expected(scope.range, metrics=metrics)[0][1]
    assert [figure.previous for figure in figures] == expected(before, metrics=metrics)[0][1]
    for panel, table in zip(panels, lists, strict=True):
        assert rows_of(table) == expected(scope.range, metrics=panel.metrics, dimensions=panel.dimensions)
    hours = expected(scope.range, metrics=METRICS, dimensions=["time:hour"])
    for place_of, name in enumerate(METRICS):
        series = timeseries.points(steps, name, steps_then)
        points = [(point.bucket.label, point.value) for point in series if point.value]
        assert points == [(labels[0], values[place_of]) for labels, values in hours if values[place_of]]


def dimensions_named(tree: Any) -> set[str]:
    if isinstance(tree, list) and len(tree) > 2 and isinstance(tree[1], str):
        return {tree[1]}
    return {name for part in tree for name in dimensions_named(part)} if isinstance(tree, list) else set()


def test_every_dimension_is_asked_for() -> None:
    random = Random(0)
    grouped = {name for _ in range(3_000) for name in random_report(random, 3).dimensions}
    filtered = {name for _ in range(3_000) for name in dimensions_named(random_filter(random))}
    properties = {name for name in grouped if name.startswith("event:props:")}
    assert grouped - properties == {*KNOWN, *TIME_DIMENSIONS, "event:goal"}
    assert properties == set(OF_PROPERTY)
    assert filtered == grouped - {*TIME_DIMENSIONS}


def test_every_dimension_has_values(reports: World) -> None:
    for name in KNOWN:
        found = {oracle.text(name, visit, visit.events[0]) for place in reports.places for visit in place.visits}
        assert len(found - {""}) > 1, name


async def test_limit_offset_and_total_rows_cut_the_whole_list(reports: World) -> None:
    asked, places, *_ = reports
    scope = await asked.scope(places[0].project, places[0].period, NOW)
    whole = await asked.answer(scope, Report(("visitors", "visits"), ("event:page", "visit:country")))
    page = Report(("visitors", "visits"), ("event:page", "visit:country"), limit=5, offset=3, total_rows=True)
    cut = await asked.answer(scope, page)
    assert cut.rows == whole.rows[3:8]
    assert cut.total_rows == len(whole.rows) > 8
    past = await asked.answer(scope, Report(("visits",), ("event:page",), offset=1000, total_rows=True))
    assert (past.rows, past.total_rows) == ((), len({row.labels[0] for row in whole.rows if row.values[1]}))


async def test_search_and_only_set_choose_groups_but_not_the_base_of_percentages(
    reports: World,
) -> None:
    asked, places, *_ = reports
    scope = await asked.scope(places[0].project, places[0].period, NOW)
    whole = await asked.answer(scope, Report(("visitors", "percentage", "visits"), ("event:page",)))
    assert any(row.labels == ("(none)",) for row in whole.rows)
    report = Report(("visitors", "percentage", "visits"), ("event:page",), search="BLOG")
    assert (await asked.answer(scope, report)).rows == tuple(r for r in whole.rows if "blog" in r.labels[0].lower())
    report = Report(("visitors", "percentage", "visits"), ("event:page",), only_set=True)
    assert (await asked.answer(scope, report)).rows == tuple(r for r in whole.rows if r.labels != ("(none)",))
