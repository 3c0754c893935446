"""Imported figures beside counted ones, against plain counting of both: the imported ones are those of visits, each of
somebody who comes once, within one day."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from appliance.clock import DAY, MICROSECONDS
from appliance.model import Project
from appliance.queries import filters
from appliance.queries.imported import DIMENSIONS, ImportedFigures
from appliance.queries.period import Dates, Named, Period, Times, between
from appliance.queries.question import Order, Report
from appliance.queries.reports import Reports
from appliance.storage import imported_figures
from appliance.storage.calendar import local_day
from appliance.storage.imported_figures import Figure
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.sqlite.migrate import migrate
from tests import oracle
from tests.engines import AnyDatabase, drain_store
from tests.oracle import Visit
from tests.postgresql import Server
from tests.queries.on_postgresql import asked
from tests.queries.test_reports import NOW, PLACES, project, rows_of
from tests.queries.worlds import COUNTRIES, Store, instant, world

PLACE_SEEDS = (0, 1, 3, 5)
COUNTS = ("visitors", "visits", "pageviews", "events")
RATIOS = ("bounce_rate", "visit_duration", "views_per_visit")
OF_WORLDS = ("event:page", "event:name", "event:props:plan", "visit:source", "visit:country", "visit:device",
             "visit:entry_page", "visit:exit_page", "visit:utm_source", "visit:browser")  # fmt: skip


class Place(NamedTuple):
    project: Project
    period: Period
    days: tuple[int, int]  # of the imported figures
    visits: list[Visit]  # counted and imported ones


def of_one_day(random: Random, zone: str, start: int, end: int) -> list[Visit]:
    """Visits of people who come once, each within a local day, in whole seconds, all before half of the range."""
    found = []
    for number, visit in enumerate(world(random, start, end, 60)):
        day = local_day(start, ZoneInfo(zone)) + random.randrange(3)
        begin = day * DAY + random.randrange(6) * 3_600 * MICROSECONDS + 9 * 3_600 * MICROSECONDS
        visit.visitor, visit.engaged_until = number, 0
        for place, event in enumerate(visit.events):
            event.time, event.rate = begin + place * random.randrange(60) * MICROSECONDS, 1_000_000
        if all(local_day(event.time, ZoneInfo(zone)) == local_day(begin, ZoneInfo(zone)) for event in visit.events):
            found.append(visit)
    return found


def figures_of(visits: Sequence[Visit], zone: str) -> list[Figure]:
    """What another product would have written down of these visits."""
    found: dict[tuple[int, str, str], Figure] = {}

    def figure(day: int, dimension: str, value: str) -> Figure:
        return found.setdefault((day, dimension, value), Figure(day, dimension, value))

    for visit in visits:
        day = local_day(visit.start, ZoneInfo(zone))
        values: dict[tuple[str, str], list[oracle.Event]] = defaultdict(list)
        for event in visit.events:
            values["", ""].append(event)
            for name in OF_WORLDS:
                values[name, oracle.text(name, visit, event)].append(event)
        for (name, value), events in values.items():
            one = figure(day, name, value)
            one.visitors += 1
            one.visits += 1
            one.pageviews += sum(event.pageview for event in events)
            one.events += len(events)
            one.bounces += visit.is_bounce
            one.seconds += (visit.end - visit.start) // MICROSECONDS
    return list(found.values())


class Stored(NamedTuple):
    reports: Reports
    places: list[Place]


@pytest.fixture(scope="module")
async def stored(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> AsyncIterator[Stored]:
    folder = tmp_path_factory.mktemp("imported")
    path = folder / "appliance.db"
    migrate(path, folder)
    store, places, imports = Store(path), [], []
    for number, seed in enumerate(PLACE_SEEDS, 1):
        zone, first, last = PLACES[seed]
        start, end = instant(f"{first} 00:00", zone), instant(f"{last} 00:00", zone) + oracle.DAY
        random = Random(seed)
        counted = world(random, start, end, 40)
        for visit in counted:
            visit.visitor |= 1 << 40
            for event in visit.events:
                event.rate = 1_000_000
        other = of_one_day(random, zone, start, end)
        store.add([(number, visit) for visit in counted])
        days = sorted({local_day(visit.start, ZoneInfo(zone)) for visit in other})
        places.append(Place(project(number, zone), between(first, last), (days[0], days[-1]), counted + other))
        imports.append((number, figures_of(other, zone)))
    if server is None:
        database = SqliteDatabase(path)
        await database.open()
        evaluator = Evaluator(path, temp_directory=folder / "tmp")
        fill(database, imports)
        yield Stored(Reports(evaluator, COUNTRIES).with_imported(ImportedFigures(database)), places)
        await evaluator.close()
        await database.close()
        return
    async with asked(path, server, COUNTRIES) as (reports, there):
        fill(there, imports)
        yield Stored(reports.with_imported(ImportedFigures(there)), places)


def fill(database: AnyDatabase, imports: list[tuple[int, list[Figure]]]) -> None:
    store = drain_store(database)
    for number, figures in imports:
        for place in range(0, len(figures), 70):  # added to what is there
            some = figures[place : place + 70]
            halves = [Figure(f.day, f.dimension, f.value, f.visitors, f.visits, f.pageviews) for f in some]
            rest = [
                Figure(f.day, f.dimension, f.value, events=f.events, bounces=f.bounces, seconds=f.seconds) for f in some
            ]
            for part in (halves, rest):
                add = partial(imported_figures.add, project_id=number, import_id="i", figures=part)
                store.transact(add)
    store.close()


def random_report(random: Random) -> Report:
    dimension = random.choice([None, "time:day", "time:week", "time:month", *OF_WORLDS, *OF_WORLDS])
    metrics = [*COUNTS, *(() if dimension is not None and dimension.startswith("event:") else RATIOS)]
    metrics += ["percentage"] * (dimension is not None)
    chosen = tuple(random.sample(metrics, random.randint(1, min(4, len(metrics)))))
    order: tuple[Order, ...] = ()
    if dimension is not None and random.random() < 0.6:
        order = (Order(random.choice([*chosen, dimension]), random.random() < 0.5),)
    limit, offset = random.choice([(10_000, 0), (3, 0), (2, 2)])
    return Report(chosen, () if dimension is None else (dimension,), order, limit, offset, total_rows=True)


@pytest.mark.parametrize("seed", range(12))
async def test_both_together_are_what_plain_counting_says(stored: Stored, seed: int) -> None:
    random = Random(seed)
    reports, places = stored
    for place in places:
        scope = await reports.scope(place.project, place.period, NOW)
        for _ in range(8):
            report = random_report(random)
            expected = oracle.answer(
                place.visits, scope.range.start, scope.range.end, place.project.timezone, metrics=report.metrics,
                dimensions=report.dimensions, order=[(order.key, order.descending) for order in report.order],
            )  # fmt: skip
            table = await reports.answer(scope, report)
            assert rows_of(table) == expected[report.offset :][: report.limit], report
            assert table.imported
            assert table.total_rows == len(expected)


@pytest.fixture
def place(stored: Stored) -> Place:
    return stored.places[2]


COUNTED = Report(("visitors", "visits"))


async def test_search_and_only_set_choose_imported_groups_as_well(stored: Stored, place: Place) -> None:
    scope = await stored.reports.scope(place.project, place.period, NOW)
    report = Report(("visitors", "percentage"), ("event:page",))
    whole = await stored.reports.answer(scope, report)
    assert any(row.labels == ("(none)",) for row in whole.rows)
    found = await stored.reports.answer(scope, Report(report.metrics, report.dimensions, search="BLOG"))
    assert found.rows == tuple(row for row in whole.rows if "blog" in row.labels[0].lower())
    found = await stored.reports.answer(scope, Report(report.metrics, report.dimensions, only_set=True))
    assert found.rows == tuple(row for row in whole.rows if row.labels != ("(none)",))


@pytest.mark.parametrize(
    ("report", "tree", "reason"),
    [
        (COUNTED, [["is", "visit:country", ["DE"]]], "unsupported_query"),
        (Report(("visitors",), ("visit:source", "visit:country")), [], "unsupported_query"),
        (Report(("visitors",), ("visit:language",)), [], "unsupported_query"),
        (Report(("time_on_page",), ("event:page",)), [], "unsupported_query"),
        (Report(("bounce_rate",), ("event:page",)), [], "unsupported_query"),
        (Report(("visitors",), ("time:hour",)), [], "unsupported_interval"),
    ],
)
async def test_what_nothing_can_be_added_to_is_as_it_is_counted(
    stored: Stored, place: Place, report: Report, tree: list[Any], reason: str
) -> None:
    reports = stored.reports
    imported = reports._imported
    assert imported is not None
    counted = Reports(reports._engine, reports.names)
    scope = await reports.scope(place.project, place.period, NOW, filters.parse(tree))
    found = await reports.answer(scope, report)
    assert found == await counted.answer(scope, report)
    assert not found.imported
    assert await imported.why_not(scope, report) == reason


async def test_only_whole_days_of_a_range_are_added(stored: Stored, place: Place) -> None:
    reports = stored.reports
    imported = reports._imported
    assert imported is not None
    zone = ZoneInfo(place.project.timezone)
    scope = await reports.scope(place.project, place.period, NOW)
    hour = 3_600 * MICROSECONDS
    first, last = place.days
    midnight = oracle_midnight(first, zone)
    for times, is_added in (
        (Times(midnight, midnight + DAY), True),
        (Times(midnight + hour, midnight + DAY), False),
        (Times(midnight, midnight + DAY - hour), False),
        (Times(midnight - hour, midnight + DAY + hour), True),
    ):
        part = await reports.scope(place.project, times, NOW)
        assert (await reports.answer(part, COUNTED)).imported is is_added
    before = await reports.scope(place.project, between("2001-01-01", "2001-01-31"), NOW)
    assert await imported.why_not(before, COUNTED) == "out_of_range"
    nobody = await reports.scope(project(99, "UTC"), place.period, NOW)
    assert await imported.why_not(nobody, COUNTED) == "no_imported_data"
    assert scope.range.start <= midnight and last > first


def oracle_midnight(day: int, zone: ZoneInfo) -> int:
    from datetime import date, datetime

    wall = datetime.combine(date.fromordinal(date(1970, 1, 1).toordinal() + day), datetime.min.time(), zone)
    return round(wall.timestamp()) * MICROSECONDS


async def test_all_time_begins_with_the_first_imported_day(stored: Stored, tmp_path: Path) -> None:
    reports = stored.reports
    imported = reports._imported
    assert imported is not None
    zone = "UTC"
    fill(imported._database, [(50, [Figure(10, "", "", visitors=5), Figure(20, "", "", visitors=6)])])  # type: ignore[arg-type]
    alone = project(50, zone)
    assert await reports.first_event(alone) == 10 * DAY
    scope = await reports.scope(alone, Named("all"), NOW)
    assert scope.range.start == 10 * DAY
    assert (await reports.answer(scope, Report(("visitors",)))).figures() == {"visitors": 11}
    ((whole, series), (none,)) = await reports.ask(
        [
            (scope, [Report(("visitors", "bounce_rate")), Report(("visitors",), ("time:month",))]),
            (await reports.scope(alone, Dates(*[scope.range.last_day] * 2), NOW), [COUNTED]),
        ]
    )
    assert whole.figures() == {"visitors": 11, "bounce_rate": None}
    assert rows_of(series) == [(["1970-01-01"], [11])]
    assert (none.figures(), none.imported) == ({"visitors": 0, "visits": 0}, False)


def test_the_dimensions_are_those_that_can_be_asked_for() -> None:
    from appliance.queries.dimensions import DIMENSIONS as KNOWN

    assert KNOWN.keys() >= DIMENSIONS


async def test_means_beside_sampled_data_are_over_what_is_stored(tmp_path: Path, server: Server | None) -> None:
    path, start = tmp_path / "appliance.db", instant("2026-01-01 00:00")
    migrate(path, tmp_path)
    store, noon = Store(path), start + DAY + DAY // 2
    minute = 60 * MICROSECONDS
    of = lambda *times: [oracle.Event(noon + time, rate=100_000, by_visitor=True) for time in times]  # noqa: E731
    visits = [Visit(number, of(0) if number % 2 else of(0, minute), {}) for number in range(10)]
    store.add([(1, visit) for visit in visits])
    imports = [(1, [Figure(start // DAY, "", "", 10, 10, 15, 15, 5, 300)])]
    report = Report(("visits", "bounce_rate", "visit_duration", "views_per_visit"))

    async def figures(reports: Reports) -> Any:
        scope = await reports.scope(project(1, "UTC"), Times(start, start + 3 * DAY), start + 9 * DAY)
        table = await reports.answer(scope, report)
        assert (table.sampled, table.imported) == (True, True)
        return table.figures()

    # Of a tenth of a hundred visits half bounced, the others took a minute; and so did those of the other product.
    expected = {"visits": 110, "bounce_rate": 50, "visit_duration": 30, "views_per_visit": 1.5}
    if server is None:
        database = SqliteDatabase(path)
        await database.open()
        evaluator = Evaluator(path, temp_directory=tmp_path / "tmp")
        fill(database, imports)
        assert await figures(Reports(evaluator, COUNTRIES).with_imported(ImportedFigures(database))) == expected
        await evaluator.close()
        await database.close()
        return
    async with asked(path, server, COUNTRIES) as (reports, there):
        fill(there, imports)
        assert await figures(reports.with_imported(ImportedFigures(there))) == expected
