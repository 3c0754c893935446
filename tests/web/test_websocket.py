"""A client that is gone does not hold a connection, nor what was to be written to it."""

import asyncio
from typing import Any

import uvicorn

from appliance.web.websocket import WebSocketProtocol

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def test_who_neither_reads_nor_answers_pings_is_left() -> None:
    stuck, left = asyncio.Event(), asyncio.Event()

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        try:
            while True:
                writing = asyncio.ensure_future(send({"type": "websocket.send", "text": "x" * 100_000}))
                done, _ = await asyncio.wait([writing], timeout=0.1)
                if not done:
                    stuck.set()
                await writing
        except OSError:
            left.set()

    config = uvicorn.Config(
        talk, port=0, ws=WebSocketProtocol, ws_ping_interval=0.3, ws_ping_timeout=0.3, lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    writer.write(HANDSHAKE)
    assert b" 101 " in await reader.readline()
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        await stuck.wait()
        await left.wait()
    writer.close()
    server.should_exit = True
    await serving
