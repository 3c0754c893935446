"""Connections that bring too little or too much of a request, over a real socket to the protocol in this process."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn
from uvicorn.server import ServerState

from appliance.ingest import protocol
from appliance.ingest.protocol import HEAD_BYTES_MAX, IngestProtocol
from tests.running import INGEST, Running

EVENT = b'{"event":"a"}'
Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def port(running: Running, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.4)
    config = uvicorn.Config(running.appliance.endpoint, http=IngestProtocol, lifespan="off", proxy_headers=False)
    config.timeout_keep_alive = 0.2  # type: ignore[assignment]
    config.load()
    state = ServerState()
    make = lambda: IngestProtocol(config, state, {})  # noqa: E731
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1])
    server.close()
    for connection in list(state.connections):
        connection.transport.abort()


def head(running: Running, length: int, path: str = INGEST) -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {running.key}\r\ncontent-length: {length}\r\n\r\n".encode()


async def seconds_until_closed(wire: Wire) -> float:
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(10):
        assert await wire[0].read() == b""
    wire[1].close()
    return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("sent", ["nothing", "half a head", "half a body", "half a body on the other way"])
async def test_who_does_not_go_on_is_left(running: Running, port: int, sent: str) -> None:
    wire = await asyncio.open_connection("127.0.0.1", port)
    half = head(running, 100) + b"{"
    what = {"nothing": b"", "half a head": half[:20], "half a body": half, "half a body on the other way": b""}[sent]
    wire[1].write(what or (head(running, 100, "/api/v1/upload") + b"{" if "other" in sent else b""))
    assert await seconds_until_closed(wire) < 3


async def test_a_head_that_comes_in_drops_is_not_waited_for(port: int) -> None:
    wire = await asyncio.open_connection("127.0.0.1", port)
    wire[1].write(b"POST / HTTP/1.1\r\nx: ")
    closed = asyncio.create_task(seconds_until_closed(wire))
    while not closed.done():
        wire[1].write(b"a")
        await asyncio.sleep(0.05)
    assert closed.result() < 3


async def test_a_body_that_comes_in_drops_is_taken(running: Running, port: int) -> None:
    wire = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):  # the second has a timer of another kind
        wire[1].write(head(running, len(EVENT)))
        for at in range(len(EVENT)):
            wire[1].write(EVENT[at : at + 1])
            await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            assert (await wire[0].readuntil(b"\r\n")).startswith(b"HTTP/1.1 202 ")
            rest = await wire[0].readuntil(b"\r\n\r\n")
            length = int(rest.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await wire[0].readexactly(length)
    wire[1].close()


@pytest.mark.parametrize("beginning", [b"GET /", b"GET / HTTP/1.1\r\nx: ", b"GET / HTTP/1.1\r\n", b"chunked"])
async def test_a_head_without_an_end_is_refused(running: Running, port: int, beginning: bytes) -> None:
    wire = await asyncio.open_connection("127.0.0.1", port)
    more = b"a: b\r\n" if beginning.endswith(b"1.1\r\n") else b"a" * 1000
    if beginning == b"chunked":  # what stands behind a body is one too
        chunked = head(running, 0, "/api/v1/query").replace(b"content-length: 0", b"transfer-encoding: chunked")
        beginning = chunked + b"0\r\nx: "
    wire[1].write(beginning)
    sent = 0
    try:
        while sent < 8 * HEAD_BYTES_MAX:
            wire[1].write(more)
            sent += len(more)
            if sent % 50_000 < len(more):
                await wire[1].drain()
                await asyncio.sleep(0.01)
    except ConnectionError:
        pass
    assert sent < 8 * HEAD_BYTES_MAX
    wire[1].close()


async def test_a_long_body_is_no_long_head(running: Running, port: int) -> None:
    wire = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"event":"a","properties":{"a":"' + b"x" * 60_000 + b'"}}'
    batch = b'{"events":[' + b",".join([body] * 8) + b"]}"
    for _ in range(3):
        wire[1].write(head(running, len(batch)) + batch)
    async with asyncio.timeout(10):
        for _ in range(3):
            assert (await wire[0].readuntil(b"\r\n")).startswith(b"HTTP/1.1 202 ")
            rest = await wire[0].readuntil(b"\r\n\r\n")
            await wire[0].readexactly(int(rest.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    wire[1].close()
