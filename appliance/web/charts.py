"""Geometry of the charts: series in, SVG path data and positions out. No HTML, no words, no state.

The drawing is WIDTH x HEIGHT units, stretched to its card (preserveAspectRatio="none" with strokes that do not
scale); whatever must not be stretched (text, dots of the tooltip) is placed by percentages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from appliance.web import formats
from appliance.web.formats import Interval, Number
from appliance.web.views import Bucket

WIDTH = 1000.0
HEIGHT = 280.0
LABELS = 7  # about as many labels fit under the chart on a desktop
BARS_BELOW = 4  # a line through two or three points says nothing: bars
GRID_LINES = 4  # at most as many above the zero line

# Steps between labels that read well, in buckets.
_STRIDES: dict[Interval, tuple[int, ...]] = {
    "minute": (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360),
    "hour": (1, 2, 3, 4, 6, 12, 24, 48, 72, 96, 168, 336),
    "day": (1, 2, 3, 4, 5, 7, 14, 28, 56, 91, 182, 365),
    "week": (1, 2, 4, 8, 13, 26, 52),
    "month": (1, 2, 3, 6, 12, 24),
}
_SECONDS_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400)


@dataclass(frozen=True, slots=True)
class Tick:
    """A horizontal grid line: its value, and its place in per cent from the top."""

    value: float
    y: float


@dataclass(frozen=True, slots=True)
class Label:
    """A label under the chart: bucket index, place in per cent; `minor` ones give way on a phone."""

    index: int
    x: float
    minor: bool


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """What the template draws. Paths are SVG path data and may be empty; x and y are per cent, by bucket."""

    ticks: tuple[Tick, ...]
    labels: tuple[Label, ...]
    line: str
    dotted: str  # towards or from an incomplete bucket
    area: str
    dots: str  # buckets alone between gaps: lines of no length, for round caps
    previous: str
    bars: tuple[Bar, ...]
    x: tuple[float, ...]
    y: tuple[float | None, ...]


def plot(buckets: Sequence[Bucket], interval: Interval, metric: str) -> Plot:
    """The geometry of a series; bars for fewer than BARS_BELOW buckets, else a line with its area."""
    values = [bucket.value for bucket in buckets]
    earlier = [bucket.previous for bucket in buckets]
    incomplete = [bucket.incomplete for bucket in buckets]
    known = [value for value in (*values, *earlier) if value is not None]
    steps = scale(max(known, default=0), metric)
    as_bars = len(buckets) < BARS_BELOW
    xs = _positions(len(buckets), as_bars)
    ys = [None if value is None else _height(value, steps[-1]) for value in values]
    before = [None if value is None else _height(value, steps[-1]) for value in earlier]
    points = list(zip(xs, ys, strict=True))
    return Plot(
        ticks=tuple(Tick(value, _round(_height(value, steps[-1]) / HEIGHT * 100)) for value in steps),
        labels=_labels([bucket.start for bucket in buckets], interval, xs),
        line="" if as_bars else _line(points, incomplete, solid=True),
        dotted="" if as_bars else _line(points, incomplete, solid=False),
        area="" if as_bars else _area(points, incomplete),
        dots="" if as_bars else _alone(points),
        previous=_caps(xs, before) if as_bars else _line(list(zip(xs, before, strict=True)), None, solid=True),
        bars=columns(values, steps[-1], 0.66, incomplete) if as_bars else (),
        x=tuple(_round(x / WIDTH * 100) for x in xs),
        y=tuple(None if y is None else _round(y / HEIGHT * 100) for y in ys),
    )


def scale(highest: Number, metric: str = "visitors") -> list[float]:
    """Values of the grid lines from 0 up: 1, 2, 2.5 or 5 x 10^n apart, at most GRID_LINES above zero.

    Counts never stand at fractions, durations step as clocks do, rates end at 100.
    """
    match formats.kind(metric):
        case "count":
            step = _nice(max(highest, GRID_LINES) / GRID_LINES, whole=True)
        case "seconds":
            wanted = highest / GRID_LINES
            step = next((step for step in _SECONDS_STEPS if step >= wanted), _nice(wanted, whole=True))
        case "percent":
            step = min(_nice(max(highest, 0.4) / GRID_LINES), 25.0)
        case _:
            step = _nice(max(highest, 0.4) / GRID_LINES)
    lines = min(max(ceil(round(highest / step, 9)), 1), GRID_LINES)  # a step may be a billionth too short
    if not highest:
        lines = GRID_LINES
    return [float(f"{step * index:.10g}") for index in range(lines + 1)]


def columns(
    values: Sequence[Number | None], highest: Number, gap: float = 0.25, incomplete: Sequence[bool] = ()
) -> tuple[Bar, ...]:
    """Bars side by side over the whole drawing; `gap` is the empty part of each bucket's band."""
    band = WIDTH / max(len(values), 1)
    return tuple(
        Bar(
            x=_round(band * (index + gap / 2)),
            y=_round(_height(value, highest)),
            width=_round(band * (1 - gap)),
            height=_round(HEIGHT - _height(value, highest)),
            incomplete=bool(incomplete) and incomplete[index],
        )
        for index, value in enumerate(values)
        if value is not None
    )


def sparkline(values: Sequence[Number | None]) -> tuple[str, str]:
    """Path data of a small line and of the area under it, in the same drawing units."""
    highest = max((value for value in values if value is not None), default=0)
    xs = _positions(len(values), as_bars=False)
    ys = [None if value is None else 14 + _height(value, highest or 1) * 0.9 for value in values]
    points = list(zip(xs, ys, strict=True))
    return _line(points, None, solid=True), _area(points, None)


def stride(count: int, interval: Interval) -> int:
    """Buckets from one label to the next, so that about LABELS fit."""
    wanted = count / LABELS
    return next((step for step in _STRIDES[interval] if step >= wanted), ceil(wanted))


def _nice(least: float, whole: bool = False) -> float:
    """The smallest of 1, 2, 2.5, 5 x 10^n that is not below `least`; only whole numbers if asked."""
    power = 10.0 ** (len(str(int(least))) - 1) if least >= 1 else 1.0
    while power > least:
        power /= 10
    for factor in (1, 2, 2.5, 5, 10):
        step = factor * power
        if step >= least * (1 - 1e-9) and not (whole and step != int(step)):
            return step
    return 10 * power


def _positions(count: int, as_bars: bool) -> list[float]:
    if as_bars:
        return [WIDTH * (index + 0.5) / count for index in range(count)]
    return [WIDTH * index / max(count - 1, 1) for index in range(count)]


def _height(value: Number, highest: Number) -> float:
    return HEIGHT - (value / highest * HEIGHT if highest else 0.0)


def _round(value: float) -> float:
    return round(value, 2)


def _at(x: float, y: float) -> str:
    return f"{x:.1f} {y:.1f}".replace(".0", "")


Points = Sequence[tuple[float, float | None]]


def _runs(points: Points, incomplete: Sequence[bool] | None, solid: bool) -> list[list[tuple[float, float]]]:
    """Stretches of neighbouring points joined by segments that are all solid, or all not."""
    runs: list[list[tuple[float, float]]] = []
    joined = False
    for index in range(1, len(points)):
        (x0, y0), (x1, y1) = points[index - 1], points[index]
        unsure = incomplete is not None and (incomplete[index - 1] or incomplete[index])
        if y0 is None or y1 is None or unsure is solid:
            joined = False
            continue
        if not joined:
            runs.append([(x0, y0)])
        runs[-1].append((x1, y1))
        joined = True
    return runs


def _line(points: Points, incomplete: Sequence[bool] | None, solid: bool) -> str:
    runs = _runs(points, incomplete, solid)
    return "".join("M" + "L".join(_at(x, y) for x, y in run) for run in runs)


def _area(points: Points, incomplete: Sequence[bool] | None) -> str:
    return "".join(
        f"M{_at(run[0][0], HEIGHT)}L{'L'.join(_at(x, y) for x, y in run)}L{_at(run[-1][0], HEIGHT)}Z"
        for run in _runs(points, incomplete, solid=True)
    )


def _alone(points: Points) -> str:
    """Buckets with a value whose neighbours have none: no segment would show them."""
    parts = []
    for index, (x, y) in enumerate(points):
        neighbours = [points[at][1] for at in (index - 1, index + 1) if 0 <= at < len(points)]
        if y is not None and all(neighbour is None for neighbour in neighbours):
            parts.append(f"M{_at(x, y)}h.01")
    return "".join(parts)


def _caps(xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """The comparison over bars: a level at the height of each previous value."""
    half = WIDTH / max(len(xs), 1) * 0.22
    return "".join(f"M{_at(x - half, y)}h{2 * half:.1f}" for x, y in zip(xs, ys, strict=True) if y is not None)


def _labels(starts: Sequence[datetime], interval: Interval, xs: Sequence[float]) -> tuple[Label, ...]:
    """Labels at regular steps; hours and minutes at round times of the clock, months at round months."""
    step = stride(len(starts), interval)
    chosen = [index for index, start in enumerate(starts) if _on_step(index, start, interval, step)]
    return tuple(
        Label(index, _round(xs[index] / WIDTH * 100), minor=place % 2 == 1) for place, index in enumerate(chosen)
    )


def _on_step(index: int, start: datetime, interval: Interval, step: int) -> bool:
    match interval:
        case "minute":
            return (start.hour * 60 + start.minute) % step == 0
        case "hour" if step < 24:
            return start.hour % step == 0
        case "hour":
            return start.hour == 0 and start.date().toordinal() % (step // 24) == 0
        case "month":
            return (start.year * 12 + start.month - 1) % step == 0
        case _:
            return index % step == 0
