"""Sends events to the ingest API as a server-side SDK does: batches of up to 1,000, sent again until they are taken."""

import http.client
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from appliance.errors import ApplianceError, Unavailable

PATH = "/api/v1/events/ingest"
EVENTS_MAX = 1000
TRIES_MAX = 30
TIMEOUT_SECONDS = 30
PAUSE_SECONDS_MAX = 5.0
AGENT = "appliance-demo/1"


class Answer(msgspec.Struct):
    """What the server says of a batch; the numbers add up to what was sent."""

    accepted: int
    duplicates: int
    dropped: list[Any]
    rejected: list[Any]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Answer).decode


class Sender:
    """One kept connection to a server. `url` is its origin, `key` a project's public key. Not thread-safe."""

    def __init__(self, url: str, key: str) -> None:
        self._connection = _connect(url)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "User-Agent": AGENT}
        self._url = url

    def send(self, events: Sequence[dict[str, Any]]) -> Answer:
        """Send up to 1,000 events. Tries again while the server is away, busy or full: every event has its id, so none
        counts twice. Raises Unavailable when it stays so, ApplianceError when the server refuses the batch."""
        body = _encode({"events": events})
        said = ""
        for attempt in range(TRIES_MAX):
            if attempt:
                time.sleep(min(0.1 * 2**attempt, PAUSE_SECONDS_MAX))
            try:
                status, content = self._post(body)
            except (OSError, http.client.HTTPException) as error:
                said = str(error) or type(error).__name__
                self._connection.close()
                continue
            if status in (202, 422):  # 422: not one of them was right, which is an answer too
                return _decode(content)
            said = f"{status} {content.decode('utf-8', 'replace')[:300]}"
            if status != 429 and status < 500:
                raise ApplianceError(f"{self._url} refuses the events: {said}")
        raise Unavailable(f"{self._url} does not take the events: {said}")

    def close(self) -> None:
        self._connection.close()

    def _post(self, body: bytes) -> tuple[int, bytes]:
        self._connection.request("POST", PATH, body, self._headers)
        response = self._connection.getresponse()
        return response.status, response.read()


def get(url: str, path: str) -> str:
    """Status and body of a GET, "200 {…}". Raises OSError, HTTPException."""
    connection = _connect(url)
    try:
        connection.request("GET", path, headers={"User-Agent": AGENT})
        response = connection.getresponse()
        return f"{response.status} {response.read().decode('utf-8', 'replace')}"
    finally:
        connection.close()


def _connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_SECONDS)
