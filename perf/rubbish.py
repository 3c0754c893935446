"""What somebody who sends nothing but rubbish costs everybody else: `python -m perf.rubbish`. See README.md."""

import argparse
import contextlib
import gzip
import multiprocessing
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

from perf import closed_loop
from perf.closed_loop import Load
from perf.figures import table
from perf.processes import Appliance

OTHERS = Load("single", 64)
SETTLING_SECONDS = 12  # an hour has no beginning: what an address has free is used up before


def request(body: bytes, header: str) -> bytes:
    head = f"POST /api/v1/events/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{header}\r\n\r\n"
    return head.encode() + body


def kinds(key: str) -> dict[str, bytes]:
    """Rubbish by name: what one client sends again and again."""
    named = f"x-api-key: {key}"
    return {
        "no JSON": request(b"{", named),
        "unknown key": request(b'{"event": "x"}', "x-api-key: sa_nobody"),
        "1,000 events without names": request(b'{"events": [' + b",".join([b"{}"] * 1000) + b"]}", named),
        "a gzip bomb": request(gzip.compress(bytes(6 << 20)), named),
        "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    }


def send(port: int, data: bytes, connections: int, answered: Any) -> None:
    """Send it over so many connections for ever, each time as soon as the last was answered."""

    def loop() -> None:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 30) as connection:
                connection.sendall(data)
                while connection.recv(65536):
                    with answered.get_lock():
                        answered.value += 1
                    connection.sendall(data)

    for _ in range(connections):
        threading.Thread(target=loop, daemon=True).start()
    threading.Event().wait()


@contextlib.contextmanager
def sending(port: int, data: bytes, connections: int) -> Iterator[Any]:
    """Somebody who sends rubbish while the block runs; gives how often it was answered so far."""
    answered = multiprocessing.Value("q", 0)
    client = multiprocessing.Process(target=send, args=(port, data, connections, answered), daemon=True)
    client.start()
    try:
        yield answered
    finally:
        client.terminate()
        client.join()


def measure(ours: Appliance, data: bytes, seconds: int, connections: int, rounds: int) -> tuple[str, ...]:
    """What the rubbish takes of the serving process's time while nobody else is there; the others' rate beside it over
    their rate alone, in turns; answers to rubbish a second; what memory and log grew by."""
    assert ours.log is not None
    key = ours.project.public_key
    memory, log = ours.memory_mb()["serving"], os.fstat(ours.log.fileno()).st_size
    shares, rates, total = [], [], 0
    for _ in range(rounds):
        with sending(ours.port, data, connections) as answered:
            time.sleep(SETTLING_SECONDS)
            before, busy_before = answered.value, ours.cpu_seconds()["serving"]
            time.sleep(seconds)
            shares.append((ours.cpu_seconds()["serving"] - busy_before) / seconds)
            total += answered.value - before
            beside = closed_loop.run(ours, OTHERS, key, seconds)
        alone = closed_loop.run(ours, OTHERS, key, seconds)
        ours.wait_until_drained()
        rates.append(beside.per_second / alone.per_second)
    return (
        f"{100 * sorted(shares)[rounds // 2]:.1f} %",
        f"{sorted(rates)[rounds // 2]:.2f}",
        f"{total / rounds / seconds:,.0f}",
        f"{ours.memory_mb()['serving'] - memory:+.0f} MB",
        f"{os.fstat(ours.log.fileno()).st_size - log:,} bytes",
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m perf.rubbish", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each turn (default 10)")
    parser.add_argument("--connections", type=int, default=16, help="of who sends rubbish (default 16)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    closed_loop.check()
    rows = []
    with tempfile.TemporaryFile() as log:
        ours = Appliance()
        ours.log = log
        with ours:
            for name, data in kinds(ours.project.public_key).items():
                found = measure(ours, data, options.seconds, options.connections, options.rounds)
                rows.append((name, *found))
    print(table(("rubbish", "of the process", "others' rate", "answers a second", "memory", "log"), rows))


if __name__ == "__main__":
    main()
