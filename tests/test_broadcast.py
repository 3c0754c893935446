import pytest

from appliance import broadcast, clock
from appliance.broadcast import NOTICES_KEPT, Broadcast


async def test_a_late_reader_gets_what_came_since() -> None:
    notices: Broadcast[str] = Broadcast()
    notices.publish(1, "before")
    made = notices.position
    for text in ("one", "two"):
        notices.publish(1, text)
    notices.publish(2, "another's")
    with notices.subscribe(1, made) as late, notices.subscribe(1) as fresh:
        assert await late.take(0.01) == ["one", "two"]
        assert late.position == notices.position
        notices.publish(1, "three")
        assert await late.take(0.01) == await fresh.take(0.01) == ["three"]
        seen = late.position
    notices.publish(1, "four")
    with notices.subscribe(1, seen) as again:
        assert await again.take(0.01) == ["four"]
        assert await again.take(0.01) == []


async def test_what_is_kept_is_bounded_and_the_newest() -> None:
    notices: Broadcast[int] = Broadcast()
    made = notices.position
    for number in range(NOTICES_KEPT + 10):
        notices.publish(1, number)
    with notices.subscribe(1, made) as late:
        assert await late.take(0.01) == list(range(10, NOTICES_KEPT + 10))


async def test_a_slow_reader_loses_the_oldest_and_knows() -> None:
    notices: Broadcast[int] = Broadcast()
    with notices.subscribe(1) as slow:
        for number in range(broadcast.NOTICES_WAITING_MAX + 3):
            notices.publish(1, number)
        assert slow.lost == 3
        assert (await slow.take(0.01))[0] == 3


async def test_a_reader_may_take_a_part() -> None:
    notices: Broadcast[int] = Broadcast()
    with notices.subscribe(1) as reader:
        before = reader.position
        for number in range(5):
            notices.publish(1, number)
        assert (await reader.take(0.01, 3), reader.more, reader.position) == ([0, 1, 2], True, before)
        assert (await reader.take(0.01, 3), reader.more, reader.position) == ([3, 4], False, notices.position)


async def test_what_waits_is_bounded_by_its_weight() -> None:
    notices: Broadcast[bytes] = Broadcast(kept_max=0, waiting_max=10, weigh=len)
    with notices.subscribe(1) as slow, notices.subscribe(1) as quick:
        notices.publish(1, b"1234")
        assert await quick.take(0.01) == [b"1234"]
        for notice in (b"56", b"7890", b"ab"):
            notices.publish(1, notice)
        assert (slow.take_lost(), slow.take_lost(), quick.take_lost()) == (1, 0, 0)
        assert await slow.take(0.01) == await quick.take(0.01) == [b"56", b"7890", b"ab"]
        notices.publish(1, b"more than there is room for")
        assert (await slow.take(0.01), slow.take_lost()) == ([], 1)
        notices.publish(1, b"0123456789")
        assert await slow.take(0.01) == [b"0123456789"]
    assert notices.topics() == set()
    assert notices.kept(1) == []


async def test_positions_of_before_a_restart_lie_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", iter((1_000, 2_000)).__next__)
    earlier: Broadcast[str] = Broadcast()
    for _ in range(5):
        earlier.publish(1, "old")
    later: Broadcast[str] = Broadcast()
    later.publish(1, "new")
    with later.subscribe(1, earlier.position) as reader:
        assert await reader.take(0.01) == ["new"]
