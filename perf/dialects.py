"""Measures what every dialect costs beside the native one: `python -m perf.dialects`.

The same page views are sent in each (wire.py), in turns with the native shape that says the same: one event a request
as a server or a browser sends it, or a hundred. What counts is the CPU time of the serving process for an event, and
that all were taken.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

from perf import closed_loop, wire
from perf.closed_loop import Rate
from perf.figures import table
from perf.processes import Appliance
from perf.wire import DIALECTS, NATIVE, Dialect

CONNECTIONS = 16
GOAL = 1.5


class Cost(NamedTuple):
    """Of a dialect, and of native beside it; microseconds of the serving process an event."""

    ours: float
    native: float
    rate: Rate

    @property
    def ratio(self) -> float:
        return self.ours / self.native


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m perf.dialects", description=__doc__)
    options.add_argument("--seconds", type=int, default=4, help="of each turn")
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    closed_loop.check()
    rows = []
    with Appliance(rate_limit_address="0") as ours, tempfile.TemporaryDirectory(prefix="appliance-perf-") as temp:
        for dialect in DIALECTS:
            costs = [_turn(ours, dialect, Path(temp), chosen.seconds) for _ in range(chosen.rounds)]
            middle = statistics.median_low(costs)
            rows.append(
                (
                    dialect.name,
                    f"{middle.rate.per_second * dialect.events:,.0f}",
                    f"{middle.ours:.1f}",
                    f"{middle.native:.1f}",
                    f"{statistics.median(cost.ratio for cost in costs):.2f}",
                    str(middle.rate.refused),
                )
            )
            print(rows[-1], flush=True)
    head = ("dialect", "events/s", "CPU µs an event", "native", f"ratio, goal <= {GOAL}", "refused")
    print(table(head, rows))


def _turn(ours: Appliance, dialect: Dialect, folder: Path, seconds: int) -> Cost:
    native = _cost(ours, NATIVE[dialect.compared], folder, seconds)
    found = _cost(ours, dialect, folder, seconds)
    return Cost(found[0], native[0], found[1])


def _cost(ours: Appliance, dialect: Dialect, folder: Path, seconds: int) -> tuple[float, Rate]:
    path = folder / dialect.name.replace(" ", "-")
    if not path.exists():
        path.write_bytes(b"".join(b"%d\n%b" % (len(one), one) for one in wire.requests(dialect, ours.project)))
    found = closed_loop.replay(ours, path, CONNECTIONS, seconds)
    ours.wait_until_drained()
    return found.cpu_us["serving"] / dialect.events, found


if __name__ == "__main__":
    main()
