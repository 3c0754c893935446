"""Answers of the ingest paths, made without a framework."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from itertools import count
from secrets import token_hex
from typing import Any, NamedTuple

import msgspec

from appliance.errors import ApplianceError, Invalid, Unavailable
from appliance.ingest.arrival import Arrival

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]
Headers = list[Header]

JSON = (b"content-type", b"application/json")
PROBLEM = (b"content-type", b"application/problem+json")
NO_STORE = (b"cache-control", b"no-store")
_EXPOSED = (
    b"retry-after, x-request-id, x-appliance-dropped, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset"
)


class Answer(NamedTuple):
    """What a dialect answers."""

    status: int
    body: bytes
    headers: Headers


_INSTANCE = token_hex(4).encode()
_requests = count(1)


def request_id() -> bytes:
    """A new id for a request: this process's, then a number."""
    return b"%s-%x" % (_INSTANCE, next(_requests))


def lasting_headers(headers: Iterable[Header], nbytes: int) -> Headers:
    """The headers that all answers alike have: their own, and what is said of a body of so many bytes."""
    return [*headers, NO_STORE, (b"content-length", b"%d" % nbytes)]


def varying_headers(arrival: Arrival) -> Headers:
    """The headers that tell requests apart, those that tell of a rate limit, and those that let the page that asked
    read the answer (CORS)."""
    headers: Headers = [(b"x-request-id", request_id())]
    if (allowance := arrival.allowance) is not None:
        headers += [
            (b"x-ratelimit-limit", b"%d" % allowance.limit),
            (b"x-ratelimit-remaining", b"%d" % allowance.remaining),
            (b"x-ratelimit-reset", b"%d" % allowance.reset_seconds),
        ]
    if (origin := arrival.headers.get(b"origin")) is not None:
        headers += [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        ]
    return headers


async def send_answer(send: Send, arrival: Arrival, answer: Answer) -> None:
    """Send an answer over ASGI."""
    headers = lasting_headers(answer.headers, len(answer.body)) + varying_headers(arrival)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def preflight(send: Send, arrival: Arrival, methods: tuple[str, ...]) -> None:
    """Answer a browser's question whether it may send: anybody may ask, the request itself is judged."""
    headers = arrival.headers
    allowed: Headers = [
        (b"access-control-allow-origin", headers.get(b"origin", b"*")),
        (b"access-control-allow-methods", ", ".join((*methods, "OPTIONS")).encode()),
        (b"access-control-allow-headers", headers.get(b"access-control-request-headers", b"content-type")),
        (b"access-control-max-age", b"86400"),
        (b"vary", b"origin, access-control-request-headers"),
        (b"content-length", b"0"),
    ]
    if b"access-control-request-private-network" in headers:
        allowed.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": allowed})
    await send({"type": "http.response.body", "body": b""})


def problem(error: ApplianceError) -> Answer:
    """An error as application/problem+json (RFC 9457) with our `code`, `field` and `pointer`."""
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": str(error),
    }
    if isinstance(error, Invalid):
        members |= {k: v for k, v in (("field", error.field), ("pointer", error.pointer)) if v}
    return Answer(error.status, msgspec.json.encode(members), [PROBLEM, *error_headers(error)])


def error_headers(error: ApplianceError) -> Headers:
    """What an answer with this error says in its headers, whatever its body is."""
    headers: Headers = []
    if error.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="appliance"'))
    if isinstance(error, Unavailable):
        headers.append((b"retry-after", b"%d" % error.retry_after_seconds))
    return headers


def with_retry_after(answer: Answer, error: ApplianceError) -> Answer:
    """An answer to an error that says when to try again, if the error passes, whatever shape the dialect gives it."""
    if not isinstance(error, Unavailable) or any(name == b"retry-after" for name, _ in answer.headers):
        return answer
    return answer._replace(headers=[*answer.headers, (b"retry-after", b"%d" % error.retry_after_seconds)])


def reason_header(*reasons: str) -> Headers:
    """X-Appliance-Dropped: why an event is not counted although the answer looks as if it were; the first reason."""
    return [(b"x-appliance-dropped", reason.encode()) for reason in reasons[:1]]
