"""A site of its own for each test of a web tracker's dialect, and what is stored of it, as the exports tell it."""

import json
from itertools import count
from typing import Any

from httpx2 import Response

from appliance import clock
from appliance.model import ProjectSettings
from appliance.storage import projects
from tests.ingest.dialects.stored import Row, export
from tests.running import FIREFOX, Running

_numbers = count(1)


class Site(Running):
    """`host` is its domain. What is sent comes from a browser there, unless headers say otherwise ('': not sent)."""

    host: str

    @property
    def url(self) -> str:
        return f"https://{self.host}/a"

    def browser(self, **headers: str) -> dict[str, str]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        merged = {"user-agent": FIREFOX, "origin": f"https://{self.host}"} | names
        return {name: value for name, value in merged.items() if value or name == "user-agent"}

    async def post(self, path: str, body: Any, **headers: str) -> Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8", "surrogatepass")
        return await self.http.post(path, content=content, headers=self.browser(**headers))

    async def export(self, dataset: str) -> list[Row]:
        """All rows of a dataset, in order of time."""
        order = {"events": "timestamp", "visits": "start"}[dataset]
        return sorted(await export(self, dataset), key=lambda row: str(row[order]))

    async def events(self, *columns: str) -> list[Any]:
        """The stored events; with columns only their values, '' where there is none."""
        rows = await self.export("events")
        if not columns:
            return rows
        values = [tuple(row.get(column, "") for column in columns) for row in rows]
        return [value[0] for value in values] if len(columns) == 1 else values

    async def event(self) -> Row:
        """The one event that is stored."""
        (row,) = await self.events()
        return dict(row)

    def refused(self) -> list[str]:
        """Why events of this site were not taken, oldest first."""
        return [r.reason for r in reversed(self.appliance.refusals.newest(self.project.id, clock.now()))]


async def make_site(running: Running, *domains: str, timezone: str = "UTC", **settings: Any) -> Site:
    """A new site in a running appliance, with a domain of its own and others; `settings` are those of its project."""
    database, host = running.appliance.database, f"site{next(_numbers)}.example"
    made = await projects.create(
        database,
        name=host,
        domains=[host, *domains],
        timezone=timezone,
        private_key=True,
        actor="test",
        at=clock.now(),
    )
    if settings:
        wanted = ProjectSettings(**settings)
        await projects.update(database, made.project, settings=wanted, actor="test", at=clock.now())
    site = Site(running.appliance, made)
    site.host = host
    return site
