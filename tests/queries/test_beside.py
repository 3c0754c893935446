"""Which row and which bucket stands beside which: the same group, the same local time."""

import pytest

from appliance.errors import Invalid
from appliance.queries import beside
from appliance.queries.comparison import Comparison, compared
from appliance.queries.intervals import Interval, buckets
from appliance.queries.period import Named, Period, Range, Times, between, resolve
from appliance.queries.question import Order, Report
from appliance.queries.results import Row, Table
from appliance.queries.timeseries import points
from tests.queries.worlds import instant

BERLIN = "Europe/Berlin"
NOW = instant("2026-06-15 12:00")
PREVIOUS = Comparison(match_weekday=False)


def at(period: Period, zone: str = BERLIN, now: int = NOW) -> Range:
    return resolve(period, zone, now)


def times(first: str, last: str) -> Times:
    return Times(instant(first, BERLIN), instant(last, BERLIN))


def over_time(there: Range, interval: Interval) -> Table:
    """A table with a row for each bucket, whose value is the bucket's place."""
    steps = buckets(there, interval)
    rows = tuple(Row((step.label,), (place,), place) for place, step in enumerate(steps))
    return Table((f"time:{interval}",), ("visitors",), rows, steps)


def beside_each(here: Range, there: Range, interval: Interval) -> dict[str, str]:
    """Labels of buckets and of their counterparts; empty: there is none. Of a double hour the first one's."""
    table, other = over_time(here, interval), over_time(there, interval)
    found = beside.buckets_beside(table, other)
    labels = ["" if place is None else other.buckets[place].label for place in found]
    assert [point.previous for point in points(table, "visitors", other)] == found
    assert [row.labels[0] for row in beside.matched(table, other)] == labels
    return {step.label: label for step, label in reversed(list(zip(table.buckets, labels, strict=True)))}


@pytest.mark.parametrize(
    ("day", "pairs"),
    [
        # A day of 23 hours beside one of 24, and after it: noon meets noon.
        ("2026-03-29", {"01": "01", "03": "03", "12": "12", "23": "23"}),
        ("2026-03-30", {"01": "01", "02": "", "03": "03", "12": "12", "23": "23"}),
        # A day of 25 hours.
        ("2025-10-26", {"01": "01", "02": "02", "03": "03", "12": "12", "23": "23"}),
        ("2025-10-27", {"01": "01", "02": "02", "03": "03", "12": "12", "23": "23"}),
    ],
)
def test_hours_are_beside_the_same_local_hour(day: str, pairs: dict[str, str]) -> None:
    here = at(between(day, day))
    there = compared(here, PREVIOUS)
    found = beside_each(here, there, "hour")
    before = there.first_day.isoformat()
    for hour, other in pairs.items():
        assert found[f"{day} {hour}:00:00"] == (f"{before} {other}:00:00" if other else "")


def test_the_second_of_a_double_hour_meets_only_another_second() -> None:
    double, single = at(between("2025-10-26", "2025-10-26")), at(between("2025-10-25", "2025-10-25"))
    places = beside.buckets_beside(over_time(double, "hour"), over_time(single, "hour"))
    assert places == [0, 1, 2, None, *range(3, 24)]
    places = beside.buckets_beside(over_time(single, "hour"), over_time(double, "hour"))
    assert places == [0, 1, 2, *range(4, 25)]
    assert beside.buckets_beside(over_time(double, "hour"), over_time(double, "hour")) == list(range(25))


def test_several_days_are_beside_the_same_hours_of_as_many() -> None:
    here = at(between("2026-03-28", "2026-03-30"))
    found = beside_each(here, compared(here, PREVIOUS), "hour")
    assert found["2026-03-28 12:00:00"] == "2026-03-25 12:00:00"
    assert found["2026-03-30 12:00:00"] == "2026-03-27 12:00:00"
    year = beside_each(here, compared(here, Comparison("year_over_year", match_weekday=False)), "hour")
    assert year["2026-03-29 12:00:00"] == "2025-03-29 12:00:00"
    assert (year["2026-03-30 02:00:00"], year["2026-03-30 12:00:00"]) == ("", "2025-03-30 12:00:00")


@pytest.mark.parametrize(
    ("now", "pairs"),
    [
        ("2026-03-29 13:34", {"28 13": "27 13", "29 01": "28 01", "29 03": "28 03", "29 12": "28 12", "29 13": ""}),
        ("2026-03-30 13:34", {"29 13": "28 13", "30 02": "", "30 03": "29 03", "30 13": "29 13"}),
    ],
)
def test_the_last_24_hours_are_beside_the_same_local_hours(now: str, pairs: dict[str, str]) -> None:
    here = at(Named("24h"), now=instant(now, BERLIN))
    found = beside_each(here, compared(here, PREVIOUS), "hour")
    for hour, other in pairs.items():
        assert found[f"2026-03-{hour}:00:00"] == (f"2026-03-{other}:00:00" if other else "")


def test_a_few_hours_are_beside_those_just_before() -> None:
    here = at(times("2026-03-28 12:00", "2026-03-28 14:00"))
    assert list(beside_each(here, compared(here, PREVIOUS), "hour").values()) == [
        "2026-03-28 11:00:00",
        "2026-03-28 10:00:00",
    ]
    here = at(times("2026-03-28 12:00", "2026-03-28 12:02"))
    assert beside_each(here, compared(here, PREVIOUS), "minute")["2026-03-28 12:01:00"] == "2026-03-28 11:59:00"


def test_days_are_as_far_from_the_first_also_where_a_zone_left_one_out() -> None:
    here, there = (at(between(*days), "Pacific/Apia") for days in (("2011-12-29", "2012-01-01"), _CHRISTMAS))
    assert beside_each(here, there, "day") == {
        "2011-12-29": "2011-12-25",
        "2011-12-31": "2011-12-27",
        "2012-01-01": "2011-12-28",
    }


_CHRISTMAS = ("2011-12-25", "2011-12-28")


def test_weeks_and_months_are_beside_those_at_their_place() -> None:
    here, there = at(between("2026-01-01", "2026-03-31")), at(between("2025-01-01", "2025-02-28"))
    assert beside_each(here, there, "month") == {
        "2026-01-01": "2025-01-01",
        "2026-02-01": "2025-02-01",
        "2026-03-01": "",
    }
    assert beside_each(here, there, "week")["2026-01-12"] == "2025-01-13"


def test_time_is_in_the_same_buckets_on_both_sides() -> None:
    report = Report(("visitors",), ("time", "visit:os"), (Order("time", descending=True),), limit=1, offset=5)
    other = beside.counterpart(report, at(between("2026-03-28", "2026-03-28")))
    assert (other.dimensions, other.order) == (("time:hour", "visit:os"), (Order("time:hour", descending=True),))
    assert beside.counterpart(report, at(between("2026-03-01", "2026-03-28"))).dimensions[0] == "time:day"


def test_what_has_no_bucket_beside_it_is_compared_with_nothing() -> None:
    table = over_time(at(between("2026-03-01", "2026-03-02")), "day")
    other = over_time(at(between("2026-02-01", "2026-02-01")), "day")
    empty = Table(other.dimensions, other.metrics, (), other.buckets)
    assert beside.matched(table, empty) == [Row(("2026-02-01",), (0,), 0), Row(("",), (None,), None)]


def test_too_many_groups_to_compare_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "ROWS_MAX", 2)
    report = Report(("visitors",), ("visit:os",), limit=1, offset=5, total_rows=True)
    here = at(between("2026-03-28", "2026-03-28"))
    assert beside.counterpart(report, here) == Report(("visitors",), ("visit:os",), limit=3)
    rows = tuple(Row((name,), (1,)) for name in "abc")
    table = Table(("visit:os",), ("visitors",), rows[:1])
    with pytest.raises(Invalid):
        beside.matched(table, Table(("visit:os",), ("visitors",), rows))
    assert beside.matched(table, Table(("visit:os",), ("visitors",), rows[:2])) == [rows[0]]
