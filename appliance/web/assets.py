"""Files for browsers: our pages' own, cached for ever under their content's hash, and the tracker's scripts."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from appliance.web.rendering import STATIC, static

TRACKER = STATIC / "tracker"
FONTS = "v=5.3.0"  # as the style sheet asks for them: that of their package
SYSTEM_C = "static/sdk/tracker.min.js"
# A day from caches and CDNs, and for a week the old one rather than none.
TRACKER_CACHING = "public, max-age=86400, stale-while-revalidate=604800"
JAVASCRIPT = "text/javascript; charset=utf-8"


class _Versioned(StaticFiles):
    """Files asked for with their own version (`?v=`) never change under that address. Another may be asked for while
    appliances of two versions answer."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        query = scope["query_string"].decode("latin-1")
        found = response.status_code < 400
        own = found and query == (FONTS if path.startswith("fonts/") else static(path).partition("?")[2])
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if own else "no-cache"
        return response


def routes(script_name: str) -> list[BaseRoute]:
    """Static files, and the tracker as /script.js and where system C's tag looks for it; `script_name` serves it under
    another name too."""
    names = ["script.js", SYSTEM_C, *([script_name.lstrip("/")] if script_name else [])]
    scripts: Mapping[str, Path] = {
        **{f"/{name}": TRACKER / "script.js" for name in names},
        **{f"/{_extended(name)}": TRACKER / "script.x.js" for name in names},
    }
    return [
        *(Route(path, _script(file), methods=["GET"]) for path, file in scripts.items()),
        Mount("/static", _Versioned(directory=STATIC)),
    ]


def _extended(name: str) -> str:
    """The name under which a renamed tracker asks for its second part: a.js -> a.x.js."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.x.{ending}" if dot else f"{name}.x"


def _script(file: Path) -> Callable[[Request], Awaitable[Response]]:
    content = file.read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {
        "etag": etag,
        "cache-control": TRACKER_CACHING,
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        "timing-allow-origin": "*",
    }

    async def serve(request: Request) -> Response:
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=JAVASCRIPT, headers=headers)

    return serve
