"""How numbers, amounts, durations and times are written. Everything here is pure text in, text out.

Rounding is half up throughout. Spaces inside a figure do not break (U+00A0, U+202F).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from appliance.currencies import MINOR_DIGITS
from appliance.queries.metrics import Money, Value

Interval = Literal["minute", "hour", "day", "week", "month"]
Number = int | float

NOTHING = "–"
THIN = "\u202f"
NO_BREAK = "\u00a0"

# What a metric's value is, and so how it is written.
Kind = Literal["count", "ratio", "percent", "seconds", "money"]
KINDS: dict[str, Kind] = {
    "views_per_visit": "ratio",
    "bounce_rate": "percent",
    "scroll_depth": "percent",
    "percentage": "percent",
    "conversion_rate": "percent",
    "group_conversion_rate": "percent",
    "visit_duration": "seconds",
    "time_on_page": "seconds",
    "total_revenue": "money",
    "average_revenue": "money",
}
LOWER_IS_BETTER = frozenset({"bounce_rate"})

_SYMBOLS = {
    "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CNY": "CN¥", "INR": "₹", "KRW": "₩", "BRL": "R$",
    "CAD": "CA$", "AUD": "A$", "NZD": "NZ$", "MXN": "MX$", "HKD": "HK$", "ILS": "₪", "VND": "₫", "TWD": "NT$",
}  # fmt: skip

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MONTHS_LONG = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@dataclass(frozen=True, slots=True)
class DateStyle:
    """The viewer's habits in writing dates: order of day and month, clock of 12 or 24 hours."""

    month_first: bool = False
    twelve_hours: bool = False


@dataclass(frozen=True, slots=True)
class Delta:
    """A change against the comparison. `amount` is absolute; points for percent metrics, else per cent.

    kind: `none` (no comparison), `new` (it was 0), `flat`, `up`, `down`. good: None where neither.
    """

    kind: Literal["none", "new", "flat", "up", "down"]
    amount: float = 0.0
    points: bool = False
    good: bool | None = None


def kind(metric: str) -> Kind:
    """The kind of a metric's value; what is not listed is a count."""
    return KINDS.get(metric, "count")


def rounded(value: Number, digits: int = 0) -> Decimal:
    return Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def short(value: Number | None) -> str:
    """12,345 -> 12.3k; from 100k without decimals; below 1,000 as it is."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size < 1_000:
        return exact(value)
    for unit, suffix in ((1e3, "k"), (1e6, "M"), (1e9, "B")):
        scaled = rounded(size / unit, 1 if size < unit * 99.95 else 0)
        if scaled < 1_000 or suffix == "B":
            break
    return f"{'−' if value < 0 else ''}{_plain(scaled)}{suffix}"


def _plain(value: Decimal) -> str:
    text = f"{value:,}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact(value: Number | None, digits: int = 2) -> str:
    """All digits with thousands separated; a float keeps up to `digits` decimals."""
    if value is None:
        return NOTHING
    text = f"{abs(value):,}" if isinstance(value, int) else _plain(rounded(abs(value), digits))
    return f"−{text}" if value < 0 and text != "0" else text


def percent(value: Number | None) -> str:
    """A value already in per cent: 41 %, below 1 with one decimal, below 0.05 as <0.1 %."""
    if value is None:
        return NOTHING
    if value == 0:
        return f"0{THIN}%"
    if value < 0.05:
        return f"<0.1{THIN}%"
    digits = 1 if rounded(value, 1) < 1 else 0
    return f"{rounded(value, digits)}{THIN}%"


def duration(seconds: Number | None) -> str:
    """45s, 2m 08s, 1h 05m."""
    if seconds is None:
        return NOTHING
    whole = int(rounded(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{NO_BREAK}{whole % 60:02}s"
    return f"{whole // 3600:,}h{NO_BREAK}{whole % 3600 // 60:02}m"


def money(amount: Money | None, compact: bool = False) -> str:
    """€1,234.50, ¥1,235, KWD 1.234 as CLDR's English has them; `compact` like a count: €12.3k."""
    if amount is None:
        return NOTHING
    digits = MINOR_DIGITS.get(amount.currency, 2)
    value = Decimal(abs(amount.minor)).scaleb(-digits)
    figure = short(float(value)) if compact and value >= 1_000 else f"{value:,.{digits}f}"
    symbol = _SYMBOLS.get(amount.currency, f"{amount.currency}{NO_BREAK}")
    return f"{'−' if amount.minor < 0 else ''}{symbol}{figure}"


def metric(name: str, value: Value, full: bool = False) -> str:
    """A metric's value as its kind is written; `full` gives every digit, for tooltips and tables."""
    if value is None:
        return NOTHING
    if isinstance(value, Money):
        return money(value, compact=not full)
    match kind(name):
        case "percent":
            return percent(value)
        case "seconds":
            return duration(value)
        case "ratio":
            return f"{rounded(value, 2)}"
        case _:
            return exact(value) if full else short(value)


def change(name: str, value: Value, previous: Value) -> Delta:
    """The change of a metric. Rates are compared in points: from 44 % to 41 % is −3 points, not −7 %."""
    now, before = _amount(value), _amount(previous)
    if now is None or before is None or not _same_currency(value, previous):
        return Delta("none")
    points = kind(name) == "percent"
    if before == 0 and not points:
        return Delta("flat") if now == 0 else Delta("new")
    difference = now - before if points else (now - before) / abs(before) * 100
    if rounded(abs(difference)) == 0:
        return Delta("flat", abs(difference), points)
    rose = difference > 0
    return Delta("up" if rose else "down", abs(difference), points, rose != (name in LOWER_IS_BETTER))


def _amount(value: Value) -> Number | None:
    return value.minor if isinstance(value, Money) else value


def _same_currency(a: Value, b: Value) -> bool:
    return not (isinstance(a, Money) and isinstance(b, Money)) or a.currency == b.currency


def size(count: int | None) -> str:
    """Bytes with decimal prefixes, as disks are sold: 820 B, 4.2 MB, 118 GB."""
    if count is None:
        return NOTHING
    if count < 1_000:
        return f"{count}{NO_BREAK}B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1_000
        if value < 999.5 or unit == "TB":
            break
    return f"{_plain(rounded(value, 1 if value < 99.95 else 0))}{NO_BREAK}{unit}"


def date_style(accept_language: str | None) -> DateStyle:
    """The habits that go with a browser's first language (`Accept-Language`).

    Month first is written in the United States and the Philippines; the 12-hour clock in most of the
    English-speaking world outside Britain and Ireland.
    """
    first = re.match(r"\s*([a-zA-Z]{2,3})(?:-[A-Z][a-z]{3})?(?:-([A-Za-z]{2}))?", accept_language or "")
    language, region = (first[1].lower(), (first[2] or "").upper()) if first else ("", "")
    american = language == "en" and region in {"", "US", "PH"} and bool(first)
    twelve = american or (language == "en" and region in {"AU", "CA", "IN", "NZ"})
    return DateStyle(month_first=american, twelve_hours=twelve)


def day(value: date, style: DateStyle, year: bool = False, weekday: bool = False) -> str:
    """8 Nov, Sat 8 Nov 2025; Nov 8, Sat, Nov 8, 2025 with the month first."""
    month = _MONTHS[value.month - 1]
    if style.month_first:
        text = f"{month}{NO_BREAK}{value.day}" + (f", {value.year}" if year else "")
        return f"{_WEEKDAYS[value.weekday()]}, {text}" if weekday else text
    text = f"{value.day}{NO_BREAK}{month}" + (f" {value.year}" if year else "")
    return f"{_WEEKDAYS[value.weekday()]} {text}" if weekday else text


def clock(value: datetime, style: DateStyle) -> str:
    """14:05; 2:05 PM, and 2 PM on the hour, with the 12-hour clock."""
    if not style.twelve_hours:
        return f"{value:%H:%M}"
    minutes = f":{value:%M}" if value.minute else ""
    return f"{value.hour % 12 or 12}{minutes}{NO_BREAK}{'AM' if value.hour < 12 else 'PM'}"


def moment(value: datetime, style: DateStyle, year: bool = True) -> str:
    """A point in time for tables: 8 Nov 2025, 14:05."""
    return f"{day(value, style, year)}, {clock(value, style)}"


def span(start: date, end: date, style: DateStyle, this_year: int) -> str:
    """Two days, both included: 22 Oct – 20 Nov; the year where it is not the running one."""
    year = start.year != this_year or end.year != this_year
    if start == end:
        return day(start, style, year, weekday=True)
    return f"{day(start, style, year and start.year != end.year)} – {day(end, style, year)}"


def axis(start: datetime, interval: Interval, buckets: int, style: DateStyle) -> str:
    """The short label of a bucket under the chart."""
    if interval == "minute" or (interval == "hour" and buckets <= 36):
        return clock(start, style)
    if interval == "month":
        name = _MONTHS[start.month - 1]
        return f"{name} {start.year}" if start.month == 1 else name
    return day(start, style)


def bucket(start: datetime, interval: Interval, style: DateStyle, year: bool) -> str:
    """The full name of a bucket for the tooltip and the data table."""
    if interval == "month":
        return f"{_MONTHS_LONG[start.month - 1]} {start.year}"
    name = day(start, style, year, weekday=interval != "week")
    if interval == "hour":
        return f"{name}, {clock(start, style)}–{clock(start + timedelta(hours=1), style)}"
    return f"{name}, {clock(start, style)}" if interval == "minute" else name


def ago(value: datetime, now: datetime) -> tuple[Literal["now", "s", "m", "h", "d"], int]:
    """Time passed as one unit and its count; the words are the catalogue's."""
    seconds = int((now - value).total_seconds())
    if seconds < 5:
        return "now", 0
    if seconds < 60:
        return "s", seconds
    if seconds < 3600:
        return "m", seconds // 60
    return ("h", seconds // 3600) if seconds < 86_400 else ("d", seconds // 86_400)


def initial(name: str) -> str:
    """The letter on a tile: the first letter or digit of a name, `www.` aside."""
    found = re.search(r"\w", name.removeprefix("www."))
    return found[0].upper() if found else "?"


def hue(name: str, hues: int = 6) -> int:
    """A stable choice among the tile colours for a name."""
    return sum(ord(letter) * (place + 1) for place, letter in enumerate(name)) % hues


def share(part: Number | None, whole: Number | None) -> float | None:
    """Per cent of a whole; None when there is none."""
    return None if not whole or part is None else part / whole * 100


def quantiles(values: Sequence[Number], steps: int = 5) -> list[int]:
    """The step (1 to `steps`) of each value, by rank among the distinct values.

    Linear steps make a map pale and logarithmic ones make it dark; ranks spread it. Equal values share a
    step, and the largest always has the last.
    """
    distinct = sorted(set(values))
    last = max(len(distinct) - 1, 1)
    steps_of = {value: 1 + rank * (steps - 1) // last for rank, value in enumerate(distinct)}
    if len(distinct) == 1:
        steps_of[distinct[0]] = steps
    return [steps_of[value] for value in values]
