"""System D's request as it documented it; its answer is the native one."""

import json
from typing import Any

import pytest

from tests.ingest.test_endpoint import newest, text_of
from tests.running import Running

PATH = "/track"
DOCUMENTED = """{
    "event_type": "string",
    "properties": {
        "key": "value"
    },
    "timestamp": "2025-05-28T09:47:35+05:30",
    "user_id": "string",
    "session_id": "string"
}"""
ACCEPTED = {
    "status": "accepted", "accepted": 1, "duplicates": 0, "sampled": False, "dropped": [], "rejected": [],
}  # fmt: skip


@pytest.mark.parametrize("path", [PATH, PATH + "/"])
async def test_the_documented_request(running: Running, path: str) -> None:
    headers = {"x-api-key": running.key, "content-type": "application/json"}
    answer = await running.http.post(path, content=DOCUMENTED, headers=headers)
    assert (answer.status_code, answer.json()) == (202, ACCEPTED)
    time, kind, properties = await newest(running, "time", "kind", "properties")
    assert (time, kind, json.loads(properties)) == (1748405855_000000, 1, {"key": "value"})
    assert await text_of(running, "name", 1) == "string"
    assert await text_of(running, "user", 6) == "string"


async def test_without_a_key_it_is_the_default_projects(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = await running.http.post(PATH, content=DOCUMENTED)
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_key")
    monkeypatch.setattr(running.appliance.endpoint, "_default_project", "www.example.com")
    assert (await running.http.post(PATH, content=DOCUMENTED)).json() == ACCEPTED


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"{", 400, "malformed_json", None),
        (b"[1]", 422, "wrong_type", None),
        ({}, 422, "missing", "event_type"),
        ({"event_type": 1}, 422, "wrong_type", "event_type"),
        ({"event_type": "a", "timestamp": {}}, 422, "wrong_type", "timestamp"),
        ({"event_type": "a", "session_id": "s" * 256}, 422, "too_long", "session_id"),
    ],
)
async def test_what_is_wrong_is_told_in_its_words(
    running: Running, body: Any, status: int, code: str, field: str | None
) -> None:
    answer = await running.send(body, path=PATH)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem.get("field")) == (status, code, field)


async def test_names_are_events_and_page_views_have_pages(running: Running) -> None:
    assert (await running.send({"event_type": "identify"}, path=PATH)).json() == ACCEPTED
    assert await newest(running, "kind") == 1
    page = {"event_type": "pageview", "properties": {"path": "/x"}}
    assert (await running.send(page, path=PATH)).json() == ACCEPTED
    assert await newest(running, "kind") == 0
    assert await text_of(running, "path", 4) == "/x"
