"""The drain's process is started again when it ends."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.ingest import drain_client
from appliance.ingest.drain_client import DrainClient
from appliance.ingest.journal import Journal


@pytest.mark.parametrize(
    ("stable_seconds", "pauses"),
    [pytest.param(-1.0, (0.001, 60.0), id="after a long life"), pytest.param(60.0, (0.001,), id="again and again")],
)
async def test_it_is_started_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stable_seconds: float, pauses: tuple[float, ...]
) -> None:
    monkeypatch.setattr(drain_client, "STABLE_SECONDS", stable_seconds)
    monkeypatch.setattr(drain_client, "RESTART_SECONDS", pauses)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    drain = DrainClient(Journal(tmp_path, bytes_max=1 << 20), "sqlite:///nowhere.db", lambda stored: None, "json")
    running = asyncio.create_task(drain.run())
    try:
        async with asyncio.timeout(10):
            while drain.restarts < 4:
                await asyncio.sleep(0.001)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert drain.error is not None
    assert drain.error.startswith("the drain cannot be started")
