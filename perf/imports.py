"""How fast an access log is imported: `python -m perf.imports [--lines N]`.

The log is made up: every third line is a visitor's page view, the others are files, robots and errors, as servers have
them. It is imported once without a server, and once beside one that takes events meanwhile, whose answers are timed.
"""

import argparse
import os
import random
import resource
import shutil
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from perf import open_loop
from perf.figures import table
from perf.open_loop import Latency
from perf.processes import DOMAIN, Appliance, busy_seconds

DAYS = 30
RATE = 500  # live events a second
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5"
    " Mobile/15E148 Safari/604.1"
)
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    IPHONE,
)
ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
REFERRERS = ("-", "-", "https://www.google.com/", f"https://{DOMAIN}/", "https://news.example/story?id=1")


def write_log(path: Path, lines: int) -> None:
    """A combined log of `lines` lines over DAYS days."""
    chance = random.Random(1)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w") as file:
        for number in range(lines):
            time_text = f"{begin + timedelta(seconds=number * DAYS * 86_400 // lines):%d/%b/%Y:%H:%M:%S +0000}"
            person = chance.randrange(lines // 20 + 1)
            kind = chance.random()
            target = f"/blog/post-{chance.randrange(2000)}?utm_source=letter" if kind < 0.45 else f"/assets/{kind}.js"
            agent = ROBOT if kind < 0.1 else AGENTS[person % len(AGENTS)]
            status = 404 if 0.1 < kind < 0.12 else 200
            file.write(
                f"81.{person >> 16 & 255}.{person >> 8 & 255}.{person & 255} - - [{time_text}]"
                f' "GET {target} HTTP/1.1" {status} 5120 "{chance.choice(REFERRERS)}" "{agent}"\n'
            )


def import_log(server: Appliance, path: Path) -> tuple[dict[str, Any], float, float]:
    """What the command said, how many seconds it took, and how many of its own CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    found = server.cli("import", str(path), "--project", DOMAIN, "--json")[0]
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found, seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(name: str, lines: int, found: dict[str, Any], seconds: float, cpu: dict[str, float]) -> list[str]:
    spent = sum(cpu.values())
    return [
        name,
        f"{seconds:.1f}",
        f"{lines / seconds:,.0f}",
        f"{found['rows'] / seconds:,.0f}",
        f"{spent / lines * 1e6:.1f}",
        ", ".join(f"{part} {value:.1f} s" for part, value in cpu.items()),
    ]


def beside(server: Appliance, path: Path) -> tuple[dict[str, Any], float, dict[str, float], Latency, Latency]:
    """Import while events are sent: before, and meanwhile, how long they waited for their answers."""
    quiet = _send(server, 10)
    before = server.cpu_seconds()
    result: list[Any] = []
    importing = threading.Thread(target=lambda: result.extend(import_log(server, path)))
    importing.start()
    latencies = []
    while importing.is_alive():
        latencies.append(_send(server, 5))
    importing.join()
    found, seconds, own = result
    cpu = {name: spent - before.get(name, 0.0) for name, spent in server.cpu_seconds().items()}
    return found, seconds, {"importer": own, **cpu}, quiet, max(latencies, key=lambda latency: latency.p99_ms)


def _send(server: Appliance, seconds: float) -> Latency:
    requests = open_loop.single_requests(server.project.public_key)
    return open_loop.run(server.port, requests, rate=RATE, seconds=seconds, connections=16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    lines = parser.parse_args().lines
    busy, began = busy_seconds(), time.perf_counter()
    rows = []
    with tempfile.TemporaryDirectory(prefix="appliance-perf-") as folder:
        path = Path(folder) / "access.log"
        write_log(path, lines)
        print(f"{lines:,} lines, {path.stat().st_size >> 20} MB")
        alone = Appliance()
        try:
            found, seconds, cpu = import_log(alone, path)
            rows.append(row("without a server", lines, found, seconds, {"importer": cpu}))
            _, again, _ = import_log(alone, path)
        finally:
            shutil.rmtree(alone.folder)
        with Appliance() as server:
            found, seconds, parts, quiet, meanwhile = beside(server, path)
            rows.append(row("beside a server", lines, found, seconds, parts))
            memory = ", ".join(f"{name} {megabytes:.0f} MB" for name, megabytes in server.memory_mb().items())
    print(table(["import", "seconds", "lines/s", "events stored/s", "CPU µs a line", "of which"], rows))
    print(f"again, nothing new: {again:.1f} s; memory of the importer at most {_peak_mb():.0f} MB, then {memory}")
    for name, latency in (("before", quiet), ("meanwhile", meanwhile)):
        print(
            f"live events {name}: {latency.rate:,.0f}/s, p50 {latency.p50_ms:.1f} ms, p99 {latency.p99_ms:.1f} ms,"
            f" most {latency.max_ms:.0f} ms, refused {latency.refused}, sent late p99 {latency.late_p99_ms:.1f} ms"
        )
    spent = busy_seconds() - busy
    own = resource.getrusage(resource.RUSAGE_SELF).ru_utime + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    share = max(0.0, spent - own) / (time.perf_counter() - began) / (os.cpu_count() or 1)
    print(f"other processes took {share:.0%} of the machine")


def _peak_mb() -> float:
    """The largest of the commands that were run."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


if __name__ == "__main__":
    main()
