"""`appliance serve`: one process, from settings to the last answered request."""

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import uvicorn
import uvloop
from starlette.routing import BaseRoute

from appliance import __version__, telemetry
from appliance.app import Appliance
from appliance.config import Settings
from appliance.ingest.protocol import IngestProtocol
from appliance.storage import accounts
from appliance.web.websocket import WebSocketProtocol

FAREWELL_SECONDS = 0.1  # for streams to say that they end, before their connections are closed
GRACE_SECONDS = 5  # for requests under way when the process is asked to end
SWITCH_INTERVAL_SECONDS = 0.0005  # how soon the loop gets the interpreter back from the drain: p99 13.6 -> 4.5 ms
BACKLOG = 4096
WS_BYTES_MAX = 64 << 10  # a message of a WebSocket's client, which nobody waits for
FILES_MAX = 1 << 20
GC_OBJECTS = 20_000  # new objects between two looks for cycles, of which a request makes none


class _Server(uvicorn.Server):
    """Uvicorn raises a signal again after it has shut down, which ends the process with 143; asked to end, we end
    with 0. Open streams are told at once, so that they do not hold up the shutdown."""

    def __init__(self, config: uvicorn.Config, appliance: Appliance) -> None:
        super().__init__(config)
        self._appliance = appliance

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._appliance.closing.set()
        asyncio.get_running_loop().call_later(FAREWELL_SECONDS, super().handle_exit, sig, frame)


def serve(settings: Settings, more_routes: Sequence[BaseRoute] = ()) -> None:
    """Serve until SIGTERM or SIGINT; then finish requests, sync, drain for a bounded time, and return.

    `more_routes` are served beside our own.
    """
    telemetry.configure_logs(settings.log_format)
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    # A connection is an open file, and the usual limit of a thousand is for programs that wait with select().
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX if most == resource.RLIM_INFINITY else most, most))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, more_routes))


async def _serve(settings: Settings, more_routes: Sequence[BaseRoute]) -> None:
    appliance = Appliance(settings, more_routes)
    await appliance.start()
    try:
        config = uvicorn.Config(
            appliance.endpoint,
            host=settings.host,
            port=settings.port,
            http=IngestProtocol,
            ws=WebSocketProtocol,
            ws_max_size=WS_BYTES_MAX,
            ws_per_message_deflate=False,  # CPU and memory for every reader
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        server = _Server(config, appliance)
        # What is loaded now stays: keeping it out of collections keeps their pauses short.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_OBJECTS, 20, 50)
        greeting = asyncio.create_task(_greet(appliance, server))
        await server.serve()
        greeting.cancel()
        if not server.started:
            raise SystemExit(f"cannot listen on {settings.host}:{settings.port}")
    finally:
        await appliance.stop()


async def _greet(appliance: Appliance, server: uvicorn.Server) -> None:
    """Once it listens, say where, and on a first run how to begin."""
    while not server.started:
        await asyncio.sleep(0.01)
    settings = appliance.settings
    port = server.servers[0].sockets[0].getsockname()[1]
    everywhere = settings.host in ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound
    host = "127.0.0.1" if everywhere else settings.host
    url = settings.public_url.rstrip("/") or f"http://{host}:{port}"
    lines = [f"Analytics appliance {__version__} listens at {url}"]
    if not await accounts.any_exist(appliance.database):
        lines.append(f"First run: create your account at {url}/setup?token={appliance.setup_token}")
    sys.stdout.write("\n".join(lines) + os.linesep)
    sys.stdout.flush()
