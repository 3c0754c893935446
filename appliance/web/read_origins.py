"""Pages of other origins that may ask what system C's dashboard asks: cross-origin requests (CORS), by a list.

They say who they are with a token in a header, never with a cookie: credentials are not allowed. Ingestion, which
anybody's pages send to, has answers of its own.
"""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATHS: Final = ("/api/v1/auth", "/api/v1/projects", "/api/v1/analytics", "/api/v1/live")
ALLOWED_KEY: Final = "appliance.read_origin"  # in the scope of a request that comes from an origin of the list

_PREFLIGHT: Final = {
    "access-control-allow-methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "86400",
}
_EXPOSED: Final = "retry-after, x-request-id, x-sampled"


class ReadOrigins:
    """Lets pages of these origins read the answers at PATHS, errors included. Without origins nothing is different.

    It goes around the whole application, so that the answer to a crash has the headers too.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self.app = app
        self.origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.origins or scope["type"] != "http" or not _covers(scope["path"]):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        allowed = origin in self.origins

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Origin")
                if allowed:
                    answer["access-control-allow-origin"] = origin
                    answer["access-control-expose-headers"] = _EXPOSED
            await send(message)

        if allowed and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, send_with_headers)
            return
        scope[ALLOWED_KEY] = allowed
        await self.app(scope, receive, send_with_headers)


def _covers(path: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in PATHS)
