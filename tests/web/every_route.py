"""Every route of a running appliance, for tests of what they all do."""

import re
from collections.abc import Iterator

from starlette.applications import Starlette
from starlette.routing import Route

from tests.running import Running


def routes(running: Running) -> Iterator[tuple[str, str]]:
    """Method and path of everything behind the ingest endpoint."""
    app = running.appliance.endpoint._app
    while not isinstance(app, Starlette):
        app = app.app  # type: ignore[attr-defined]
    for route in app.routes:
        if isinstance(route, Route):
            for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
                yield method, route.path


def filled(path: str, site: str, number: str = "1") -> str:
    """The path with `site` where it names one, and `number` for anything else."""
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: site if found[1] in ("site", "project") else number, path)
