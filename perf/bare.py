"""The limit: uvicorn with nothing behind it, as `appliance serve` runs it. `python -m perf.bare PORT`."""

import sys
from typing import Any

import uvicorn

_START = {"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]}
_BODY = {"type": "http.response.body", "body": b""}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """202 and nothing, without reading the body."""
    await send(_START)
    await send(_BODY)


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=4096,
    )
