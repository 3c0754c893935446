"""The few figures that a measurement is told by, and the table that they stand in."""

import math
from collections.abc import Iterable, Sequence


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that so many percent are at or below (nearest rank); 0 of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else 0.0


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns line up in plain text too: the first to the left, the others to the right."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]

    def written(line: Sequence[str]) -> str:
        cells = [
            text.ljust(width) if not at else text.rjust(width)
            for at, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    rule = [("-" * width if not at else "-" * (width - 1) + ":") for at, width in enumerate(widths)]
    return "\n".join([written(lines[0]), f"| {' | '.join(rule)} |", *(written(line) for line in lines[1:])])
