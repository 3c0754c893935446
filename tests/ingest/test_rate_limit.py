"""Sliding windows: never more than the limit in any ten seconds, not one less, and bounded whoever comes."""

import time
import tracemalloc
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import TooMany
from appliance.ingest import rate_limit
from appliance.ingest.arrival import Allowance, Arrival
from appliance.ingest.rate_limit import SECOND, RateLimits, SlidingWindows, network_of
from appliance.model import Project, ProjectSettings

WINDOW = 10 * SECOND


class StoppedClock:
    """A monotonic clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 5_000 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


def arrival(address: str = "203.0.113.7") -> Arrival:
    return Arrival("POST", "/", b"", {}, peer=address, secure=False, received=0)


def project(rate_limit: int | None = None) -> Project:
    return Project(1, "p", "Site", (), "UTC", "EUR", ProjectSettings(rate_limit=rate_limit), 0, 0)


# ---------------------------------------------------------------- windows


def test_a_place_is_free_again_ten_seconds_after_it_was_taken_and_not_before(clock: StoppedClock) -> None:
    windows = SlidingWindows(clock)
    start = clock.now
    for second in (0, 1, 4):
        clock.now = start + second * SECOND
        assert windows.enter("a", 3) == 0
    clock.now = start + WINDOW - 1
    assert windows.enter("a", 3) == 1
    clock.now = start + WINDOW
    assert windows.enter("a", 3) == 0
    assert windows.enter("a", 3) == SECOND
    clock.now = start + WINDOW + SECOND
    assert windows.enter("a", 3) == 0
    assert windows.enter("a", 3) == 3 * SECOND


def test_what_is_refused_does_not_count(clock: StoppedClock) -> None:
    windows = SlidingWindows(clock)
    assert windows.enter("a", 1) == 0
    for _ in range(100):
        clock.now += SECOND // 20
        assert windows.enter("a", 1) > 0
    clock.now += 5 * SECOND
    assert windows.enter("a", 1) == 0


def test_keys_do_not_know_each_other(clock: StoppedClock) -> None:
    windows = SlidingWindows(clock)
    assert [windows.enter(key, 1) for key in ("a", "b", 1, b"a")] == [0, 0, 0, 0]
    assert windows.enter("b", 1) == WINDOW


def test_a_limit_may_change_from_one_request_to_the_next(clock: StoppedClock) -> None:
    windows = SlidingWindows(clock)
    assert [windows.enter("a", 5) > 0 for _ in range(6)] == [False] * 5 + [True]
    assert windows.enter("a", 2) == WINDOW
    assert [windows.enter("a", 7) > 0 for _ in range(3)] == [False, False, True]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 7 * SECOND), st.sampled_from("ab")), max_size=80),
    st.integers(1, 6),
)
def test_windows_do_what_a_list_of_all_times_says(steps: list[tuple[int, str]], limit: int) -> None:
    clock = StoppedClock()
    windows = SlidingWindows(clock)
    came_in: list[tuple[int, str]] = []
    for step, key in steps:
        clock.now += step
        counted = [at for at, who in came_in if who == key and at > clock.now - WINDOW]
        wait = windows.enter(key, limit)
        assert wait == (0 if len(counted) < limit else counted[-limit] + WINDOW - clock.now)
        if not wait:
            came_in.append((clock.now, key))
            counted.append(clock.now)
        said = windows.allowance(key, limit)
        assert said == Allowance(limit, limit - len(counted), -(-(counted[0] + WINDOW - clock.now) // SECOND))


def test_who_sends_nothing_is_forgotten(clock: StoppedClock) -> None:
    windows = SlidingWindows(clock)
    for number in range(1000):
        windows.enter(number, 10)
    for _ in range(2):
        clock.now += WINDOW
        windows.enter("a", 10)
    assert set(windows._young) | set(windows._old) == {"a"}


def test_a_key_that_never_stops_keeps_the_times_of_two_windows_at_most(clock: StoppedClock) -> None:
    windows = SlidingWindows(clock)
    for _ in range(2000):
        clock.now += SECOND // 10
        assert windows.enter("a", 1_000_000) == 0
    assert len(windows._young["a"]) <= 200


def test_a_flood_of_addresses_costs_bounded_memory_and_keeps_out_who_was_kept_out(clock: StoppedClock) -> None:
    windows = SlidingWindows(clock)
    tracemalloc.start()
    try:
        assert [windows.enter("abuser", 1) for _ in range(2)] == [0, WINDOW]
        for number in range(3 * rate_limit.KEYS_MAX):
            clock.now += SECOND // 20_000
            windows.enter(number.to_bytes(8, "big"), 1)
            if number == 100_000:
                assert windows.enter("abuser", 1) > 0
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(windows._young) <= rate_limit.KEYS_MAX
    assert used < 30 << 20


def test_it_is_quick() -> None:
    limits = RateLimits(address=1000, project=0)
    came, site = arrival(), project()
    spent = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(1000):
            limits.check_address(came)
            limits.check_project(came, site)
        spent.append(time.perf_counter() - started)
        limits = RateLimits(address=1000, project=0)
    assert min(spent) / 1000 < 5e-6  # 0.6 µs on a machine that does nothing else


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8", False),
        ("::1", "::2", True),
        ("not:an:address", "not:another", False),
    ],
)
def test_whom_an_address_is_counted_as(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


def test_a_client_that_roams_its_network_has_one_limit(clock: StoppedClock) -> None:
    limits = RateLimits(address=3, project=0, clock=clock)
    for number in range(3):
        limits.check_address(arrival(f"2001:db8::{number:x}"))
    with pytest.raises(TooMany):
        limits.check_address(arrival("2001:db8::ffff"))
    limits.check_address(arrival("2001:db8:0:1::1"))


# ---------------------------------------------------------------- limits


def test_what_a_refusal_says(clock: StoppedClock) -> None:
    limits = RateLimits(address=2, project=0, clock=clock)
    for _ in range(2):
        limits.check_address(arrival())
        clock.now += SECOND // 2
    came = arrival()
    with pytest.raises(TooMany, match="more than 2 requests in 10 seconds from this address") as refused:
        limits.check_address(came)
    assert (refused.value.status, refused.value.code, refused.value.retry_after_seconds) == (429, "rate_limited", 9)
    assert came.allowance == Allowance(2, 0, 9)
    clock.now += 9 * SECOND
    limits.check_address(arrival())


def test_zero_and_a_connection_without_an_address_are_not_limited(clock: StoppedClock) -> None:
    off, on = RateLimits(address=0, project=0, clock=clock), RateLimits(address=1, project=0, clock=clock)
    for _ in range(5):
        off.check_address(arrival())
        off.check_project(arrival(), project())
        on.check_address(arrival(""))
    assert off.of_address("203.0.113.7") is None
    assert on.of_address("203.0.113.7") == Allowance(1, 1, 0)


@pytest.mark.parametrize(("default", "own", "limit"), [(2, None, 2), (2, 3, 3), (0, 1, 1), (5, 0, 0), (0, None, 0)])
def test_a_project_may_have_a_limit_of_its_own(clock: StoppedClock, default: int, own: int | None, limit: int) -> None:
    limits = RateLimits(address=0, project=default, clock=clock)
    for number in range(limit or 10):
        came = arrival(f"203.0.113.{number}")
        limits.check_project(came, project(own))
        assert came.allowance == (Allowance(limit, limit - number - 1, 10) if limit else None)
    if limit:
        with pytest.raises(TooMany, match="this project's clients"):
            limits.check_project(arrival(), project(own))


def test_a_limiter_that_fails_lets_through_and_says_so_once_in_a_while(
    clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(rate_limit.log, "error", lambda event, **values: said.append(values["error"]))
    limits = RateLimits(address=1, project=1, clock=clock)

    def broken(*_: object) -> int:
        raise MemoryError("no room")

    monkeypatch.setattr(SlidingWindows, "enter", broken)
    for _ in range(1000):
        limits.check_address(arrival())
        limits.check_project(arrival(), project())
    assert said == ["MemoryError('no room')"]
    clock.now += 60 * SECOND
    limits.check_address(arrival())
    assert len(said) == 2


def test_setting_the_machines_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = RateLimits(address=2, project=0)
    for jump in (0, 10**18):
        monkeypatch.setattr(time, "time_ns", lambda jump=jump: jump)
        limits.check_address(arrival())
    with pytest.raises(TooMany):
        limits.check_address(arrival())


def test_a_long_run_at_the_edge_never_exceeds_any_window(clock: StoppedClock) -> None:
    chance, windows, limit = Random(4), SlidingWindows(clock), 20
    came_in = []
    for _ in range(20_000):
        clock.now += chance.randrange(SECOND // 3)
        if not windows.enter("a", limit):
            came_in.append(clock.now)
    assert len(came_in) > 5_000
    assert min(later - sooner for sooner, later in zip(came_in, came_in[limit:], strict=False)) >= WINDOW
