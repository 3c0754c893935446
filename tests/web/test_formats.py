"""Figures as they are written: each row is a value and its text, with the reason where it is not plain."""

from datetime import UTC, date, datetime, timedelta

import pytest

from appliance.web import formats
from appliance.web.formats import DateStyle, Delta, Money

BRITISH = DateStyle()
AMERICAN = DateStyle(month_first=True, twelve_hours=True)
THIN = "\u202f"


def plain(text: str) -> str:
    """With ordinary spaces, so that the tables below can be read."""
    return text.replace("\u00a0", " ").replace(THIN, " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (999, "999"),
        (1_000, "1k"),
        (1_250, "1.3k"),  # half up
        (12_000, "12k"),
        (12_345, "12.3k"),
        (99_949, "99.9k"),
        (99_950, "100k"),  # rounds to six digits, which have no decimals
        (123_456, "123k"),
        (999_499, "999k"),
        (999_500, "1M"),  # never 1,000k
        (1_234_567, "1.2M"),
        (123_456_789, "123M"),
        (1_234_567_890, "1.2B"),
        (-12_345, "−12.3k"),
    ],
)
def test_counts_are_short(value: int | None, text: str) -> None:
    assert formats.short(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (77_120, "77,120"),
        (1_234_567_890, "1,234,567,890"),
        (2.165, "2.17"),
        (2.0, "2"),
        (-3.5, "−3.5"),
        (-0.001, "0"),
    ],
)
def test_exact_figures_keep_every_digit(value: float | None, text: str) -> None:
    assert formats.exact(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0 %"),
        (0.04, "<0.1 %"),
        (0.05, "0.1 %"),
        (0.94, "0.9 %"),
        (0.95, "1 %"),  # one decimal would say 1.0
        (41.2, "41 %"),
        (41.5, "42 %"),
        (100, "100 %"),
    ],
)
def test_percent(value: float | None, text: str) -> None:
    assert plain(formats.percent(value)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0s"),
        (45, "45s"),
        (59.5, "1m 00s"),
        (128, "2m 08s"),
        (3_599.4, "59m 59s"),
        (3_900, "1h 05m"),
        (93_600, "26h 00m"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert plain(formats.duration(seconds)) == text


@pytest.mark.parametrize(
    ("amount", "full", "compact"),
    [
        (Money(123_450, "EUR"), "€1,234.50", "€1.2k"),
        (Money(999, "USD"), "$9.99", "$9.99"),
        (Money(1_235, "JPY"), "¥1,235", "¥1.2k"),  # yen have no smaller unit
        (Money(1_234, "KWD"), "KWD 1.234", "KWD 1.234"),  # dinars have a thousand
        (Money(-5_000, "CHF"), "−CHF 50.00", "−CHF 50.00"),
    ],
)
def test_money(amount: Money, full: str, compact: str) -> None:
    assert (plain(formats.money(amount)), plain(formats.money(amount, compact=True))) == (full, compact)


@pytest.mark.parametrize(
    ("name", "value", "text", "full"),
    [
        ("visitors", 12_345, "12.3k", "12,345"),
        ("views_per_visit", 2.1, "2.10", "2.10"),
        ("bounce_rate", 41.2, "41 %", "41 %"),
        ("visit_duration", 128, "2m 08s", "2m 08s"),
        ("total_revenue", Money(4_812_350, "EUR"), "€48.1k", "€48,123.50"),
        ("visitors", None, "–", "–"),
    ],
)
def test_a_metric_is_written_by_its_kind(name: str, value: formats.Value, text: str, full: str) -> None:
    assert plain(formats.metric(name, value)) == text
    assert plain(formats.metric(name, value, full=True)) == full


@pytest.mark.parametrize(
    ("name", "value", "previous", "change"),
    [
        ("visitors", 112, 100, Delta("up", 12.0, False, True)),
        ("visitors", 88, 100, Delta("down", 12.0, False, False)),
        ("bounce_rate", 41.0, 44.0, Delta("down", 3.0, True, True)),  # fewer bounces are good; in points
        ("bounce_rate", 10.0, 0.0, Delta("up", 10.0, True, False)),  # points need no division
        ("visitors", 1_000, 999, Delta("flat", pytest.approx(0.1, abs=0.01), False)),  # type: ignore[arg-type]
        ("visitors", 5, 0, Delta("new")),  # never ∞ %
        ("visitors", 0, 0, Delta("flat")),
        ("visitors", 5, None, Delta("none")),
        ("total_revenue", Money(200, "EUR"), Money(100, "EUR"), Delta("up", 100.0, False, True)),
        ("total_revenue", Money(100, "EUR"), Money(-100, "EUR"), Delta("up", 200.0, False, True)),  # after refunds
        ("total_revenue", Money(200, "EUR"), Money(100, "USD"), Delta("none")),  # no sums across currencies
    ],
)
def test_changes(name: str, value: formats.Value, previous: formats.Value, change: Delta) -> None:
    assert formats.change(name, value, previous) == change


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "–"), (820, "820 B"), (4_200_000, "4.2 MB"), (999_960, "1 MB"), (118_400_000_000, "118 GB")],
)
def test_sizes(count: int | None, text: str) -> None:
    assert plain(formats.size(count)) == text


@pytest.mark.parametrize(
    ("header", "style"),
    [
        (None, BRITISH),
        ("de-DE,de;q=0.9,en-US;q=0.8", BRITISH),
        ("en-GB", BRITISH),
        ("en-US,en;q=0.9", AMERICAN),
        ("en", AMERICAN),
        ("en-CA", DateStyle(month_first=False, twelve_hours=True)),
        ("zh-Hant-TW", BRITISH),
        ("*", BRITISH),
    ],
)
def test_habits_follow_the_browsers_language(header: str | None, style: DateStyle) -> None:
    assert formats.date_style(header) == style


def test_days_and_hours_are_written_as_the_viewer_does() -> None:
    at = datetime(2025, 11, 8, 14, 0, tzinfo=UTC)
    assert plain(formats.day(at, BRITISH, year=True, weekday=True)) == "Sat 8 Nov 2025"
    assert plain(formats.day(at, AMERICAN, year=True, weekday=True)) == "Sat, Nov 8, 2025"
    assert plain(formats.clock(at, BRITISH)) == "14:00"
    assert plain(formats.clock(at, AMERICAN)) == "2 PM"
    assert plain(formats.clock(at.replace(hour=0, minute=5), AMERICAN)) == "12:05 AM"
    assert plain(formats.moment(at, BRITISH)) == "8 Nov 2025, 14:00"


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (date(2025, 10, 22), date(2025, 11, 20), "22 Oct – 20 Nov"),
        (date(2024, 12, 25), date(2025, 1, 2), "25 Dec 2024 – 2 Jan 2025"),
        (date(2024, 5, 1), date(2024, 5, 7), "1 May – 7 May 2024"),
        (date(2025, 11, 8), date(2025, 11, 8), "Sat 8 Nov"),
    ],
)
def test_a_span_names_the_year_where_it_is_not_this_one(start: date, end: date, text: str) -> None:
    assert plain(formats.span(start, end, BRITISH, 2025)) == text


@pytest.mark.parametrize(
    ("interval", "axis", "full"),
    [
        ("minute", "14:05", "Sat 8 Nov, 14:05"),
        ("hour", "14:05", "Sat 8 Nov, 14:05–15:05"),
        ("day", "8 Nov", "Sat 8 Nov"),
        ("week", "8 Nov", "8 Nov"),
        ("month", "Nov", "November 2025"),
    ],
)
def test_buckets_have_a_short_and_a_full_name(interval: formats.Interval, axis: str, full: str) -> None:
    at = datetime(2025, 11, 8, 14, 5, tzinfo=UTC)
    assert plain(formats.axis(at, interval, 24, BRITISH)) == axis
    assert plain(formats.bucket(at, interval, BRITISH, year=False)) == full


def test_january_and_many_hours_have_other_labels() -> None:
    assert formats.axis(datetime(2026, 1, 1, tzinfo=UTC), "month", 12, BRITISH) == "Jan 2026"
    assert plain(formats.axis(datetime(2025, 11, 8, tzinfo=UTC), "hour", 168, BRITISH)) == "8 Nov"


@pytest.mark.parametrize(
    ("seconds", "passed"),
    [
        (-3, ("now", 0)),
        (4, ("now", 0)),
        (12, ("s", 12)),
        (119, ("m", 1)),
        (7_200, ("h", 2)),
        (200_000, ("d", 2)),
    ],
)
def test_time_passed(seconds: int, passed: tuple[str, int]) -> None:
    now = datetime(2025, 11, 20, tzinfo=UTC)
    assert formats.ago(now - timedelta(seconds=seconds), now) == passed


def test_map_steps_follow_ranks_and_equal_values_share_one() -> None:
    assert formats.quantiles([21_000, 9, 400, 400, 5_000, 70]) == [5, 1, 3, 3, 4, 2]
    assert formats.quantiles([7]) == [5]  # the only country is the darkest
    assert formats.quantiles([1, 2]) == [1, 5]
    assert formats.quantiles([]) == []


def test_tiles() -> None:
    assert [formats.initial(name) for name in ("www.example.com", "ärzte.de", "→", "3sat.de")] == [
        "E",
        "Ä",
        "?",
        "3",
    ]
    assert formats.hue("example.com") == formats.hue("example.com")
    assert {formats.hue(f"site{number}.example") for number in range(40)} == set(range(6))
