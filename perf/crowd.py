"""Clients that others should not notice: `python -m perf.crowd KIND PORT COUNT SECONDS`, from 127.0.0.2.

idle      so many connections that say nothing
slow      so many that send a request byte by byte, one a second each
rubbish   so many that send what is no event, each as fast as it is answered
It says READY once all are connected, and ends after so many seconds.
"""

import asyncio
import random
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import uvloop

ADDRESS: Final = "127.0.0.2"
CONNECTING_AT_ONCE: Final = 200
_REQUEST: Final = b"POST /api/v1/events/ingest HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 400\r\n\r\n" + b" " * 400

Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _idle(connected: Connected, until: float) -> None:
    await asyncio.sleep(until - time.monotonic())


async def _slow(connected: Connected, until: float) -> None:
    _, writer = connected
    for byte in _REQUEST:
        if time.monotonic() > until or writer.is_closing():
            return
        writer.write(bytes([byte]))
        await asyncio.sleep(1)


async def _rubbish(connected: Connected, until: float) -> None:
    reader, writer = connected
    chance = random.Random(id(writer))
    while time.monotonic() < until:
        body = chance.choice((b"{", b"[]", b'{"event":""}', b'{"events":[1,2,{}]}', chance.randbytes(300)))
        head = f"POST /api/v1/events/ingest HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)


KINDS: Final[dict[str, Callable[[Connected, float], Coroutine[Any, Any, None]]]] = {
    "idle": _idle,
    "slow": _slow,
    "rubbish": _rubbish,
}


async def _run(kind: str, port: int, count: int, seconds: float) -> None:
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def connect() -> Connected:
        async with gate:
            return await asyncio.open_connection("127.0.0.1", port, local_addr=(ADDRESS, 0))

    connected = await asyncio.gather(*(connect() for _ in range(count)))
    print("READY", flush=True)
    until = time.monotonic() + seconds
    await asyncio.gather(*(KINDS[kind](one, until) for one in connected), return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
