"""Money whose sums are wider than 64 bits, which whoever knows the public key can send."""

import json
from pathlib import Path

import pytest

from appliance.queries.filters import parse
from appliance.queries.metrics import Money
from appliance.queries.period import between
from appliance.queries.question import Order, Report
from appliance.queries.reports import Reports
from appliance.queries.verify import verify
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.web.api.query import answer
from tests import oracle
from tests.oracle import Event, Visit
from tests.postgresql import Server
from tests.queries.on_postgresql import asked
from tests.queries.sealing import Sealer
from tests.queries.test_reports import Stored, rows_of
from tests.queries.test_sampling import SITE, body
from tests.queries.worlds import COUNTRIES, Store, instant

DAY = "2026-03-09"
NOW = instant("2026-03-20 12:00")
LARGE = 2**62
METRICS = ("total_revenue", "average_revenue")


def sale(minutes: int, path: str, revenue: int, rate: int = 1_000_000) -> Event:
    time = instant(f"{DAY} 10:00") + minutes * 60_000_000
    values = {"event:page": path}
    return Event(time, False, "Order", values=values, revenue=revenue, currency="EUR" if revenue else "", rate=rate)


def sales(rate: int = 1_000_000) -> list[Visit]:
    """Three visitors with one page each: much, more than that below zero, and nothing."""
    return [
        Visit(1, [sale(n, "/much", LARGE - n, rate) for n in range(5)]),
        Visit(2, [sale(n, "/refunds", -LARGE, rate) for n in range(7)]),
        Visit(3, [sale(0, "/nothing", 0, rate)]),
    ]


async def check(reports: Reports, stored: object, visits: list[Visit]) -> None:
    scope = await reports.scope(SITE, between(DAY, DAY), NOW)
    by_page = Report(METRICS, ("event:page",), (Order("total_revenue"),))
    for report in (Report(METRICS), by_page, Report((*METRICS, "visits"), ("event:page", "time:day"))):
        expected = oracle.answer(
            visits, scope.range.start, scope.range.end, "UTC", metrics=report.metrics, dimensions=report.dimensions,
            filters=[], order=[(order.key, order.descending) for order in report.order], goals={},
        )  # fmt: skip
        assert rows_of(await reports.answer(scope, report)) == expected
        assert (await verify(reports, stored, scope, report)).is_equal  # type: ignore[arg-type]
    (row, *_) = (await reports.answer(scope, by_page)).rows
    assert isinstance(row.values[0], Money)
    assert abs(row.values[0].minor) > 2**63
    figures = (await answer(body(DAY, ["total_revenue"]), SITE, reports, NOW))["results"][0]["metrics"]
    assert json.loads(json.dumps(figures))[0]["currency"] == "EUR"
    tree = parse([["is", "event:page", ["/much"]]])
    filtered = await reports.answer(await reports.scope(SITE, between(DAY, DAY), NOW, tree), Report(METRICS[:1]))
    of_one = Money((5 * LARGE - 10) * 1_000_000 // visits[0].events[0].rate, "EUR")
    assert filtered.rows[0].values == (of_one,)


@pytest.mark.parametrize("rate", [1_000_000, 100])
async def test_sums_of_money_have_no_largest_number(tmp_path: Path, server: Server | None, rate: int) -> None:
    store, visits = Store(tmp_path / "appliance.db"), sales(rate)
    store.add([(1, visit) for visit in visits])
    if server is not None:
        async with asked(store.path, server, COUNTRIES) as (reports, database):
            await check(reports, database, visits)
        return
    evaluator = Evaluator(store.path, temp_directory=tmp_path / "tmp")
    try:
        await check(Reports(evaluator, COUNTRIES), Stored(store.path), visits)
        Sealer(store, 1, "UTC").seal(visits)
        await check(Reports(evaluator, COUNTRIES), Stored(store.path), visits)
    finally:
        await evaluator.close()
