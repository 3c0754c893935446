"""Whatever is thrown at the paths of systems A, B and D: never a 500, always JSON that says what is wrong."""

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.test_fuzz import SETTINGS, header_text, json_values, likely
from tests.running import Running

FEWER = settings(SETTINGS, max_examples=60)
PATHS = ["/api/events/ingest/", "/events", "/track"]
NAMES = (
    "event_name", "event_source", "event_type", "event_id", "user_id", "session_id", "properties", "timestamp",
    "occurred_at",
)  # fmt: skip
values = json_values | likely | st.text(max_size=300) | st.builds(lambda: str(uuid4()))
events = st.dictionaries(st.sampled_from(NAMES), values, max_size=8)
good = st.fixed_dictionaries(
    {
        "event_id": st.builds(lambda: str(uuid4())),
        "occurred_at": st.just("2026-01-01T00:00:00Z"),
        "user_id": st.text(min_size=1, max_size=20),
        "event_type": st.text(min_size=1, max_size=20),
    }
)


def check(answer: Any) -> None:
    assert answer.status_code in (202, 400, 401, 403, 413, 415, 422), answer.text
    body = answer.json()
    if answer.status_code != 202:
        assert body["code"]
        assert body["detail"]


@FEWER
@given(body=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")))
@pytest.mark.parametrize("path", PATHS)
async def test_random_bodies(running: Running, path: str, body: bytes) -> None:
    check(await running.send(body, path=path))


@FEWER
@given(event=events, agent=header_text, origin=header_text, key=header_text)
@pytest.mark.parametrize("path", [PATHS[0], PATHS[2]])
async def test_random_events(running: Running, path: str, event: Any, agent: str, origin: str, key: str) -> None:
    content = json.dumps(event).encode("utf-8", "surrogatepass")
    check(await running.send(content, path=path))
    headers = {"user-agent": agent, "origin": origin, "authorization": key}
    check(await running.http.post(path, content=content, headers={n: v.encode("latin-1") for n, v in headers.items()}))


@FEWER
@given(batch=st.lists(good | events | json_values, min_size=1, max_size=5))
async def test_random_batches_are_taken_whole_or_not_at_all(running: Running, batch: list[Any]) -> None:
    accepted = running.appliance.endpoint.accepted
    answer = await running.send(json.dumps({"events": batch}).encode("utf-8", "surrogatepass"), path="/events")
    check(answer)
    if answer.status_code == 202:
        body = answer.json()
        assert body["total_received"] == len(batch) == body["inserted"] + body["duplicates"]
    assert running.appliance.endpoint.accepted == accepted + (answer.json().get("inserted") or 0)


async def test_everything_accepted_was_stored(running: Running) -> None:
    await running.drained()
    assert running.appliance.drain.dead_letters == 0
    assert running.appliance.drain.restarts == 0
