"""What was refused and filtered: kept, found, bounded in number and bytes, forgotten oldest first."""

import pytest

from appliance.broadcast import Broadcast
from appliance.clock import HOUR, MINUTE
from appliance.ingest import refusals as module
from appliance.ingest.refusals import KEPT_FOR, Refusal, Refusals, Wanted

NOW = 1_760_000_000_000_000


def refusal(at: int = NOW, reason: str = "bot", **fields: object) -> Refusal:
    values = {"verdict": "dropped", "message": "", "name": "pageview", "page": "/", "dialect": "native", **fields}
    return Refusal(at=at, reason=reason, **values)  # type: ignore[arg-type]


@pytest.fixture
def kept() -> Refusals:
    return Refusals(Broadcast())


def reasons(kept: Refusals, project: int = 1, now: int = NOW, **wanted: object) -> list[str]:
    return [found.reason for found in kept.every(project, now, Wanted(**wanted))]  # type: ignore[arg-type]


def test_the_newest_come_first_and_belong_to_a_project(kept: Refusals) -> None:
    for reason, project in (("a", 1), ("b", 2), ("c", 1), ("d", 1)):
        kept.add(project, refusal(reason=reason))
    assert reasons(kept) == ["d", "c", "a"]
    assert [found.reason for found in kept.newest(1, NOW, 2)] == ["d", "c"]
    assert reasons(kept, 3) == []
    assert kept.counts == {(1, "a"): 1, (2, "b"): 1, (1, "c"): 1, (1, "d"): 1}


def test_what_is_looked_for(kept: Refusals) -> None:
    kept.add(1, refusal(reason="bot", page="/Shop"))
    kept.add(1, refusal(reason="blocked_path", rule=7, page="/admin"))
    kept.add(1, refusal(reason="blocked_path", rule=8, name="Größe"))
    kept.add(1, refusal(reason="too_deep", message="properties: nested deeper"))
    newest = next(kept.every(1, NOW)).number
    assert reasons(kept, reason="blocked_path") == ["blocked_path", "blocked_path"]
    assert [found.page for found in kept.every(1, NOW, Wanted(rule=7))] == ["/admin"]
    assert reasons(kept, text="shop") == ["bot"]
    assert reasons(kept, text="GRÖSSE") == ["blocked_path"]
    assert reasons(kept, text="PROPERTIES") == ["too_deep"]
    assert reasons(kept, text="nowhere") == []
    assert reasons(kept, newest=newest - 1) == ["blocked_path", "blocked_path", "bot"]
    assert reasons(kept, reason="blocked_path", text="admin", rule=8) == []


def test_after_48_hours_nothing_is_shown_and_soon_nothing_is_kept(kept: Refusals) -> None:
    kept.add(1, refusal(NOW - KEPT_FOR - 1), b"event")
    kept.add(1, refusal(NOW - KEPT_FOR + MINUTE, "later"), b"event")
    kept.add(2, refusal(NOW, "now"))
    assert reasons(kept) == ["later"]
    assert len(kept) == 3
    kept.expire(NOW)
    assert (len(kept), reasons(kept), reasons(kept, 2)) == (2, ["later"], ["now"])
    kept.expire(NOW + HOUR + KEPT_FOR)
    assert (len(kept), kept.events_bytes) == (0, 0)
    kept.add(1, refusal(NOW, "again"))
    assert reasons(kept) == ["again"]


def test_each_project_has_its_bound_and_all_together(kept: Refusals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_PER_PROJECT", 3)
    monkeypatch.setattr(module, "KEPT_IN_ALL", 5)
    kept.add(2, refusal(reason="quiet"), b"event")
    for number in range(4):
        kept.add(1, refusal(reason=str(number)))
    assert (reasons(kept), reasons(kept, 2)) == (["3", "2", "1"], ["quiet"])
    for number in range(3):
        kept.add(3, refusal(reason=str(number)))
    assert len(kept) == 5
    assert (reasons(kept, 2), reasons(kept), reasons(kept, 3)) == ([], ["3", "2"], ["2", "1", "0"])
    assert kept.events_bytes == 0
    kept.add(2, refusal(reason="back"))
    assert reasons(kept, 2) == ["back"]


def test_a_project_alone_at_the_bound_of_all_keeps_its_newest(kept: Refusals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_IN_ALL", 1)
    for reason in ("a", "b", "c"):
        kept.add(1, refusal(reason=reason))
    assert (reasons(kept), len(kept)) == (["c"], 1)


def test_events_are_bounded_by_bytes_and_their_entries_say_that_they_are_gone(
    kept: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_EVENTS_BYTES_MAX", 1000)
    for project in (1, 2, 1, 2):
        kept.add(project, refusal(), b"x" * 100)
    assert kept.events_bytes <= 1000
    found = [*kept.every(1, NOW), *kept.every(2, NOW)]
    assert [kept.has_event(each) for each in found] == [True, False, True, True]
    assert all(each.kept for each in found)
    kept.add(1, refusal(reason="huge"), b"x" * 2000)
    assert kept.events_bytes == 0
    assert not any(kept.has_event(each) for each in found)
    kept.add(1, refusal(reason="never"))
    assert not next(kept.every(1, NOW)).kept


def test_events_are_taken_once_in_order_and_may_be_given_back(kept: Refusals) -> None:
    for number in range(3):
        kept.add(1, refusal(), b"%d" % number)
    kept.add(1, refusal(reason="not kept"))
    found = list(kept.every(1, NOW))
    taken = kept.take_events(found)
    assert list(taken.values()) == [b"0", b"1", b"2"]
    assert [each.let_in for each in found] == [False, True, True, True]
    assert kept.take_events(found) == {}
    assert kept.events_bytes == 0
    kept.give_back(taken)
    assert [each.let_in for each in found] == [False] * 4
    assert list(kept.take_events(found[2:]).values()) == [b"0", b"1"]
    assert kept.has_event(found[1])
    kept.expire(NOW + 2 * KEPT_FOR)
    kept.give_back(taken)
    assert kept.events_bytes == 0
