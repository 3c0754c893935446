"""A demonstration from start to end: the server in this process, unless one runs already, the visitors beside it."""

import asyncio
import http.client
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

import click
import msgspec

from appliance.config import Settings
from appliance.demo import site, stage
from appliance.demo.sender import get
from appliance.demo.stage import Stage
from appliance.demo.visitors import Play, Visitors
from appliance.errors import ApplianceError, ConfigurationError, DataFolderLocked, Unavailable
from appliance.storage.data_folder import lock_data_folder, make_data_folder

READY_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05


class Wish(msgspec.Struct, frozen=True):
    """What the command was asked for. `url` is that of a running server, '' for where the settings say. `once`: the
    past alone, without visitors afterwards."""

    project: str | None
    days: int
    events: int
    seed: int
    url: str
    once: bool


def run(settings: Settings, wish: Wish) -> None:
    """Set the stage and play until asked to stop. Raises Invalid, ConfigurationError, Unavailable."""
    served_already = _is_served(settings)
    if not served_already:
        if wish.url:
            raise ConfigurationError(f"--url: no server runs on {settings.data_dir}; leave it out, and one is started")
        settings = _with_free_port(settings)
    built = asyncio.run(stage.build(settings, wish.project))
    url = wish.url.rstrip("/") or _url(settings)
    play = Play(url, settings.data_dir, built.scenes, wish.days, wish.events, wish.seed)
    if served_already:
        _send(play, built, wish.once, site_served=False)
    else:
        _serve_and_send(settings, play, built, wish.once)


def _serve_and_send(settings: Settings, play: Play, built: Stage, once: bool) -> None:
    """The server keeps this process, so that signals reach it first; the visitors get one that ends with it."""
    from appliance.serve import serve  # heavy, and not needed beside a running server

    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_send_for_parent, args=(play, built, once, os.getpid()), daemon=True)
    process.start()
    try:
        serve(settings, site.routes(built.scenes))
    finally:
        process.terminate()
        process.join()


def _send_for_parent(play: Play, built: Stage, once: bool, server: int) -> None:
    """In the process beside the server: Ctrl-C is for the server, and when the visitors are done, so is the server."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _send(play, built, once, site_served=True)
    except ApplianceError as error:
        click.echo(f"appliance: {error}", err=True)
    os.kill(server, signal.SIGTERM)


def _end_with_parent() -> None:
    """However it ends: nobody is left to send to."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)


def _send(play: Play, built: Stage, once: bool, *, site_served: bool) -> None:
    signal.signal(signal.SIGTERM, _leave)
    _wait_until_ready(play.url)
    _introduce(play, built, site_served)
    visitors = Visitors(play, click.echo)
    try:
        visitors.past()
        if not once:
            click.echo("Visitors keep arriving. Ctrl-C stops.")
            visitors.live()
    except KeyboardInterrupt:
        click.echo("")


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _introduce(play: Play, built: Stage, site_served: bool) -> None:
    lines = ["", f"  Dashboard   {play.url}"]
    lines.append("  Log in      {} / {}".format(*built.login) if built.login else "  Log in      with your account")
    if site_served:
        lines.append(
            f"  Demo site   {play.url}{site.HOME}   pages with the real tracker: click, and watch the live page"
        )
    lines += ["", f"Sending {play.days} days of traffic to {', '.join(s.world.domain for s in built.scenes)}."]
    click.echo("\n".join(lines))


def _wait_until_ready(url: str) -> None:
    """Raises Unavailable."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            if (said := get(url, "/readyz")).startswith("200"):
                return
        except (OSError, http.client.HTTPException) as error:
            said = str(error)
        if time.monotonic() > deadline:
            raise Unavailable(f"no appliance is ready at {url}: {said}")
        time.sleep(POLL_SECONDS)


def _is_served(settings: Settings) -> bool:
    make_data_folder(settings.data_dir)
    try:
        lock_data_folder(settings.data_dir).close()
    except DataFolderLocked:
        return True
    return False


def _with_free_port(settings: Settings) -> Settings:
    """The settings, with another port where theirs is taken."""
    for port in (settings.port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError:
                continue
            return msgspec.structs.replace(settings, port=probe.getsockname()[1])
    return settings


def _url(settings: Settings) -> str:
    """Where this machine reaches the server."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
