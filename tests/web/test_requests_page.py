"""Requests as they come: on a site's live page, for owners those that name no site, and as a stream."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from appliance import clock
from appliance.clock import MINUTE
from appliance.ingest.refusals import UNKNOWN_PROJECT
from appliance.ingest.seen_requests import SHOWN_FOR, SeenRequest
from appliance.storage import login_sessions
from appliance.web import streaming
from tests.web.administration import words

PAGE = "/sites/example.com/live/requests"
UNNAMED = "/admin/requests"


def seen(at: int | None = None, **fields: Any) -> SeenRequest:
    usual = {
        "dialect": "native", "method": "POST", "path": "/api/v1/events/ingest", "key": "sa_4f7c", "nbytes": 2345,
        "status": 202, "accepted": 3, "duplicates": 1, "dropped": 2, "rejected": 1, "code": "not_a_time",
        "message": "timestamp: <soon>", "micros": 1234,
    }  # fmt: skip
    return SeenRequest(clock.now() if at is None else at, **(usual | fields))


def publish(administration, project, request):
    administration.app.state.requests_seen.publish(project.id if project else UNKNOWN_PROJECT, request)


class Stream:
    """A stream that is read over ASGI: what came so far, and whether it has ended."""

    def __init__(self) -> None:
        self.status = 0
        self.text = ""
        self.more = asyncio.Event()

    async def until(self, part: str) -> str:
        async with asyncio.timeout(10):
            while part not in self.text:
                self.more.clear()
                await self.more.wait()
        return self.text


@asynccontextmanager
async def streaming_from(administration, browser, path, **headers):
    stream, gone = Stream(), asyncio.Event()
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    named = {"host": "appliance.test", "cookie": cookies, **headers}
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": query.encode(), "scheme": "http",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()], "http_version": "1.1",
        "client": ("203.0.113.9", 1), "server": ("appliance.test", 80), "raw_path": path.encode(),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            stream.status = message["status"]
        stream.text += message.get("body", b"").decode()
        stream.more.set()

    task = asyncio.create_task(administration.asgi(scope, receive, send))
    task.add_done_callback(lambda _: stream.more.set())
    try:
        yield stream, task
    finally:
        gone.set()
        await asyncio.wait_for(task, 10)


@pytest.fixture
def hasty(administration, monkeypatch):
    """Streams that look around every moment."""
    administration.app.state.closing = asyncio.Event()
    monkeypatch.setattr(streaming, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(streaming, "CHECK_SECONDS", 0.0)
    return administration


async def test_a_site_shows_its_requests_and_no_others(administration):
    project = (await administration.project()).project
    other = (await administration.project("shop.example")).project
    publish(administration, project, seen())
    publish(administration, other, seen(path="/other"))
    publish(administration, None, seen(path="/nobodys"))
    page = words(await (await administration.signed_in("admin")).get(PAGE))
    for part in (
        "just now 202 Not a time timestamp: &lt;soon&gt; POST /api/v1/events/ingest native sa_4f7c…",
        "3 accepted 1 duplicate 2 filtered 1 rejected 2.3 kB 1.2 ms",
    ):
        assert part in page
    assert "/other" not in page
    assert "/nobodys" not in page


async def test_only_the_last_minutes_are_shown(administration):
    project = (await administration.project()).project
    publish(administration, project, seen(clock.now() - SHOWN_FOR - MINUTE, path="/old"))
    publish(administration, project, seen(clock.now() - MINUTE, path="/recent"))
    page = words(await (await administration.signed_in()).get(PAGE))
    assert "/recent" in page
    assert "/old" not in page


async def test_what_names_no_site_is_for_owners(administration):
    publish(administration, None, seen(status=401, code="unknown_key", key="sa_old9", accepted=0))
    owner, admin = await administration.signed_in(), await administration.signed_in("admin")
    assert "401 Unknown key" in words(await owner.get(UNNAMED))
    system = words(await owner.get("/admin/system"))
    assert "Requests that name no site" in system
    assert "401 Unknown key" in system
    assert "Requests that name no site" not in words(await admin.get("/admin/system"))
    for path in (UNNAMED, f"{UNNAMED}/stream"):
        assert (await admin.get(path)).status_code == 403
        assert (await administration.client().get(path)).status_code == 303


async def test_a_sites_requests_are_for_its_admins(administration):
    await administration.project()
    viewer = await administration.signed_in("viewer")
    for path in (PAGE, f"{PAGE}/stream"):
        assert (await viewer.get(path)).status_code == 403
        assert (await administration.client().get(path)).status_code == 303


async def test_requests_come_as_a_stream_after_what_the_page_has(hasty):
    project = (await hasty.project()).project
    browser = await hasty.signed_in("admin")
    publish(hasty, project, seen(path="/before"))
    page = (await browser.get(PAGE)).text
    (href,) = [part.partition('"')[0] for part in page.split('data-stream="')[1:]]
    publish(hasty, project, seen(path="/between"))
    async with streaming_from(hasty, browser, href) as (stream, _):
        await stream.until("/between")
        publish(hasty, None, seen(path="/nobodys"))
        publish(hasty, project, seen(path="/then"))
        text = await stream.until("/then")
    assert stream.status == 200
    assert "event: live" in text
    assert "event: feed" in text
    assert "<tr class=" in text
    assert "/before" not in text
    assert "/nobodys" not in text


async def test_a_stream_ends_with_the_login_and_with_the_process(hasty):
    project = (await hasty.project()).project
    browser = await hasty.signed_in("admin")
    async with streaming_from(hasty, browser, f"{PAGE}/stream?after=0") as (stream, task):
        publish(hasty, project, seen(path="/first"))
        await stream.until("/first")
        assert browser.account is not None
        await login_sessions.end_all(hasty.database, browser.account.id)
        await asyncio.wait_for(task, 10)
    owner = await hasty.signed_in()
    async with streaming_from(hasty, owner, f"{UNNAMED}/stream?after=0") as (stream, task):
        publish(hasty, None, seen(path="/first"))
        await stream.until("/first")
        hasty.app.state.closing.set()
        await asyncio.wait_for(task, 10)


async def test_streams_are_for_our_own_pages(hasty):
    await hasty.project()
    browser = await hasty.signed_in()
    answer = await browser.get(f"{PAGE}/stream", headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert (await browser.get(f"{PAGE}/stream?after=x")).status_code == 400
