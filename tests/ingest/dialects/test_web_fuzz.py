"""Whatever is thrown at the paths of Plausible, Umami and GoatCounter: never a 500, always an answer in their form."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ingest.dialects import goatcounter_api, plausible, umami
from appliance.ingest.dialects.pixel import IMAGE
from tests.ingest.dialects.site import Site
from tests.ingest.test_fuzz import SETTINGS, header_text, json_values, likely
from tests.running import Running

FEWER = settings(SETTINGS, max_examples=60)
anything = json_values | likely | st.text(max_size=300) | st.sampled_from(["example.com", "sa_x", 255, "a,b"])


def fields(struct: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(struct.__struct_encode_fields__), anything, max_size=8)


plausible_events = fields(plausible._Body)
umami_events = st.fixed_dictionaries({"type": st.just("event") | anything, "payload": fields(umami._Payload)})
hits = fields(goatcounter_api._Hit) | json_values


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


async def post(site: Site, path: str, content: bytes, **headers: str) -> Any:
    answer = await site.http.post(path, content=content, headers=raw(site.browser(**headers)))
    assert answer.status_code < 500, answer.text
    return answer


def raw(headers: dict[str, str]) -> dict[str, bytes]:
    return {name: value.encode("latin-1") for name, value in headers.items()}


@FEWER
@given(body=st.binary(max_size=300) | json_values.map(encoded))
@pytest.mark.parametrize("path", ["/api/event", "/api/send", "/api/batch", "/api/v0/count"])
async def test_random_bodies(site: Site, path: str, body: bytes) -> None:
    answer = await post(site, path, body, x_api_key=site.key)
    assert answer.text == "ok" or answer.json()


@FEWER
@given(event=plausible_events)
async def test_random_events_of_plausible(site: Site, event: Any) -> None:
    for sent in (event, {"n": "pageview", "u": site.url, "d": site.host} | event):
        answer = await post(site, "/api/event", encoded(sent))
        if answer.status_code == 202:
            assert answer.text == "ok"
        else:
            assert all(isinstance(text, str) for (text,) in answer.json()["errors"].values())


@FEWER
@given(event=umami_events)
async def test_random_events_of_umami(site: Site, event: Any) -> None:
    likelier = {"type": "event", "payload": {"url": site.url, "website": site.project.public_id} | event["payload"]}
    for sent in (event, likelier):
        body = (await post(site, "/api/send", encoded(sent))).json()
        assert set(body) in ({"cache", "sessionId", "visitId"}, {"beep"}, {"error"})


@FEWER
@given(batch=st.lists(umami_events | json_values, min_size=1, max_size=5))
async def test_random_batches_of_umami(site: Site, batch: list[Any]) -> None:
    for key in ("", site.key):
        body = (await post(site, "/api/batch", encoded(batch), **({"x_api_key": key} if key else {}))).json()
        if "error" not in body:
            assert body["size"] == len(batch) == body["processed"] + body["errors"]
            assert len(body["details"]) == body["errors"] == len({detail["index"] for detail in body["details"]})


@FEWER
@given(batch=st.lists(hits, min_size=1, max_size=5), bare=st.booleans())
async def test_random_hits_of_goatcounter(site: Site, batch: list[Any], bare: bool) -> None:
    body = encoded({"hits": batch, "no_sessions": bare})
    answer = await post(site, "/api/v0/count", body, authorization=f"Bearer {site.key}")
    if answer.status_code == 202:
        assert answer.json() == {"status": "ok"}
    elif "error" not in answer.json():  # of the whole request: Infinity is no JSON
        assert all(0 <= int(index) < len(batch) for index in answer.json()["errors"])


@FEWER
@given(
    query=st.dictionaries(st.sampled_from(["p", "t", "e", "r", "s", "q", "b", "key", "domain"]), st.text(max_size=50)),
    tail=st.text(max_size=30),
    referer=header_text,
)
async def test_random_counts(site: Site, query: dict[str, str], tail: str, referer: str) -> None:
    headers = raw(site.browser(referer=referer))
    for method in ("GET", "POST"):
        target = f"/count?{urlencode(query)}?{tail.encode().hex('%')}"
        answer = await site.http.request(method, target, headers=headers)
        assert answer.status_code < 500
        assert (answer.content, answer.headers["content-type"]) == (IMAGE, "image/gif")


@FEWER
@given(agent=header_text, origin=header_text, key=header_text, token=header_text)
@pytest.mark.parametrize("path", ["/api/event", "/api/send", "/count?p=/a", "/api/v0/count"])
async def test_random_headers(site: Site, path: str, agent: str, origin: str, key: str, token: str) -> None:
    body = encoded(
        {"n": "x", "u": site.url, "d": site.host, "hits": [{"path": "/", "session": "s"}]}
        | {"type": "event", "payload": {"website": site.project.public_id, "url": site.url}}
    )
    for more in ({}, {"authorization": key}):
        await post(site, path, body, user_agent=agent, origin=origin, x_umami_cache=token, **more)


async def test_everything_accepted_was_stored(running: Running) -> None:
    await running.drained()
    assert running.appliance.drain.dead_letters == 0
    assert running.appliance.drain.restarts == 0
