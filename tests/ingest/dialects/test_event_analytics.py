"""System B's requests as it documented them, and its answers."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from appliance import clock
from appliance.app import Appliance
from appliance.config import Settings
from appliance.storage import projects
from tests.ingest.test_endpoint import newest, text_of
from tests.running import BROWSER, Running

PATH = "/events"
DOCUMENTED = """{
    "events": [
      {
        "event_id": "550e8400-e29b-41d4-a716-446655440000",
        "occurred_at": "2024-01-15T10:30:00Z",
        "user_id": "user_123",
        "event_type": "page_view",
        "properties": {"page": "/home", "referrer": "google"}
      }
    ]
  }"""
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
async def open_door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """An appliance that takes keyless events for a project."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("open"), default_project="example.com")
    appliance = Appliance(settings)
    await appliance.start()
    made = await projects.create(
        appliance.database, name="Site", domains=["example.com"], private_key=True, actor="test", at=clock.now()
    )
    async with Running(appliance, made) as joined:
        yield joined
    await appliance.stop()


def event(**fields: Any) -> dict[str, Any]:
    made = {"event_id": str(uuid4()), "occurred_at": "2024-01-15T10:30:00Z", "user_id": "u", "event_type": "a"}
    return made | fields


async def test_the_documented_request_without_a_key(open_door: Running) -> None:
    answer = await open_door.http.post(PATH, content=DOCUMENTED, headers=JSON)
    assert answer.status_code == 202
    assert answer.json() == {
        "total_received": 1, "inserted": 1, "duplicates": 0, "message": "Accepted 1 events for processing",
    }  # fmt: skip
    again = await open_door.http.post(PATH + "/", content=DOCUMENTED, headers=JSON)
    assert again.json() == {
        "total_received": 1, "inserted": 0, "duplicates": 1,
        "message": "Accepted 0 events for processing, 1 were known already",
    }  # fmt: skip
    assert await open_door.stored() == 1
    assert await newest(open_door, "time", "kind") == (1705314600_000000, 0)
    assert await text_of(open_door, "name", 1) == "page_view"
    assert await text_of(open_door, "path", 4) == "/home"
    assert await text_of(open_door, "user", 6) == "user_123"


async def test_keyless_events_of_browsers_come_from_the_projects_domain(open_door: Running) -> None:
    body = {"events": [event()]}
    assert (await open_door.http.post(PATH, json=body, headers=BROWSER)).status_code == 202
    elsewhere = await open_door.http.post(PATH, json=body, headers=BROWSER | {"origin": "https://other.test"})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "origin_not_allowed")


async def test_a_wrong_key_is_not_no_key(open_door: Running) -> None:
    assert (await open_door.send({"events": [event()]}, path=PATH, key="sa_wrong")).status_code == 401


async def test_without_a_default_project_a_key_is_needed(running: Running) -> None:
    answer = await running.http.post(PATH, content=DOCUMENTED, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_key")
    for headers in ({"x-api-key": running.key}, {"authorization": f"Bearer {running.key}"}):
        answer = await running.http.post(PATH, json={"events": [event()]}, headers=headers)
        assert answer.status_code == 202


async def test_a_default_project_that_is_none(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running.appliance.endpoint, "_default_project", "nowhere.test")
    answer = await running.http.post(PATH, json={"events": [event()]})
    assert (answer.status_code, answer.json()["code"]) == (401, "unknown_project")
    monkeypatch.setattr(running.appliance.endpoint, "_default_project", running.project.public_id)
    assert (await running.http.post(PATH, json={"events": [event()]})).status_code == 202


async def test_a_thousand_and_no_more(running: Running) -> None:
    before = await running.stored()
    answer = await running.send({"events": [event() for _ in range(1000)]}, path=PATH)
    assert answer.json()["message"] == "Accepted 1000 events for processing"
    answer = await running.send({"events": [event() for _ in range(1001)]}, path=PATH)
    assert (answer.status_code, answer.json()["code"]) == (422, "batch_too_large")
    answer = await running.send({"events": [1, *(event() for _ in range(1001))]}, path=PATH)
    assert (answer.status_code, answer.json()["code"]) == (422, "batch_too_large")
    assert await running.stored() == before + 1000


async def test_an_id_in_any_spelling_is_one(running: Running) -> None:
    same = uuid4()
    bodies = [{"events": [event(event_id=text)]} for text in (str(same), str(same).upper(), same.hex)]
    answers = [(await running.send(body, path=PATH)).json() for body in bodies]
    assert [answer["inserted"] for answer in answers] == [1, 0, 0]
    assert (await running.send({"events": [event(event_id=str(same))] * 2}, path=PATH)).json()["duplicates"] == 2


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"event_id": "not-a-uuid"}, "wrong_type", "event_id"),
        ({"event_id": 5}, "wrong_type", "event_id"),
        ({"event_id": None}, "missing", "event_id"),
        ({"occurred_at": "yesterday"}, "not_a_time", "occurred_at"),
        ({"occurred_at": None}, "missing", "occurred_at"),
        ({"occurred_at": []}, "wrong_type", "occurred_at"),
        ({"user_id": None}, "missing", "user_id"),
        ({"user_id": " "}, "missing", "user_id"),
        ({"user_id": "u" * 256}, "too_long", "user_id"),
        ({"event_type": None}, "missing", "event_type"),
        ({"event_type": "x" * 256}, "too_long", "event_type"),
        ({"event_type": {}}, "wrong_type", "event_type"),
        ({"properties": [1]}, "wrong_type", "properties"),
    ],
)
async def test_one_wrong_event_sinks_its_batch_and_is_named(
    running: Running, wrong: dict[str, Any], code: str, field: str
) -> None:
    before = await running.stored()
    answer = await running.send({"events": [event(), event(**wrong), event()]}, path=PATH)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, code, field)
    assert problem["pointer"] == f"#/events/1/{field}"
    assert problem["detail"].startswith(f"{field}: ")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["accepted"] == 0
    assert [(one["index"], one["code"]) for one in problem["rejected"]] == [(1, code)]
    assert await running.stored() == before


async def test_all_wrong_events_are_named(running: Running) -> None:
    answer = await running.send({"events": [7, event(), event(user_id=None), event(occurred_at="x")]}, path=PATH)
    assert [one["index"] for one in answer.json()["rejected"]] == [0, 2, 3]
    assert answer.json()["pointer"] == "#/events/0"


async def test_what_was_refused_may_come_again(running: Running) -> None:
    good = event()
    assert (await running.send({"events": [good, event(user_id=None)]}, path=PATH)).status_code == 422
    assert (await running.send({"events": [good]}, path=PATH)).json()["inserted"] == 1


async def test_what_is_filtered_is_said_in_words(running: Running) -> None:
    crawler = BROWSER | {"user-agent": "Googlebot/2.1", "x-api-key": running.key}
    answer = await running.http.post(PATH, json={"events": [event(), event()]}, headers=crawler)
    assert answer.status_code == 202
    assert answer.json() == {
        "total_received": 2, "inserted": 0, "duplicates": 0,
        "message": "Accepted 0 events for processing, 2 were filtered (bot)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"[]", 422, "wrong_type"),
        (b"{}", 422, "empty_batch"),
        (b'{"events": []}', 422, "empty_batch"),
        (b'{"events": null}', 422, "empty_batch"),
        (b'{"events": 5}', 422, "wrong_type"),
        (b'{"events": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "too_deep"),
    ],
)
async def test_bad_bodies(running: Running, body: bytes, status: int, code: str) -> None:
    answer = await running.send(body, path=PATH)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_explicit_nulls_and_unknown_members_are_nothing(running: Running) -> None:
    content = json.dumps({"events": [event(properties=None, source="x", extra=[1])], "more": {}})
    assert (await running.send(content.encode(), path=PATH)).json()["inserted"] == 1
