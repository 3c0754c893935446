"""Whoever asks and leaves: the question is dropped, for others wait for the worker."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import AskerGone
from appliance.storage import projects
from appliance.storage.evaluation import Answer, Plan, QueryEngine
from appliance.web.attended import while_there
from appliance.web.site_numbers import site_numbers
from tests.process import Server
from tests.running import Running
from tests.storage.test_evaluator import ENDLESS, is_running, until
from tests.web.administration import Browser
from tests.web.dashboards import SITE, Dashboards

Message = MutableMapping[str, Any]


class Leaving:
    """An ASGI client that closes the connection when it is told to, and what it was sent."""

    def __init__(self, body: bytes = b"") -> None:
        self._body: bytes | None = body
        self.left = asyncio.Event()
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)


def scope(method: str, target: str, **headers: str) -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"appliance.test"), *((k.encode(), v.encode()) for k, v in headers.items())],
        "client": ("203.0.113.7", 4711),
        "server": ("appliance.test", 80),
    }


class Endless:
    """An engine whose worker gets a question without an end instead of each plan."""

    def __init__(self, engine: QueryEngine) -> None:
        self._ask = engine.ask
        self.asked = 0
        self.dropped = 0

    async def ask(self, plan: Plan) -> Answer:
        self.asked += 1
        try:
            return await self._ask(ENDLESS)
        except asyncio.CancelledError:
            self.dropped += 1
            raise


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/api/v2/query", b'{"metrics": ["visitors"], "date_range": "day"}'),
        ("GET", "/api/v1/verify?metrics=visitors&date_range=day", b""),
    ],
)
async def test_a_question_of_the_api_is_dropped(
    running: Running, monkeypatch: pytest.MonkeyPatch, method: str, target: str, body: bytes
) -> None:
    evaluator = running.appliance.evaluator
    await evaluator.first_event(1)
    worker = evaluator.worker_pid
    with monkeypatch.context() as patch:
        endless = Endless(evaluator)
        patch.setattr(evaluator, "ask", endless.ask)
        await leaves(running.appliance.endpoint, endless, method, target, body, x_api_key=running.private)
    # The worker is free again, and the same: it was not killed for being busy.
    async with asyncio.timeout(5):
        await evaluator.first_event(1)
    assert evaluator.worker_pid == worker


@pytest.mark.parametrize(
    "target",
    [
        SITE,
        SITE + "/main",
        SITE + "/panel/sources",
        SITE + "/details/visit:source",
        SITE + "/details/visit:source.csv",
        SITE + "/series.csv",
        SITE + "/filter?dimension=visit:source",
        SITE + "/funnels?on=page&step=/&on=page&step=/pricing",
        SITE + "/retention",
        SITE + "/journeys",
        SITE + "/users",
        SITE + "/users.csv",
        SITE + "/events",
        SITE + "/events.csv",
    ],
)
async def test_a_question_of_a_page_is_dropped(
    dashboards: Dashboards, reader: Browser, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    engine: Any = dashboards.app.state.reports._engine
    endless = Endless(engine)
    monkeypatch.setattr(engine, "ask", endless.ask)
    cookie = "; ".join(f"{name}={value}" for name, value in reader.cookies.items())
    await leaves(dashboards.asgi, endless, "GET", target, b"", cookie=cookie, hx_request="true")


async def test_the_figures_of_the_list_of_sites_are_dropped(
    dashboards: Dashboards, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = dashboards.app.state.reports
    endless = Endless(reports._engine)
    monkeypatch.setattr(reports._engine, "ask", endless.ask)
    sites = await projects.list_all(dashboards.database)
    waiting = asyncio.create_task(site_numbers(reports, dashboards.presence, sites))
    await until(lambda: endless.asked == len(sites))
    waiting.cancel()
    await until(lambda: endless.dropped == len(sites))


async def leaves(app: Any, endless: Endless, method: str, target: str, body: bytes, **headers: str) -> None:
    client = Leaving(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    serving = asyncio.create_task(app(scope(method, target, **names), client.receive, client.send))
    await until(lambda: endless.asked > 0 or serving.done())
    await asyncio.sleep(0.1)
    assert not serving.done(), client.sent
    client.left.set()
    async with asyncio.timeout(5):
        await serving
    assert endless.dropped == endless.asked == 1
    assert [message.get("status") for message in client.sent if message["type"] == "http.response.start"] == [499]


async def test_an_answer_is_given_to_who_waits_and_nobody_listens_any_more() -> None:
    client = Leaving()
    request: Any = type("Request", (), {"receive": staticmethod(client.receive)})

    async def work(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "answer"

    before = asyncio.all_tasks()
    assert await while_there(request, work(0.01)) == "answer"
    assert asyncio.all_tasks() == before
    client.left.set()
    with pytest.raises(AskerGone):
        await while_there(request, work(60))
    assert asyncio.all_tasks() == before


def test_the_worker_of_a_real_server_is_not_kept_busy_for_who_left(tmp_path: Path) -> None:
    """A worker that does not react, and a question that may take 100 s: a client that waits for its own 2 s leaves, and
    the worker is replaced at once, which it is for nothing but a dropped question."""
    with Server(tmp_path / "data", query_timeout_seconds=100) as server:
        made = server.project()
        question = {"metrics": ["visitors"], "date_range": "day"}
        server.query(made["private_key"], **question)
        assert server.process is not None
        (worker,) = (pid for pid in children(server.process.pid) if "sqlite.worker.main" in command(pid))
        os.kill(worker, signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            body = b'{"metrics": ["pageviews"], "date_range": "day"}'
            head = f"POST /api/v2/query HTTP/1.1\r\nHost: x\r\nX-API-Key: {made['private_key']}\r\n"
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            time.sleep(0.5)
            assert is_running(worker)
        assert_soon(lambda: not is_running(worker))
        assert server.query(made["private_key"], **question)["results"] == [{"dimensions": [], "metrics": [0]}]


def assert_soon(true: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
