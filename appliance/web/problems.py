"""Errors into answers, in one place: application/problem+json (RFC 9457), or a page for who asks for HTML.

Neither ever shows a stack trace; the log has it, under the request id that the answer carries.
"""

from http import HTTPStatus
from typing import Any, cast

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ExceptionHandler

from appliance.errors import ApplianceError, AskerGone, ChunkDamaged, Invalid, StorageUnavailable, Unavailable
from appliance.web import shell
from appliance.web.access import LoginNeeded
from appliance.web.views import ErrorView

log = structlog.get_logger(__name__)

REQUEST_ID_KEY = "appliance.request_id"

# Codes of statuses that the router gives, where no error of ours says more.
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def handlers() -> dict[Any, ExceptionHandler]:
    """What Starlette takes as `exception_handlers`."""
    return {
        ApplianceError: cast("ExceptionHandler", respond),
        HTTPException: cast("ExceptionHandler", _on_http_exception),
        Exception: cast("ExceptionHandler", _on_crash),
    }


async def respond(request: Request, error: ApplianceError) -> Response:
    """The answer to an error raised on purpose."""
    headers: dict[str, str] = {}
    if isinstance(error, AskerGone):
        log.info("the asker left", path=request.url.path)
        return Response(status_code=error.status)
    if isinstance(error, LoginNeeded) and _wants_page(request):
        return _to_login(request, error)
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(error.retry_after_seconds)
        log.warning("unavailable", path=request.url.path, code=error.code, error=str(error))
        if isinstance(error, StorageUnavailable):
            error = StorageUnavailable()  # where the database is, is for the log alone
    if error.status == 401:
        headers["www-authenticate"] = 'Bearer realm="appliance"'
    if isinstance(error, ChunkDamaged):
        log.error("stored data are damaged", path=request.url.path, error=str(error))
        return _answer(request, error.status, error.code, str(error), headers)
    if error.status >= 500 and not isinstance(error, Unavailable):
        log.error("request failed", path=request.url.path, code=error.code, exc_info=error)
        return _answer(request, error.status, error.code, "The appliance could not answer this.", headers)
    field = error.field if isinstance(error, Invalid) else None
    pointer = error.pointer if isinstance(error, Invalid) else None
    return _answer(request, error.status, error.code, str(error), headers, field=field, pointer=pointer)


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    code = _CODES.get(status.value, status.name.lower())
    return _answer(request, status.value, code, error.detail, dict(error.headers or {}))


async def _on_crash(request: Request, error: Exception) -> Response:
    log.error("request failed", path=request.url.path, exc_info=error)
    return _answer(request, 500, "internal", "The appliance could not answer this.", {})


def _to_login(request: Request, error: LoginNeeded) -> Response:
    if request.headers.get("hx-request") == "true":
        # A redirect would be followed out of sight and its page put into the fragment's place.
        return Response(status_code=401, headers={"hx-redirect": error.location})
    return RedirectResponse(error.location, 303)


def _wants_page(request: Request) -> bool:
    """Whether to answer with HTML: browsers name it when they go to a page, and htmx sends its own header."""
    return "text/html" in request.headers.get("accept", "") or request.headers.get("hx-request") == "true"


def _answer(
    request: Request,
    status: int,
    code: str,
    detail: str,
    headers: dict[str, str],
    *,
    field: str | None = None,
    pointer: str | None = None,
) -> Response:
    request_id = request.scope.get(REQUEST_ID_KEY)
    headers.setdefault("cache-control", "no-store")
    if _wants_page(request):
        title = HTTPStatus(status).phrase
        view = ErrorView(
            shell=shell.bare(request, title),
            status=status,
            parameter=field,
            detail=detail if field or code == ChunkDamaged.code else None,
            damaged=code == ChunkDamaged.code,
            request_id=request_id,
        )
        page = request.app.state.render("error.html", view)
        return HTMLResponse(page, status, headers)
    members = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "field": field,
        "pointer": pointer,
        "request_id": request_id,
    }
    body = msgspec.json.encode({name: value for name, value in members.items() if value is not None})
    return Response(body, status, headers, media_type="application/problem+json")
