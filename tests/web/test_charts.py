"""Geometry of the charts: series in, path data and places out."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.web import charts
from appliance.web.formats import Interval
from appliance.web.views import Bucket

START = datetime(2025, 11, 1, tzinfo=UTC)
STEPS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}


def series(values: Sequence[float | None], interval: str = "day", last_runs: bool = False) -> list[Bucket]:
    return [
        Bucket(
            start=START + STEPS[interval] * place,
            value=value,
            incomplete=last_runs and place == len(values) - 1,
        )
        for place, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("highest", "metric", "lines"),
    [
        (0, "visitors", [0, 1, 2, 3, 4]),  # a frame without data still has lines
        (1, "visitors", [0, 1]),  # never half a visitor
        (4, "visitors", [0, 1, 2, 3, 4]),
        (7, "visitors", [0, 2, 4, 6, 8]),
        (9, "visitors", [0, 5, 10]),  # 2.5 would be a fraction
        (100, "visitors", [0, 25, 50, 75, 100]),
        (3_985, "visitors", [0, 1_000, 2_000, 3_000, 4_000]),
        (4_001, "visitors", [0, 2_000, 4_000, 6_000]),
        (1_234_567_890, "visitors", [0, 500_000_000, 1_000_000_000, 1_500_000_000]),
        (46.1, "bounce_rate", [0, 20, 40, 60]),
        (100, "bounce_rate", [0, 25, 50, 75, 100]),
        (128, "visit_duration", [0, 60, 120, 180]),  # as clocks step
        (5_000, "visit_duration", [0, 1_800, 3_600, 5_400]),
        (2.4, "views_per_visit", [0, 1, 2, 3]),
        (0.9, "views_per_visit", [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_the_scale_is_made_of_round_numbers(highest: float, metric: str, lines: list[float]) -> None:
    assert charts.scale(highest, metric) == lines


@given(
    st.one_of(st.integers(0, 10**12), st.floats(0, 10**9)),
    st.sampled_from(["visitors", "visit_duration", "views_per_visit"]),
)
@example(1_000_000_001, "visitors")
def test_a_scale_holds_every_value_with_few_even_lines(highest: float, metric: str) -> None:
    lines = charts.scale(highest, metric)
    assert lines[0] == 0
    assert lines[-1] >= highest * (1 - 1e-9)
    assert 2 <= len(lines) <= charts.GRID_LINES + 1
    gaps = [after - before for before, after in pairwise(lines)]
    assert max(gaps) == pytest.approx(min(gaps))


def test_a_line_runs_from_edge_to_edge_and_its_area_stands_on_the_ground() -> None:
    plot = charts.plot(series([0, 2, 4, 2, 0]), "day", "visitors")
    assert plot.line == "M0 280L250 140L500 0L750 140L1000 280"
    assert plot.area == "M0 280L0 280L250 140L500 0L750 140L1000 280L1000 280Z"
    assert plot.dotted == plot.dots == plot.previous == ""
    assert plot.bars == ()
    assert plot.x == (0, 25, 50, 75, 100)
    assert plot.y == (100, 50, 0, 50, 100)


def test_the_running_bucket_is_dotted_and_has_no_area() -> None:
    plot = charts.plot(series([4, 4, 4, 4, 1], last_runs=True), "day", "visitors")
    assert plot.line == "M0 0L250 0L500 0L750 0"
    assert plot.dotted == "M750 0L1000 210"
    assert plot.area.endswith("L750 0L750 280Z")


def test_a_gap_is_a_gap_and_a_lone_bucket_a_dot() -> None:
    plot = charts.plot(series([4, 4, None, 2, None]), "day", "visitors")
    assert plot.line == "M0 0L250 0"
    assert plot.dots == "M750 140h.01"
    assert plot.y == (0, 0, None, 50, None)


def test_the_comparison_shares_the_scale() -> None:
    buckets = [Bucket(start=START + timedelta(days=place), value=2, previous=8) for place in range(5)]
    plot = charts.plot(buckets, "day", "visitors")
    assert [tick.value for tick in plot.ticks] == [0, 2, 4, 6, 8]
    assert plot.previous == "M0 0L250 0L500 0L750 0L1000 0"
    assert plot.line.startswith("M0 210")


def test_fewer_than_four_buckets_are_bars() -> None:
    plot = charts.plot(series([4, None, 2], last_runs=True), "day", "visitors")
    assert plot.line == plot.area == ""
    assert [(bar.height, bar.incomplete) for bar in plot.bars] == [(280, False), (140, True)]
    assert plot.x == (16.67, 50, 83.33)


def test_one_bucket_and_none_are_drawn_too() -> None:
    assert len(charts.plot(series([3]), "day", "visitors").bars) == 1
    nothing = charts.plot([], "day", "visitors")
    assert nothing.bars == ()
    assert nothing.labels == ()
    assert len(nothing.ticks) == 5


@pytest.mark.parametrize(
    ("count", "interval", "step"),
    [
        (7, "day", 1),
        (24, "hour", 4),
        (30, "day", 5),
        (60, "minute", 10),
        (91, "day", 14),
        (365, "day", 56),
        (168, "hour", 24),
        (12, "month", 2),
    ],
)
def test_about_seven_labels(count: int, interval: Interval, step: int) -> None:
    assert charts.stride(count, interval) == step


def test_labels_of_hours_stand_at_round_times_of_the_clock() -> None:
    buckets = [Bucket(start=START + timedelta(hours=9 + place), value=1) for place in range(24)]
    labels = charts.plot(buckets, "hour", "visitors").labels
    assert [buckets[label.index].start.hour for label in labels] == [12, 16, 20, 0, 4, 8]
    assert [label.minor for label in labels] == [False, True, False, True, False, True]


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**9)), min_size=1, max_size=80))
def test_nothing_is_drawn_outside(values: list[int | None]) -> None:
    plot = charts.plot(series(values), "day", "visitors")
    assert all(0 <= place <= 100 for place in plot.x)
    assert all(place is None or -0.01 <= place <= 100 for place in plot.y)
    assert all(bar.y >= -0.01 and bar.x + bar.width <= 1000.01 for bar in plot.bars)


def test_a_sparkline_stays_flat_without_visitors() -> None:
    line, area = charts.sparkline([0] * 24)
    assert {point.split()[1] for point in line[1:].split("L")} == {"266"}
    assert area.endswith("Z")
