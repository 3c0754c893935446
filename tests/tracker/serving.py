"""What the browser tests talk to: a site that serves pages/, and a recorder that stands for the appliance.

They are two origins, as in life: the site is http://localhost:PORT, the tracker comes from http://127.0.0.1:PORT.
A page holds `<!-- tracker ATTRIBUTES -->` where its tag belongs, `{{scripts}}` for the origin of the tracker and
`{{key}}` for the public key, so the same pages serve a suite that runs against a real appliance.
"""

import asyncio
import json
import re
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGES = Path(__file__).parent / "pages"
TRACKER = Path(__file__).parents[2] / "appliance" / "static" / "tracker"
INGEST = "/api/v1/events/ingest"
# Where the tracker is served from; the last is the address in system C's tag.
SCRIPTS = {
    "/script.js": "script.js",
    "/script.x.js": "script.x.js",
    "/static/sdk/tracker.min.js": "script.js",
}
ACCEPTED = {"status": "accepted", "accepted": 1, "duplicates": 0, "sampled": False, "dropped": [], "rejected": []}

Json = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]  # status, headers, content


@dataclass(frozen=True)
class Answer:
    """What the recorder says to one request; status 0 cuts the connection instead."""

    status: int = 202
    body: Json = field(default_factory=lambda: ACCEPTED)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Received:
    """One request to the ingest endpoint."""

    at: float  # seconds, time.monotonic()
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: Json
    status: int  # that it was answered with

    @property
    def events(self) -> list[Json]:
        return list(self.body.get("events", []))


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A browser that closes a connection is no news."""


class Server(ABC):
    """An HTTP server in a thread; `handle` answers (status, headers, body) for each request."""

    def __init__(self, host: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, extra, content = outer.handle(self.command, self.path, headers, self.rfile.read(length))
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {**extra, "content-length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_POST = do_OPTIONS = respond  # noqa: N815  (the names http.server looks for)

            def log_message(self, *_: object) -> None:
                pass

        outer = self
        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self.origin = f"http://{host}:{self._server.server_port}"
        threading.Thread(target=partial(self._server.serve_forever, 0.02), daemon=True).start()

    @abstractmethod
    def handle(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
        """Answer a request."""

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Recorder(Server):
    """Serves the built tracker and keeps every ingest request; answers what `answers` says, else 202."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1")
        self.received: list[Received] = []
        self.fetched: list[str] = []
        self.answers: deque[Answer] = deque()
        self.always: Answer | None = None

    def handle(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
        parts = urlsplit(target)
        if script := SCRIPTS.get(parts.path):
            self.fetched.append(parts.path)
            kind = {"content-type": "text/javascript; charset=utf-8", "cache-control": "no-cache"}
            kind["access-control-allow-origin"] = "*"  # or no page could load it as a module
            return 200, kind, (TRACKER / script).read_bytes()
        if method != "POST" and parts.path != INGEST:
            return 404, {}, b""
        answer = self.always or (self.answers.popleft() if self.answers else Answer())
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        sent = json.loads(body) if body else {}
        self.received.append(Received(time.monotonic(), method, parts.path, query, headers, sent, answer.status))
        cors = {"access-control-allow-origin": "*", "access-control-expose-headers": "retry-after"}
        kind = {"content-type": "application/json"}
        return answer.status, {**cors, **kind, **answer.headers}, json.dumps(answer.body).encode()

    def events(self, *names: str) -> list[Json]:
        """Events of requests answered with 2xx, only those with one of the names if given.

        In the order in which they happened: two requests under way may overtake each other.
        """
        taken = [event for request in self.received if request.status // 100 == 2 for event in request.events]
        wanted = [event for event in taken if not names or event["event"] in names]
        return sorted(wanted, key=lambda event: float(event["timestamp"]))

    async def until(self, met: Callable[["Recorder"], object], seconds: float = 10) -> None:
        """Wait until `met(self)` is true; fails with everything received otherwise."""
        deadline = time.monotonic() + seconds
        while not met(self):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s; received {self.received}")
            await asyncio.sleep(0.02)

    async def event(self, name: str, count: int = 1, seconds: float = 10) -> Json:
        """The `count`-th event of this name, once it was accepted."""
        await self.until(lambda recorder: len(recorder.events(name)) >= count, seconds)
        return self.events(name)[count - 1]


class Site(Server):
    """The tracked site: the files of pages/, with the tag of the tracker put in."""

    def __init__(self, scripts: str, key: str = "sa_test") -> None:
        super().__init__("localhost")
        self.scripts = scripts
        self.key = key
        self.pages: dict[str, str] = {}  # beside those of the folder: path -> HTML

    def handle(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
        name = urlsplit(target).path.lstrip("/")
        path = PAGES / name
        kind = {"content-type": "text/html; charset=utf-8", "cache-control": "no-cache"}
        if name in self.pages:
            return 200, kind, self.render(self.pages[name]).encode()
        if not path.is_relative_to(PAGES) or not path.is_file():
            # Any other address is a page of a single-page application, or an innocent file to download.
            return 200, kind, b"<!doctype html><title>another page</title>"
        return 200, kind, self.render(path.read_text()).encode()

    def render(self, html: str) -> str:
        """A page with its tag: `<!-- tracker data-hash -->` becomes the script element with the key and data-hash."""

        def tag(match: re.Match[str]) -> str:
            attributes = match[1].strip()
            named = re.search(r"data-(key|domain|website-id|project)\b|anonymous", attributes)
            identity = "" if named else f'data-key="{self.key}" '
            return f'<script defer src="{self.scripts}/script.js" {identity}{attributes}></script>'

        html = re.sub(r"<!-- tracker(.*?)-->", tag, html)
        return html.replace("{{scripts}}", self.scripts).replace("{{key}}", self.key)

    def url(self, page: str) -> str:
        return f"{self.origin}/{page}"


def serve() -> Iterator[tuple[Recorder, Site]]:
    """A recorder and the site that uses it, until the generator is closed."""
    recorder = Recorder()
    site = Site(recorder.origin)
    yield recorder, site
    site.close()
    recorder.close()
