"""Measures ingestion against bare uvicorn, in turns within one run: `python -m perf.ingest`. See README.md."""

import argparse
import os
import platform
import time
from collections.abc import Sequence
from typing import NamedTuple

from perf import closed_loop, known_ids, open_loop
from perf.closed_loop import Load, Rate
from perf.figures import percentile, table
from perf.processes import Appliance, Bare
from perf.readers import Readers

KINDS = ("single", "ids", "browser", "batch", "batchids")
CONNECTIONS = (1, 16, 64, 256)
MAIN = Load("single", 64)
BATCH = Load("batch", 64)


class Lengths(NamedTuple):
    """How much of everything. Seconds, but for `rounds`, `ids`, and `rate` (requests a second)."""

    rounds: int
    turn: int
    main: int
    open_loop: int
    rest: int
    ids: int


USUAL = Lengths(rounds=3, turn=5, main=60, open_loop=20, rest=60, ids=10_000_000)
QUICK = Lengths(rounds=1, turn=2, main=5, open_loop=4, rest=5, ids=200_000)


class Pair(NamedTuple):
    """Medians over the rounds of one kind of load, beside the limit with as many connections."""

    load: Load
    ours: Rate
    bare: Rate

    @property
    def ratio(self) -> float:
        """Events a second over the limit's requests a second."""
        return self.ours.per_second * self.load.events / self.bare.per_second


def main() -> None:
    options = _options()
    closed_loop.check()
    lengths = QUICK if options.quick else USUAL
    if options.ids is not None:
        lengths = lengths._replace(ids=options.ids)
    _say(
        f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.2f},"
        f" Python {platform.python_version()}"
    )
    with Bare() as bare, _appliance() as ours:
        fresh = ours.memory_mb()
        ready_seconds = ours.ready_seconds
        pairs = _in_turns(bare, ours, options.kinds, options.connections, lengths)
    _say(_pairs_table(pairs))
    with Bare() as bare, _full_appliance(lengths, options.id_kind) as ours:
        goals = _main_run(bare, ours, lengths, options.rate)
    goals += [
        ("memory of the serving process, fresh", f"{fresh['serving']:.0f} MB", "<= 80 MB"),
        ("start to ready", f"{ready_seconds:.2f} s", "<= 1 s"),
    ]
    _say(table(("what", "measured", "goal"), goals))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m perf.ingest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of half an hour; says less")
    parser.add_argument("--ids", type=int, help=f"rows in the deduplication table (default {USUAL.ids:,})")
    parser.add_argument("--id-kind", choices=("own", "uuid"), default="own", help="what these ids look like")
    parser.add_argument("--rate", type=int, default=2000, help="requests a second of the open loop (default 2000)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--connections", nargs="+", type=int, default=list(CONNECTIONS))
    return parser.parse_args()


def _appliance() -> Appliance:
    """An appliance that takes from one address as much as comes."""
    return Appliance(rate_limit_address="0")


def _full_appliance(lengths: Lengths, id_kind: str) -> Appliance:
    """One that knows many ids already."""
    ours = _appliance()
    seconds = known_ids.fill(ours.folder / "appliance.db", 1, lengths.ids, id_kind)
    _say(f"{lengths.ids:,} {id_kind} ids put into the deduplication table in {seconds:.0f} s")
    return ours


# In turns


def _in_turns(
    bare: Bare, ours: Appliance, kinds: Sequence[str], connections: Sequence[int], lengths: Lengths
) -> list[Pair]:
    """Every load on ours, and a single on the limit right beside it, so that both see the same machine."""
    pairs = []
    for load in [Load(kind, count) for kind in kinds for count in connections]:
        rounds = []
        for _ in range(lengths.rounds):
            limit = closed_loop.run(bare, Load("single", load.connections), ours.project.public_key, lengths.turn)
            found = closed_loop.run(ours, load, ours.project.public_key, lengths.turn)
            ours.wait_until_drained()
            rounds.append(Pair(load, found, limit))
        middle = sorted(rounds, key=lambda pair: pair.ratio)[len(rounds) // 2]
        _warn_of_errors(middle.ours, f"{load.kind} at {load.connections}")
        pairs.append(middle)
    return pairs


def _pairs_table(pairs: Sequence[Pair]) -> str:
    head = (
        "load",
        "conns",
        "requests/s",
        "events/s",
        "p50 ms",
        "p99 ms",
        "bare/s",
        "ratio",
        "CPU µs a request",
        "bare",
        "others",
    )
    return table(
        head,
        (
            (
                pair.load.kind,
                str(pair.load.connections),
                f"{pair.ours.per_second:,.0f}",
                f"{pair.ours.per_second * pair.load.events:,.0f}",
                f"{pair.ours.p50_ms:.2f}",
                f"{pair.ours.p99_ms:.2f}",
                f"{pair.bare.per_second:,.0f}",
                f"{pair.ratio:.2f}",
                _cpu(pair.ours.cpu_us),
                _cpu(pair.bare.cpu_us),
                f"{max(pair.ours.others_percent, pair.bare.others_percent):.0f} %",
            )
            for pair in pairs
        ),
    )


# The goals


def _main_run(bare: Bare, ours: Appliance, lengths: Lengths, rate: int) -> list[tuple[str, str, str]]:
    key = ours.project.public_key
    began = ours.counters()
    limit = _limit(bare, key, lengths)
    single, single_lag = loaded(ours, MAIN, lengths.main)
    ids, _ = loaded(ours, Load("ids", 64), max(2, lengths.main // 3))
    batch, batch_lag = loaded(ours, BATCH, max(2, lengths.main // 3))
    limit = (limit + _limit(bare, key, lengths)) / 2
    quiet = open_loop.run(
        ours.port, open_loop.single_requests(key), rate=rate, seconds=lengths.open_loop, connections=64
    )
    ours.wait_until_drained()
    with Readers(ours) as readers:
        read = open_loop.run(
            ours.port, open_loop.single_requests(key), rate=rate, seconds=lengths.open_loop, connections=64
        )
    ours.wait_until_drained()
    time.sleep(lengths.rest)
    rested = ours.memory_mb()
    ended = ours.counters()
    stored = ended["events_stored"] - began["events_stored"]
    accepted = ended["events_accepted"] - began["events_accepted"]
    return [
        ("bare uvicorn, empty 202, 64 connections", f"{limit:,.0f}/s", ""),
        (f"durable singles/s ÷ bare, {lengths.main} s", f"{single.per_second / limit:.2f}", "must 0.40, goal 0.50"),
        ("the same, ids of the client's", f"{ids.per_second / limit:.2f}", ""),
        (
            "stored events/s in batches of 100 ÷ bare",
            f"{stored_rate(batch, batch_lag) / limit:.2f}",
            "must 1.2, goal 1.6",
        ),
        ("CPU µs a single, by process", _cpu(single.cpu_us), "<= 30 in serving"),
        ("p99 of a single at 64 connections, full load", f"{single.p99_ms:.1f} ms", "<= 15 ms"),
        (f"p99 at {rate:,}/s, open loop", _latency(quiet), "<= 15 ms"),
        (f"the same while a dashboard is read ({len(readers.seconds)} times)", _latency(read), "<= 15 ms"),
        ("the dashboard meanwhile, median", f"{percentile(readers.seconds, 50):.2f} s, {readers.failed} failed", ""),
        ("lag after singles / batches", f"{single_lag:.2f} / {batch_lag:.2f} s", ""),
        (
            f"memory {lengths.rest} s after load",
            ", ".join(f"{n} {mb:.0f}" for n, mb in rested.items()) + " MB",
            "<= 120 MB",
        ),
        ("accepted, stored", f"{accepted:,.0f}, {stored:,.0f}", "equal"),
        ("CPU time taken by other processes meanwhile", f"{single.others_percent:.0f} %", "about 0"),
    ]


def _limit(bare: Bare, key: str, lengths: Lengths) -> float:
    return closed_loop.run(bare, MAIN, key, max(2, lengths.main // 4)).per_second


def loaded(ours: Appliance, load: Load, seconds: int) -> tuple[Rate, float]:
    """The rate, and how long the database took to catch up."""
    found = closed_loop.run(ours, load, ours.project.public_key, seconds)
    _warn_of_errors(found, load.kind)
    return found, ours.wait_until_drained()


def stored_rate(rate: Rate, lag_seconds: float) -> float:
    """Events a second until the last one was in the database."""
    return rate.requests * BATCH.events / (rate.seconds + lag_seconds)


def _latency(found: open_loop.Latency) -> str:
    text = f"{found.p99_ms:.1f} ms (p50 {found.p50_ms:.1f}, max {found.max_ms:.0f}; sent late {found.late_p99_ms:.1f})"
    return f"{text}, {found.refused} refused" if found.refused else text


def _cpu(cpu_us: dict[str, float]) -> str:
    return ", ".join(f"{name} {spent:.1f}" for name, spent in cpu_us.items() if spent >= 0.05)


def _warn_of_errors(rate: Rate, what: str) -> None:
    if rate.refused or rate.broken:
        _say(f"{what}: {rate.refused} answers other than 2xx, {rate.broken} broken connections")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
