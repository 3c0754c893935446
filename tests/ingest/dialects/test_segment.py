"""Segment's API over HTTP: what a call becomes, and what is answered."""

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from httpx2 import Response

from tests.ingest.dialects.stored import event, export, traits, visits_with
from tests.running import FIREFOX, Running

_numbers = count(1)
NOW = datetime.now(UTC)


def call(kind: str = "track", **fields: Any) -> dict[str, Any]:
    """A call of a server, with a message id of its own."""
    made = {"type": kind, "userId": "ann", "messageId": f"segment-{next(_numbers)}"}
    return made | ({"event": "Bought"} if kind == "track" else {}) | fields


async def send(running: Running, path: str, body: Any, key: str | None = None, **headers: str) -> Response:
    """As the libraries do: the key is the user of Basic."""
    token = base64.b64encode(f"{running.key if key is None else key}:".encode()).decode()
    return await running.send(body, path=path, key="", authorization=f"Basic {token}", **headers)


async def one(running: Running, sent: dict[str, Any]) -> dict[str, Any]:
    """The event that a call became."""
    answer = await send(running, f"/v1/{sent['type']}", sent)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    return await event(running, sent["messageId"])


# ---------------------------------------------------------------- keys and paths


@pytest.mark.parametrize("path", ["/v1/track", "/v1/t", "/v1/track/"])
async def test_a_call_is_stored_once_however_often_it_is_sent(running: Running, path: str) -> None:
    sent = call(properties={"plan": "team"})
    for _ in range(2):
        answer = await send(running, path, sent)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    row = await event(running, sent["messageId"])
    assert (row["event"], row["user_id"], row["properties"]) == ("Bought", "ann", {"plan": "team"})


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer eyJhbGciOi.a.b"}])
async def test_the_key_may_stand_in_the_body_also_beside_a_token_of_segments(
    running: Running, headers: dict[str, str]
) -> None:
    body = {"batch": [call()], "writeKey": running.key}
    answer = await running.send(body, path="/v1/batch", key="", **headers)
    assert answer.json() == {"success": True}
    answer = await running.send(call(writeKey=running.key), path="/v1/t", key="", **headers)
    assert answer.json() == {"success": True}
    answer = await running.send({"batch": [call(writeKey=running.key)]}, path="/v1/b", key="", **headers)
    assert answer.json() == {"success": True}


async def test_a_bearer_key_of_ours(running: Running) -> None:
    answer = await running.send(call(), path="/v1/track", key="", authorization=f"Bearer {running.key}")
    assert answer.json() == {"success": True}


@pytest.mark.parametrize("key", ["sa_wrong", "write_key_of_segment", ""])
async def test_a_wrong_key_is_told_as_the_libraries_want_it(running: Running, key: str) -> None:
    answer = await send(running, "/v1/batch", {"batch": [call()], "writeKey": key}, key=key)
    assert answer.status_code == 401
    assert answer.json()["success"] is False
    assert answer.json()["code"] in ("unknown_key", "missing_key")
    assert answer.json()["message"]


async def test_gzip_whatever_the_content_type_says(running: Running) -> None:
    sent = call()
    body = gzip.compress(json.dumps({"batch": [sent]}).encode())
    for headers in ({"content_encoding": "gzip"}, {}):
        answer = await send(running, "/v1/batch", body, content_type="application/x-www-form-urlencoded", **headers)
        assert answer.json() == {"success": True}
    assert await event(running, sent["messageId"])


# ---------------------------------------------------------------- calls


async def test_track_with_everything_that_a_context_says(running: Running) -> None:
    context = {
        "ip": "198.51.100.7",
        "userAgent": FIREFOX,
        "locale": "de-DE",
        "timezone": "Europe/Berlin",
        "page": {
            "url": "https://example.com/shop?q=1",
            "path": "/shop",
            "title": "Shop",
            "referrer": "https://news.example.org/a?b",
        },
        "campaign": {"source": "letter", "medium": "email", "name": "may", "term": "t", "content": "c"},
        "screen": {"width": 1920, "height": 1080, "density": 2},
        "app": {"name": "shop", "version": "1.2"},
        "library": {"name": "analytics-python", "version": "2"},
        "direct": True,
        "groupId": 7,
    }
    row = await one(running, call(userId="all", context=context, integrations={"All": True}, anonymousId=None))
    expected = {
        "hostname": "example.com", "path": "/shop", "title": "Shop", "referrer": "news.example.org/a",
        "utm_source": "letter", "utm_medium": "email", "utm_campaign": "may", "utm_term": "t", "utm_content": "c",
        "screen": "1920x1080", "language": "de-DE", "country": "DE", "browser": "Firefox", "os": "Linux",
        "device": "Desktop", "source": "shop",
    }  # fmt: skip
    assert expected.items() <= row.items()
    assert "properties" not in row


async def test_an_app_says_what_no_agent_does(running: Running) -> None:
    context = {"os": {"name": "iPhone OS", "version": "17.2"}, "device": {"type": "ios", "model": "iPhone15,2"}}
    row = await one(running, call(userId="phone", context=context))
    assert (row["os"], row["os_version"], row["device"]) == ("iOS", "17.2", "Mobile")


async def test_a_servers_own_address_and_agent_say_nothing(running: Running) -> None:
    sent = call(userId="served")
    await send(running, "/v1/track", sent, user_agent="analytics-python/2.4.0")
    row = await event(running, sent["messageId"])
    assert not {"browser", "os", "device", "country"} & row.keys()


@pytest.mark.parametrize(
    ("properties", "revenue"),
    [
        ({"revenue": 12.5, "currency": "EUR"}, ("12.50", "EUR")),
        ({"revenue": "12.50", "currency": "usd"}, ("12.50", "USD")),
        ({"revenue": 7}, ("7.00", "EUR")),
        ({"value": 3, "currency": "JPY"}, ("3", "JPY")),
        ({"value": 3}, None),
        ({"revenue": 5, "value": 3, "currency": "EUR"}, ("5.00", "EUR")),
        ({"revenue": "much", "currency": "EUR"}, None),
        ({"revenue": 1, "currency": "points"}, None),
        ({"revenue": {"a": 1}, "currency": 5}, None),
        ({"currency": "EUR"}, None),
    ],
)
async def test_revenue_of_track(running: Running, properties: Any, revenue: Any) -> None:
    row = await one(running, call(properties=properties))
    assert row["properties"] == properties
    assert ((row["revenue"], row["currency"]) if revenue else row.get("revenue")) == revenue


@pytest.mark.parametrize(
    ("fields", "expected", "properties"),
    [
        (
            {"properties": {"url": "//example.com/a?x", "path": "/a", "title": "A", "referrer": "", "search": "?x"}},
            {"event": "pageview", "hostname": "example.com", "path": "/a", "title": "A"},
            None,
        ),
        (
            {"name": "Pricing", "category": "Docs", "context": {"page": {"url": "//example.com/p", "title": "P"}}},
            {"event": "Pricing", "path": "/p", "title": "P"},
            {"category": "Docs"},
        ),
        ({"name": "Home page", "properties": {"plan": 1}}, {"event": "Home page", "path": "/Home page"}, {"plan": 1}),
        ({"properties": {"path": "/b", "search": "?utm_source=x"}}, {"path": "/b", "utm_source": "x"}, None),
        ({"properties": {"name": "N", "category": "X", "url": []}, "category": "C"}, {"event": "N"}, {"category": "X"}),
        ({"properties": None}, {"event": "pageview"}, None),
    ],
)  # fmt: skip
async def test_page_is_a_page_view(running: Running, fields: Any, expected: Any, properties: Any) -> None:
    sent = call("page", userId=None, anonymousId=f"reader-{next(_numbers)}", **fields)
    row = await one(running, sent)
    assert expected.items() <= row.items()
    assert row.get("properties") == properties
    (visit,) = await visits_with(running, sent["messageId"])
    assert visit["pageviews"] == 1


async def test_screen_is_a_page_view_of_an_app(running: Running) -> None:
    row = await one(running, call("screen", userId="walker", name="Order #5?", category="Shop", properties={"n": 1}))
    assert (row["event"], row["path"], row["title"]) == ("Order #5?", "/Order #5?", "Order #5?")
    assert row["properties"] == {"n": 1, "category": "Shop"}


@pytest.mark.parametrize("name", ["identify", "reset", "engagement", "alias"])
async def test_what_is_tracked_is_an_event_whatever_its_name(running: Running, name: str) -> None:
    assert (await one(running, call(event=name)))["event"] == name


async def test_identify_keeps_traits_and_gives_the_visit_to_the_user(running: Running) -> None:
    before, after = call(userId=None, anonymousId="anon-1"), call(userId="ida", anonymousId="anon-1")
    identify = call("identify", userId="ida", anonymousId="anon-1", traits={"plan": "team", "age": 5})
    answer = await send(running, "/v1/batch", {"batch": [before, identify, after]})
    assert answer.json() == {"success": True}
    (visit,) = await visits_with(running, before["messageId"], after["messageId"])
    assert (visit["user_id"], visit["events"]) == ("ida", 2)
    assert await traits(running, "ida") == {"plan": "team", "age": 5}
    assert identify["messageId"] not in {row["event_id"] for row in await export(running, "events")}


async def test_group_is_kept_under_its_user(running: Running) -> None:
    for body in (
        call("group", userId="gus", groupId="acme", traits={"seats": 5}),
        call("group", userId="gus", groupId=7),
        call("group", userId="gus", groupId="acme", traits={"plan": "x"}),
    ):
        assert (await send(running, "/v1/group", body)).json() == {"success": True}
    assert await traits(running, "gus") == {"groups": {"acme": {"seats": 5, "plan": "x"}, "7": {}}}


@pytest.mark.parametrize("before", [{"userId": "draft"}, {"userId": None, "anonymousId": "draft"}])
async def test_alias_gives_the_open_visit_to_the_user_and_is_remembered(running: Running, before: Any) -> None:
    user = f"al-{next(_numbers)}"
    first, last = call(**before), call(userId=user)
    alias = call("alias", userId=user, previousId="draft")
    await send(running, "/v1/batch", {"batch": [first, alias, last]})
    (visit,) = await visits_with(running, first["messageId"], last["messageId"])
    assert visit["user_id"] == user
    assert await traits(running, user) == {"aliases": {"draft": True}}


async def test_the_outer_context_of_a_batch_is_each_calls_where_it_says_nothing_else(running: Running) -> None:
    own, without = call(context={"locale": "fr-FR"}, userId="out-1"), call(userId="out-2")
    page = {"url": "https://example.com/outer"}
    await send(running, "/v1/batch", {"batch": [own, without], "context": {"locale": "de-DE", "page": page}})
    rows = [await event(running, sent["messageId"]) for sent in (own, without)]
    assert [(row["language"], row["path"]) for row in rows] == [("fr-FR", "/outer"), ("de-DE", "/outer")]


# ---------------------------------------------------------------- time


async def test_the_clock_of_the_client_is_corrected(running: Running) -> None:
    clock = NOW + timedelta(hours=3)  # wrong by that
    batched = call(timestamp=(clock - timedelta(minutes=1)).isoformat())
    await send(running, "/v1/batch", {"batch": [batched], "sentAt": clock.isoformat()})
    single = call(originalTimestamp=(clock - timedelta(minutes=1)).isoformat(), sentAt=clock.isoformat())
    await send(running, "/v1/track", single)
    for sent in (batched, single):
        time = datetime.fromisoformat((await event(running, sent["messageId"]))["timestamp"])
        assert abs(time.astimezone(UTC) - (datetime.now(UTC) - timedelta(minutes=1))) < timedelta(seconds=50)


async def test_old_calls_keep_their_times_and_corrected_ones_are_not_corrected_again(running: Running) -> None:
    time = "2024-05-06T07:08:09.123456+02:00"
    imported = call(timestamp=time)
    await send(running, "/v1/import", {"batch": [imported]})
    forwarded = call(timestamp=time, originalTimestamp="2024-05-06T05:00:00Z", sentAt="2024-05-06T05:01:00Z")
    await send(running, "/v1/track", forwarded)
    for sent in (imported, forwarded):
        stored = datetime.fromisoformat((await event(running, sent["messageId"]))["timestamp"])
        assert stored.replace(tzinfo=UTC) == datetime.fromisoformat(time)


# ---------------------------------------------------------------- what is wrong


async def test_a_batch_keeps_its_good_calls_and_tells_the_others(running: Running) -> None:
    batch = [
        call(),
        call("track", event=None),
        call("dance"),
        call("track", userId=None),
        call("track", userId="", anonymousId=""),
        call("identify", userId=None, anonymousId="a"),
        call("group", groupId=None),
        call("alias", userId="b", previousId=""),
        call(properties=[1]),
        call(properties={"a": "x" * 33_000}),
        call(timestamp="soon"),
        call(userId=["u"]),
        5,
        call(messageId="m" * 256),
        call(context={"page": {"url": "data:text/html,x"}}),
        call(),
    ]  # fmt: skip
    answer = await send(running, "/v1/batch", {"batch": batch})
    assert answer.status_code == 200
    assert answer.json()["success"] is True
    assert [(r["index"], r["code"], r.get("field")) for r in answer.json()["rejected"]] == [
        (1, "missing", "event"),
        (2, "unknown_type", "type"),
        (3, "missing", "userId"),
        (4, "missing", "userId"),
        (5, "missing", "userId"),
        (6, "missing", "groupId"),
        (7, "missing", "previousId"),
        (8, "wrong_type", "properties"),
        (9, "too_large", None),
        (10, "not_a_time", "timestamp"),
        (11, "wrong_type", "userId"),
        (12, "wrong_type", None),
        (13, "too_long", "messageId"),
        (14, "not_a_page", "context.page.url"),
    ]
    assert all(r["message"] for r in answer.json()["rejected"])
    assert await event(running, batch[0]["messageId"])  # type: ignore[index]
    assert await event(running, batch[-1]["messageId"])  # type: ignore[index]


async def test_a_call_is_not_wrong_for_what_it_says_beside_its_point(running: Running) -> None:
    context = {"page": "https://example.com/", "screen": "wide", "locale": 5}
    single, batched = call(context=context), call(context=[])
    assert (await send(running, "/v1/track", single)).json() == {"success": True}
    body = {"batch": [batched], "context": 7, "sentAt": [], "writeKey": {}}
    assert (await send(running, "/v1/batch", body)).json() == {"success": True}
    for sent in (single, batched):
        assert (await event(running, sent["messageId"]))["event"] == "Bought"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/track", b"", "malformed_json"),
        ("/v1/track", b"{", "malformed_json"),
        ("/v1/track", b'{"event": "\xff"}', "malformed_json"),
        ("/v1/track", b"[]", "wrong_type"),
        ("/v1/track", b'{"event": "a", "x": "' + b"x" * 32_768 + b'"}', "body_too_large"),
        ("/v1/batch", b"{", "malformed_json"),
        ("/v1/batch", b"{}", "missing"),
        ("/v1/batch", b'{"batch": null}', "missing"),
        ("/v1/batch", b'{"batch": {}}', "wrong_type"),
        ("/v1/batch", b'{"batch": [' + b"{}," * 2500 + b"{}]}", "body_too_large"),
        ("/v1/batch", b'{"batch": [], "x": "' + b"x" * 512_000 + b'"}', "body_too_large"),
        ("/v1/batch", gzip.compress(b"x" * 6_000_000), "body_too_large"),
    ],
)  # fmt: skip
async def test_bad_bodies_are_400_with_code_and_message(running: Running, path: str, body: bytes, code: str) -> None:
    answer = await send(running, path, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["success"] is False
    assert answer.json()["message"]


async def test_a_browser_may_ask_before_it_sends(running: Running) -> None:
    headers = {"origin": "https://example.com", "access-control-request-method": "POST"}
    answer = await running.http.options("/v1/t", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://example.com"
