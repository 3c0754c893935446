"""A bit of the stored data has flipped: who asks is told which days cannot be read, and the others are answered."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from appliance import clock
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted
from appliance.storage.sqlite.chunks.seal import seal_settled
from appliance.storage.sqlite.rollups.job import refresh
from appliance.storage.sqlite.writer import WriteConnection
from appliance.web.api import stats, verify
from tests.web.administration import words
from tests.web.dashboards import NOW, SITE, VISITS, Dashboards, chips, figures, opened

DAY = 20_524  # 12 March 2026, of which a bit has flipped
SAID = "stored data of 2026-03-12 are damaged: column visit.country of chunk"


class Place:
    """The site of dashboards.py, sealed, and who may ask about it."""

    def __init__(self, dashboards: Dashboards, key: str | None) -> None:
        self.dashboards = dashboards
        self.api = AsyncClient(transport=ASGITransport(dashboards.asgi), base_url="http://appliance.test")
        self.api.headers["authorization"] = f"Bearer {key}"

    async def ask(self, *dates: str, dimension: str = "visit:country") -> Response:
        body = {"metrics": ["visitors"], "date_range": dates, "dimensions": [dimension]}
        return await self.post(body)

    async def post(self, body: Any) -> Response:
        return await self.api.post("/api/v2/query", json=body)

    def flip(self, table: str, where: str) -> None:
        """Turn the last bit of a blob."""

        def work(transaction: Any) -> None:
            ((row, data),) = transaction.execute(f"SELECT rowid, data FROM {table} WHERE {where}").fetchall()
            changed = data[:-1] + bytes([data[-1] ^ 1])
            transaction.execute(f"UPDATE {table} SET data = ? WHERE rowid = ?", (changed, row))

        self.transact(work)

    def transact(self, work: Any) -> Any:
        connection = WriteConnection(self.dashboards.folder / "appliance.db")
        try:
            return connection.transaction(work, durable=False)
        finally:
            connection.close()


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with opened(tmp_path) as dashboards:
        dashboards.app.router.routes[:0] = [*stats.routes(), *verify.routes()]
        made = await dashboards.project("example.com", timezone="Europe/Berlin", private_key=True)
        dashboards.store(event for visit in VISITS for event in visit.events(made.project))
        place = Place(dashboards, made.private_key)
        list(seal_settled(place.transact, NOW))
        yield place


async def test_a_damaged_day_is_named_and_others_are_answered(place: Place) -> None:
    chunk = f"chunk_id = (SELECT c.id FROM chunk c WHERE c.day = {DAY})"
    place.flip("chunk_column", f"{chunk} AND name = 'visit.country'")
    for dates in (("2026-03-12", "2026-03-12"), ("2026-03-01", "2026-03-18")):
        answer = await place.ask(*dates)
        assert (answer.status_code, answer.json()["code"]) == (503, "chunk_damaged")
        assert SAID in answer.json()["detail"]
        assert "retry-after" not in answer.headers
    assert (await place.ask("2026-03-10", "2026-03-11")).json()["results"] == [
        {"dimensions": ["FR"], "metrics": [2]},
        {"dimensions": ["DE"], "metrics": [1]},
        {"dimensions": ["US"], "metrics": [1]},
    ]
    # Nor does it matter to who does not look at countries.
    assert (await place.ask("2026-03-12", "2026-03-12", dimension="event:page")).status_code == 200


async def test_a_recount_names_it(place: Place) -> None:
    place.flip("chunk_column", f"chunk_id = (SELECT c.id FROM chunk c WHERE c.day = {DAY}) AND name = 'event.title'")
    wanted = {"metrics": "pageviews", "date_range": "2026-03-12,2026-03-12"}
    answer = await place.api.get("/api/v1/verify", params=wanted)
    assert (answer.status_code, answer.json()["code"]) == (503, "chunk_damaged")
    assert "column event.title of chunk" in answer.json()["detail"]


async def test_pages_say_so_where_they_say_what_went_wrong(place: Place) -> None:
    place.flip("chunk_column", f"chunk_id = (SELECT c.id FROM chunk c WHERE c.day = {DAY}) AND name = 'visit.country'")
    reader = await place.dashboards.owner()
    answer = await reader.get(f"{SITE}?period=28d&f=is:visit:country:DE")
    assert answer.status_code == 503
    assert "retry-after" not in answer.headers
    assert "The figures could not be loaded" in words(answer)
    assert SAID in words(answer)
    assert chips(answer) == ["Country is Germany"]
    other = await reader.get(f"{SITE}?period=day&f=is:visit:country:DE&compare=off")
    assert figures(other)["Visitors"] == "1"
    report = await reader.get(f"{SITE}/journeys?period=28d&f=is:visit:country:DE")
    assert report.status_code == 503
    assert "A part of the stored data cannot be read" in words(report)
    assert SAID in words(report)
    details = await reader.get(f"{SITE}/details/visit:country?period=28d")
    assert SAID in words(details)


async def test_damaged_rollups_are_named(place: Place) -> None:
    list(refresh(place.dashboards.folder / "appliance.db", CATALOG, wanted, NOW))
    of_day = f"SELECT r.id FROM rollup r WHERE r.first_day = {DAY} AND r.days = 1"
    place.flip("rollup_column", f"rollup_id = ({of_day}) AND name = 'visit_country'")
    answer = await place.ask("2026-03-12", "2026-03-12")
    assert (answer.status_code, answer.json()["code"]) == (503, "chunk_damaged")
    assert "rollups of 2026-03-12 are damaged: column visit_country" in answer.json()["detail"]
    assert (await place.ask("2026-03-10", "2026-03-11")).status_code == 200
