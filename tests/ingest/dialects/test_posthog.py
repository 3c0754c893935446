"""PostHog's capture API over HTTP: its bodies, what an event becomes, and what each version answers."""

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
from httpx2 import Response

from tests.ingest.dialects.stored import event, export, traits, visits_with
from tests.running import BROWSER, FIREFOX, Running

V1 = "/i/v1/analytics/events"
OLD, NEW = {"status": 1}, {"status": "Ok"}
_numbers = count(1)
NOW = datetime.now(UTC)


def captured(name: str = "Bought", properties: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """An event of a server, with a uuid of its own."""
    made = {"event": name, "distinct_id": "ann", "uuid": f"posthog-{next(_numbers)}", "properties": properties or {}}
    return made | fields


def browsed(name: str, anonymous: str, properties: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """An event of posthog-js before anybody was identified."""
    own = {
        "distinct_id": anonymous, "$device_id": anonymous, "$is_identified": False, "$process_person_profile": False,
        "$current_url": "https://example.com/shop?q=1", "$host": "example.com", "$pathname": "/shop",
        "$referrer": "$direct", "$lib": "web", "$session_id": f"session-of-{anonymous}", "utm_source": None,
    }  # fmt: skip
    made = captured(name, own | (properties or {}), **fields)
    del made["distinct_id"]
    return made


async def send(running: Running, body: Any, path: str = "/batch", **headers: str) -> Response:
    """With the key in the body, where it is an object."""
    if isinstance(body, dict):
        body = {"api_key": running.key} | body
    return await running.send(body, path=path, key="", **headers)


async def from_browser(running: Running, *events: Any) -> None:
    headers = {name.replace("-", "_"): value for name, value in BROWSER.items()}
    answer = await send(running, {"batch": events}, "/e", **headers)
    assert (answer.status_code, answer.json()) == (200, OLD)


async def one(running: Running, sent: dict[str, Any]) -> dict[str, Any]:
    """The event that a server's became."""
    answer = await send(running, {"batch": [sent]})
    assert (answer.status_code, answer.json()) == (200, OLD)
    return await event(running, sent["uuid"])


# ---------------------------------------------------------------- keys, paths, bodies


@pytest.mark.parametrize(
    ("path", "answered"),
    [
        ("/capture", OLD), ("/capture/", OLD), ("/e/", OLD), ("/batch/", OLD), ("/i/v0/e/", NEW),
        ("/i/v0/ai/batch/", NEW),
    ],
)  # fmt: skip
async def test_an_event_is_stored_once_however_often_it_is_sent(running: Running, path: str, answered: Any) -> None:
    sent = captured(properties={"plan": "team"})
    for body in (sent, {"batch": [sent]}, [{**sent, "token": running.key}]):
        answer = await send(running, body, path)
        assert (answer.status_code, answer.json()) == (200, answered)
    row = await event(running, sent["uuid"])
    assert (row["event"], row["user_id"], row["properties"]) == ("Bought", "ann", {"plan": "team"})


def form(text: bytes) -> bytes:
    return b"ver=1&data=" + quote(text, safe="").encode()


BODIES = {
    "json": lambda text: text,
    "blanks": lambda text: b"\n " + text,
    "gzip-js": gzip.compress,
    "base64": base64.b64encode,
    "base64 of gzip": lambda text: base64.b64encode(gzip.compress(text)),
    "form of base64": lambda text: form(base64.b64encode(text)),
    "form of base64 that was not escaped": lambda text: b"data=" + base64.b64encode(text),
    "form of base64 for URLs": lambda text: b"data=" + base64.urlsafe_b64encode(text).rstrip(b"="),
    "form of json": form,
    "form of json with plus signs for blanks": lambda text: form(text).replace(b"%20", b"+"),
}


@pytest.mark.parametrize("kind", BODIES)
async def test_all_forms_of_a_body(running: Running, kind: str) -> None:
    sent = captured(properties={"text": "blue ~~~>>> ÿÿ+/ \ud83d"})  # of which base64 has + and /
    body = BODIES[kind](json.dumps({"api_key": running.key, **sent}).encode())
    answer = await send(running, body, "/e/")
    assert (answer.status_code, answer.json()) == (200, OLD)
    assert (await event(running, sent["uuid"]))["properties"] == {"text": "blue ~~~>>> ÿÿ+/ \ufffd"}


async def test_an_event_in_a_query(running: Running) -> None:
    for encode in (lambda text: text, lambda text: base64.b64encode(text.encode()).decode()):
        sent = captured()
        text = encode(json.dumps({"token": running.key, **sent}))
        answer = await running.http.get("/e/", params={"data": text, "ip": "1", "_": "1"})
        assert (answer.status_code, answer.json()) == (200, OLD)
        assert await event(running, sent["uuid"])


@pytest.mark.parametrize("place", ["api_key", "token", "event's api_key", "event's token", "property"])
async def test_the_key_stands_in_many_places(running: Running, place: str) -> None:
    sent = captured()
    body: Any = [sent]
    match place:
        case "api_key" | "token":
            body = {place: running.key, "batch": [sent], "api_key": None} | {place: running.key}
        case "property":
            sent["properties"]["token"] = running.key
        case _:
            sent[place.removeprefix("event's ")] = running.key
    answer = await running.send(json.dumps(body).encode(), path="/e/", key="")
    assert answer.json() == OLD
    assert "properties" not in await event(running, sent["uuid"])


async def test_events_of_several_keys_are_not_one_request(running: Running) -> None:
    answer = await send(running, [captured(token=running.key), captured(token="sa_other")], "/e/")
    assert (answer.status_code, answer.json()["code"]) == (400, "several_keys")


@pytest.mark.parametrize("key", ["sa_wrong", "phc_of_posthog", None])
async def test_a_wrong_key_is_told_as_the_libraries_want_it(running: Running, key: str | None) -> None:
    answer = await running.send({"api_key": key, "batch": [captured()]}, path="/batch/", key="")
    assert answer.status_code == 401
    assert answer.json()["type"] == "authentication_error"
    assert answer.json()["detail"]
    answer = await running.send({"batch": [captured()]}, path=V1, key="", authorization=f"Bearer {key}")
    assert answer.status_code == 401


# ---------------------------------------------------------------- the newest version


async def test_the_newest_version_is_told_of_each_event(running: Running) -> None:
    good, sampled, wrong, mistyped, recording = (
        captured("v1", options={}, properties={"x": 1}),
        captured("v1"),
        captured(""),
        captured(5),  # type: ignore[arg-type]
        captured("$snapshot"),
    )
    bot = captured("v1", {"$raw_user_agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"})
    body = {"created_at": NOW.isoformat(), "batch": [good, sampled, wrong, mistyped, recording, bot]}
    headers = {"authorization": f"Bearer {running.key}", "posthog_sdk_info": "posthog-python/7", "posthog_attempt": "1"}
    answer = await running.send(body, path=V1, key="", **headers)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [results[sent["uuid"]]["result"] for sent in body["batch"]] == [  # type: ignore[index,union-attr]
        "ok", "ok", "drop", "drop", "drop", "warning",
    ]  # fmt: skip
    assert results[bot["uuid"]]["details"] == "bot"
    assert all(result.get("details") for result in results.values() if result["result"] != "ok")
    again = await running.send(body, path=V1, key="", **headers)
    assert again.json()["results"] == results
    assert (await event(running, good["uuid"]))["properties"] == {"x": 1}


async def test_fields_of_the_newest_version(running: Running) -> None:
    sent = captured("v1", {"x": 1}, session_id="s-1", options={"process_person_profile": False}, distinct_id="random-1")
    answer = await running.send({"batch": [sent]}, path=V1, key="", authorization=f"Bearer {running.key}")
    assert answer.json() == {"results": {sent["uuid"]: {"result": "ok"}}}
    row = await event(running, sent["uuid"])
    assert (row["session_id"], row.get("user_id")) == ("s-1", None)


# ---------------------------------------------------------------- who


async def test_a_server_names_users(running: Running) -> None:
    row = await one(running, captured(distinct_id="u-7", properties={"$lib": "posthog-python", "$is_server": True}))
    assert row["user_id"] == "u-7"
    row = await one(running, captured(distinct_id=None, properties={"distinct_id": 8}))
    assert row["user_id"] == "8"


@pytest.mark.parametrize(
    "properties",
    [
        {"$is_identified": False, "$device_id": "d"},
        {"$device_id": "who"},
        {"$process_person_profile": False},
        {"$user_state": "anonymous"},
    ],
)
async def test_somebody_whom_nobody_identified_is_anonymous_and_the_same_another_day(
    running: Running, properties: Any
) -> None:
    old = captured(distinct_id="who", properties=properties, timestamp=(NOW - timedelta(days=3)).isoformat())
    new = captured(distinct_id="who", properties=properties)
    rows = [await one(running, old), await one(running, new)]
    assert [row.get("user_id") for row in rows] == [None, None]
    assert rows[0]["visitor"] == rows[1]["visitor"]


async def test_identify_gives_the_visit_to_the_user(running: Running) -> None:
    session = {"$session_id": "s-identify"}
    before = browsed("$pageview", "anon-i", session)
    known = {**session, "distinct_id": "ina", "$device_id": "anon-i", "$is_identified": True}
    identify = captured(
        "$identify",
        {**known, "$anon_distinct_id": "anon-i", "$set": {"name": "Ida"}},
        distinct_id=None,
        **{"$set": {"plan": "x", "$browser": "Firefox"}, "$set_once": {"$initial_referrer": "a", "utm_source": None}},
    )
    after = captured("After", known, distinct_id=None)
    await from_browser(running, before, identify, after)
    (visit,) = await visits_with(running, before["uuid"], after["uuid"])
    assert (visit["user_id"], visit["events"], visit["pageviews"]) == ("ina", 2, 1)
    assert await traits(running, "ina") == {"name": "Ida", "plan": "x"}
    assert identify["uuid"] not in {row["event_id"] for row in await export(running, "events")}


async def test_after_reset_a_browser_is_somebody_else(running: Running) -> None:
    first = captured(distinct_id="rea", properties={"$device_id": "dev-r", "$is_identified": True})
    second = captured(distinct_id="anon-new", properties={"$device_id": "dev-r", "$is_identified": False})
    third = captured(distinct_id="rob", properties={"$device_id": "dev-r", "$is_identified": True})
    await from_browser(running, first, second, third)
    visits = await visits_with(running, first["uuid"], second["uuid"], third["uuid"])
    assert [visit.get("user_id") for visit in visits] == ["rea", None, "rob"]


async def test_whom_the_library_leaves_to_the_server_are_told_apart_by_day_address_and_agent(running: Running) -> None:
    sent = browsed(
        "$pageview", "$posthog_cookieless", {"$device_id": None, "$cookieless_mode": True, "$session_id": None}
    )
    own = browsed("Own", "$posthog_cookieless", {"$device_id": None, "$session_id": None})
    await from_browser(running, sent, own)
    answer = await running.send({"event": "native", "event_id": own["uuid"] + "-native"}, **{
        name.replace("-", "_"): value for name, value in BROWSER.items()
    })  # fmt: skip
    assert answer.status_code == 202
    rows = [await event(running, name) for name in (sent["uuid"], own["uuid"], own["uuid"] + "-native")]
    assert len({row["visitor"] for row in rows}) == 1
    assert all("user_id" not in row for row in rows)


async def test_traits_are_set_set_once_and_unset(running: Running) -> None:
    person = {"distinct_id": "tom"}
    events = [
        captured("$set_once", **person, **{"$set_once": {"first": 1, "plan": "none"}}),
        captured("$set", **person, **{"$set": {"plan": "team", "old": 1}}),
        captured("$set_once", {"$set_once": {"first": 2}}, **person),
        captured("Bought", {"$set": {"paid": True}, "$unset": ["old", 5]}, **person),
        captured("$unset", **person, **{"$unset": ["none"]}),
    ]
    assert (await send(running, {"batch": events})).json() == OLD
    assert await traits(running, "tom") == {"first": 1, "plan": "team", "paid": True}
    names = [row["event"] for row in await export(running, "events") if row.get("user_id") == "tom"]
    assert names == ["Bought"]


async def test_a_group_is_kept_under_its_user(running: Running) -> None:
    for key, traits_of_group in (("acme", {"seats": 5}), ("acme", {"plan": "x"}), (7, {})):
        said = {"$group_type": "company", "$group_key": key, "$group_set": traits_of_group}
        await send(running, captured("$groupidentify", said, distinct_id="gus-p"), "/capture")
    assert await traits(running, "gus-p") == {"groups": {"company": {"acme": {"seats": 5, "plan": "x"}, "7": {}}}}


@pytest.mark.parametrize("anonymous", [True, False])
@pytest.mark.parametrize("event_name", ["$create_alias", "$merge_dangerously"])
async def test_alias_gives_the_open_visit_to_the_user(running: Running, anonymous: bool, event_name: str) -> None:
    old, new = f"old-{next(_numbers)}", f"new-{next(_numbers)}"
    first = captured(distinct_id=old, properties={"$is_identified": False} if anonymous else {})
    ids = (old, new) if event_name == "$create_alias" else (new, old)
    alias = captured(event_name, {"distinct_id": ids[0], "alias": ids[1]}, distinct_id=ids[0])
    last = captured(distinct_id=new)
    assert (await send(running, {"batch": [first, alias, last]})).json() == OLD
    (visit,) = await visits_with(running, first["uuid"], last["uuid"])
    assert visit["user_id"] == new
    assert await traits(running, new) == {"aliases": {old: True}}


async def test_an_alias_of_somebody_known_is_another_name_of_who_goes_on(running: Running) -> None:
    known = {"$is_identified": True, "$device_id": "dev-k"}
    first = captured(distinct_id="kim", properties=known)
    alias = captured("$create_alias", {**known, "alias": "kimberly"}, distinct_id="kim")
    last = captured(distinct_id="kim", properties=known)
    await from_browser(running, first, alias, last)
    (visit,) = await visits_with(running, first["uuid"], last["uuid"])
    assert visit["user_id"] == "kim"
    assert await traits(running, "kim") == {"aliases": {"kimberly": True}}


# ---------------------------------------------------------------- pages


async def test_a_page_view_of_a_browser(running: Running) -> None:
    sent = browsed(
        "$pageview",
        "pam",
        {
            "$current_url": "https://example.com/a?utm_source=letter",
            "$referrer": "https://news.example.org/x?y",
            "title": "A",
            "$screen_width": 1280,
            "$screen_height": 720,
            "$browser_language": "de-DE",
            "$os": "Windows",
            "$browser": "Chrome",
            "$ip": "198.51.100.9",
            "$raw_user_agent": "curl/8",
            "utm_source": "remembered",
            "gclid": None,
            "$sdk_debug_retry_queue_size": 0,
            "$session_entry_url": "https://example.com/secret?token=1",
            "plan": None,
            "super": {"a": 1},
        },
    )
    await from_browser(running, sent)
    row = await event(running, sent["uuid"])
    expected = {
        "event": "$pageview", "hostname": "example.com", "path": "/a", "title": "A", "utm_source": "letter",
        "referrer": "news.example.org/x", "screen": "1280x720", "language": "de-DE", "browser": "Firefox",
        "os": "Linux", "session_id": "session-of-pam", "properties": {"plan": None, "super": {"a": 1}},
    }  # fmt: skip
    assert expected.items() <= row.items()
    (visit,) = await visits_with(running, sent["uuid"])
    assert (visit["pageviews"], visit["bounce"]) == (1, 1)


async def test_a_page_that_is_left_was_read(running: Running) -> None:
    page = browsed("$pageview", "lea")
    left = {
        "$prev_pageview_id": page["uuid"],
        "$prev_pageview_duration": 8.5,
        "$prev_pageview_max_scroll_percentage": 0.25,
        "$prev_pageview_max_content_percentage": 0.625,
        "$prev_pageview_pathname": "/shop",
    }
    await from_browser(running, page, browsed("$pageleave", "lea", left))
    row = await event(running, page["uuid"])
    assert (row["engaged_ms"], row["scroll_depth"]) == (8500, 62)
    (visit,) = await visits_with(running, page["uuid"])
    assert (visit["events"], visit["bounce"]) == (1, 1)


async def test_a_page_view_within_an_application_says_that_the_page_before_was_left(running: Running) -> None:
    first = browsed("$pageview", "sam")
    left = {"$prev_pageview_id": first["uuid"], "$prev_pageview_duration": 3, "$prev_pageview_max_scroll_percentage": 1}
    second = browsed(
        "$pageview", "sam", {**left, "$current_url": "https://example.com/next", "$prev_pageview_pathname": "/"}
    )
    for _ in range(2):  # sent again it counts once
        await from_browser(running, first, second)
    rows = [await event(running, sent["uuid"]) for sent in (first, second)]
    assert [(row["path"], row.get("engaged_ms"), row.get("scroll_depth")) for row in rows] == [
        ("/shop", 3000, 100),
        ("/next", 0, 0),
    ]


async def test_of_older_libraries_the_newest_view_of_the_page_was_read(running: Running) -> None:
    first, again = browsed("$pageview", "old"), browsed("$pageview", "old")
    left = {"$prev_pageview_duration": 2, "$prev_pageview_pathname": "/shop"}
    second = browsed("$pageview", "old", {**left, "$current_url": "https://example.com/next"})
    await from_browser(running, first, again, second)
    await from_browser(
        running,
        browsed("$pageleave", "old", {"$prev_pageview_duration": 5} | {"$current_url": "https://example.com/next"}),
    )
    rows = [await event(running, sent["uuid"]) for sent in (first, again, second)]
    assert [row["engaged_ms"] for row in rows] == [0, 2000, 5000]


async def test_a_screen_is_a_page_view_of_an_app(running: Running) -> None:
    app = {
        "$lib": "posthog-ios", "$os_name": "iOS", "$os_version": "17.2", "$device_type": "Tablet", "$locale": "de-DE",
        "$timezone": "Europe/Berlin", "$app_name": "Shop", "$app_version": "3", "$screen_name": "Order #5?",
    }  # fmt: skip
    screen, tap = captured("$screen", app, distinct_id="ios"), captured("Tap", app, distinct_id="ios")
    row = await one(running, screen)
    expected = {
        "path": "/Order #5?", "title": "Order #5?", "os": "iOS", "os_version": "17.2", "device": "Tablet",
        "language": "de-DE", "country": "DE", "source": "Shop", "properties": {"$app_version": "3"},
    }  # fmt: skip
    assert expected.items() <= row.items()
    row = await one(running, tap)
    assert (row["path"], row.get("title")) == ("/Order #5?", None)


@pytest.mark.parametrize(
    ("name", "bounces"),
    [("$autocapture", 0), ("$rageclick", 0), ("$web_vitals", 1), ("$feature_flag_called", 1), ("Clicked", 0)],
)
async def test_what_a_library_sends_by_itself_does_not_end_a_bounce(running: Running, name: str, bounces: int) -> None:
    who = f"bounce-{name}"
    page, more = browsed("$pageview", who), browsed(name, who, {"$el_text": "Buy", "$lib_version": "1"})
    await from_browser(running, page, more)
    (visit,) = await visits_with(running, page["uuid"])
    assert visit["bounce"] == bounces
    assert (await event(running, more["uuid"]))["properties"] == {"$el_text": "Buy"}


@pytest.mark.parametrize("name", ["identify", "reset", "engagement"])
async def test_what_is_captured_is_an_event_whatever_its_name(running: Running, name: str) -> None:
    assert (await one(running, captured(name)))["event"] == name


# ---------------------------------------------------------------- servers


async def test_what_a_server_says_of_its_own_system_is_not_the_visitors(running: Running) -> None:
    for library in ({"$lib": "posthog-node"}, {"$lib": "new", "$is_server": True}):
        sent = captured(
            properties={**library, "$os": "Linux", "$os_version": "6.1"}, distinct_id=f"os-{next(_numbers)}"
        )
        await send(running, {"batch": [sent]}, user_agent="posthog-python/7")
        assert not {"os", "browser", "device", "country", "properties"} & (await event(running, sent["uuid"])).keys()


async def test_what_a_server_says_of_its_visitor(running: Running) -> None:
    said = {
        "$lib": "posthog-node", "$current_url": "https://example.com/s", "$raw_user_agent": FIREFOX,
        "$timezone": "Europe/Berlin", "$ip": "198.51.100.7",
    }  # fmt: skip
    row = await one(running, captured(properties=said, distinct_id="told"))
    assert (row["path"], row["browser"], row["country"]) == ("/s", "Firefox", "DE")
    row = await one(running, captured(properties=said | {"$geoip_disable": True}, distinct_id="untold"))
    assert "country" not in row


async def test_campaign_tags_where_there_is_no_address(running: Running) -> None:
    tags = {"utm_source": "letter", "utm_campaign": "may", "utm_term": 5}
    row = await one(running, captured(properties=tags, distinct_id="tagged"))
    assert (row["utm_source"], row["utm_campaign"], row["utm_term"]) == ("letter", "may", "5")
    assert "properties" not in row


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(
    "timestamp",
    [
        "2024-05-06T07:08:09Z",
        "2024-05-06T09:08:09+02:00",
        "2024-05-06T07:08:09",
        1714979289,
        1714979289000,
        "1714979289",
    ],
)
async def test_times_of_all_forms(running: Running, timestamp: Any) -> None:
    row = await one(running, captured(timestamp=timestamp))
    assert datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize("place", ["body", "query", "header", "offset", "offset and body", "$time"])
async def test_the_clock_of_the_client_is_corrected(running: Running, place: str) -> None:
    clock = NOW + timedelta(hours=3)  # wrong by that
    sent = captured(timestamp=(clock - timedelta(minutes=1)).isoformat())
    body, path, headers = {"api_key": running.key, "batch": [sent]}, "/batch", {}
    match place:
        case "query":
            path += f"?_={int(clock.timestamp() * 1000)}"
        case "header":
            headers["posthog_request_timestamp"] = clock.isoformat()
        case "offset":
            sent |= {"timestamp": None, "offset": 60_000}
        case "$time":
            sent |= {"timestamp": None, "properties": {"$time": (clock - timedelta(minutes=1)).timestamp()}}
            body["sent_at"] = clock.isoformat()
        case _:
            body["sent_at"] = clock.isoformat()
            if place == "offset and body":
                sent |= {"timestamp": None, "offset": 60_000}
    assert (await running.send(body, path=path, key="", **headers)).json() == OLD
    time = datetime.fromisoformat((await event(running, sent["uuid"]))["timestamp"]).replace(tzinfo=UTC)
    assert abs(time - (datetime.now(UTC) - timedelta(minutes=1))) < timedelta(seconds=50)


# ---------------------------------------------------------------- what is wrong


async def test_a_batch_keeps_its_good_events_and_tells_the_others(running: Running) -> None:
    batch: list[Any] = [
        captured(),
        captured(event=None),
        captured(distinct_id=None),
        captured(distinct_id=""),
        captured(properties=[1]),  # type: ignore[arg-type]
        captured(properties=[]),  # type: ignore[arg-type]
        captured(timestamp="soon"),
        captured(distinct_id=["u"]),
        5,
        captured(uuid="m" * 256),
        captured(properties={"$current_url": "data:text/html,x"}),
        captured("$$heatmap"),
        captured("$set", {"$is_identified": False}),
        captured("$create_alias", {"alias": None}),
        captured(properties={"a": "x" * 66_000}),
        captured(),
    ]
    answer = await send(running, {"batch": batch}, "/i/v0/e/")
    assert answer.status_code == 200
    assert answer.json()["status"] == "Ok"
    assert [(r["index"], r["code"], r.get("field")) for r in answer.json()["rejected"]] == [
        (1, "missing", "event"),
        (2, "missing", "distinct_id"),
        (3, "missing", "distinct_id"),
        (4, "wrong_type", "properties"),
        (6, "not_a_time", "timestamp"),
        (7, "wrong_type", "distinct_id"),
        (8, "wrong_type", None),
        (9, "too_long", "uuid"),
        (10, "not_a_page", "$current_url"),
        (11, "not_kept", "event"),
        (12, "missing", "distinct_id"),
        (13, "missing", "distinct_id"),
        (14, "too_large", "properties"),
    ]
    assert await event(running, batch[0]["uuid"])
    assert await event(running, batch[-1]["uuid"])


async def test_damage_inside_one_event_is_that_events(running: Running) -> None:
    good = captured()
    key = running.key.encode()
    body = b'{"api_key": "' + key + b'", "batch": [' + json.dumps(good).encode() + b', {"uuid": "d", "event": "\xff"}]}'
    answer = await send(running, body)
    assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [(1, "malformed_event")]
    answer = await running.send(body, path=V1, key="", authorization=f"Bearer {running.key}")
    assert answer.json()["results"][good["uuid"]] == {"result": "ok"}
    assert answer.json()["results"]["d"]["result"] == "drop"


@pytest.mark.parametrize("path", ["/capture", "/i/v0/e", V1])
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b"[", 400, "malformed_json"),
        (b"hello there", 400, "malformed_json"),
        (b"data=", 400, "malformed_json"),
        (b'{"event": "\xff"}', 400, "malformed_json"),
        (b'{"batch": 5}', 400, "wrong_type"),
        (b"\x1f\x8b cut", 400, "malformed_gzip"),
        (b"data=" + base64.b64encode(b"\x1f\x8b cut"), 400, "malformed_gzip"),
        (b"[" + b"{}," * 10_000 + b"{}]", 413, "batch_too_large"),
        (b"[" + b"{}," * 1_000_000 + b"{}]", 413, "batch_too_large"),
        (b"[" + b"1," * 1_000_001 + b"1]", 400, "malformed_json"),
        (b'{"properties": {"a": [' + b"[]," * 1_000_000 + b"[]]}}", 413, "batch_too_large"),
        (b'{"event": "a", "properties": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "too_deep"),
    ],
)
async def test_bad_bodies_are_told(running: Running, path: str, body: bytes, status: int, code: str) -> None:
    answer = await send(running, body, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"]


async def test_bodies_may_be_larger_than_others(running: Running) -> None:
    wide = [captured(properties={"text": "x" * 60_000}) for _ in range(100)]
    assert (await send(running, {"batch": wide})).json() == OLD
    answer = await send(running, gzip.compress(b"x" * (21 << 20)))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
