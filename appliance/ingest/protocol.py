"""uvicorn's HTTP/1.1 protocol with a short way for the request that this product exists for.

A POST on an ingest path whose length is known, or a GET without a body, goes from the parser to `Endpoint.take` and,
when the journal has synced it, back to the socket: without a task, an ASGI cycle and its messages, which together cost
more than all the work that is done here. Everything else, and everything unusual (no length, Expect, a pipelined
request, a client that does not read its answers, a key that must be looked up), takes uvicorn's own way and finds the
same `Endpoint` there.

To uvicorn a request on the short way looks like a cycle of its own, so that keep-alive, pipelining, graceful shutdown
and lost connections stay its business (docs/decisions/0006).
"""

from asyncio import TimerHandle, Transport
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from appliance.clock import now
from appliance.errors import ApplianceError
from appliance.ingest.answers import Answer, Header, Headers, lasting_headers, varying_headers
from appliance.ingest.arrival import Arrival
from appliance.ingest.arriving import FREE_BYTES, Body, TooSlow
from appliance.ingest.endpoint import COUNTED, Endpoint, Taken

HEADS_CACHED_MAX = 256
CONNECTION_SECONDS = 200e-6  # what one that comes to nothing costs
HEAD_BYTES_MAX = 64 << 10
# In which a connection has to begin, and to bring the whole head of a request; and any part of a body.
HEAD_SECONDS = 30.0
BODY_SECONDS = 60.0


class _Nobody:
    """The event that a cycle's reader waits for; here nobody does."""

    def set(self) -> None:
        pass


class _Exchange:
    """What uvicorn's protocol asks of the request that is under way (its RequestResponseCycle)."""

    __slots__ = ("arrival", "body", "dialect", "disconnected", "keep_alive", "response_complete")
    message_event = _Nobody()
    more_body = False  # of which the protocol knows itself

    def __init__(self, dialect: Any, arrival: Arrival, *, keep_alive: bool) -> None:
        self.dialect = dialect
        self.arrival = arrival
        self.keep_alive = keep_alive
        self.body: Body | None = None  # when it is large, or comes in pieces
        self.response_complete = False
        self.disconnected = False


class IngestProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=IngestProtocol)` with an `Endpoint` as its application."""

    app: Endpoint
    _exchange: _Exchange | None = None  # while its body arrives
    _held: tuple[TimerHandle, _Exchange, Answer] | None = None  # an answer that has to wait
    _pieces: list[bytes]
    _begun = False  # something of a request has come since the last answer
    _received = 0  # bytes of all requests
    _understood = 0  # of those; what stands behind is a part of a head, or nothing
    _seen = (0, 0)  # what the timer saw last: of a head what is understood, of a body what was received; and since when
    _seen_since = 0.0
    _idle_until = 0.0
    _idling: TimerHandle | None = None  # the one timer of a connection; none while an answer is made
    _usual: ClassVar[tuple[Headers, bytes]] = [], b""

    # What comes

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._idle_until = self.loop.time() + HEAD_SECONDS
        self._idling = self.loop.call_later(self.timeout_keep_alive, self._close_when_idle)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        # The parser joins the pieces of a header until it is whole.
        if self._received - self._understood > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n")
            self.transport.close()

    # What the parser calls

    def on_message_begin(self) -> None:
        # The scope is made when it is needed (`_begin_cycle`).
        self._begun = True
        self._understood = self._received
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        self._understood = self._received
        url, _, query = self.url.partition(b"?")
        path = url.decode("latin-1")
        dialect = self.app.dialect_of(path)
        if dialect is None or not self._is_usual():
            self._begin_cycle()
            return
        headers = dict(self.headers)
        method = self.parser.get_method()
        if method == b"POST":
            length = headers.get(b"content-length", b"")
            is_short = length.isdigit() and len(length) <= 18 and int(length) <= self.app.body_bytes_max[dialect]
        else:
            is_short = b"content-length" not in headers and b"transfer-encoding" not in headers
        if not is_short:
            self._begin_cycle()
            return
        peer = self.client[0] if self.client else ""
        secure = self.scheme == "https"
        arrival = Arrival(method.decode(), path, query, headers, peer=peer, secure=secure, received=now())
        self._pieces = []
        self._exchange = _Exchange(dialect, arrival, keep_alive=self.parser.should_keep_alive())
        self.cycle = self._exchange  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self._understood = self._received
        exchange = self._exchange
        if exchange is None:
            super().on_body(body)
            return
        self._pieces.append(body)
        if exchange.body is not None:
            exchange.body.grow(len(body))
        elif len(self._pieces) > 1 or len(body) > FREE_BYTES:
            exchange.body = Body(self.app.arriving, self._give_up)
            exchange.body.grow(sum(map(len, self._pieces)))

    def on_message_complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            super().on_message_complete()
            return
        if exchange.body is not None:
            exchange.body.end()
        pieces, self._pieces = self._pieces, []
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        arrival = exchange.arrival
        taken: Taken | Answer | None = self.app.enter(exchange.dialect, arrival)
        try:
            if taken is None:
                arrival.take_body(body, self.app.body_bytes_max[exchange.dialect])
                taken = self.app.take(exchange.dialect, arrival)
        except ApplianceError as error:
            taken = self.app.refuse(exchange.dialect, arrival, error)
        if taken is None:
            exchange.response_complete = True  # it goes on as a cycle
            self._begin_cycle()
            self.scope[COUNTED] = True  # type: ignore[literal-required]  # its task has not begun
            super().on_body(body)
            super().on_message_complete()
            return
        self.app.requests += 1
        if isinstance(taken, Taken):
            self.app.wait(taken, partial(self._answer, exchange))
        else:
            self._answer(exchange, taken)

    # The short way

    def _is_usual(self) -> bool:
        """Whether the request is one for the short way, as far as its headers do not say."""
        parser = self.parser
        return (
            parser.get_method() in (b"POST", b"GET")
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
            and (self.cycle is None or self.cycle.response_complete)
        )

    def _give_up(self) -> None:
        """The body under way is waited for no longer."""
        exchange, self._exchange = self._exchange, None
        self._pieces = []
        if exchange is not None:
            exchange.keep_alive = False
            exchange.arrival.began = perf_counter()
            self.app.requests += 1
            answer = self.app.refuse(exchange.dialect, exchange.arrival, TooSlow())
            if exchange.arrival.delay:
                self.app.patience.release()  # it is not held back, for more of the body may come
            self._write(exchange, answer)

    def on_response_complete(self) -> None:
        """As uvicorn does it, but with one timer for a connection instead of one for each answer."""
        self._begun = False
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_until = self.loop.time() + self.timeout_keep_alive
        if self._idling is None:
            self._idling = self.loop.call_later(self.timeout_keep_alive, self._close_when_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._idling is not None:
            self._idling.cancel()
        if self._exchange is not None and self._exchange.body is not None:
            self._exchange.body.end()

    def _answer(self, exchange: _Exchange, answer: Answer) -> None:
        if exchange.arrival.delay:
            self._held = self.loop.call_later(exchange.arrival.delay, self._release), exchange, answer
        else:
            self._write(exchange, answer)

    def _release(self) -> None:
        assert self._held is not None
        _, exchange, answer = self._held
        self._held = None
        self.app.patience.release()
        self._write(exchange, answer)

    def send_400_response(self, msg: str) -> None:
        """To who sends what is no HTTP."""
        delay = self.app.patience.delay(self.client[0] if self.client else "", CONNECTION_SECONDS)
        if delay:
            self.flow.pause_reading()
            self.loop.call_later(delay, self._release_400, msg)
        else:
            super().send_400_response(msg)

    def _release_400(self, msg: str) -> None:
        self.app.patience.release()
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def shutdown(self) -> None:
        super().shutdown()
        if self._held is not None:
            self._held[1].keep_alive = False
            self._held[0].cancel()
            self._release()

    def _write(self, exchange: _Exchange, answer: Answer) -> None:
        exchange.response_complete = True
        transport = self.transport
        if transport.is_closing():
            return
        parts = [_head(answer.status, len(answer.body), *answer.headers), self._usual_lines()]
        for name, value in varying_headers(exchange.arrival):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n" if exchange.keep_alive else b"connection: close\r\n\r\n", answer.body)
        transport.write(b"".join(parts))
        if not exchange.keep_alive:
            transport.close()
        self.on_response_complete()

    def _close_when_idle(self) -> None:
        """Let go of the connection if nothing has come since the last answer, or too little of a request."""
        self._idling = None
        if self.transport.is_closing():
            return
        at = self.loop.time()
        if self.cycle is not None and not self.cycle.response_complete:
            if self._exchange is None and not self.cycle.more_body:
                return  # it is answered; after that there is a timer again
            until = self._patience_until(at, (1, self._received), BODY_SECONDS)
            if self.flow.read_paused:
                until = at + BODY_SECONDS
        elif self._begun:
            until = self._patience_until(at, (0, self._understood), HEAD_SECONDS)
        else:
            until = self._idle_until
        if until > at:
            self._idling = self.loop.call_later(min(until - at, self.timeout_keep_alive), self._close_when_idle)
        else:
            self.transport.close()

    def _patience_until(self, at: float, seen: tuple[int, int], seconds: float) -> float:
        """Until when to wait for more than what is seen now."""
        if seen != self._seen:
            self._seen, self._seen_since = seen, at
        return self._seen_since + seconds

    def _usual_lines(self) -> bytes:
        """What uvicorn says in all answers. It makes its list anew each second, for the date."""
        headers = self.server_state.default_headers
        if headers is not IngestProtocol._usual[0]:
            IngestProtocol._usual = headers, _lines(headers)
        return IngestProtocol._usual[1]

    # uvicorn's way

    def _should_upgrade(self) -> bool:
        # Not while an answer is under way, which would go into the WebSocket.
        return super()._should_upgrade() and (self.cycle is None or self.cycle.response_complete)

    def handle_websocket_upgrade(self) -> None:
        if self._idling is not None:
            self._idling.cancel()
        super().handle_websocket_upgrade()

    def _begin_cycle(self) -> None:
        """Do what uvicorn does at the beginning of a message and at the end of its headers."""
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers.extend(headers)
        super().on_headers_complete()


@lru_cache(HEADS_CACHED_MAX)
def _head(status: int, nbytes: int, *headers: Header) -> bytes:
    """The first lines of an answer with a body of so many bytes."""
    return STATUS_LINE[status] + _lines(lasting_headers(headers, nbytes))


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%s: %s\r\n" % header for header in headers])
