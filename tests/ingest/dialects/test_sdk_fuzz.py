"""Whatever is thrown at the paths of Segment's and PostHog's libraries: never a 500, always JSON that says what is
wrong, and of a batch each event that was not taken is named once."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ingest.dialects import posthog, posthog_events, posthog_properties, segment
from tests.ingest.test_fuzz import SETTINGS, header_text, json_values
from tests.running import Running

FEWER = settings(SETTINGS, max_examples=80)
PATHS = (*segment.PATHS, *posthog.PATHS)
PROPERTIES = (
    *posthog_properties._NOT_KEPT,
    "$group_key",
    "$group_type",
    "alias",
    "$prev_pageview_duration",
    "title",
    "url",
)

likely = st.sampled_from(
    [
        *segment._TYPES, *posthog_events._STATEMENTS, *posthog_events._PAGES, "$autocapture", "$snapshot", "ann", "",
        "https://example.com/x?utm_source=a", "2026-01-01", "EUR", False, True, 5, 1e300, -1,
    ]
)  # fmt: skip
values = json_values | likely | st.text(max_size=300)
properties = st.dictionaries(st.sampled_from(PROPERTIES) | st.text(max_size=10), values, max_size=8)
contexts = st.dictionaries(
    st.sampled_from(segment._Context.__struct_encode_fields__),
    values | st.dictionaries(st.sampled_from(["url", "title", "name", "source", "type", "width", "version"]), values),
    max_size=5,
)


def objects(needed: dict[str, Any], names: Sequence[str], **more: Any) -> Any:
    return st.fixed_dictionaries(needed, optional={name: values for name in names if name not in needed} | more)


calls = objects(
    {"type": likely, "userId": values},
    segment._Call.__struct_encode_fields__,
    context=contexts | values,
    properties=properties | values,
)
captures = objects(
    {"event": likely, "distinct_id": values},
    posthog_events.WireEvent.__struct_encode_fields__,
    properties=properties | values,
)


def check(answer: Any) -> Any:
    assert answer.status_code < 500, answer.text
    body = answer.json()
    if answer.status_code != 200:
        assert body["code"]
        assert body.get("message") or body.get("detail")
    return body


def check_batch(answer: Any, sent: int) -> None:
    body = check(answer)
    if answer.status_code == 200 and "results" not in body:
        told = [entry["index"] for entry in body.get("rejected", []) + body.get("dropped", [])]
        assert len(told) == len(set(told)) <= sent
        assert all(0 <= index < sent for index in told)


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode("utf-8", "surrogatepass")


@FEWER
@given(body=st.binary(max_size=200), path=st.sampled_from(PATHS))
async def test_random_bytes(running: Running, body: bytes, path: str) -> None:
    for form in (body, b"data=" + body):
        check(await running.send(form, path=path))


@FEWER
@given(body=json_values, path=st.sampled_from(PATHS))
async def test_random_json(running: Running, body: Any, path: str) -> None:
    check(await running.send(encoded(body), path=path))


@FEWER
@given(batch=st.lists(calls | json_values, min_size=1, max_size=5), context=contexts, sent_at=values)
async def test_random_calls(running: Running, batch: list[Any], context: Any, sent_at: Any) -> None:
    body = {"batch": batch, "context": context, "sentAt": sent_at}
    check_batch(await running.send(encoded(body), path="/v1/batch"), len(batch))
    for call in batch:
        check_batch(await running.send(encoded(call), path="/v1/track"), 1)


@FEWER
@given(batch=st.lists(captures | json_values, min_size=1, max_size=5), sent_at=values, browser=st.booleans())
async def test_random_events(running: Running, batch: list[Any], sent_at: Any, browser: bool) -> None:
    headers = {"origin": "https://example.com"} if browser else {}
    for path in ("/batch", posthog._V1):
        answer = await running.send(encoded({"batch": batch, "sent_at": sent_at}), path=path, **headers)
        check_batch(answer, len(batch))
    check_batch(await running.send(encoded(batch), path="/e", **headers), len(batch))


@FEWER
@given(call=calls, event=captures, agent=header_text, origin=header_text, key=header_text, clock=header_text)
async def test_random_headers(
    running: Running, call: Any, event: Any, agent: str, origin: str, key: str, clock: str
) -> None:
    texts = {"user-agent": agent, "origin": origin, "authorization": key, "posthog-request-timestamp": clock}
    headers = {name: text.encode("latin-1") for name, text in texts.items()}
    check(await running.http.post("/v1/t", content=encoded(call), headers=headers))
    check(await running.http.post(posthog._V1, content=encoded(event), headers=headers))


@FEWER
@given(data=st.text(max_size=100), path=st.sampled_from(posthog.PATHS))
async def test_random_queries(running: Running, data: str, path: str) -> None:
    check(await running.http.get(path, params={"data": data, "_": data, "compression": "gzip-js"}))


@pytest.mark.parametrize("path", PATHS)
async def test_any_method(running: Running, path: str) -> None:
    for method in ("GET", "PUT", "DELETE", "HEAD", "PATCH"):
        answer = await running.http.request(method, path)
        assert answer.status_code in (400, 401, 405), method


async def test_everything_accepted_was_stored(running: Running) -> None:
    await running.drained()
    assert running.appliance.drain.dead_letters == 0
    assert running.appliance.drain.restarts == 0
