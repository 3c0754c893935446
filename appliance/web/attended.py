"""Questions are asked for as long as somebody waits for the answer.

The server tells that a client has left only to who listens: beside each question that a request asks the engine, its
`receive` is waited for, and the question is cancelled when that says so. What is received meanwhile is lost, and only
one may listen at a time: the body has to be read before, a request asks one thing after the other, and an answer that
is streamed asks with `parts.reports`, because Starlette listens itself while it streams, and cancels.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request

from appliance.errors import AskerGone
from appliance.queries.reports import Reports
from appliance.storage.evaluation import Answer, Plan, QueryEngine
from appliance.web.parts import parts_of

T = TypeVar("T")


async def while_there(request: Request, work: Awaitable[T]) -> T:
    """What `work` gives. When the client leaves first, the work is cancelled and AskerGone raised."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_leaving(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise AskerGone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _leaving(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass  # the empty body of a GET


def reports_of(request: Request) -> Reports:
    """The reports of pages, with imported figures; questions are cancelled when whoever sent the request leaves.

    Not those of a form: it may be read later, and is to do what it says although nobody waits for the page after it.
    """
    return counted_of(request).with_imported(parts_of(request).imported)


def counted_of(request: Request) -> Reports:
    """The same without imported figures, for what is asked of events and visits that are stored."""
    reports = parts_of(request).reports
    return attended(request, reports) if request.method in ("GET", "HEAD") else reports


def attended(request: Request, reports: Reports) -> Reports:
    """The same for any request whose body was read."""
    return reports.over(lambda engine: _Attended(engine, request))


class _Attended:
    """A QueryEngine for one request."""

    def __init__(self, engine: QueryEngine, request: Request) -> None:
        self.dialect, self.rolled_dialect = engine.dialect, engine.rolled_dialect
        self._engine = engine
        self._request = request

    async def ask(self, plan: Plan) -> Answer:
        return await while_there(self._request, self._engine.ask(plan))

    async def first_event(self, project_id: int) -> int | None:
        return await while_there(self._request, self._engine.first_event(project_id))

    async def close(self) -> None:
        """The engine is the appliance's and stays open."""
