"""`appliance demo`."""

import os
from pathlib import Path
from typing import Any

import click

from appliance import config

DATA_FOLDER = Path("data/demo")


@click.command()
@click.option("--days", type=click.IntRange(1, 730), default=30, show_default=True, help="How much of the past.")
@click.option(
    "--events",
    type=click.IntRange(1),
    default=200_000,
    show_default=True,
    help="About how many page views and custom events in these days.",
)
@click.option("--project", metavar="DOMAIN", help="Send to this project alone, made where there is none.")
@click.option("--seed", type=int, default=1, show_default=True, help="Other numbers are other traffic.")
@click.option("--host", help="Address to listen on. [APPLIANCE_HOST]")
@click.option("--port", help="Port to listen on; another one where it is taken. [APPLIANCE_PORT]")
@click.option("--url", default="", help="Where the server runs, if one does and not where the settings say.")
@click.option("--once", is_flag=True, help="Stop when the past is there.")
@click.pass_context
def demo(context: click.Context, /, host: str | None, port: str | None, **wish: Any) -> None:
    """Show generated traffic, past and live, on two sites.

    Starts a server, unless one runs on the data folder. Without --data-dir or APPLIANCE_DATA_DIR that folder is
    data/demo, so that real data stay by themselves.
    """
    from appliance.demo.run import Wish, run  # heavy, and only this command needs it

    flags = {"host": host, "port": port, "data_dir": context.find_root().obj}
    if flags["data_dir"] is None and config.PREFIX + "DATA_DIR" not in os.environ:
        flags["data_dir"] = DATA_FOLDER
    if config.PREFIX + "LOG_FORMAT" not in os.environ:
        flags["log_format"] = "text"
    run(config.load(**flags), Wish(**wish))
