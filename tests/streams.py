"""Who reads a project's events as they are stored, over a WebSocket or server-sent events; both are asked alike."""

import json
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Protocol
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.process import Server


class Refused(Exception):
    """There is no stream; what is said instead."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(status, body)
        self.status = status
        self.code = json.loads(body)["code"]
        self.headers = {name.lower(): value for name, value in headers.items()}


class Reader(Protocol):
    """An open stream."""

    def next(self, seconds: float = 10) -> Any:
        """What comes next. Raises TimeoutError."""

    def end(self, seconds: float = 6) -> int:
        """Read until the stream ends; the code it is closed with, 0 where there are none. Raises TimeoutError."""

    def close(self) -> None: ...


class Socket:
    """A WebSocket."""

    def __init__(self, server: Server, project: str, ticket: str = "", **headers: str) -> None:
        query = f"?{urlencode({'ticket': ticket})}" if ticket else ""
        url = f"ws://127.0.0.1:{server.port}/api/v1/ws/events/{project}{query}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            opened = connect(url, additional_headers=named, proxy=None, max_size=None, close_timeout=1)
            self.connection = opened.__enter__()
        except InvalidStatus as error:
            answer = error.response
            raise Refused(answer.status_code, bytes(answer.body or b""), dict(answer.headers)) from None

    def next(self, seconds: float = 10) -> Any:
        return json.loads(self.connection.recv(timeout=seconds))

    def end(self, seconds: float = 6) -> int:
        deadline = time.monotonic() + seconds
        try:
            while True:
                self.connection.recv(timeout=deadline - time.monotonic())
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006

    def close(self) -> None:
        self.connection.close()


class SentEvents:
    """Server-sent events."""

    def __init__(self, server: Server, project: str, ticket: str = "", **headers: str) -> None:
        query = f"?{urlencode({'ticket': ticket})}" if ticket else ""
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET", f"/api/v1/live/{project}{query}", headers=named)
        self.answer: HTTPResponse = self._connection.getresponse()
        if self.answer.status != 200:
            raise Refused(self.answer.status, self.answer.read(), dict(self.answer.headers))
        self.name = ""  # of the event that was read last

    def next(self, seconds: float = 10) -> Any:
        if (line := self._line(seconds)) is None:
            raise EOFError
        return json.loads(line)

    def end(self, seconds: float = 6) -> int:
        deadline = time.monotonic() + seconds
        while self._line(deadline - time.monotonic()) is not None:
            pass
        return 0

    def close(self) -> None:
        self.answer.close()
        self._connection.close()

    def _line(self, seconds: float) -> bytes | None:
        """The next event's data; None at the end."""
        if seconds <= 0:
            raise TimeoutError
        assert self._connection.sock is not None
        self._connection.sock.settimeout(seconds)
        self.name = ""
        while line := self.answer.readline():
            if line.startswith(b"event: "):
                self.name = line[7:].strip().decode()
            if line.startswith(b"data: "):
                return line[6:].strip()
        return None


BOTH: tuple[type[Socket] | type[SentEvents], ...] = (Socket, SentEvents)
