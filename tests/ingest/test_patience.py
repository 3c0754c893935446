"""Who sends rubbish waits: simulated over a quarter of an hour, with a clock of the test's own."""

import heapq
from itertools import count

import pytest

from appliance.ingest import patience as module
from appliance.ingest.patience import (
    ADDRESSES_MAX,
    CREDIT_SECONDS,
    DELAY_SECONDS_MAX,
    HELD_MAX,
    REQUEST_SECONDS,
    Patience,
)

PERIOD_SECONDS = 900


class Clock:
    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "perf_counter", lambda: clock.now)
    return clock


def share_of_the_time(clock: Clock, connections: int, cost: float) -> float:
    """How much of the process's time goes to a client that sends rubbish over so many connections, each time at once
    when it was answered, where a request costs `cost` seconds apart from what each costs."""
    patience, tell = Patience(), count()
    start, spent = clock.now, 0.0
    waiting = [(clock.now, next(tell), False)] * connections
    heapq.heapify(waiting)
    while waiting[0][0] < start + PERIOD_SECONDS:
        at, _, held = heapq.heappop(waiting)
        clock.now = max(clock.now, at)
        if held:
            patience.release()
        clock.now += cost + REQUEST_SECONDS
        spent += cost + REQUEST_SECONDS
        delay = patience.delay("203.0.113.7", cost)
        heapq.heappush(waiting, (clock.now + delay, next(tell), delay > 0))
    return spent / PERIOD_SECONDS


@pytest.mark.parametrize(("connections", "cost"), [(1, 0.0001), (1, 0.02), (16, 0.0005), (64, 0.02), (150, 0.005)])
def test_for_long_nobody_takes_a_tenth_of_the_time_for_rubbish(clock: Clock, connections: int, cost: float) -> None:
    share = share_of_the_time(clock, connections, cost)
    assert 0.02 < share < 0.1


def test_what_is_usual_waits_for_nothing(clock: Clock) -> None:
    patience = Patience()
    for _ in range(500):
        assert patience.delay("203.0.113.7", 0.0005) == 0
    for _ in range(100):
        clock.now += 1
        assert patience.delay("203.0.113.8", 0.01) == 0


def test_each_address_waits_for_itself_and_an_ipv6_network_is_one(clock: Clock) -> None:
    patience = Patience()
    for address in ("203.0.113.7", "2001:db8::1"):
        patience.delay(address, 1.0)
    assert patience.delay("203.0.113.7", 0.001) > 5
    assert patience.delay("2001:db8::ffff", 0.001) > 5
    assert patience.delay("203.0.113.8", 0.001) == 0
    assert patience.delay("2001:db8:0:1::1", 0.001) == 0
    assert patience.delay("", 0.001) == 0
    clock.now += DELAY_SECONDS_MAX + CREDIT_SECONDS
    assert patience.delay("203.0.113.7", 0.001) == 0


def test_no_more_are_held_than_there_are_connections_for(clock: Clock) -> None:
    patience = Patience()
    patience.delay("203.0.113.7", 10.0)
    held = [patience.delay("203.0.113.7", 0.01) for _ in range(HELD_MAX + 5)]
    assert [delay > 0 for delay in held] == [True] * (HELD_MAX - 1) + [False] * 6
    patience.release()
    assert patience.delay("203.0.113.7", 0.01) > 0


def test_a_flood_of_addresses_fills_no_memory(clock: Clock) -> None:
    patience = Patience()
    for number in range(ADDRESSES_MAX + 100):
        patience.delay(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0001)
    assert len(patience._free_at) <= ADDRESSES_MAX
