"""Who takes a download slowly, or many at once, is in nobody's way."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from appliance.errors import Busy
from appliance.web import downloads, exports
from appliance.web.downloads import Download
from appliance.web.turns import Turns
from tests.running import Running

EXPORT = "/api/v1/export"


class Reader:
    """Somebody who asks for an export and takes its head only, until told to go on."""

    def __init__(self, running: Running) -> None:
        self.goes_on = asyncio.Event()
        self.began = asyncio.Event()
        self._stays = asyncio.Event()
        self.said: list[dict[str, Any]] = []
        headers = [(b"authorization", f"Bearer {running.private}".encode())]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": EXPORT, "raw_path": EXPORT.encode(), "query_string": b"", "root_path": "", "headers": headers,
            "server": ("appliance.test", 80), "client": ("203.0.113.7", 4711),
        }  # fmt: skip
        self.task = asyncio.create_task(running.appliance.endpoint(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._stays.wait()
        raise AssertionError

    async def _send(self, message: Any) -> None:
        self.said.append(message)
        self.began.set()
        if message["type"] == "http.response.body":
            await self.goes_on.wait()


async def leave(readers: list[Reader]) -> None:
    for reader in readers:
        reader.task.cancel()
    await asyncio.gather(*(reader.task for reader in readers), return_exceptions=True)


def bearer(running: Running) -> dict[str, str]:
    return {"authorization": f"Bearer {running.private}"}


async def test_an_export_that_nobody_takes_is_cut_off(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "TAKEN_SECONDS", 0.1)
    reader = Reader(running)
    async with asyncio.timeout(10):
        await reader.task
    assert reader.said[0]["status"] == 200
    assert all(message.get("more_body", True) for message in reader.said), "it does not look whole"
    assert (await running.http.get(EXPORT, headers=bearer(running))).status_code == 200


async def test_so_many_exports_of_a_project_at_once(running: Running) -> None:
    readers = [Reader(running) for _ in range(exports.PROJECT_EXPORTS_MAX)]
    for reader in readers:
        await reader.began.wait()
    refused = await running.http.get(EXPORT, headers=bearer(running))
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "busy", "30")
    readers[0].goes_on.set()
    await readers[0].task
    assert readers[0].said[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert (await running.http.get(EXPORT, headers=bearer(running))).status_code == 200
    # Who leaves gives its turn back too.
    await leave(readers)
    readers = [Reader(running) for _ in range(exports.PROJECT_EXPORTS_MAX)]
    for reader in readers:
        await reader.began.wait()
    assert [reader.said[0]["status"] for reader in readers] == [200] * len(readers)
    await leave(readers)


async def test_what_is_read_for_a_download_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "TAKEN_SECONDS", 0.05)
    ended = []

    async def body() -> AsyncGenerator[bytes, None]:
        try:
            yield b"a"
            yield b"b"
        finally:
            ended.append(True)

    async def send(message: Any) -> None:
        if message.get("body"):
            await asyncio.Event().wait()

    await Download(body(), "text/csv", 'a"b\r\n.csv').stream_response(send)
    assert ended == [True]


def test_turns_are_counted_in_all_and_by_project() -> None:
    turns = Turns(3, 2)
    with turns.one(1), turns.one(1):
        with pytest.raises(Busy), turns.one(1):
            pass
        with turns.one(2), pytest.raises(Busy), turns.one(3):
            pass
        with turns.one(3):
            pass
    with turns.one(1), turns.one(1):
        pass
