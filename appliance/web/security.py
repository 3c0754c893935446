"""What every answer of pages and API carries, and what no request may do. Pure ASGI; ingestion is served in
front.

`Headers` goes around the whole application, so that error pages have them too, `Forwarded` inside it;
`CrossSiteGuard` is the application's own middleware, because its refusals are pages.
"""

from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers as RequestHeaders
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.errors import Forbidden
from appliance.ingest.answers import request_id
from appliance.ingest.client_address import TrustedProxies
from appliance.web import problems
from appliance.web.cookies import queued
from appliance.web.read_origins import ALLOWED_KEY

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; "
    "script-src 'self'; "
    "style-src 'self'; "
    "img-src 'self' data:; "
    "font-src 'self'; "
    "connect-src 'self'; "
    "form-action 'self'; "
    "base-uri 'none'; "
    "frame-ancestors 'none'"
)

# No Cross-Origin-Resource-Policy: other sites load the tracker from here.
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # "no-referrer" would turn the Origin of our own forms into "null".
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

_SCHEMES = {
    ("http", "http"): "http",
    ("http", "https"): "https",
    ("websocket", "http"): "ws",
    ("websocket", "https"): "wss",
}

PEER_KEY = "appliance.peer"  # in the scope: who the connection is with, whatever its headers say

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# The messages that an answer begins with: a WebSocket is opened, or refused as any request is.
_BEGINNINGS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


class Headers:
    """Adds security headers, what caches may do, the request id, and the cookies that handlers queued
    (`cookies.set_cookie`).

    The id is in `scope["appliance.request_id"]` and in every log line of the request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        id_ = request_id().decode()
        scope[problems.REQUEST_ID_KEY] = id_

        async def send_with_headers(message: Message) -> None:
            if message["type"] in _BEGINNINGS:
                _complete(MutableHeaders(scope=message), scope)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=id_):
            await self.app(scope, receive, send_with_headers)


class Forwarded:
    """Takes the client's address and scheme from X-Forwarded-For and -Proto, where a trusted proxy sends
    them."""

    def __init__(self, app: ASGIApp, proxies: TrustedProxies) -> None:
        self.app = app
        self.proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope.get("client"):
            peer, port = scope["client"]
            scope[PEER_KEY] = peer
            if self.proxies.trusts(peer):
                headers = RequestHeaders(scope=scope)
                forwarded_for = ",".join(headers.getlist("x-forwarded-for"))
                scope["client"] = (self.proxies.client(peer, forwarded_for), port)
                proto = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
                if proto in ("http", "https"):
                    scope["scheme"] = _SCHEMES[scope["type"], proto]
        await self.app(scope, receive, send)


class CrossSiteGuard:
    """Refuses what another site makes a browser send: requests that change something, by Sec-Fetch-Site where
    the browser states it, else by Origin against Host.

    A request with neither is no browser's. One with a key in a header is left to the check of the key: no
    other site can add such a header without a pre-flight, which ingestion alone answers to anybody. (With a
    password of a proxy in front, browsers send Authorization by themselves, and our cookie along.) What may
    be asked from other origins (`read_origins`) takes no cookies, which are what others could misuse.
    """

    def __init__(self, app: ASGIApp, public_url: str = "") -> None:
        self.app = app
        self.public_host = urlsplit(public_url).netloc.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_cross_site(scope):
            error = Forbidden("This request came from another site and was refused.", code="cross_site")
            response = await problems.respond(Request(scope, receive), error)
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_cross_site(self, scope: Scope) -> bool:
        headers = RequestHeaders(scope=scope)
        if scope["method"] in SAFE_METHODS or "x-api-key" in headers:
            return False
        if "authorization" in headers and "cookie" not in headers:
            return False
        if scope.get(ALLOWED_KEY):
            return False
        if (site := headers.get("sec-fetch-site")) is not None:
            return site not in ("same-origin", "none")
        if (origin := headers.get("origin")) is not None:
            host = urlsplit(origin).netloc.lower()
            return not host or host not in (headers.get("host", "").lower(), self.public_host)
        return False


def _complete(headers: MutableHeaders, scope: Scope) -> None:
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("x-request-id", scope[problems.REQUEST_ID_KEY])
    # Shared caches keep no answer to a request with Authorization; X-API-Key says nothing to them.
    page = headers.get("content-type", "").startswith("text/html")
    headers.setdefault("cache-control", "private, no-cache" if page else "no-store")
    for cookie in queued(scope):
        headers.append("set-cookie", cookie)
