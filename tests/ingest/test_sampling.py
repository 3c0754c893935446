"""Which events are kept: as many as the rate says, the same ones everywhere, engagement where its page view went."""

from collections import Counter
from collections.abc import Iterator
from itertools import count, pairwise
from math import sqrt
from random import Random
from typing import Any

import pytest

from appliance.clock import DAY, HOUR, MICROSECONDS, MILLISECOND
from appliance.ingest.sampling import NAMES_MAX, Sampler, keep, keep_at_random, matches
from appliance.ingest.visitor import persistent, rotating
from appliance.model import UNSAMPLED, Event, Flag, Kind, ProjectSettings, Sampling, SamplingRule, SourceSettings
from appliance.storage.event_ids import mint, minted_at
from tests.builders import START, engagement, event, pageview

MANY = 100_000
SECRET = b"the same on every appliance"


def near(kept: int, rate: float, of: int = MANY) -> bool:
    """Within five standard deviations of a fair choice."""
    return abs(kept - rate * of) <= 5 * sqrt(of * rate * (1 - rate)) + 1


def sampling(strategy: Any, percent: float, period_seconds: int = 600) -> Sampling:
    return Sampling(strategy, round(percent * 10_000), period_seconds)


def sampler(
    own: Sampling = Sampling(), *rules: tuple[str, Sampling], sources: dict[str, SourceSettings] | None = None
) -> Sampler:
    settings = ProjectSettings(sampling=own, sampling_rules=tuple(SamplingRule(*rule) for rule in rules))
    return Sampler(settings, sources or {})


# ---------------------------------------------------------------- how many


@pytest.mark.parametrize("percent", [0.1, 1, 10, 50, 99])
@pytest.mark.parametrize("ids", ["counted", "minted", "uuid"])
def test_as_many_events_are_kept_by_chance_as_the_rate_says(percent: float, ids: str) -> None:
    chance = Random(percent)
    make = {
        "counted": map(str, count()),
        "minted": iter(lambda: mint(START // 1000), None),
        "uuid": iter(lambda: f"{chance.getrandbits(128):032x}", None),
    }[ids]
    one = event()
    kept = 0
    for _ in range(MANY):
        one.event_id = next(make)
        kept += keep(one, sampling("random", percent))
    assert near(kept, percent / 100)
    assert one.rate == round(percent * 10_000)
    assert not one.flags & Flag.BY_VISITOR


@pytest.mark.parametrize("percent", [1, 10, 50])
def test_as_many_visitors_are_kept_as_the_rate_says_each_wholly(percent: float) -> None:
    kept: Counter[int] = Counter()
    for number in range(MANY // 5):
        visitor = persistent(SECRET, 7, "user", f"user-{number}")
        for name in ("pageview", "click", "scroll", "Order", "video_play"):
            kept[visitor] += keep(event(visitor=visitor, name=name), sampling("visitor", percent))
    assert set(kept.values()) == {0, 5}
    assert near(sum(number == 5 for number in kept.values()), percent / 100, MANY // 5)


def test_rotating_visitors_too() -> None:
    salt = bytes(32)
    kept = sum(
        keep(event(visitor=rotating(salt, 1, f"198.51.100.{n % 250}", f"agent {n}")), sampling("visitor", 10))
        for n in range(MANY)
    )
    assert near(kept, 0.1)


@pytest.mark.parametrize(("percent", "period"), [(10, 600), (1, 3600), (25, 60), (90, 10)])
def test_of_every_period_one_stretch_is_kept(percent: float, period: int) -> None:
    step = 100 * MILLISECOND
    chosen = sampling("window", percent, period)
    first = START - START % (period * MICROSECONDS)
    kept = [keep(event(time=first + number * step), chosen) for number in range(MANY)]
    by_period = [kept[at : at + period * 10] for at in range(0, MANY - period * 10, period * 10)]
    stretch = round(period * 10 * percent / 100)
    # To the tenth of a second; around the end of a period it is in two pieces.
    assert {abs(sum(one) - stretch) <= 1 for one in by_period} == {True}
    assert max(sum(a != b for a, b in pairwise(one)) for one in by_period) <= 2
    assert len({one.index(True) for one in by_period}) > min(len(by_period), 10) / 2  # not always the same place


def test_the_stretch_is_everywhere_as_likely() -> None:
    at_the_full_hour = sum(
        keep(event(time=START - START % HOUR + hour * HOUR), sampling("window", 20, 3600)) for hour in range(20_000)
    )
    assert near(at_the_full_hour, 0.2, 20_000)


@pytest.mark.parametrize("strategy", ["random", "visitor", "window"])
def test_what_is_kept_at_a_rate_is_kept_at_every_higher_one(strategy: str) -> None:
    chance = Random(3)
    for _ in range(2000):
        one = event(chance.random() * 10_000, chance.getrandbits(63), event_id=str(chance.getrandbits(64)))
        kept = [keep(one, sampling(strategy, percent)) for percent in (0.5, 5, 20, 60, 99)]
        assert kept == sorted(kept)


@pytest.mark.parametrize(
    ("strategy", "kept"),
    [
        ("random", [1, 3, 5, 8, 11, 13, 16, 20, 26, 37]),
        ("visitor", [0, 8, 10, 13, 15, 25, 26, 32, 34, 38, 39]),
        ("window", [2, 3, 4, 5, 6, 36, 37, 38, 39]),
    ],
)
def test_it_is_the_same_on_every_run(strategy: str, kept: list[int]) -> None:
    events = [
        event(number, persistent(SECRET, 1, "user", str(number)), event_id=f"id-{number}") for number in range(40)
    ]
    found = [number for number, one in enumerate(events) if keep(one, sampling(strategy, 20, 1500))]
    assert found == kept


def test_projects_are_sampled_apart() -> None:
    def kept(project_id: int) -> list[bool]:
        events = [event(event_id=str(number), project_id=project_id) for number in range(200)]
        return [keep(one, sampling("random", 50)) for one in events]

    assert kept(1) != kept(2)


# ---------------------------------------------------------------- what goes with what


def test_engagement_goes_where_its_page_view_went() -> None:
    project = sampler(sampling("random", 10))
    kept = 0
    for number in range(5000):
        page = pageview(number, event_id=f"page-{number}")
        was_kept = project.keep(page)
        assert project.keep(engagement(number + 1, page, event_id=f"beacon-{number}")) is was_kept
        kept += was_kept
    assert near(kept, 0.1, 5000)


def test_so_does_engagement_of_windows_for_ids_that_have_their_time() -> None:
    chosen = sampling("window", 30, 60)
    decisions = set()
    for minutes in range(300):
        page = pageview(minutes * 0.7, event_id=mint((START + minutes) // 1000 + minutes * 42_000))
        was_kept = keep(page, chosen)
        decisions.add(was_kept)
        assert keep(engagement(minutes * 0.7 + 5, page), chosen) is was_kept
    assert decisions == {True, False}


def test_the_time_in_an_id() -> None:
    assert minted_at(mint(1_772_452_800_123)) == 1_772_452_800_123
    assert minted_at("no-own-form-it-is") is None
    assert minted_at("ABCDEFGH123456") is None


@pytest.mark.parametrize("kind", [Kind.IDENTIFY, Kind.RESET])
def test_identify_and_reset_are_left_out_with_their_visitor_only(kind: Kind) -> None:
    statements = [event(number, (number - 250) << 54, kind=kind, name="identify") for number in range(500)]
    for strategy in ("random", "window"):
        assert all(keep(one, sampling(strategy, 1)) for one in statements)
    by_visitor = [keep(one, sampling("visitor", 50)) for one in statements]
    assert by_visitor == [keep(pageview(visitor=one.visitor), sampling("visitor", 50)) for one in statements]
    assert set(by_visitor) == {True, False}


def test_an_event_of_a_visitor_says_so() -> None:
    one = event(visitor=0)
    assert keep(one, sampling("visitor", 0.5))
    assert (one.rate, one.flags & Flag.BY_VISITOR) == (5000, Flag.BY_VISITOR)
    assert not keep(event(visitor=-1), sampling("visitor", 99.9999))  # the highest number there is


def test_without_a_strategy_nothing_is_noted() -> None:
    one = event()
    assert keep(one, Sampling())
    assert (one.rate, one.flags) == (UNSAMPLED, 0)


@pytest.mark.parametrize("rate", [1, 999_999, UNSAMPLED])
def test_the_edges_of_an_events_own_rate(rate: int) -> None:
    kept = sum(keep_at_random(event(event_id=f"edge-{number}"), rate) for number in range(10_000))
    assert kept == {1: 0, 999_999: 10_000, UNSAMPLED: 10_000}[rate]


# ---------------------------------------------------------------- which applies


TENTH, HALF, ALL = sampling("random", 10), sampling("visitor", 50), Sampling()


@pytest.mark.parametrize(
    ("source", "name", "which"),
    [
        ("", "click", TENTH),
        ("ios", "click", HALF),
        ("billing", "click", ALL),
        ("unknown", "click", TENTH),
        ("", "Order", ALL),
        ("ios", "Order", ALL),
        ("billing", "video_play", HALF),
        ("", "video_stop", ALL),
        ("", "Video_play", TENTH),
    ],
)
def test_project_then_source_then_rules_and_the_last_match_wins(source: str, name: str, which: Sampling) -> None:
    project = sampler(
        TENTH,
        ("video_*", HALF),
        ("Order", ALL),
        ("*_stop", ALL),
        ("Video", ALL),
        sources={"ios": SourceSettings(sampling=HALF), "billing": SourceSettings(sampling=ALL)},
    )
    assert project.which(source, name) == which


def test_page_views_and_their_engagement_have_one_name() -> None:
    project = sampler(Sampling(), ("pageview", sampling("visitor", 0.0001)))
    page = pageview(visitor=1 << 62)
    page.name = "$pageview"
    assert not project.keep(page)
    assert not project.keep(engagement(1, page))
    assert project.keep(event(visitor=1 << 62, name="$pageview"))  # a custom event that is only called so


def test_a_sampler_that_keeps_everything_is_none() -> None:
    assert not sampler()
    assert not sampler(Sampling(), ("Order", ALL), sources={"ios": SourceSettings(sampling=ALL)})
    assert sampler(sources={"ios": SourceSettings(off=True)}).off == {"ios"}
    assert sampler(TENTH)
    assert sampler(ALL, ("Order", HALF))
    assert sampler(ALL, sources={"ios": SourceSettings(sampling=TENTH)})


def test_names_without_end_are_not_remembered_without_end() -> None:
    project = sampler(TENTH)
    for number in range(3 * NAMES_MAX):
        project.keep(event(name=f"name-{number}"))
    assert len(project._known) <= NAMES_MAX


@pytest.mark.parametrize(
    ("pattern", "name", "same"),
    [
        ("Order", "Order", True),
        ("Order", "order", False),
        ("Order", "Orders", False),
        ("*", "", True),
        ("*", "anything", True),
        ("video_*", "video_", True),
        ("video_*", "a video_", False),
        ("*_stop", "video_stop", True),
        ("*_stop", "_stop", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("a*b*b", "ab", False),
        ("**x**", "--x--", True),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("a?", "ab", False),
        ("line*", "line\nbreak", True),
        ("*a*a*a*a*a*a*a*a*a*a*b", "a" * 255, False),
    ],
)
def test_patterns(pattern: str, name: str, same: bool) -> None:
    assert matches(pattern, name) is same


# ---------------------------------------------------------------- estimates


def _traffic() -> Iterator[Event]:
    """Five events of each visitor, over a day."""
    chance = Random(11)
    for number in range(0, MANY, 5):
        visitor = chance.getrandbits(64) - (1 << 63)
        for more in range(number, number + 5):
            yield event(visitor=visitor, time=START + more * DAY // MANY, event_id=f"e{more}")


@pytest.mark.parametrize("strategy", ["random", "visitor", "window"])
def test_the_rates_that_are_stored_estimate_what_came(strategy: str) -> None:
    kept = [one for one in _traffic() if keep(one, sampling(strategy, 10, 60))]
    estimate = sum(UNSAMPLED / one.rate for one in kept)
    assert estimate == pytest.approx(MANY, rel=0.05)
    if strategy == "visitor":
        visitors = len({one.visitor for one in kept}) * 10
        assert visitors == pytest.approx(MANY / 5, rel=0.1)
