"""System A's requests as it documented them, and its answers."""

import json
from typing import Any

import pytest

from tests.ingest.test_endpoint import newest, text_of
from tests.running import BROWSER, Running

PATH = "/api/events/ingest/"
DOCUMENTED = """
{
  "event_name": "page_view",
  "event_source": "web_app",
  "user_id": "user_123",
  "session_id": "sess_abc",
  "event_id": "client_event_id",
  "properties": {
    "page": "/dashboard",
    "referrer": "https://google.com"
  },
  "timestamp": "2023-01-01T12:00:00Z"
}
"""
ACCEPTED = {"status": "accepted", "sampled": False}


async def post(running: Running, body: Any, path: str = PATH, key: str | None = None, **headers: str) -> Any:
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    bearer = {"authorization": f"Bearer {running.key if key is None else key}", "content-type": "application/json"}
    return await running.http.post(path, content=content, headers=bearer | headers)


@pytest.mark.parametrize("path", [PATH, PATH.rstrip("/")])
async def test_the_documented_request(running: Running, path: str) -> None:
    answer = await post(running, DOCUMENTED, path)
    assert (answer.status_code, answer.json()) == (202, ACCEPTED)
    assert answer.headers["content-type"] == "application/json"


async def test_what_is_stored_of_it(running: Running) -> None:
    sent = json.loads(DOCUMENTED) | {"event_id": "stored", "session_id": "sess_stored"}
    assert (await post(running, sent)).status_code == 202
    time, kind, properties = await newest(running, "time", "kind", "properties")
    assert (time, kind) == (1672574400_000000, 0)  # years back, as servers may send
    assert json.loads(properties) == sent["properties"]
    dimensions = {"name": 1, "source": 2, "path": 4, "user": 6}
    texts = [await text_of(running, column, number) for column, number in dimensions.items()]
    assert texts == ["page_view", "web_app", "/dashboard", "user_123"]
    assert await text_of(running, "referrer_source", 9, "visit") == "Google"
    ((session,),) = await running.appliance.database.read("SELECT session_id FROM visit ORDER BY id DESC LIMIT 1")
    assert session == "sess_stored"


async def test_a_name_is_enough(running: Running) -> None:
    before = await running.stored()
    answer = await post(running, {"event_name": "signup", "user_id": None, "properties": None, "timestamp": None})
    assert (answer.status_code, answer.json()) == (202, ACCEPTED)
    assert await running.stored() == before + 1


@pytest.mark.parametrize("name", ["identify", "engagement", "reset"])
async def test_names_that_mean_something_elsewhere_are_events_here(running: Running, name: str) -> None:
    before = await running.stored()
    assert (await post(running, {"event_name": name, "user_id": "u"})).json() == ACCEPTED
    assert await running.stored() == before + 1
    assert await newest(running, "kind") == 1


@pytest.mark.parametrize(
    ("properties", "path"),
    [
        ({"url": "https://example.com/a?x=1", "page": "/b"}, "/a"),
        ({"page": "Pricing", "path": "/c"}, "/c"),
        ({"page": 7, "path": ["/d"]}, ""),
        ({"page": "data:text/html,x"}, ""),
        ({}, ""),
    ],
)
async def test_where_a_page_view_says_its_page(running: Running, properties: Any, path: str) -> None:
    assert (await post(running, {"event_name": "pageview", "properties": properties})).status_code == 202
    assert await text_of(running, "path", 4) == path


async def test_the_same_id_again_is_accepted_and_counts_once(running: Running) -> None:
    before = await running.stored()
    for _ in range(2):
        assert (await post(running, {"event_name": "a", "event_id": "twice"})).json() == ACCEPTED
    assert await running.stored() == before + 1


async def test_what_is_filtered_is_named(running: Running) -> None:
    answer = await post(running, {"event_name": "a"}, **(BROWSER | {"user-agent": "Googlebot/2.1"}))
    assert answer.status_code == 202
    assert answer.json() == {
        "status": "accepted", "sampled": False, "dropped": [{"index": 0, "reason": "bot"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ("{", 400, "malformed_json", None),
        ("[]", 422, "wrong_type", None),
        ({}, 422, "missing", "event_name"),
        ({"event_name": 5}, 422, "wrong_type", "event_name"),
        ({"event_name": "x" * 256}, 422, "too_long", "event_name"),
        ({"event_name": "a", "event_source": []}, 422, "wrong_type", "event_source"),
        ({"event_name": "a", "timestamp": "soon"}, 422, "not_a_time", "timestamp"),
        ({"event_name": "a", "properties": "x"}, 422, "wrong_type", "properties"),
        ({"event_name": "a", "properties": {"a": "x" * 65_536}}, 422, "too_large", "properties"),
        ({"event_name": "page_view", "properties": ["/"]}, 422, "wrong_type", "properties"),
    ],
)
async def test_what_is_wrong_is_told_in_its_words(
    running: Running, body: Any, status: int, code: str, field: str | None
) -> None:
    before = await running.stored()
    answer = await post(running, body)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem.get("field")) == (status, code, field)
    assert answer.headers["content-type"] == "application/problem+json"
    if field is not None:
        assert problem["detail"].startswith(f"{field}: ")
        assert problem["pointer"] == f"#/{field}"
    assert await running.stored() == before


async def test_keys(running: Running) -> None:
    event = {"event_name": "a"}
    assert (await post(running, event, key=running.private)).json() == ACCEPTED
    assert (await post(running, event, key="sa_wrong")).status_code == 401
    assert (await running.http.post(PATH, json=event)).json()["code"] == "missing_key"
    assert (await post(running, event, key=running.private, **BROWSER)).json()["code"] == "private_key_exposed"
