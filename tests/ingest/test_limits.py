"""Limits, quota, sampling and sources on the ingest path: refused in time, said in headers, counted, exact."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from appliance import clock
from appliance.ingest.client_address import TrustedProxies
from appliance.ingest.rate_limit import SECOND, RateLimits
from appliance.ingest.refusals import UNKNOWN_PROJECT
from appliance.model import Flag, ProjectSettings, Sampling, SamplingRule, SourceSettings
from appliance.storage import projects, sources
from appliance.storage.dimensions import DICTIONARIES
from tests.ingest.test_rate_limit import StoppedClock
from tests.running import BROWSER, INGEST, Running

PAGE = {"event": "pageview", "url": "https://example.com/a"}


@pytest.fixture
def limited(running: Running, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StoppedClock]:
    """Give the running appliance limits, with a clock that stands still."""

    def put(**limits: int) -> StoppedClock:
        stopped = StoppedClock()
        given = RateLimits(**{"address": 0, "project": 0, **limits}, clock=stopped)
        monkeypatch.setattr(running.appliance.endpoint, "_rate_limits", given)
        return stopped

    return put


@asynccontextmanager
async def site(running: Running, **settings: Any) -> AsyncIterator[Running]:
    """The same appliance with a client of another project."""
    made = await projects.create(
        running.appliance.database,
        name="Limited",
        settings=ProjectSettings(**settings),
        actor="test",
        at=clock.now(),
    )
    await running.appliance.registry.refresh()
    await running.appliance._read_quotas()
    async with Running(running.appliance, made) as joined:
        yield joined


def counted(running: Running, reason: str, project_id: int | None = None) -> int:
    return running.appliance.refusals.counts[running.project.id if project_id is None else project_id, reason]


async def stored(running: Running) -> list[Any]:
    await running.drained()
    return await running.appliance.database.read(
        "SELECT e.rate, e.flags, d.text FROM event e LEFT JOIN dictionary d ON d.project_id = e.project_id"
        f" AND d.dimension = {DICTIONARIES['name']} AND d.code = e.name WHERE e.project_id = :id ORDER BY e.id",
        {"id": running.project.id},
    )


def limit_headers(answer: Any) -> tuple[str | None, ...]:
    names = ("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    return tuple(answer.headers.get(name) for name in names)


# ---------------------------------------------------------------- rate limits


async def test_an_address_that_sends_too_much_is_told_to_wait(
    running: Running, limited: Callable[..., StoppedClock]
) -> None:
    stopped = limited(address=3)
    before = counted(running, "rate_limited", UNKNOWN_PROJECT)
    for _ in range(3):
        answer = await running.send(PAGE)
        assert (answer.status_code, limit_headers(answer)) == (202, (None,) * 4)
        stopped.now += SECOND
    answer = await running.send(PAGE, **BROWSER)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "more than 3 requests in 10 seconds" in answer.json()["detail"]
    assert limit_headers(answer) == ("7", "3", "0", "7")
    assert answer.headers["access-control-allow-origin"] == BROWSER["origin"]
    assert "x-ratelimit-reset" in answer.headers["access-control-expose-headers"]
    assert counted(running, "rate_limited", UNKNOWN_PROJECT) == before + 1
    stopped.now += 7 * SECOND - 1
    assert (await running.send(PAGE)).status_code == 429
    stopped.now += 1
    assert (await running.send(PAGE)).status_code == 202


async def test_it_is_refused_before_its_body_is_looked_at(
    running: Running, limited: Callable[..., StoppedClock]
) -> None:
    limited(address=1)
    assert (await running.send(b"{")).status_code == 400  # what is wrong counts as well
    for body in (b"{", b"\x1f\x8b", b" " * (6 << 20)):
        assert (await running.send(body)).status_code == 429
    assert (await running.http.get("/pixel.gif")).headers["x-appliance-dropped"] == "rate_limited"
    assert (await running.http.request("OPTIONS", INGEST)).status_code == 204


async def test_an_unknown_key_counts_once(running: Running, limited: Callable[..., StoppedClock]) -> None:
    limited(address=2)
    statuses = [(await running.send(PAGE, key="sa_unknown")).status_code for _ in range(3)]
    assert statuses == [401, 401, 429]


async def test_behind_a_trusted_proxy_each_client_has_its_own_limit(
    running: Running, limited: Callable[..., StoppedClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(address=1)
    monkeypatch.setattr(running.appliance.endpoint, "_trusted_proxies", TrustedProxies(["203.0.113.0/24"]))
    for client, status in (("198.51.100.1", 202), ("198.51.100.2", 202), ("198.51.100.1", 429)):
        assert (await running.send(PAGE, x_forwarded_for=client)).status_code == status


async def test_a_forwarding_header_of_somebody_else_changes_nothing(
    running: Running, limited: Callable[..., StoppedClock]
) -> None:
    limited(address=1)
    statuses = [(await running.send(PAGE, x_forwarded_for=f"198.51.100.{n}")).status_code for n in range(2)]
    assert statuses == [202, 429]


async def test_a_projects_limit_is_told_with_every_answer(
    running: Running, limited: Callable[..., StoppedClock]
) -> None:
    stopped = limited(project=5)
    async with site(running, rate_limit=2) as mine:
        assert limit_headers(await mine.send(PAGE)) == (None, "2", "1", "10")
        stopped.now += 3 * SECOND
        assert limit_headers(await mine.send({"events": [PAGE] * 9})) == (None, "2", "0", "7")
        answer = await mine.send(PAGE)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert "this project's clients" in answer.json()["detail"]
        assert limit_headers(answer) == ("7", "2", "0", "7")
        assert counted(mine, "rate_limited") == 1
        (shown,) = mine.appliance.refusals.newest(mine.project.id, clock.now())
        assert (shown.reason, shown.dialect) == ("rate_limited", "native")
        assert limit_headers(await running.send(PAGE)) == (None, "5", "4", "10")  # others have the appliance's
        assert len(await stored(mine)) == 10


async def test_a_project_may_be_without_a_limit(running: Running, limited: Callable[..., StoppedClock]) -> None:
    limited(project=1)
    async with site(running, rate_limit=0) as mine:
        assert {(await mine.send(PAGE)).status_code for _ in range(5)} == {202}


async def test_a_dialect_may_tell_the_limit_of_the_address(
    running: Running, limited: Callable[..., StoppedClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    from appliance.ingest.dialects import native

    limited(address=3)
    monkeypatch.setattr(running.appliance.endpoint._dialects, "showing_limits", frozenset([native]))
    assert [limit_headers(await running.send(PAGE))[2] for _ in range(4)] == ["2", "1", "0", "0"]


async def test_a_flood_is_one_line(running: Running, limited: Callable[..., StoppedClock]) -> None:
    limited()
    async with site(running, rate_limit=1) as mine:
        for _ in range(50):
            await mine.send(PAGE)
        (shown,) = mine.appliance.refusals.newest(mine.project.id, clock.now())
        assert (shown.reason, shown.times) == ("rate_limited", 49)


# ---------------------------------------------------------------- quota


async def test_a_quota_is_exact_and_a_batch_is_taken_up_to_it(running: Running) -> None:
    async with site(running, quota_events_month=5) as mine:
        assert (await mine.send(PAGE)).json()["accepted"] == 1
        page = {**PAGE, "event_id": "page"}
        read = {"event": "engagement", "pageview_id": "page", "engaged_ms": 5}
        events = [page, {"event": ""}, PAGE, {**PAGE, "automation": True}, PAGE, PAGE, PAGE, read, PAGE]
        answer = await mine.send({"events": events})
        assert answer.status_code == 202
        body = answer.json()
        assert (body["accepted"], [drop["index"] for drop in body["dropped"]]) == (5, [3])
        assert [(one["index"], one["code"]) for one in body["rejected"]] == [(1, "missing"), (6, "quota"), (8, "quota")]
        assert all("field" not in one for one in body["rejected"][1:])
        answer = await mine.send(PAGE)
        assert (answer.status_code, answer.json()["code"]) == (429, "quota")
        assert 1 <= int(answer.headers["retry-after"]) <= 3600
        assert len(await stored(mine)) == 5
        await mine.appliance._read_quotas()
        assert (await mine.send({"events": [PAGE] * 3})).status_code == 429
        assert len(await stored(mine)) == 5


async def test_a_batch_of_which_all_or_nothing_is_taken_comes_again(running: Running) -> None:
    async with site(running, quota_events_month=5) as mine:
        one = lambda: {"event_id": str(uuid4()), "occurred_at": clock.now() / 1e6, "user_id": "u", "event_type": "a"}  # noqa: E731
        for number, status, left in ((3, 202, 3), (3, 429, 3), (2, 202, 5), (1, 429, 5)):
            answer = await mine.send({"events": [one() for _ in range(number)]}, path="/events")
            assert answer.status_code == status, answer.text
            assert ("retry-after" in answer.headers) == (status == 429)
            assert len(await stored(mine)) == left


async def test_requests_side_by_side_do_not_pass_a_quota(running: Running) -> None:
    async with site(running, quota_events_month=25) as mine:
        answers = await asyncio.gather(*(mine.send({"events": [PAGE] * 4}) for _ in range(12)))
        assert sum(answer.json().get("accepted", 0) for answer in answers) == 25
        assert {answer.status_code for answer in answers} == {202, 429}
        assert len(await stored(mine)) == 25


async def test_a_quota_that_is_raised_lets_in_again(running: Running) -> None:
    async with site(running, quota_events_month=1) as mine:
        assert [(await mine.send(PAGE)).status_code for _ in range(2)] == [202, 429]
        settings = ProjectSettings(quota_events_month=2)
        await projects.update(mine.appliance.database, mine.project, settings=settings, actor="test", at=clock.now())
        await mine.appliance.registry.refresh()
        assert [(await mine.send(PAGE)).status_code for _ in range(2)] == [202, 429]


async def test_what_was_sent_twice_counts_once(running: Running) -> None:
    async with site(running, quota_events_month=4) as mine:
        batch = {"events": [{**PAGE, "event_id": f"twice-{n}"} for n in range(3)]}
        assert [(await mine.send(batch)).json()["duplicates"] for _ in range(2)] == [0, 3]
        assert [(await mine.send(PAGE)).status_code for _ in range(2)] == [202, 429]


# ---------------------------------------------------------------- sampling


async def test_what_is_sampled_out_is_said(running: Running) -> None:
    async with site(running, sampling=Sampling("random", 250_000)) as mine:
        events = [{**PAGE, "event_id": f"e{n}"} for n in range(400)]
        first, second = [(await mine.send({"events": events})).json() for _ in range(2)]
        kept = first["accepted"]
        assert 60 < kept < 140
        assert first["sampled"] is True
        assert {drop["reason"] for drop in first["dropped"]} == {"sampled"}
        assert len(first["dropped"]) == 400 - kept
        assert first["dropped"] == second["dropped"]  # a retry is decided alike
        assert second["duplicates"] == kept
        assert set(await stored(mine)) == {(250_000, 0, "pageview")}
        assert len(await stored(mine)) == kept
        assert counted(mine, "sampled") == 2 * (400 - kept)


async def test_a_single_event_that_is_sampled_out(running: Running) -> None:
    async with site(running, sampling=Sampling("visitor", 1)) as mine:
        answer = await mine.send({**PAGE, "user_id": "somebody"})
        assert answer.status_code == 202
        assert answer.json() == {
            "status": "accepted",
            "accepted": 0,
            "duplicates": 0,
            "sampled": True,
            "dropped": [{"index": 0, "reason": "sampled"}],
            "rejected": [],
        }


async def test_by_visitor_everything_of_one_or_nothing(running: Running) -> None:
    async with site(running, sampling=Sampling("visitor", 500_000)) as mine:
        kept = {}
        for number in range(40):
            user = {"user_id": f"user-{number}"}
            sent = [{**PAGE, **user}, {"event": "click", **user}, {"event": "identify", **user, "traits": {"n": 1}}]
            kept[number] = (await mine.send({"events": sent})).json()["accepted"]
        assert set(kept.values()) == {0, 3}
        rows = await stored(mine)
        assert len(rows) == sum(kept.values()) * 2 // 3
        assert all(rate == 500_000 and flags & Flag.BY_VISITOR for rate, flags, _ in rows)


async def test_an_events_own_rate_goes_over_everything(running: Running) -> None:
    async with site(running, sampling=Sampling("visitor", 1)) as mine:
        assert (await mine.send({**PAGE, "sample": 1})).json()["accepted"] == 1
        assert await stored(mine) == [(1_000_000, Flag.MINTED, "pageview")]
        assert (await mine.send({**PAGE, "sample": 1.5})).status_code == 422


async def test_rules_on_names_go_over_sources_and_sources_over_the_project(running: Running) -> None:
    never, always = Sampling("visitor", 1), Sampling()
    rules = (SamplingRule("Order", always), SamplingRule("debug_*", never))
    async with site(running, sampling_rules=rules) as mine:
        await mine.send({"events": [{"event": "first", "source": name} for name in ("ios", "old")]})
        await mine.drained()
        database, now = mine.appliance.database, clock.now()
        ios, old = await sources.of_project(database, mine.project.id)
        for source, settings in ((ios, SourceSettings(sampling=never)), (old, SourceSettings(off=True))):
            await sources.change(database, source, description="", settings=settings, actor="test", at=now)
        await mine.appliance.registry.refresh()
        sent = [
            {"event": "click"},
            {"event": "debug_x"},
            {"event": "click", "source": "ios"},
            {"event": "Order", "source": "ios"},
            {"event": "Order", "source": "old"},
            {"event": "click", "source": "new"},
        ]
        answer = (await mine.send({"events": sent})).json()
        assert answer["dropped"] == [
            {"index": 1, "reason": "sampled"},
            {"index": 2, "reason": "sampled"},
            {"index": 4, "reason": "source_off"},
        ]
        assert [name for _, _, name in await stored(mine)] == ["first", "first", "click", "Order", "click"]


async def test_engagement_of_a_page_view_that_was_sampled_out_goes_with_it(running: Running) -> None:
    async with site(running, sampling=Sampling("random", 300_000)) as mine:
        pages = [f"p{number}" for number in range(60)]
        views = await mine.send({"events": [{**PAGE, "event_id": name} for name in pages]})
        reads = await mine.send(
            {"events": [{"event": "engagement", "pageview_id": name, "engaged_ms": 7} for name in pages]}
        )
        assert views.json()["dropped"] == reads.json()["dropped"] != []
        assert len(await stored(mine)) == views.json()["accepted"]
        engaged = await mine.appliance.database.read(
            "SELECT sum(engaged_ms) FROM event WHERE project_id = :id", {"id": mine.project.id}
        )
        assert engaged == [(7 * views.json()["accepted"],)]


async def test_bodies_of_any_size_are_sampled_in_time(running: Running) -> None:
    rules = tuple(SamplingRule(f"*a*b*{n}*", Sampling("random", 5)) for n in range(50))
    async with site(running, sampling_rules=rules) as mine:
        events = [{"event": f"{n}" + "ab" * 100} for n in range(1000)]
        async with asyncio.timeout(5):
            answer = await mine.send(json.dumps({"events": events}).encode())
        assert answer.status_code == 202
