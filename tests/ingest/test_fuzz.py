"""Whatever is thrown at an ingest path: never a 500, always JSON that says what is wrong."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.ingest.sent import Sent
from tests.running import INGEST, Running

SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
likely = st.sampled_from(
    ["pageview", "engagement", "identify", "reset", "https://example.com/x?utm_source=a", "2026-01-01"]
)
events = st.dictionaries(
    st.sampled_from(Sent.__struct_fields__), json_values | likely | st.text(max_size=300), max_size=8
)
header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)


def check(answer: Any) -> None:
    assert answer.status_code < 500, answer.text
    if answer.headers.get("content-type", "").startswith("application/"):
        body = answer.json()
        if answer.status_code != 202:
            assert body["code"]
            assert body["detail"]
        else:
            sums = body["accepted"] + body["duplicates"] + len(body["dropped"]) + len(body["rejected"])
            assert sums >= 1


@SETTINGS
@given(body=st.binary(max_size=400))
@pytest.mark.parametrize("path", [INGEST, f"{INGEST}/"])
async def test_random_bytes(running: Running, path: str, body: bytes) -> None:
    check(await running.send(body, path=path))


@SETTINGS
@given(body=json_values)
async def test_random_json(running: Running, body: Any) -> None:
    check(await running.send(json.dumps(body).encode("utf-8", "surrogatepass")))


@SETTINGS
@given(batch=st.lists(events | json_values, min_size=1, max_size=6))
async def test_random_events(running: Running, batch: list[Any]) -> None:
    answer = await running.send(json.dumps({"events": batch}).encode("utf-8", "surrogatepass"))
    check(answer)
    if answer.status_code == 202:
        body = answer.json()
        total = body["accepted"] + body["duplicates"] + len(body["dropped"]) + len(body["rejected"])
        assert total == len(batch)


@SETTINGS
@given(
    event=events, agent=header_text, origin=header_text, forwarded=header_text, key=header_text, language=header_text
)
async def test_random_headers(
    running: Running, event: Any, agent: str, origin: str, forwarded: str, key: str, language: str
) -> None:
    headers = {
        "user-agent": agent, "origin": origin, "x-forwarded-for": forwarded, "authorization": key,
        "accept-language": language,
    }  # fmt: skip
    content = json.dumps(event).encode("utf-8", "surrogatepass")
    check(
        await running.http.post(INGEST, content=content, headers={n: v.encode("latin-1") for n, v in headers.items()})
    )


@SETTINGS
@given(query=st.text(max_size=100), referer=header_text)
async def test_random_pixels(running: Running, query: str, referer: str) -> None:
    headers = {"referer": referer.encode("latin-1")}
    answer = await running.http.get("/pixel.gif", params={"key": running.key, "url": query}, headers=headers)
    check(answer)


async def test_everything_accepted_was_stored(running: Running) -> None:
    await running.drained()
    assert running.appliance.drain.dead_letters == 0
    assert running.appliance.drain.restarts == 0
