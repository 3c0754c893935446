"""The same page views in every dialect: whole HTTP requests, of which each says as much as its clients say."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from perf.processes import DOMAIN, Project

EVENTS: Final = 6_400  # different ones, so that a cache is what it is in life
EVENTS_A_BATCH: Final = 100

AGENTS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1"
        " Mobile/15E148 Safari/604.1"
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
)
REFERRERS: Final = ("https://www.google.com/", "https://news.ycombinator.com/", "", "https://chatgpt.com/")
_JSON: Final = {"Content-Type": "application/json"}


class View(NamedTuple):
    """A page view, before anybody's wire format."""

    number: int
    path: str
    referrer: str
    address: str
    agent: str
    step: int

    @property
    def url(self) -> str:
        return f"https://{DOMAIN}{self.path}"

    @property
    def properties(self) -> dict[str, Any]:
        return {"plan": "pro", "step": self.step}


class Dialect(NamedTuple):
    """How page views are written; `compared` is the native shape that says the same: single, browser or batch."""

    name: str
    compared: str
    write: Callable[[Sequence[View], Project], bytes]

    @property
    def events(self) -> int:
        return EVENTS_A_BATCH if self.compared == "batch" else 1


def views() -> list[View]:
    return [
        View(i, f"/page/{i % 97}", REFERRERS[i % 4], f"84.128.{i % 64}.{i % 251 + 1}", AGENTS[i % 4], i % 7)
        for i in range(EVENTS)
    ]


def requests(dialect: Dialect, project: Project) -> list[bytes]:
    """All page views in a dialect, as its clients send them."""
    seen, size = views(), dialect.events
    return [dialect.write(seen[start : start + size], project) for start in range(0, len(seen), size)]


def _http(path: str, body: Any, headers: Mapping[str, str], method: str = "POST") -> bytes:
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if method == "POST":
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode() + content


def _browser(view: View, **more: str) -> dict[str, str]:
    return {
        "Content-Type": "text/plain;charset=UTF-8", "Origin": f"https://{DOMAIN}", "User-Agent": view.agent,
        "Accept": "*/*", "Accept-Language": "de-DE,de;q=0.9", "Accept-Encoding": "gzip, deflate, br",
        "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty",
        "Referer": f"https://{DOMAIN}/", **more,
    }  # fmt: skip


def _native(view: View) -> dict[str, Any]:
    return {
        "event": "pageview", "url": view.url, "referrer": view.referrer, "ip": view.address,
        "user_agent": view.agent, "language": "de-DE", "properties": view.properties,
    }  # fmt: skip


def _native_single(seen: Sequence[View], project: Project) -> bytes:
    return _http("/api/v1/events/ingest", _native(seen[0]), _JSON | {"Authorization": f"Bearer {project.public_key}"})


def _native_batch(seen: Sequence[View], project: Project) -> bytes:
    body = {"events": [_native(view) for view in seen]}
    return _http("/api/v1/events/ingest", body, _JSON | {"Authorization": f"Bearer {project.public_key}"})


def _native_browser(seen: Sequence[View], project: Project) -> bytes:
    (view,) = seen
    event = {
        "event": "pageview", "url": view.url, "referrer": view.referrer, "screen": "1920x1080", "language": "de-DE",
        "timezone": "Europe/Berlin", "title": "A page", "properties": view.properties,
    }  # fmt: skip
    return _http(f"/api/v1/events/ingest?key={project.public_key}", {"events": [event]}, _browser(view))


def _system_a(seen: Sequence[View], project: Project) -> bytes:
    (view,) = seen
    body = {
        "event_name": "page_view", "event_source": "web_app", "user_id": view.address, "session_id": view.address,
        "properties": view.properties | {"page": view.path, "referrer": view.referrer},
    }  # fmt: skip
    return _http("/api/events/ingest/", body, _JSON | {"Authorization": f"Bearer {project.public_key}"})


def _system_b(seen: Sequence[View], project: Project) -> bytes:
    events = [
        {
            "event_id": f"00000000-0000-4000-8000-{view.number:012d}",
            "occurred_at": "2026-06-01T10:30:00Z", "user_id": view.address, "event_type": "page_view",
            "properties": view.properties | {"page": view.path, "referrer": view.referrer},
        }
        for view in seen
    ]  # fmt: skip
    return _http("/events", {"events": events}, _JSON | {"X-API-Key": project.public_key})


def _system_c(seen: Sequence[View], project: Project) -> bytes:
    events = [
        {
            "event": "page_view", "properties": view.properties, "distinct_id": view.address,
            "session_id": view.address, "page_url": view.url, "referrer": view.referrer,
        }
        for view in seen
    ]  # fmt: skip
    return _http("/api/v1/events/ingest", {"events": events}, _JSON | {"X-API-Key": project.public_key})


def _system_d(seen: Sequence[View], project: Project) -> bytes:
    (view,) = seen
    body = {
        "event_type": "page_view", "properties": view.properties | {"page": view.path}, "user_id": view.address,
        "session_id": view.address,
    }  # fmt: skip
    return _http("/track", body, _JSON | {"X-API-Key": project.public_key})


def _plausible(seen: Sequence[View], project: Project) -> bytes:
    (view,) = seen
    body = {"n": "pageview", "u": view.url, "d": DOMAIN, "r": view.referrer or None, "p": view.properties, "v": 24}
    return _http("/api/event", body, _browser(view, **{"Content-Type": "text/plain"}))


def _umami_payload(view: View, project: Project) -> dict[str, Any]:
    return {
        "type": "event",
        "payload": {
            "website": project.id, "hostname": DOMAIN, "url": view.path, "referrer": view.referrer, "title": "A page",
            "language": "de-DE", "screen": "1920x1080", "data": view.properties,
        },
    }  # fmt: skip


def _umami(seen: Sequence[View], project: Project) -> bytes:
    return _http("/api/send", _umami_payload(seen[0], project), _browser(seen[0]) | _JSON)


def _umami_batch(seen: Sequence[View], project: Project) -> bytes:
    return _http("/api/batch", [_umami_payload(view, project) for view in seen], _browser(seen[0]) | _JSON)


def _goatcounter(seen: Sequence[View], project: Project) -> bytes:
    (view,) = seen
    query = urlencode({"p": view.path, "t": "A page", "r": view.referrer, "s": "1920,1080,1", "rnd": "abcde"})
    return _http(f"/count?{query}", None, _browser(view), method="GET")


def _goatcounter_batch(seen: Sequence[View], project: Project) -> bytes:
    hits = [
        {"path": view.path, "title": "A page", "ref": view.referrer, "ip": view.address, "user_agent": view.agent}
        for view in seen
    ]
    return _http("/api/v0/count", {"hits": hits}, _JSON | {"Authorization": f"Bearer {project.public_key}"})


def _segment_call(view: View) -> dict[str, Any]:
    return {
        "type": "page", "userId": view.address, "properties": view.properties | {"url": view.url, "path": view.path},
        "context": {
            "ip": view.address, "userAgent": view.agent, "locale": "de-DE",
            "page": {"url": view.url, "path": view.path, "referrer": view.referrer, "title": "A page"},
            "library": {"name": "analytics-node", "version": "2.3.0"},
        },
        "integrations": {},
    }  # fmt: skip


def _segment(seen: Sequence[View], project: Project) -> bytes:
    return _http("/v1/page", _segment_call(seen[0]), _JSON | _basic(project))


def _segment_batch(seen: Sequence[View], project: Project) -> bytes:
    return _http("/v1/batch", {"batch": [_segment_call(view) for view in seen]}, _JSON | _basic(project))


def _basic(project: Project) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{project.public_key}:'.encode()).decode()}"}


def _posthog_event(view: View) -> dict[str, Any]:
    return {
        "event": "$pageview", "distinct_id": view.address,
        "properties": view.properties | {
            "$current_url": view.url, "$referrer": view.referrer, "$ip": view.address,
            "$raw_user_agent": view.agent, "$lib": "posthog-node", "$lib_version": "5.0.0",
        },
    }  # fmt: skip


def _posthog(seen: Sequence[View], project: Project) -> bytes:
    return _http("/i/v0/e", {"api_key": project.public_key, **_posthog_event(seen[0])}, _JSON)


def _posthog_batch(seen: Sequence[View], project: Project) -> bytes:
    body = {"api_key": project.public_key, "batch": [_posthog_event(view) for view in seen]}
    return _http("/batch", body, _JSON)


NATIVE: Final = {
    "single": Dialect("native", "single", _native_single),
    "browser": Dialect("native, a browser's", "browser", _native_browser),
    "batch": Dialect("native, 100", "batch", _native_batch),
}
DIALECTS: Final = (
    Dialect("system A", "single", _system_a),
    Dialect("system B, 100", "batch", _system_b),
    Dialect("system C, 100", "batch", _system_c),
    Dialect("system D", "single", _system_d),
    Dialect("Plausible", "browser", _plausible),
    Dialect("Umami", "browser", _umami),
    Dialect("Umami, 100", "batch", _umami_batch),
    Dialect("GoatCounter", "browser", _goatcounter),
    Dialect("GoatCounter, 100", "batch", _goatcounter_batch),
    Dialect("Segment", "single", _segment),
    Dialect("Segment, 100", "batch", _segment_batch),
    Dialect("PostHog", "single", _posthog),
    Dialect("PostHog, 100", "batch", _posthog_batch),
)
