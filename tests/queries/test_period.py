"""Periods, comparisons and time buckets, as tables of wall-clock times."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from appliance.clock import HOUR
from appliance.errors import Invalid
from appliance.queries.comparison import Comparison, compared, compared_so_far, is_comparable
from appliance.queries.intervals import BUCKETS_MAX, Interval, buckets, default_interval, valid_intervals
from appliance.queries.localtime import to_aware
from appliance.queries.period import (
    NAMES,
    Dates,
    Named,
    Period,
    Range,
    Times,
    between,
    label,
    named,
    neighbour,
    resolve,
)
from tests.queries.worlds import instant

BERLIN = "Europe/Berlin"
NOW = instant("2026-03-10 13:34:56", BERLIN)  # a Tuesday
PREVIOUS, YEAR = Comparison(match_weekday=False), Comparison("year_over_year", match_weekday=False)
FIRST = instant("2025-11-04 00:30", BERLIN)


def wall(there: Range) -> tuple[str, str]:
    start, end = (to_aware(edge, there.zone).strftime("%Y-%m-%d %H:%M") for edge in (there.start, there.end))
    return start, end


def at(period: Period, zone: str = BERLIN, now: int = NOW) -> Range:
    return resolve(period, zone, now, FIRST)


# ---------------------------------------------------------------------- ranges


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("30m", "2026-03-10 13:05", "2026-03-10 13:35"),  # to the end of the running minute
        ("24h", "2026-03-09 13:35", "2026-03-10 13:35"),
        ("day", "2026-03-10 00:00", "2026-03-11 00:00"),
        ("7d", "2026-03-03 00:00", "2026-03-10 00:00"),  # whole days that end with yesterday
        ("28d", "2026-02-10 00:00", "2026-03-10 00:00"),
        ("30d", "2026-02-08 00:00", "2026-03-10 00:00"),
        ("91d", "2025-12-09 00:00", "2026-03-10 00:00"),
        ("month", "2026-03-01 00:00", "2026-03-10 13:35"),  # from its start to now
        ("year", "2026-01-01 00:00", "2026-03-10 13:35"),
        ("6mo", "2025-10-01 00:00", "2026-04-01 00:00"),  # whole months that end with the running one
        ("12mo", "2025-04-01 00:00", "2026-04-01 00:00"),
        ("all", "2025-11-04 00:00", "2026-03-11 00:00"),
    ],
)
def test_named_periods(name: str, start: str, end: str) -> None:
    assert wall(at(Named(name))) == (start, end)


def test_every_named_period_is_in_that_table() -> None:
    assert set(NAMES) == {"30m", "24h", "day", "7d", "28d", "30d", "91d", "month", "year", "6mo", "12mo", "all"}


@pytest.mark.parametrize(
    ("name", "anchor", "start", "end"),
    [
        ("day", "2026-03-09", "2026-03-09 00:00", "2026-03-10 00:00"),
        ("7d", "2026-03-01", "2026-02-22 00:00", "2026-03-01 00:00"),
        ("month", "2026-02-17", "2026-02-01 00:00", "2026-03-01 00:00"),  # over: the whole month
        ("month", "2026-03-01", "2026-03-01 00:00", "2026-03-10 13:35"),
        ("year", "2024-02-29", "2024-01-01 00:00", "2025-01-01 00:00"),
        ("6mo", "2025-01-31", "2024-08-01 00:00", "2025-02-01 00:00"),
    ],
)
def test_named_periods_as_they_were_on_another_day(name: str, anchor: str, start: str, end: str) -> None:
    assert wall(at(Named(name, date.fromisoformat(anchor)))) == (start, end)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", "2026-03-29", 24),
        (BERLIN, "2026-03-29", 23),
        (BERLIN, "2025-10-26", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/Sao_Paulo", "2017-10-15", 23),  # midnight does not exist
        ("Asia/Kolkata", "2026-03-29", 24),
        ("Australia/Lord_Howe", "2025-04-06", 24.5),
        ("Pacific/Apia", "2011-12-30", 0),  # the day that Samoa left out
        ("Pacific/Apia", "2011-12-31", 24),
    ],
)
def test_days_are_as_long_as_the_clock_says(zone: str, day: str, hours: float) -> None:
    there = at(between(day, day), zone)
    assert (there.end - there.start) / 3_600_000_000 == hours


def test_today_is_the_projects_today() -> None:
    late = instant("2026-03-10 23:30", "UTC")
    assert wall(at(Named("day"), "UTC", late))[0] == "2026-03-10 00:00"
    assert wall(at(Named("day"), "Asia/Kolkata", late))[0] == "2026-03-11 00:00"
    assert wall(at(Named("day"), "America/New_York", late))[0] == "2026-03-10 00:00"


def test_what_was_stored_this_very_moment_is_in_every_period_that_runs_to_now() -> None:
    for name in ("30m", "24h", "day", "month", "year", "6mo", "12mo", "all"):
        there = at(Named(name))
        assert there.start <= NOW < there.end, name


def test_all_of_a_project_without_events_is_today() -> None:
    assert wall(resolve(Named("all"), BERLIN, NOW, None)) == ("2026-03-10 00:00", "2026-03-11 00:00")


def test_a_pair_of_dates_includes_both_and_a_pair_of_timestamps_is_half_open() -> None:
    assert wall(at(between("2026-01-30", "2026-02-01"))) == ("2026-01-30 00:00", "2026-02-02 00:00")
    times = between("2026-01-30T10:00:00+02:00", "2026-01-30T10:00:00.000001Z")
    assert times == Times(instant("2026-01-30 08:00"), instant("2026-01-30 10:00") + 1)


@pytest.mark.parametrize(
    "pair",
    [
        ("2026-02-01", "2026-01-31"),
        ("2026-02-30", "2026-03-01"),
        ("20260201", "20260301"),
        ("2026-02-01", "2026-02-02T00:00:00Z"),
        ("2026-02-01T00:00:00", "2026-02-02T00:00:00"),
        ("2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("0001-01-01", "9999-12-31"),
        ("", ""),
    ],
)
def test_pairs_that_are_no_range(pair: tuple[str, str]) -> None:
    with pytest.raises(Invalid):
        between(*pair)


def test_a_name_that_is_no_period() -> None:
    with pytest.raises(Invalid, match="29d"):
        named("29d")


# ---------------------------------------------------------------------- neighbours


@pytest.mark.parametrize(
    ("period", "before"),
    [
        (Named("day"), Named("day", date(2026, 3, 9))),
        (Named("7d"), Named("7d", date(2026, 3, 3))),
        (Named("month"), Named("month", date(2026, 2, 1))),
        (Named("year"), Named("year", date(2025, 3, 1))),
        (Named("12mo"), Named("12mo", date(2025, 3, 1))),
        (Named("24h"), Times(instant("2026-03-08 13:35", BERLIN), instant("2026-03-09 13:35", BERLIN))),
        (Dates(date(2026, 2, 1), date(2026, 2, 10)), Dates(date(2026, 1, 22), date(2026, 1, 31))),
        (Named("all"), None),
        (Named("year", date(1970, 1, 1)), None),
    ],
)
def test_one_step_back(period: Period, before: Period | None) -> None:
    assert neighbour(period, BERLIN, NOW, -1) == before


@pytest.mark.parametrize("period", [Named("day"), Named("7d"), Named("month"), Named("year"), Named("6mo")])
def test_back_and_forth_is_the_period_itself_and_nothing_is_after_now(period: Named) -> None:
    back = neighbour(period, BERLIN, NOW, -1)
    assert back is not None
    assert neighbour(back, BERLIN, NOW, 1) == period
    tomorrow = {"day": 1, "7d": 2, "month": 1, "year": 1, "6mo": 1}[period.name]
    forward: Period | None = period
    for _ in range(tomorrow):
        assert forward is not None
        forward = neighbour(forward, BERLIN, NOW, 1)
    assert forward is None


# ---------------------------------------------------------------------- comparisons


def custom(first: str, last: str) -> Comparison:
    return Comparison("custom", dates=Dates(date.fromisoformat(first), date.fromisoformat(last)))


MARCH = between("2026-03-01", "2026-03-31")


@pytest.mark.parametrize(
    ("period", "mode", "start", "end"),
    [
        (Named("day"), "previous_period", "2026-03-09 00:00", "2026-03-10 00:00"),
        (Named("7d"), "previous_period", "2026-02-24 00:00", "2026-03-03 00:00"),
        (Named("24h"), "previous_period", "2026-03-08 13:35", "2026-03-09 13:35"),
        (Named("month"), "previous_period", "2026-02-19 00:00", "2026-02-28 13:35"),  # ten days, the last as far
        (Named("month", date(2026, 2, 1)), "previous_period", "2026-01-01 00:00", "2026-02-01 00:00"),
        (Named("6mo"), "previous_period", "2025-04-01 00:00", "2025-10-01 00:00"),
        (Named("day", date(2026, 3, 30)), "previous_period", "2026-03-29 00:00", "2026-03-30 00:00"),  # of 23 hours
        (Named("day"), "year_over_year", "2025-03-10 00:00", "2025-03-11 00:00"),
        (Named("month"), "year_over_year", "2025-03-01 00:00", "2025-03-10 13:35"),
        (Named("12mo"), "year_over_year", "2024-04-01 00:00", "2025-04-01 00:00"),
        (between("2024-02-01", "2024-02-29"), "year_over_year", "2023-02-01 00:00", "2023-03-01 00:00"),
        (between("2024-02-28", "2024-02-28"), "year_over_year", "2023-02-28 00:00", "2023-03-01 00:00"),
    ],
)
def test_what_is_compared_with(period: Period, mode: Any, start: str, end: str) -> None:
    assert wall(compared(at(period), Comparison(mode, match_weekday=False))) == (start, end)


@pytest.mark.parametrize(
    ("period", "mode", "start"),
    [
        (Named("day"), "previous_period", "2026-03-03 00:00"),  # a Tuesday, and not the day itself
        (Named("7d"), "previous_period", "2026-02-24 00:00"),
        (Named("30d"), "previous_period", "2026-01-11 00:00"),  # two days later is nearer than five earlier
        (Named("day"), "year_over_year", "2025-03-11 00:00"),
        (Named("6mo"), "year_over_year", "2024-10-01 00:00"),  # whole months stay whole
    ],
)
def test_matching_weekdays_moves_to_the_nearest_same_weekday(period: Period, mode: Any, start: str) -> None:
    there = at(period)
    before = compared(there, Comparison(mode))
    assert wall(before)[0] == start
    assert there.unit == "month" or before.first_day.weekday() == there.first_day.weekday()


def test_a_custom_comparison_is_taken_as_it_is() -> None:
    dates = Dates(date(2025, 1, 1), date(2025, 1, 3))
    assert wall(compared(at(Named("7d")), Comparison("custom", True, dates))) == (
        "2025-01-01 00:00",
        "2025-01-04 00:00",
    )


@pytest.mark.parametrize(
    ("period", "comparison", "start", "end"),
    [
        # Running: up to the end of this minute, 13:35, of the day as far in.
        (Named("day"), PREVIOUS, "2026-03-09 00:00", "2026-03-09 13:35"),
        (Named("day"), Comparison(), "2026-03-03 00:00", "2026-03-03 13:35"),
        (Named("day"), YEAR, "2025-03-10 00:00", "2025-03-10 13:35"),
        (Named("month"), PREVIOUS, "2026-02-19 00:00", "2026-02-28 13:35"),
        (Named("year"), YEAR, "2025-01-01 00:00", "2025-03-10 13:35"),
        (Named("6mo"), PREVIOUS, "2025-04-01 00:00", "2025-09-10 13:35"),
        (Named("12mo"), PREVIOUS, "2024-04-01 00:00", "2025-03-10 13:35"),
        (Named("12mo"), YEAR, "2024-04-01 00:00", "2025-03-10 13:35"),
        (MARCH, PREVIOUS, "2026-01-29 00:00", "2026-02-07 13:35"),
        (MARCH, YEAR, "2025-03-01 00:00", "2025-03-10 13:35"),
        (Times(NOW - HOUR, NOW + HOUR), PREVIOUS, "2026-03-10 10:34", "2026-03-10 11:35"),
        # Over: the whole.
        (Named("day", date(2026, 3, 9)), PREVIOUS, "2026-03-08 00:00", "2026-03-09 00:00"),
        (Named("7d"), PREVIOUS, "2026-02-24 00:00", "2026-03-03 00:00"),
        (Named("24h"), PREVIOUS, "2026-03-08 13:35", "2026-03-09 13:35"),
        (between("2026-03-11", "2026-03-12"), PREVIOUS, "2026-03-09 00:00", "2026-03-11 00:00"),  # not begun
        # Dates of one's own: cut where they are as many days, of the whole range or so far.
        (Named("day"), custom("2026-01-05", "2026-01-05"), "2026-01-05 00:00", "2026-01-05 13:35"),
        (Named("day"), custom("2026-01-05", "2026-01-06"), "2026-01-05 00:00", "2026-01-07 00:00"),
        (Named("month"), custom("2026-01-01", "2026-01-10"), "2026-01-01 00:00", "2026-01-10 13:35"),
        (MARCH, custom("2026-01-01", "2026-01-31"), "2026-01-01 00:00", "2026-01-10 13:35"),
        (MARCH, custom("2026-01-01", "2026-01-10"), "2026-01-01 00:00", "2026-01-10 13:35"),
        (Named("day", date(2026, 3, 9)), custom("2026-01-05", "2026-01-05"), "2026-01-05 00:00", "2026-01-06 00:00"),
    ],
)
def test_a_range_that_runs_is_compared_up_to_the_same_point(
    period: Period, comparison: Comparison, start: str, end: str
) -> None:
    assert wall(compared_so_far(at(period), comparison)) == (start, end)


@pytest.mark.parametrize(
    ("now", "period", "comparison", "end"),
    [
        # The other month is met to its end where it is too short, and not left again on the next day.
        ("2026-08-28 12:00", "6mo", PREVIOUS, "2026-02-28 12:01"),
        ("2026-08-28 23:59", "6mo", PREVIOUS, "2026-03-01 00:00"),
        ("2026-08-29 12:00", "6mo", PREVIOUS, "2026-03-01 00:00"),
        ("2026-08-31 12:00", "6mo", PREVIOUS, "2026-03-01 00:00"),
        ("2024-02-29 12:00", "month", YEAR, "2023-03-01 00:00"),
        ("2024-02-29 12:00", "day", YEAR, "2023-02-28 12:01"),
        ("2026-03-29 12:00", "day", PREVIOUS, "2026-03-28 12:01"),  # the clock went forward: still noon
    ],
)
def test_the_same_point_where_calendars_differ(now: str, period: str, comparison: Comparison, end: str) -> None:
    here = resolve(Named(period), BERLIN, instant(now, BERLIN))
    assert wall(compared_so_far(here, comparison))[1] == end


def test_all_time_is_compared_only_with_dates_that_somebody_chose() -> None:
    assert not is_comparable(Named("all"), Comparison())
    assert not is_comparable(Named("all"), YEAR)
    assert is_comparable(Named("all"), custom("2025-01-01", "2025-01-03"))
    assert is_comparable(Named("day"), Comparison())


# ---------------------------------------------------------------------- buckets


def cut(period: Period, interval: Interval, zone: str = BERLIN, now: int = NOW) -> list[tuple[str, float, str]]:
    """Labels, lengths in hours, and states."""
    return [(b.label, (b.end - b.start) / 3.6e9, b.state) for b in buckets(at(period, zone, now), interval)]


def test_hours_of_a_day_on_which_the_clock_goes_forward_and_back() -> None:
    spring = [label[11:13] for label, _, _ in cut(between("2026-03-29", "2026-03-29"), "hour")]
    assert (len(spring), spring[:4]) == (23, ["00", "01", "03", "04"])
    autumn = [label[11:13] for label, _, _ in cut(between("2025-10-26", "2025-10-26"), "hour")]
    assert (len(autumn), autumn[:5]) == (25, ["00", "01", "02", "02", "03"])


def test_hours_where_the_clock_changes_by_half_an_hour() -> None:
    back = cut(between("2025-04-06", "2025-04-06"), "hour", "Australia/Lord_Howe")[:4]
    assert [(label[11:16], hours) for label, hours, _ in back] == [
        ("00:00", 1),
        ("01:00", 1.5),
        ("02:00", 1),
        ("03:00", 1),
    ]
    forward = cut(between("2025-10-05", "2025-10-05"), "hour", "Australia/Lord_Howe")[:4]
    assert [(label[11:16], hours) for label, hours, _ in forward] == [
        ("00:00", 1),
        ("01:00", 1),
        ("02:00", 0.5),
        ("03:00", 1),
    ]


def test_hours_begin_at_the_local_hour() -> None:
    assert cut(between("2026-03-01T00:00:00Z", "2026-03-01T02:00:00Z"), "hour", "Asia/Kolkata") == [
        ("2026-03-01 05:00:00", 0.5, "partial"),
        ("2026-03-01 06:00:00", 1, "complete"),
        ("2026-03-01 07:00:00", 0.5, "partial"),
    ]


def test_days_of_a_month_that_is_running() -> None:
    days = cut(Named("month"), "day")
    assert len(days) == 10
    assert days[-2:] == [("2026-03-09", 24, "complete"), ("2026-03-10", pytest.approx(13 + 35 / 60), "running")]


def test_hours_of_today_after_now_are_to_come() -> None:
    states = [state for _, _, state in cut(Named("day"), "hour")]
    assert states == ["complete"] * 13 + ["running"] + ["future"] * 10


def test_weeks_begin_on_monday_and_the_first_is_labelled_by_the_range() -> None:
    assert [(label, state) for label, _, state in cut(between("2026-01-01", "2026-01-20"), "week")] == [
        ("2026-01-01", "partial"),
        ("2026-01-05", "complete"),
        ("2026-01-12", "complete"),
        ("2026-01-19", "partial"),
    ]


def test_months_are_labelled_by_their_first_day() -> None:
    assert [(label, state) for label, _, state in cut(between("2025-12-31", "2026-03-10"), "month")] == [
        ("2025-12-01", "partial"),
        ("2026-01-01", "complete"),
        ("2026-02-01", "complete"),
        ("2026-03-01", "running"),
    ]


def test_a_day_that_the_zone_left_out_is_no_bucket() -> None:
    assert [label for label, _, _ in cut(between("2011-12-29", "2011-12-31"), "day", "Pacific/Apia")] == [
        "2011-12-29",
        "2011-12-31",
    ]


@pytest.mark.parametrize(
    "zone", ["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe"]
)
@pytest.mark.parametrize("interval", ["minute", "hour", "day", "week", "month"])
def test_buckets_are_the_range_without_gap_or_overlap(zone: str, interval: Interval) -> None:
    for first, last in [("2025-10-04", "2025-10-06"), ("2026-03-07", "2026-03-09"), ("2026-03-28", "2026-03-30")]:
        there = at(between(first, last), zone)
        edges = [there.start]
        for bucket in buckets(there, interval):
            assert bucket.start == edges[-1] < bucket.end
            edges.append(bucket.end)
        assert edges[-1] == there.end


def test_a_range_of_too_many_buckets_is_refused() -> None:
    assert len(buckets(at(between("2026-01-01", "2026-01-06")), "minute")) < BUCKETS_MAX
    with pytest.raises(Invalid, match="too many"):
        buckets(at(between("2026-01-01", "2026-01-31")), "minute")


@pytest.mark.parametrize(
    ("first", "interval", "count"),
    [
        ("1990-01-01", "month", 435),
        ("1990-01-01", "week", 1891),
        ("1999-01-01", "day", 9949),
        ("1970-01-01", "month", 675),
    ],
)
def test_buckets_are_limited_by_how_many_there_are(first: str, interval: Interval, count: int) -> None:
    assert len(buckets(at(between(first, "2026-03-28")), interval)) == count


@pytest.mark.parametrize(
    ("period", "default", "valid"),
    [
        (Named("30m"), "minute", ["minute"]),
        (Named("day"), "hour", ["minute", "hour"]),
        (Named("24h"), "hour", ["minute", "hour"]),
        (Named("7d"), "day", ["hour", "day"]),
        (Named("30d"), "day", ["hour", "day", "week"]),
        (Named("91d"), "day", ["day", "week", "month"]),
        (Named("12mo"), "month", ["day", "week", "month"]),
        (between("2015-01-01", "2026-01-01"), "month", ["week", "month"]),
        (between("1985-01-01", "2026-03-28"), "month", ["month"]),
        (between("1970-01-01", "2199-12-31"), "month", ["month"]),
        (Times(NOW, NOW + 1), "minute", ["day"]),
    ],
)
def test_intervals_that_suit_a_period(period: Period, default: str, valid: list[str]) -> None:
    assert (default_interval(at(period)), valid_intervals(at(period))) == (default, valid)


@pytest.mark.parametrize(
    ("period", "words"),
    [
        (Named("day"), "10 Mar 2026"),
        (Named("7d"), "3 Mar – 9 Mar 2026"),
        (Named("91d"), "9 Dec 2025 – 9 Mar 2026"),
        (Named("month", date(2026, 2, 3)), "February 2026"),
        (Named("year", date(2025, 2, 3)), "2025"),
        (Named("24h"), "9 Mar 2026 13:35 – 10 Mar 2026 13:35"),
    ],
)
def test_labels(period: Period, words: str) -> None:
    assert label(at(period)) == words


def test_a_range_knows_its_local_days() -> None:
    there = at(Named("month"))
    assert (there.first_day, there.last_day, there.days) == (date(2026, 3, 1), date(2026, 3, 10), 10)
    assert there.is_running
    assert datetime.fromtimestamp(there.end / 1e6, UTC).hour == 12
