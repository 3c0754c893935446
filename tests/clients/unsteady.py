"""A line between a client and a server that fails as lines do: the answer is lost, or somebody in between is busy."""

import http.client
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

Fate = Literal["busy", "lost"]


class Line:
    """`fates` are those of the next POSTs: "busy" is answered 503 and goes no further, of "lost" the server's answer
    never arrives. What has none comes through. `answered` are the statuses of the server's answers, 0 of lost ones."""

    def __init__(self, server_url: str, *fates: Fate) -> None:
        self.fates = deque(fates)
        self.answered: list[int] = []
        self._server = urlsplit(server_url)
        line = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                line._pass_on(self)

            do_GET = do_POST  # noqa: N815

        self._listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._listener.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown()
        self._listener.server_close()

    def _pass_on(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        fate = self.fates.popleft() if self.fates and request.command == "POST" else None
        if fate == "busy":
            _answer(request, 503, b"busy", "text/plain")
            return
        assert self._server.hostname is not None
        server = http.client.HTTPConnection(self._server.hostname, self._server.port, timeout=10)
        server.request(request.command, request.path, body, dict(request.headers))
        answer = server.getresponse()
        content = answer.read()
        server.close()
        self.answered.append(0 if fate == "lost" else answer.status)
        if fate == "lost":
            request.close_connection = True
            request.connection.close()
        else:
            _answer(request, answer.status, content, answer.headers.get("content-type", ""))


def _answer(request: BaseHTTPRequestHandler, status: int, content: bytes, content_type: str) -> None:
    request.send_response(status)
    request.send_header("content-type", content_type)
    request.send_header("content-length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)
