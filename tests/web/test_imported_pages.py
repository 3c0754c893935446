"""Figures of another product on dashboard, details and files, and in answers of the Stats API."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import date
from functools import partial
from typing import Any, NamedTuple

import pytest

from appliance import clock
from appliance.model import Project
from appliance.queries.imported import ImportedFigures
from appliance.queries.reports import Reports
from appliance.storage import imported_figures
from appliance.storage.imported_figures import Figure
from appliance.storage.sqlite.drain_store import SqliteDrainStore
from appliance.web.api.query import answer
from tests.web.administration import Browser, words
from tests.web.dashboards import NOW, Dashboards, card, figures, opened, rows, table

SITE = "/sites/moved.example"
RANGE = "period=custom&from=2026-02-18&to=2026-03-17"
INCLUDED = "Figures of days before this site was connected, imported from another product, are in these."
LEFT_OUT = "Imported figures of this period are left out: they cannot be filtered."
FIRST = date(2026, 2, 20)


def of_days(*days: date) -> list[Figure]:
    """40 visitors a day, ten of whom came by a search engine; three in four saw two pages within a minute."""
    found = []
    for day in (each.toordinal() - date(1970, 1, 1).toordinal() for each in days):
        whole = {"visitors": 40, "visits": 40, "pageviews": 70, "events": 70, "bounces": 10, "seconds": 1_800}
        search = {"visitors": 10, "visits": 10, "pageviews": 20, "events": 20, "bounces": 0, "seconds": 600}
        found.append(Figure(day, "", "", **whole))
        found.append(Figure(day, "visit:source", "Google", **search))
    return found


class Moved(NamedTuple):
    dashboards: Dashboards
    browser: Browser
    project: Project

    async def asked(self, **fields: Any) -> dict[str, Any]:
        """The answer of the Stats API."""
        body = {"metrics": ["visitors"], "date_range": ["2026-02-18", "2026-03-17"], "include": {"imports": True}}
        state = self.dashboards.app.state
        reports: Reports = state.reports
        imported: ImportedFigures = state.imported
        return await answer(json.dumps(body | fields).encode(), self.project, reports, NOW, imported=imported)


@pytest.fixture(scope="module")
async def moved(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Moved]:
    """The site of tests/web/dashboards.py, with two days of another product before its first visit of the range."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: NOW)
        async with opened(tmp_path_factory.mktemp("moved")) as ready:
            project = await ready.site(domain="moved.example")
            drain = SqliteDrainStore(ready.folder / "appliance.db")
            made = of_days(FIRST, date(2026, 2, 21))
            drain.transact(partial(imported_figures.add, project_id=project.id, import_id="i", figures=made))
            drain.close()
            yield Moved(ready, await ready.owner(), project)


async def test_the_dashboard_adds_and_marks_them(moved: Moved) -> None:
    page = await moved.browser.get(f"{SITE}?{RANGE}")
    assert INCLUDED in words(page)
    assert figures(page)["Visitors"] == "85"
    assert figures(page)["Pageviews"] == "148"
    assert rows(page, "sources")[0] == ("Google", "23")
    assert "†" in card(page, "sources")
    assert "†" not in card(page, "pages"), "nothing was imported of pages"


async def test_under_a_filter_it_says_that_they_are_left_out(moved: Moved) -> None:
    page = await moved.browser.get(f"{SITE}?{RANGE}&f=is:visit:source:Google")
    assert LEFT_OUT in words(page)
    assert INCLUDED not in words(page)
    assert figures(page)["Visitors"] == "3"
    assert "†" not in page.text


async def test_of_other_days_it_says_nothing(moved: Moved) -> None:
    for query in ("period=7d", "period=7d&f=is:visit:source:Google"):
        page = await moved.browser.get(f"{SITE}?{query}")
        assert "†" not in page.text
        assert INCLUDED not in words(page)
        assert LEFT_OUT not in words(page)


async def test_details_and_files_have_them(moved: Moved) -> None:
    page = await moved.browser.get(f"{SITE}/details/visit:source?{RANGE}")
    assert "† " + INCLUDED in words(page)
    assert table(page, "details-table")[0] == ["Google", "23", "23", "45", "4 %", "1m 00s"]
    file = await moved.browser.get(f"{SITE}/details/visit:source.csv?{RANGE}")
    assert list(csv.reader(io.StringIO(file.text.lstrip("\ufeff"))))[1][:2] == ["Google", "23"]
    days = await moved.browser.get(f"{SITE}/series.csv?{RANGE}&interval=day")
    assert next(line for line in days.text.splitlines() if line.startswith("2026-02-20")).split(",")[1] == "40"


async def test_the_api_adds_them_where_it_is_asked_to(moved: Moved) -> None:
    found = await moved.asked()
    assert (found["results"], found["meta"]) == ([{"dimensions": [], "metrics": [85]}], {"imports_included": True})
    plain = await moved.asked(include={})
    assert (plain["results"], plain["meta"]) == ([{"dimensions": [], "metrics": [5]}], {})


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"filters": [["is", "visit:source", ["Google"]]]}, "unsupported_query"),
        ({"dimensions": ["visit:source", "visit:country"]}, "unsupported_query"),
        ({"date_range": ["2026-02-20", "2026-02-20"], "dimensions": ["time:hour"]}, "unsupported_interval"),
        ({"date_range": ["2026-03-10", "2026-03-12"]}, "out_of_range"),
    ],
)
async def test_the_api_says_why_it_did_not(moved: Moved, asked: dict[str, Any], reason: str) -> None:
    assert (await moved.asked(**asked))["meta"] == {"imports_included": False, "imports_skip_reason": reason}
