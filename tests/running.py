"""An appliance in the test's own process, asked over ASGI: everything is real but the socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from httpx2 import ASGITransport, AsyncClient, Response

from appliance import clock
from appliance.config import Settings
from appliance.storage import projects
from appliance.storage.projects import NewProject

if TYPE_CHECKING:
    from appliance.app import Appliance

INGEST = "/api/v1/events/ingest"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"
BROWSER = {"origin": "https://example.com", "user-agent": FIREFOX}


@asynccontextmanager
async def started(folder: Path, **settings: Any) -> "AsyncIterator[Running]":
    """A whole appliance in this process on that folder, its drain beside it, with a project for example.com."""
    from appliance.app import Appliance  # the whole application: only for the tests that need it

    appliance = Appliance(Settings(data_dir=folder, rate_limit_address=0, **settings))
    await appliance.start()
    made = await projects.create(
        appliance.database, name="Site", domains=["example.com"], private_key=True, actor="test", at=clock.now()
    )
    async with Running(appliance, made) as joined:
        yield joined
    await appliance.stop()


class Running:
    """A client of it. `key` is the project's public key, `private` its private one."""

    def __init__(self, appliance: "Appliance", made: NewProject) -> None:
        self.appliance = appliance
        self.project = made.project
        self.key = made.public_key.token or ""
        self.private = made.private_key or ""

    async def __aenter__(self) -> Self:
        # The address that the client seems to come from belongs to nobody (RFC 5737).
        transport = ASGITransport(self.appliance.endpoint, client=("203.0.113.7", 4711))
        self.http = AsyncClient(transport=transport, base_url="http://appliance.test")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def send(self, body: Any, *, path: str = INGEST, key: str | None = None, **headers: str) -> Response:
        """Post a body (bytes as they are, else as JSON) with the public key."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        names = {"x-api-key": self.key if key is None else key} | names
        if key == "":
            del names["x-api-key"]
        if isinstance(body, bytes):
            return await self.http.post(path, content=body, headers=names)
        return await self.http.post(path, json=body, headers=names)

    async def stored(self) -> int:
        """Number of stored events, once everything accepted so far is drained."""
        await self.drained()
        ((number,),) = await self.appliance.database.read("SELECT count(*) FROM event")
        return int(number)

    async def drained(self) -> None:
        async with asyncio.timeout(20):
            while self.appliance.drain.position != self.appliance.journal.end:
                await asyncio.sleep(0.01)
