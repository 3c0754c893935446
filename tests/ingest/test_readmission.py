"""What was filtered is let in: through the journal, as it was, once."""

import json
from typing import Any

import pytest

from appliance import clock
from appliance.errors import JournalFailed, JournalFull
from appliance.ingest import readmission
from appliance.ingest.refusals import KEPT_FOR, Wanted
from appliance.storage import audit, erasures, exclusions
from tests.running import BROWSER, FIREFOX, Running

PAGE = {"event": "pageview", "url": "https://example.com/a"}
ANOTHER = BROWSER | {"user-agent": FIREFOX.replace("132", "133")}  # than the visitor of other tests


async def rule(running: Running, kind: str, value: str) -> exclusions.Rule:
    appliance = running.appliance
    made = await exclusions.create(appliance.database, running.project, kind, value, actor="test", at=clock.now())
    await appliance.registry.refresh()
    return made


async def take_back(running: Running, made: exclusions.Rule) -> None:
    await exclusions.take_back(running.appliance.database, running.project, made.id, actor="test", at=clock.now())
    await running.appliance.registry.refresh()


async def let_in(running: Running, **wanted: Any) -> readmission.LetIn:
    return await running.appliance.let_in(running.project, Wanted(**wanted), "ada@example.com")


async def stored(running: Running) -> list[tuple[str, int]]:
    """Paths and times of all stored events."""
    await running.drained()
    rows = await running.appliance.database.read(
        "SELECT d.text, e.time FROM event e LEFT JOIN dictionary d"
        " ON d.project_id = e.project_id AND d.dimension = 4 AND d.code = e.path ORDER BY e.id"
    )
    return [(text, time) for text, time in rows]


async def test_a_rule_is_taken_back_and_what_it_left_out_is_let_in(running: Running) -> None:
    before = await stored(running)
    made = await rule(running, "path", "/private/**")
    sent_at = clock.now() - 3_600_000_000
    event = {"event_id": "let-in-1", "timestamp": sent_at // 1000, "url": "https://example.com/private/a"}
    answer = await running.send({**PAGE, **event})
    assert answer.json()["dropped"] == [{"index": 0, "reason": "blocked_path"}]
    await running.send({**PAGE, "url": "https://example.com/private/b"}, **ANOTHER)
    await running.send(PAGE)
    assert len(await stored(running)) == len(before) + 1
    await take_back(running, made)
    assert await let_in(running, rule=made.id) == (2, 0)
    after = await stored(running)
    assert [path for path, _ in after[len(before) + 1 :]] == ["/private/a", "/private/b"]
    assert after[-2][1] == sent_at // 1000 * 1000
    assert await let_in(running, rule=made.id) == (0, 0)
    assert len(await stored(running)) == len(after)
    entry = (await audit.recent(running.appliance.database))[0]
    assert (entry.action, entry.actor, entry.subject) == ("exclusion.let_in", "ada@example.com", "Site")
    assert entry.detail == f"2 filtered as all reasons, rule {made.id}"


async def test_nothing_counts_twice_even_when_it_is_journaled_twice(running: Running) -> None:
    """As when the process ends between the journal and its memory, or the client sends once more."""
    made = await rule(running, "path", "/twice/**")
    page = "https://example.com/twice/x"
    await running.send({**PAGE, "url": page})  # the id is ours
    await running.send({**PAGE, "url": page, "event_id": "twice-of-the-client"})
    await take_back(running, made)
    refusals = running.appliance.refusals
    chosen = [r for r in refusals.every(running.project.id, clock.now()) if r.rule == made.id]
    events = refusals.take_events(chosen)
    refusals.give_back(events)
    before = len(await stored(running))
    assert await let_in(running, rule=made.id) == (2, 0)
    refusals.give_back(events)
    assert await let_in(running, rule=made.id) == (2, 0)
    await running.send({**PAGE, "url": page, "event_id": "twice-of-the-client"})
    assert len(await stored(running)) == before + 2


async def test_by_reason_and_text_and_not_what_came_since(running: Running) -> None:
    bot = {"origin": "https://example.com", "user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}
    await running.send({**PAGE, "url": "https://example.com/robots/a"}, **bot)
    await running.send({**PAGE, "url": "https://example.com/robots/b"}, **bot)
    newest = next(running.appliance.refusals.every(running.project.id, clock.now())).number
    await running.send({**PAGE, "url": "https://example.com/robots/a/later"}, **bot)
    before = await stored(running)
    assert await let_in(running, reason="bot", text="robots/A", newest=newest) == (1, 0)
    assert [path for path, _ in (await stored(running))[len(before) :]] == ["/robots/a"]


async def test_an_engagement_finds_its_pageview_and_identify_its_visit(running: Running) -> None:
    made = await rule(running, "hostname", "shop.example.com")
    page = {
        "event": "pageview",
        "url": "https://shop.example.com/engaged",
        "event_id": "engaged-1",
        "anonymous_id": "a",
    }
    engagement = {
        **page,
        "event": "engagement",
        "event_id": "engaged-2",
        "pageview_id": "engaged-1",
        "engaged_ms": 4000,
    }
    for event in (page, engagement):
        assert (await running.send(event)).json()["dropped"]
    await take_back(running, made)
    assert await let_in(running, rule=made.id) == (2, 0)
    await running.drained()
    ((engaged,),) = await running.appliance.database.read("SELECT engaged_ms FROM event ORDER BY id DESC LIMIT 1")
    assert engaged == 4000


async def test_what_is_wrong_signalled_or_sampled_out_cannot_be_let_in(running: Running) -> None:
    await running.send({"url": "https://example.com/"})
    await running.send({**PAGE, "sample": 1e-6})
    since = next(running.appliance.refusals.every(running.project.id, clock.now(), Wanted(reason="sampled")))
    assert not since.kept
    assert await let_in(running, reason="missing") == (0, 0)
    assert await let_in(running, reason="sampled") == (0, 0)
    assert await let_in(running, reason="no such reason") == (0, 0)


async def test_what_is_not_kept_any_more_is_told(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await rule(running, "path", "/gone/**")
    for name in ("a", "b"):
        await running.send({**PAGE, "url": f"https://example.com/gone/{name}"})
    refusals = running.appliance.refusals
    oldest = list(refusals.every(running.project.id, clock.now(), Wanted(rule=made.id)))[-1]
    refusals._forget_event(oldest.number)
    await take_back(running, made)
    assert await let_in(running, rule=made.id) == (1, 1)
    await running.send({**PAGE, "url": "https://example.com/gone/c"})
    assert await let_in(running, rule=made.id) == (0, 1)


async def test_after_48_hours_it_is_too_late(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await rule(running, "path", "/late/**")
    await running.send({**PAGE, "url": "https://example.com/late/a"})
    await take_back(running, made)
    later = clock.now() + KEPT_FOR + 1_000_000
    monkeypatch.setattr(clock, "now", lambda: later)
    assert await let_in(running, rule=made.id) == (0, 0)


async def test_what_came_before_somebody_was_erased_stays_out(running: Running) -> None:
    made = await rule(running, "path", "/erased/**")
    await running.send({**PAGE, "url": "https://example.com/erased/a", "user_id": "u1"})
    await erasures.ask_for_user(running.appliance.database, running.project, "u1", actor="test", at=clock.now())
    await running.appliance.database.erase()
    await running.send({**PAGE, "url": "https://example.com/erased/b"})
    await take_back(running, made)
    before = await stored(running)
    assert await let_in(running, rule=made.id) == (1, 1)
    assert [path for path, _ in (await stored(running))[len(before) :]] == ["/erased/b"]


@pytest.mark.parametrize("error", [JournalFull, JournalFailed])
async def test_when_the_journal_takes_nothing_it_can_be_tried_again(
    running: Running, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    made = await rule(running, "path", f"/{error.__name__}/**")
    await running.send({**PAGE, "url": f"https://example.com/{error.__name__}/a"})
    await take_back(running, made)

    def full(payload: bytes) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(running.appliance.journal, "append", full)
        with pytest.raises(error):
            await let_in(running, rule=made.id)
    assert await let_in(running, rule=made.id) == (1, 0)
    assert await let_in(running, rule=made.id) == (0, 0)


def test_records_are_bounded_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readmission, "RECORD_EVENTS_MAX", 3)
    monkeypatch.setattr(readmission, "RECORD_BYTES_MAX", 10)
    groups = list(readmission._groups([b"1", b"2", b"3", b"4", b"x" * 9, b"y" * 50, b"z"]))
    assert groups == [[b"1", b"2", b"3"], [b"4", b"x" * 9], [b"y" * 50], [b"z"]]
    assert list(readmission._groups([])) == []


async def test_no_address_is_kept_with_what_was_filtered(running: Running) -> None:
    made = await rule(running, "path", "/address/**")
    await running.send({**PAGE, "url": "https://example.com/address/a"}, **ANOTHER)
    stated = {"ip": "198.51.100.77", "user_agent": FIREFOX.replace("132", "77")}
    await running.send({**PAGE, "url": "https://example.com/address/a", **stated})
    await take_back(running, made)
    refusals = running.appliance.refusals
    chosen = list(refusals.every(running.project.id, clock.now(), Wanted(rule=made.id)))
    events = refusals.take_events(chosen)
    refusals.give_back(events)
    assert len(events) == 2
    told = json.dumps([str(refusal) for refusal in chosen]).encode() + b"".join(events.values())
    for secret in (b"203.0.113.7", b"198.51.100.77", b"rv:77.0", b"Gecko/20100101"):
        assert secret not in told
