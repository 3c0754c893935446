"""Each request is noted with what became of it, and rubbish waits; what is good does not."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from appliance import clock
from appliance.ingest.refusals import UNKNOWN_PROJECT
from appliance.ingest.seen_requests import KEPT_PER_PROJECT, NOTED_PER_SECOND, Pace, SeenRequest
from appliance.storage import projects
from tests.running import BROWSER, FIREFOX, INGEST, Running

PAGE = {"event": "pageview", "url": "https://example.com/a"}
ANOTHER = BROWSER | {"user-agent": FIREFOX.replace("132", "133")}  # than the visitor of other tests


def newest(running: Running, project_id: int | None = None) -> SeenRequest:
    topic = running.project.id if project_id is None else project_id
    return running.appliance.requests_seen.kept(topic)[0]


def told(seen: SeenRequest) -> tuple[Any, ...]:
    return seen.status, seen.accepted, seen.duplicates, seen.dropped, seen.rejected, seen.code


async def test_a_request_that_was_taken(running: Running) -> None:
    before = clock.now()
    await running.send(PAGE)
    seen = newest(running)
    assert told(seen) == (202, 1, 0, 0, 0, "")
    assert (seen.method, seen.path, seen.dialect, seen.message) == ("POST", INGEST, "native", "")
    assert before - 1_000_000 < seen.at <= clock.now()
    assert 0 < seen.micros < 10_000_000
    assert seen.nbytes > 20


async def test_of_a_key_its_beginning_is_noted(running: Running) -> None:
    await running.send(PAGE)
    assert newest(running).key == running.key[:7]
    await running.send(PAGE, key=running.private)
    assert newest(running).key == running.private[:12]
    await running.send(PAGE, key="", path=f"{INGEST}?key={running.key}")
    assert newest(running).key == running.key[:7]
    await running.send(PAGE, key="")
    assert newest(running).key == ""


async def test_a_batch_says_the_first_reason(running: Running) -> None:
    ids = {"event_id": f"twice-{time.monotonic_ns()}"}
    await running.send(
        {"events": [PAGE | ids, PAGE | ids, {**PAGE, "automation": True}, {**PAGE, "timestamp": "soon"}]}
    )
    seen = newest(running)
    assert told(seen) == (202, 1, 1, 1, 1, "not_a_time")
    assert seen.message.startswith("timestamp:")


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ({**PAGE, "automation": True}, {}, (202, 0, 0, 1, 0, "automation")),
        ({"url": "https://example.com/"}, {}, (422, 0, 0, 0, 1, "missing")),
    ],
)
async def test_what_was_not_taken_belongs_to_its_project(
    running: Running, body: Any, headers: dict[str, str], expected: tuple[Any, ...]
) -> None:
    await running.send(body, **headers)
    assert told(newest(running)) == expected


async def test_an_origin_that_is_not_allowed_belongs_to_the_project(running: Running) -> None:
    await running.send(PAGE, key="", origin="https://evil.example")
    assert told(newest(running)) == (403, 0, 0, 0, 0, "origin_not_allowed")


@pytest.mark.parametrize(
    ("method", "path", "key", "body", "expected"),
    [
        ("POST", INGEST, "sa_nobody", b"{}", (401, 0, 0, 0, 0, "unknown_key")),
        ("POST", INGEST, "sa_nobody", b"{", (400, 0, 0, 0, 0, "malformed_json")),
        ("POST", INGEST, "", b'{"event": "x"}', (401, 0, 0, 0, 0, "missing_key")),
        ("POST", INGEST, "", b"\x1f\x8b cut", (400, 0, 0, 0, 0, "malformed_gzip")),
        ("POST", INGEST, "", b"x" * (5 << 20) + b"x", (413, 0, 0, 0, 0, "body_too_large")),
        ("PUT", INGEST, "", b"", (405, 0, 0, 0, 0, "method_not_allowed")),
        ("GET", "/pixel.gif", "", b"", (200, 0, 0, 0, 0, "missing")),
    ],
)
async def test_what_names_no_project_is_noted_apart(
    running: Running, method: str, path: str, key: str, body: bytes, expected: tuple[Any, ...]
) -> None:
    await running.http.request(method, path, content=body, headers={"x-api-key": key} if key else {})
    seen = newest(running, UNKNOWN_PROJECT)
    assert told(seen) == expected
    assert (seen.method, seen.path) == (method, path)
    assert 0 <= seen.micros < 10_000_000


@pytest.mark.parametrize("where", ["header", "query"])
@pytest.mark.parametrize(
    ("body", "code"),
    [(b"{", "malformed_json"), (b"\x1f\x8b cut", "malformed_gzip"), (b"x" * (5 << 20) + b"x", "body_too_large")],
)
async def test_what_cannot_be_read_is_noted_with_the_project_whose_key_stands_around_it(
    running: Running, where: str, body: bytes, code: str
) -> None:
    before = running.appliance.requests_seen.kept(UNKNOWN_PROJECT)[:1]
    key = running.key
    path, headers = (INGEST, {"x-api-key": key}) if where == "header" else (f"{INGEST}?key={key}", {})
    await running.http.post(path, content=body, headers=headers)
    seen = newest(running)
    assert (seen.code, seen.key) == (code, key[:7])
    assert running.appliance.requests_seen.kept(UNKNOWN_PROJECT)[:1] == before


async def test_questions_before_a_request_are_not_noted(running: Running) -> None:
    kept = running.appliance.requests_seen.kept
    before = [kept(UNKNOWN_PROJECT)[:1], kept(running.project.id)[:1]]
    await running.http.request("OPTIONS", INGEST, headers={"origin": "https://example.com"})
    await running.http.get("/nowhere")
    assert [kept(UNKNOWN_PROJECT)[:1], kept(running.project.id)[:1]] == before


async def test_a_key_is_cut_and_a_message_is_bounded(running: Running) -> None:
    await running.send(PAGE, key="", path=f"{INGEST}?key=" + "k" * 5000)
    seen = newest(running, UNKNOWN_PROJECT)
    assert len(seen.key) == 7
    await running.send({"event": "x", "timestamp": "t" * 10_000})
    assert len(newest(running).message) <= 300


async def test_a_flood_keeps_no_more_than_the_newest(running: Running) -> None:
    for _ in range(KEPT_PER_PROJECT + 20):
        await running.http.request("PUT", INGEST)
    assert len(running.appliance.requests_seen.kept(UNKNOWN_PROJECT)) == KEPT_PER_PROJECT


def test_of_a_second_so_many_are_noted_that_were_taken_whole() -> None:
    pace, at = Pace(), 1_000_000 * clock.MICROSECONDS
    found = [pace.is_too_fast(1, at + number) for number in range(NOTED_PER_SECOND + 2)]
    assert found == [False] * NOTED_PER_SECOND + [True] * 2
    assert not pace.is_too_fast(2, at)
    assert not pace.is_too_fast(1, at + clock.MICROSECONDS)


async def test_in_a_flood_what_went_wrong_is_noted_all_the_same(running: Running) -> None:
    for _ in range(NOTED_PER_SECOND * 2):
        await running.send(PAGE)
    await running.send({"url": "https://example.com/"})
    assert told(newest(running)) == (422, 0, 0, 0, 1, "missing")


async def test_browsers_are_counted_by_their_address(running: Running) -> None:
    crowd = running.appliance.endpoint.crowd
    await running.send(PAGE, **ANOTHER)
    before = crowd.look(clock.now())
    await running.send(PAGE)
    assert crowd.look(clock.now()) == before, "servers are not counted"
    await running.send(PAGE, **ANOTHER)
    assert crowd.look(clock.now()).requests == min(before.requests + 1, 200)
    assert not crowd.look(clock.now()).private


# ---------------------------------------------------------------------- who waits


@pytest.fixture
async def impatient(running: Running, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """Everybody whose request is for nothing waits a tenth of a second; gives who did."""
    patience, waited = running.appliance.endpoint.patience, list[str]()

    def delay(address: str, seconds: float) -> float:
        waited.append(address)
        patience.held += 1
        return 0.1

    monkeypatch.setattr(patience, "delay", delay)
    yield waited
    assert patience.held == 0


@pytest.mark.parametrize(
    ("body", "waits"),
    [
        (b"{", True),
        (b'{"url": "https://example.com/"}', True),
        (b'{"events": [{}, {}]}', True),
        (b'{"events": [{}, {"event": "x"}]}', False),
        (b'{"event": "x"}', False),
        (b'{"event": "x", "automation": true}', False),
    ],
)
async def test_only_answers_to_what_was_for_nothing_wait(
    running: Running, impatient: list[str], body: bytes, waits: bool
) -> None:
    began = time.perf_counter()
    answer = await running.send(body)
    assert (time.perf_counter() - began > 0.09) is waits
    assert impatient == ["203.0.113.7"] * waits
    assert answer.status_code in (202, 400, 422)


async def test_others_do_not_wait_beside_them_even_from_the_same_address(
    running: Running, impatient: list[str]
) -> None:
    rubbish = asyncio.gather(*(running.send(b"{") for _ in range(5)))
    await asyncio.sleep(0)
    answer = await running.send(PAGE)
    assert answer.status_code == 202
    assert not rubbish.done()
    assert [each.status_code for each in await rubbish] == [400] * 5


async def test_who_is_at_fault_is_ourselves_nobody_waits(
    running: Running, impatient: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.appliance.journal, "_bytes_max", 0)
    assert (await running.send(PAGE)).status_code == 503
    assert impatient == []
    assert told(newest(running)) == (503, 0, 0, 0, 0, "journal_full")


async def test_a_project_that_is_told_by_its_domain(running: Running) -> None:
    made = await projects.create(
        running.appliance.database, name="Second", domains=["second.example"], actor="test", at=clock.now()
    )
    await running.send({**PAGE, "url": "https://second.example/"}, key="")
    assert newest(running, made.project.id).status == 202
