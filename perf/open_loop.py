"""At a fixed rate, whatever the answers do (open loop): the latency that visitors would see.

Requests are due at fixed times. One that finds every connection busy waits, and its wait counts, so a stall of the
server is paid by all who would have come meanwhile (no coordinated omission). How late the generator itself was, with a
connection at hand, is measured apart: where that is large, the machine is too busy for the figures to say much.
"""

import asyncio
import time
from collections import deque
from typing import NamedTuple, cast

import uvloop

from perf.figures import percentile


class Latency(NamedTuple):
    """Milliseconds from when a request was due until its answer was there; `late_p99_ms` is the generator's delay."""

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    late_p99_ms: float
    refused: int


class _Connection(asyncio.Protocol):
    """One connection; answers have a Content-Length, as the ingest API's do."""

    def __init__(self, free: "asyncio.Queue[_Connection]", taken: list[float]) -> None:
        self._free = free
        self._taken = taken
        self._due = 0.0
        self._got = b""
        self.refused = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but ancestry

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._got = b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._taken.append(time.perf_counter() - self._due)
            self.refused += not head.startswith(b"HTTP/1.1 202")
            self._free.put_nowait(self)

    def close(self) -> None:
        self._transport.close()


def run(
    port: int, requests: list[bytes], *, rate: float, seconds: float, connections: int, apart: bool = False
) -> Latency:
    """Send the requests in turn at `rate` a second. `apart`: every connection has an address of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(port, requests, rate, seconds, connections, apart))


async def _run(port: int, requests: list[bytes], rate: float, seconds: float, connections: int, apart: bool) -> Latency:
    loop = asyncio.get_running_loop()
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    taken: list[float] = []
    late: deque[float] = deque()
    opened = []
    for number in range(connections):
        own = (f"127.0.1.{number % 250 + 1}", 0) if apart else None
        _, connection = await loop.create_connection(
            lambda: _Connection(free, taken), "127.0.0.1", port, local_addr=own
        )
        opened.append(connection)
        free.put_nowait(connection)
    count = round(rate * seconds)
    began = time.perf_counter() + 0.05
    for number in range(count):
        due = began + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        had_one = not free.empty()
        connection = await free.get()
        if had_one:
            late.append(time.perf_counter() - due)
        connection.send(requests[number % len(requests)], due)
    async with asyncio.timeout(30):
        while len(taken) < count:
            await asyncio.sleep(0.01)
    for connection in opened:
        connection.close()
    return Latency(
        count,
        rate,
        1000 * percentile(taken, 50),
        1000 * percentile(taken, 99),
        1000 * max(taken),
        1000 * percentile(late, 99),
        sum(connection.refused for connection in opened),
    )


def single_requests(key: str, count: int = 500) -> list[bytes]:
    """Server-side events, one a request, as events.lua's `single`."""
    made = []
    for i in range(count):
        body = (
            f'{{"event":"pageview","url":"https://perf.example/page/{i % 97}","ip":"84.128.{i % 64}.{i % 251 + 1}",'
            '"user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",'
            f'"language":"de-DE","properties":{{"plan":"pro","step":{i % 7}}}}}'
        ).encode()
        head = (
            "POST /api/v1/events/ingest HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made
