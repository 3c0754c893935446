"""/api/health, as monitors of Plausible ask for it."""

import asyncio

import pytest

from tests.running import Running


async def test_each_database_is_well_or_says_why_not(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asyncio.timeout(20):
        while not running.appliance.health().ready:  # the drain takes a moment to start
            await asyncio.sleep(0.01)
    answer = await running.http.get("/api/health")
    assert (answer.status_code, answer.json()) == (200, {"postgres": "ok", "clickhouse": "ok", "sites_cache": "ok"})
    monkeypatch.setattr(running.appliance, "database_error", "it is away")
    answer = await running.http.get("/api/health")
    assert answer.status_code == 500
    assert answer.json()["postgres"] == answer.json()["clickhouse"] == "error: the database cannot be read"
