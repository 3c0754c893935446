"""As fast as it goes: wrk keeps every connection busy (closed loop), so its latencies are those at full load."""

import json
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from perf.processes import Server, busy_seconds

EVENTS = Path(__file__).with_name("events.lua")
REPLAY = Path(__file__).with_name("replay.lua")
EVENTS_A_BATCH = 100


class Load(NamedTuple):
    """What is sent: KIND of events.lua over that many connections."""

    kind: str
    connections: int

    @property
    def events(self) -> int:
        return EVENTS_A_BATCH if self.kind.startswith("batch") else 1


class Rate(NamedTuple):
    """What came of it. CPU in µs a request, by process; `others_percent` is how much of all CPU time went to processes
    that have no part in this: where it is not next to nothing, requests a second say little, CPU a request still does.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int
    cpu_us: dict[str, float]
    others_percent: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def check() -> None:
    """Raises SystemExit where wrk is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing; on Debian and Ubuntu: sudo apt-get install wrk")


def run(server: Server, load: Load, key: str, seconds: int) -> Rate:
    """Load a server for that long."""
    return _run(server, load.connections, seconds, EVENTS, load.kind, key)


def replay(server: Server, requests: Path, connections: int, seconds: int) -> Rate:
    """Send the requests that a file holds (replay.lua), again and again, for that long."""
    return _run(server, connections, seconds, REPLAY, str(requests))


def _run(server: Server, connections: int, seconds: int, script: Path, *arguments: str) -> Rate:
    before, busy_before, wrk_before = server.cpu_seconds(), busy_seconds(), _children_seconds()
    began = time.perf_counter()
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
        "-s", str(script), server.url, "--", *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds + 60)
    took = time.perf_counter() - began
    after, busy, wrk = server.cpu_seconds(), busy_seconds() - busy_before, _children_seconds() - wrk_before
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise SystemExit(f"wrk said: {done.stdout}{done.stderr}")
    found = json.loads(lines[0].removeprefix("RESULT "))
    cpu = {name: 1e6 * (spent - before.get(name, 0.0)) / max(1, found["requests"]) for name, spent in after.items()}
    others = max(0.0, busy - wrk - (sum(after.values()) - sum(before.values())))
    return Rate(
        found["requests"],
        found["seconds"],
        found["p50_ms"],
        found["p99_ms"],
        found["refused"],
        found["broken"],
        cpu,
        100 * others / took / (os.cpu_count() or 1),
    )


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
