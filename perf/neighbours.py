"""Measures what a usual client notices of the others: `python -m perf.neighbours`.

Single events come at a fixed rate over 64 connections, each from an address of its own (open_loop.py): at first alone,
then beside others (crowd.py): 10,000 connections that say nothing, a thousand that send a byte a second, sixteen that
send rubbish as fast as they are let, people who read dashboards, and the job that seals days. Then as many requests as
go, each on a connection of its own, beside bare uvicorn.
"""

import argparse
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from perf import closed_loop, open_loop
from perf.closed_loop import Load
from perf.figures import table
from perf.open_loop import Latency
from perf.processes import DOMAIN, Appliance, Bare
from perf.readers import Readers

CROWDS: Final = (("idle", 10_000), ("slow", 1_000), ("rubbish", 16))
PAST_DAYS: Final = 20
PAST_EVENTS: Final = 5_000  # a day


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m perf.neighbours", description=__doc__)
    options.add_argument("--rate", type=int, default=2000, help="requests a second")
    options.add_argument("--seconds", type=int, default=15, help="of each")
    chosen = options.parse_args()
    closed_loop.check()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows = []
    with Appliance() as ours:
        _send_past(ours)
        requests = open_loop.single_requests(ours.project.public_key)

        def measure(beside: str) -> None:
            found = open_loop.run(
                ours.port, requests, rate=chosen.rate, seconds=chosen.seconds, connections=64, apart=True
            )
            ours.wait_until_drained()
            rows.append(_row(beside, found, ours))
            print(rows[-1], flush=True)

        measure("nothing")
        for kind, count in CROWDS:
            with _crowd(kind, ours.port, count, chosen.seconds + 5):
                measure(f"{count:,} {kind}")
        with Readers(ours):
            measure("a reader of dashboards")
        with _sealing(ours) as sealed:
            measure("sealing")
        print(f"sealed {len(sealed)} times meanwhile")
        measure("nothing, again")
    head = ("beside", "p50 ms", "p99 ms", "max ms", "sent late, p99", "refused", "memory, MB")
    print(table(head, rows))
    with Appliance(rate_limit_address="0") as ours, Bare() as bare:
        print(_no_keep_alive(ours, bare, chosen.seconds))


def _row(beside: str, found: Latency, ours: Appliance) -> tuple[str, ...]:
    figures = (found.p50_ms, found.p99_ms, found.max_ms, found.late_p99_ms)
    memory = ours.memory_mb()["serving"]
    return (beside, *(f"{value:.1f}" for value in figures), str(found.refused), f"{memory:.0f}")


def _no_keep_alive(ours: Appliance, bare: Bare, seconds: int) -> str:
    load, key = Load("close", 64), ours.project.public_key
    rates = [closed_loop.run(server, load, key, seconds).per_second for server in (bare, ours)]
    return (
        f"without keep-alive: {rates[1]:,.0f} requests/s, bare uvicorn {rates[0]:,.0f}, ratio {rates[1] / rates[0]:.2f}"
    )


@contextmanager
def _crowd(kind: str, port: int, count: int, seconds: int) -> Iterator[None]:
    command = [sys.executable, "-m", "perf.crowd", kind, str(port), str(count), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as crowd:
        assert crowd.stdout is not None
        if crowd.stdout.readline() != b"READY\n":
            raise SystemExit(f"the crowd of {kind} clients did not come up")
        try:
            yield
        finally:
            crowd.terminate()


def _send_past(ours: Appliance) -> None:
    """Days that are over, so that there is something to seal."""
    now = time.time()
    for day in range(3, 3 + PAST_DAYS):
        for part in range(0, PAST_EVENTS, 1000):
            events = [
                {
                    "event": "pageview", "url": f"https://{DOMAIN}/{n % 97}", "user_id": f"{day}-{n % 700}",
                    "timestamp": now - day * 86_400 + n,
                }
                for n in range(part, part + 1000)
            ]  # fmt: skip
            ours.send({"events": events})
    ours.wait_until_drained()


@contextmanager
def _sealing(ours: Appliance) -> Iterator[list[None]]:
    """Somebody who seals again and again; the list grows by each time that was finished."""
    stop, times = threading.Event(), list[None]()

    def work() -> None:
        while not stop.is_set():
            subprocess.run(
                [sys.executable, "-m", "appliance", "seal"],
                check=True,
                env=ours.environment(),
                stdout=subprocess.DEVNULL,
            )
            times.append(None)

    thread = threading.Thread(target=work)
    with ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(stop.set)
        thread.start()
        yield times


if __name__ == "__main__":
    main()
