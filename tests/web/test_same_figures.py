"""A page, its files and the Stats API say the same: every figure of a dashboard against `POST /api/v2/query`.

The site is random, from a seed: one half of it is sealed, and of one site a part of the data was sampled out.
"""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable
from html import unescape
from random import Random
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
import pytest
from httpx2 import Response

from appliance import clock
from appliance.currencies import MINOR_DIGITS
from appliance.model import Project
from appliance.queries.filters import conjuncts, parse, to_url
from appliance.queries.goals import checking
from appliance.queries.localtime import to_aware
from appliance.queries.metrics import Money, Value
from appliance.queries.overview import METRICS
from appliance.queries.period import Range
from appliance.storage import goals
from appliance.storage.goals import Goal
from appliance.web import cards, dashboard_state, formats, labels
from appliance.web.api import query
from appliance.web.dashboard_state import State
from tests.oracle import DAY, Visit
from tests.queries import worlds
from tests.queries.sealing import Sealer
from tests.queries.worlds import Store, instant, world
from tests.web.administration import Browser
from tests.web.dashboards import NOW, ZONE, Dashboards, card, opened, rows, table

GAP: Final = "Nothing collected"
SITES: Final = {"whole.example": 5, "sampled.example": 8}  # seeds
RATES: Final = [1_000_000, 700_000, 300_000, 130_000]
GOALS: Final = [
    ("event", "signup", {"currency": "EUR"}),
    ("page", "/blog**", {}),
    ("event", "download", {"prop": "plan", "value": "pro"}),
    ("event", "never", {}),
]


class Asked(NamedTuple):
    """A question as an address and as a query have it."""

    parameters: dict[str, str]
    period: Any = None  # date_range; None: the edges of the range, which only the page has a word for
    filters: Any = ()


QUESTIONS: Final = [
    Asked({"period": "7d"}, "7d"),
    Asked({"period": "28d", "metric": "bounce_rate"}, "28d", [["is", "visit:country", ["DE", "US"]]]),
    Asked({"period": "day", "metric": "pageviews", "compare": "year_over_year"}, "day"),
    Asked(
        {"from": "2026-03-05", "to": "2026-03-12", "metric": "visits", "weekday": "off"},
        ["2026-03-05", "2026-03-12"],
        [["contains", "event:page", ["BLOG"], {"case_sensitive": False}]],
    ),
    Asked(
        {"period": "yesterday", "metric": "visit_duration"}, None, [["is", "event:goal", ["signup", "Visit /blog**"]]]
    ),
    Asked({"period": "month", "interval": "week"}, "month", [["is_not", "event:props:plan", ["free", "(none)"]]]),
    Asked(
        {"period": "91d", "compare": "custom", "compare_from": "2026-02-01", "compare_to": "2026-02-20"},
        "91d",
        [["has_done", ["is", "event:name", ["signup"]]], ["matches", "visit:source", ["^G|^$|Direct"]]],
    ),
    Asked(
        {"period": "all", "compare": "off", "metric": "views_per_visit"},
        "all",
        [["or", [["is", "visit:device", ["Mobile"]], ["not", ["is", "event:hostname", ["example.com"]]]]]],
    ),
]
PROPERTIES: Final = [f"event:props:{name}" for name in worlds.PROPERTIES]
# What details list although no card and no menu does.
UNLISTED: Final = ["event:currency", "visit:entry_page_hostname", "visit:country_name", "visit:city_name"]
# What the card of a key leaves out.
HIDDEN: Final = {cards.EVENTS: {cards.PAGEVIEW}}


class Site(NamedTuple):
    dashboards: Dashboards
    browser: Browser
    project: Project
    goals: list[Goal]
    path: str

    async def api(self, metrics: Iterable[str], date_range: Any, filters: Any = (), **more: Any) -> dict[str, Any]:
        """What the API answers."""
        body = {"metrics": list(metrics), "date_range": date_range, "filters": list(filters), **more}
        reports = self.dashboards.app.state.reports
        return await query.answer(msgspec.json.encode(body), self.project, reports, NOW, self.goals)

    async def page(self, address: str, asked: Asked, *more: tuple[str, str]) -> Response:
        headers = {"HX-Request": "true"} if address.startswith("/panel") else {}
        address = f"{self.path}{address}?{urlencode([*self.pairs(asked), *more])}"
        answer = await self.browser.get(address, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    async def lines(self, address: str, asked: Asked) -> list[list[str]]:
        """The rows of a file."""
        return list(csv.reader(io.StringIO((await self.page(address, asked)).text)))

    def pairs(self, asked: Asked) -> list[tuple[str, str]]:
        tree = parse(list(asked.filters), check=checking(self.goals))
        return [*asked.parameters.items(), *(("f", each) for part in conjuncts(tree) for each in to_url(part))]

    async def state(self, asked: Asked) -> State:
        """What the page makes of a question: its ranges."""
        first = await self.dashboards.app.state.reports.first_event(self.project)
        return dashboard_state.read(self.pairs(asked), self.project, NOW, first, self.goals)


@pytest.fixture(scope="module")
async def sites(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Site]]:
    folder = tmp_path_factory.mktemp("figures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: NOW)
        async with opened(folder) as dashboards:
            browser, found, store = await dashboards.owner(), {}, Store(folder / "appliance.db")
            for domain, seed in SITES.items():
                made = (await dashboards.project(domain, timezone=ZONE.key)).project
                visits = world(Random(seed), instant("2026-02-18", ZONE.key), NOW, 160)
                visits = _weighed([each for each in visits if each.end < NOW], sampled="sampled" in domain)
                store.add([(made.id, visit) for visit in visits])
                sealed = [visit for visit in visits if visit.start < NOW - 9 * DAY]
                Sealer(store, made.id, ZONE.key).seal(sealed)
                assert 0 < len(sealed) < len(visits)
                known = [
                    await goals.create(dashboards.database, made.id, kind, pattern, actor="cli", at=NOW, **more)
                    for kind, pattern, more in GOALS
                ]
                found[domain] = Site(dashboards, browser, made, known, f"/sites/{domain}")
            yield found


def _weighed(visits: list[Visit], *, sampled: bool) -> list[Visit]:
    """The same visits, all of them kept; or each visitor kept at a rate."""
    for visit in visits:
        for event in visit.events:
            event.rate, event.by_visitor = Random(visit.visitor).choice(RATES) if sampled else 1_000_000, sampled
    return visits


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, sites: dict[str, Site]) -> Site:
    return sites[request.param]


@pytest.fixture(params=QUESTIONS, ids=lambda asked: asked.parameters.get("period", "dates"))
def asked(request: pytest.FixtureRequest) -> Asked:
    found: Asked = request.param
    return found


# ---------------------------------------------------------------------- figures as they are written


def written(metric: str, value: Any, *, full: bool = True) -> str:
    """A figure of the API as pages write it."""
    return " ".join(formats.metric(metric, _value(value), full).split())


def _value(value: Any) -> Value:
    if isinstance(value, dict):
        digits = MINOR_DIGITS.get(value["currency"], 2)
        return Money(round(value["value"] * 10**digits), value["currency"])
    return value  # type: ignore[no-any-return]


def in_file(values: Iterable[Any]) -> list[str]:
    """Figures of the API as files have them."""
    return ["" if value is None else str(value["value"] if isinstance(value, dict) else value) for value in values]


def same_numbers(one: list[str], other: list[str]) -> bool:
    """Whether cells hold the same, money with the digits of its currency aside."""
    return one == other or (len(one) == len(other) and all(map(_same_number, one, other)))


def _same_number(one: str, other: str) -> bool:
    return one == other or (bool(one) and bool(other) and float(one) == float(other))


def span(there: Range) -> list[str]:
    """A range as the API takes it."""
    return [to_aware(edge, there.zone).isoformat() for edge in (there.start, there.end)]


def period_of(asked: Asked, state: State) -> Any:
    return asked.period or span(state.range)


def metrics_for(asked: Asked) -> list[str]:
    """The key figures that the API gives under these filters."""
    of_page = any("event:page" in str(part) and "has_done" not in str(part) for part in asked.filters)
    return [name for name in METRICS if not (of_page and name == "views_per_visit")]


# ---------------------------------------------------------------------- the tests


async def test_key_figures(site: Site, asked: Asked) -> None:
    state, metrics = await site.state(asked), metrics_for(asked)
    page = await site.page("", asked)
    kpis = re.findall(r'<a class="kpi".*?</a>', page.text, re.DOTALL)
    shown = {name: kpi for name, kpi in zip(METRICS, kpis, strict=True) if name in metrics}

    (now,) = (await site.api(metrics, period_of(asked, state), asked.filters))["results"]
    for name, value in zip(metrics, now["metrics"], strict=True):
        assert _title(shown[name]).endswith(f": {written(name, value)}"), name
        assert written(name, value, full=False) in _text(shown[name])

    before = state.compared_so_far
    if before is None:
        return
    (then,) = (await site.api(metrics, span(before), asked.filters))["results"]
    whole = state.first_event is not None and before.first_day >= to_aware(state.first_event, before.zone).date()
    for name, value, other in zip(metrics, now["metrics"], then["metrics"], strict=True):
        told = re.findall(r'<span class="delta[^>]*title="Before: ([^"]*)"', shown[name])
        change = formats.change(name, value, other if whole else None)
        expected = change.kind in ("up", "down", "flat") and value is not None
        assert [" ".join(unescape(each).split()) for each in told] == ([written(name, other)] if expected else [])


async def test_what_is_compared_is_what_the_api_compares(site: Site) -> None:
    for asked in (QUESTIONS[0], QUESTIONS[3]):  # periods that are over
        state, metrics = await site.state(asked), metrics_for(asked)
        comparisons = {"mode": "previous_period", "match_day_of_week": "weekday" not in asked.parameters}
        answer = await site.api(metrics, asked.period, asked.filters, include={"comparisons": comparisons})
        assert state.compared is not None
        assert answer["query"]["comparison_date_range"] == span(state.compared)
        kpis = re.findall(r'<a class="kpi".*?</a>', (await site.page("", asked)).text, re.DOTALL)
        shown = {name: kpi for name, kpi in zip(METRICS, kpis, strict=True) if name in metrics}
        for name, then in zip(metrics, answer["results"][0]["comparison"]["metrics"], strict=True):
            assert f"Before: {written(name, then)}" in " ".join(unescape(shown[name]).split())


async def test_the_chart_and_its_file(site: Site, asked: Asked) -> None:
    state = await site.state(asked)
    metrics = [name for name in metrics_for(asked) if name != "views_per_visit"]  # not over time in the API
    metrics.append("events")
    time = f"time:{state.interval}"
    more: dict[str, Any] = {"dimensions": [time], "include": {"time_labels": True}}
    answer = await site.api(metrics, period_of(asked, state), asked.filters, **more)
    found = {result["dimensions"][0]: result["metrics"] for result in answer["results"]}
    steps = answer["meta"]["time_labels"]

    head, *lines = await site.lines("/series.csv", asked)
    assert head == ["time", *METRICS, "events"]
    assert [line[0].replace("T", " ")[: len(step)] for line, step in zip(lines, steps, strict=True)][1:] == steps[1:]
    for line, step in zip(lines, steps, strict=True):
        cells = dict(zip(head, line, strict=True))
        if not cells["visitors"]:  # of what is to come
            assert step not in found
            continue
        nothing = [None if name in ("bounce_rate", "visit_duration") else 0 for name in metrics]
        assert [cells[name] for name in metrics] == in_file(found.get(step, nothing)), step

    if state.metric not in metrics:
        return
    place = metrics.index(state.metric)
    drawn = table(await site.page("", asked))
    if not drawn:  # no visits in the period
        assert not found
        return
    began = str(to_aware(state.first_event or 0, ZONE))
    for shown, line, step in zip(drawn, lines, steps, strict=True):
        value = dict(zip(head, line, strict=True))[state.metric]
        expected = written(state.metric, found[step][place] if step in found else 0) if value else GAP
        assert shown[1] == (GAP if step < began[: len(step)] else expected), step

    if state.compared is None:
        return
    before = await site.api([state.metric], span(state.compared), asked.filters, **more)
    known = {result["dimensions"][0]: result["metrics"][0] for result in before["results"]}
    for shown, step in zip(drawn, before["meta"]["time_labels"], strict=False):
        if step in known:
            assert shown[3] == written(state.metric, known[step]), step


async def test_each_card_and_each_list_in_it(site: Site, asked: Asked) -> None:
    state = await site.state(asked)
    period = period_of(asked, state)
    whole = await site.page("", asked)
    for each in state.cards_shown:
        for key in (*cards.keys(each), *(PROPERTIES if each.key == "events" else ())):
            if key == cards.PROPERTIES:
                continue  # one of the others
            dimension = cards.dimension_of(key)
            metrics = list(cards.report(key).metrics)
            asked_for = metrics if "percentage" in metrics or key == cards.GOALS else [*metrics, "percentage"]
            results = (await site.api(asked_for, period, asked.filters, dimensions=[dimension]))["results"]
            alone = await site.page(f"/panel/{each.key}", asked, (each.key, key))
            page = alone if key != state.tab(each) else whole
            if key == cards.MAP:
                _check_map(page, results)
                continue
            expected = [
                (labels.label(dimension, name), *(written(m, v, full=False) for m, v in pairs))
                for name, pairs in _shown(key, dimension, results, asked_for, metrics)
            ]
            told = [row for row in rows(page, each.key) if row[1:2] != ("0",)]
            assert [row[: len(metrics) + 1] for row in told] == [
                row[: len(told[0]) if told else None] for row in expected
            ], key
            if asked_for != metrics:
                shares = re.findall(r'<span class="percent">(.*?)</span>', card(page, each.key))
                known = [dict(zip(asked_for, result["metrics"], strict=True)) for result in results]
                wanted = [
                    written("percentage", figures["percentage"])
                    for figures, result in zip(known, results, strict=True)
                    if not _left_out(key, dimension, result["dimensions"][0])
                ]
                assert [" ".join(share.split()) for share in shares] == wanted[: len(shares)], key


async def test_details_and_their_files(site: Site, asked: Asked) -> None:
    state = await site.state(asked)
    period = period_of(asked, state)
    for dimension in (*state.filtered_by, *PROPERTIES, *UNLISTED):
        metrics = list(cards.details_metrics(dimension))
        results = (await site.api(metrics, period, asked.filters, dimensions=[dimension]))["results"]
        kept = [each for each in results if not _left_out(dimension, dimension, each["dimensions"][0])]
        named = labels.is_named(dimension)

        address = f"/details/{quote(dimension)}"
        page = await site.page(address, asked)
        shown = [row for row in table(page, "details-table") if row[1] != "0"]
        assert shown == [
            [
                labels.label(dimension, each["dimensions"][0]),
                *(written(name, value) for name, value in zip(metrics, each["metrics"], strict=True)),
            ]
            for each in kept[:50]
        ], dimension

        head, *lines = await site.lines(f"{address}.csv", asked)
        assert head[1 + named :][: len(metrics)] == metrics
        reached = [line for line in lines if line[1 + named] != "0"]
        for line, each in zip(reached, kept, strict=True):
            assert line[0].removeprefix("'") == each["dimensions"][0]
            cells = line[1 + named :][: len(metrics)]
            assert same_numbers(cells, in_file(each["metrics"])), (dimension, line)


def _left_out(key: str, dimension: str, name: str) -> bool:
    """Whether a list of this key leaves out a value."""
    return cards.only_set(key) and labels.is_missing(dimension, name)


def _shown(
    key: str, dimension: str, results: list[dict[str, Any]], asked_for: list[str], metrics: list[str]
) -> list[tuple[str, list[tuple[str, Any]]]]:
    """The lines of a card: a value, and its figures with their metrics."""
    lines = []
    for result in results:
        name = result["dimensions"][0]
        if not _left_out(key, dimension, name) and name not in HIDDEN.get(key, ()):
            figures = dict(zip(asked_for, result["metrics"], strict=True))
            lines.append((name, [(metric, figures[metric]) for metric in metrics]))
    return lines[:9]


def _check_map(page: Response, results: list[dict[str, Any]]) -> None:
    """The countries of the map are those of the list that it draws."""
    areas = card(page, "locations")
    for result in results:
        name = result["dimensions"][0]
        if not labels.is_missing("visit:country", name):
            assert unescape(labels.label("visit:country", name)) in unescape(areas)
            assert (
                f">{written('visitors', result['metrics'][0], full=False)}<" in areas
                or str(result["metrics"][0]) in areas
            )


def _title(html: str) -> str:
    return " ".join(unescape(html.partition('title="')[2].partition('"')[0]).split())


def _text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())
