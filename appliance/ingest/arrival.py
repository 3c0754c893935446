"""A request at the door: read, bounded, decompressed."""

import zlib
from asyncio import CancelledError, current_task
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from time import perf_counter
from typing import Any, NamedTuple, Self
from urllib.parse import unquote_plus

from appliance.clock import MILLISECOND
from appliance.errors import Invalid, TooLarge
from appliance.ingest.arriving import Arriving, Body, TooSlow

PARAMETERS_MAX = 200
PARAMETERS_CACHED_MAX = 4_096
CACHED_CHARACTERS_MAX = 256

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Allowance(NamedTuple):
    """A rate limit as answers tell it: how many may come in ten seconds, how many of them still may, and in how many
    seconds the next place is free again."""

    limit: int
    remaining: int
    reset_seconds: int


class Arrival:
    """One request as the dialects and gates see it. Header names are lower-case.

    `received` is UTC microseconds, cut to the millisecond, which is what browsers' clocks and exports know: the lag of
    an event is then a small number, of which a sealed day keeps one for each.

    `began` is when it was there as a whole (time.perf_counter), `key` what it was sent with, `delay` for how many
    seconds its answer is to be held back.
    """

    __slots__ = (
        "address", "allowance", "began", "body", "delay", "headers", "key", "method", "path", "peer", "query_string",
        "received", "secure",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        path: str,
        query_string: bytes,
        headers: dict[bytes, bytes],
        *,
        peer: str,
        secure: bool,
        received: int,
        body: bytes = b"",
    ) -> None:
        self.method = method
        self.path = path
        self.query_string = query_string
        self.headers = headers
        self.peer = peer
        self.address = peer  # the client's, once trusted proxies were asked
        self.allowance: Allowance | None = None  # of the rate limit that the answer tells
        self.secure = secure
        self.received = received - received % MILLISECOND
        self.body = body
        self.began = perf_counter()
        self.key = ""
        self.delay = 0.0

    @classmethod
    def of_scope(cls, scope: MutableMapping[str, Any], received: int) -> Self:
        """An ASGI request whose body is still to be read."""
        client = scope.get("client")
        return cls(
            scope["method"],
            scope["path"],
            scope["query_string"],
            dict(scope["headers"]),
            peer=client[0] if client else "",
            secure=scope.get("scheme") == "https",
            received=received,
        )

    def header(self, name: bytes) -> str:
        """A header's value, '' when absent."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value is not None else ""

    def query(self) -> dict[str, str]:
        """The query string's parameters; the last of a name wins."""
        return parameters(self.query_string) if self.query_string else {}

    @property
    def from_browser(self) -> bool:
        """Browsers, and nothing else by itself, send Origin or Sec-Fetch-Site. Sec-Fetch-Mode comes from Node too."""
        headers = self.headers
        return b"origin" in headers or b"sec-fetch-site" in headers

    async def read_body(self, receive: Receive, bytes_max: int, arriving: Arriving) -> None:
        """Read and decompress the body. Raises TooLarge, Invalid, TooSlow."""
        length = self.headers.get(b"content-length", b"")
        if length.isdigit() and (len(length) > 18 or int(length) > bytes_max):
            raise _too_large(bytes_max)
        task = current_task()
        assert task is not None
        given_up = False

        def give_up() -> None:
            nonlocal given_up
            given_up = True
            task.cancel()

        held = Body(arriving, give_up)
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Invalid(
                        "the connection was closed before the body was complete", code="incomplete", status=400
                    )
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > bytes_max:
                    raise _too_large(bytes_max)
                if not message.get("more_body"):
                    break
                held.grow(len(parts[-1]))
        except CancelledError:
            if not given_up:
                raise
            task.uncancel()
            raise TooSlow from None
        finally:
            held.end()
            self.began = perf_counter()  # its way here is no work of ours
        self.take_body(parts[0] if len(parts) == 1 else b"".join(parts), bytes_max)

    def take_body(self, body: bytes, bytes_max: int) -> None:
        """Keep a whole body, decompressed. Raises TooLarge, Invalid."""
        self.began = perf_counter()
        self.body = plain_body(body, self.header(b"content-encoding"), bytes_max)


def parameters(query_string: bytes) -> dict[str, str]:
    """The parameters of a query string, of which the first 200 count; the last of a name wins. Never raises."""
    found = {}
    for parameter in query_string.decode("utf-8", "replace").split("&", PARAMETERS_MAX)[:PARAMETERS_MAX]:
        name, _, value = parameter.partition("=")
        found[_decoded(name)] = _decoded(value)
    return found


def _decoded(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    return _unquoted(text) if len(text) <= CACHED_CHARACTERS_MAX else unquote_plus(text)


_unquoted = lru_cache(PARAMETERS_CACHED_MAX)(unquote_plus)  # pages and referrers come again and again


def plain_body(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """A body decompressed; it is no larger before or after. Raises TooLarge, Invalid."""
    if len(body) > bytes_max:
        raise _too_large(bytes_max)
    if encoding and encoding != "identity":
        return _decompress(body, encoding.strip().lower(), bytes_max)
    if body[:2] == b"\x1f\x8b":
        return _decompress(body, "gzip", bytes_max)  # some SDKs compress without saying so
    return body


def _too_large(bytes_max: int) -> TooLarge:
    return TooLarge(f"the body is larger than {bytes_max} bytes", code="body_too_large")


def _decompress(body: bytes, encoding: str, bytes_max: int) -> bytes:
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Invalid(
            f"the content encoding {encoding!r} is not understood; send gzip or none",
            code="unsupported_encoding",
            status=415,
        )
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        plain = inflate.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise Invalid("the body is not valid gzip", code="malformed_gzip", status=400) from error
    if len(plain) > bytes_max:
        raise _too_large(bytes_max)
    if not inflate.eof:
        raise Invalid("the gzip body is cut short", code="malformed_gzip", status=400)
    return plain
