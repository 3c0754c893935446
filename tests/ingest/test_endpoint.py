"""The native dialect over HTTP: answers as promised, bad input told and not kept, good events of a batch kept."""

import gzip
import json
import zlib
from typing import Any

import pytest

from appliance import clock
from appliance.model import Kind, ProjectSettings
from appliance.storage import keys, projects
from appliance.storage.dimensions import DICTIONARIES
from tests.running import BROWSER, FIREFOX, INGEST, Running

PAGE = {"event": "pageview", "url": "https://example.com/a"}
DAY_SECONDS = 86_400


async def newest(running: Running, *columns: str) -> Any:
    await running.drained()
    (row,) = await running.appliance.database.read(f"SELECT {', '.join(columns)} FROM event ORDER BY id DESC LIMIT 1")
    return row[0] if len(columns) == 1 else row


async def text_of(running: Running, column: str, dimension: int, table: str = "event") -> str:
    await running.drained()
    rows = await running.appliance.database.read(
        f"SELECT d.text FROM {table} t LEFT JOIN dictionary d ON d.project_id = t.project_id"
        f" AND d.dimension = {dimension} AND d.code = t.{column}"
        " ORDER BY t.id DESC LIMIT 1"
    )
    return rows[0][0] or ""


async def test_one_event(running: Running) -> None:
    before = await running.stored()
    answer = await running.send(PAGE)
    assert answer.status_code == 202
    assert answer.json() == {
        "status": "accepted", "accepted": 1, "duplicates": 0, "sampled": False, "dropped": [], "rejected": [],
    }  # fmt: skip
    assert answer.headers["x-request-id"]
    assert await running.stored() == before + 1


@pytest.mark.parametrize("path", [INGEST, INGEST + "/"])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
async def test_json_whatever_the_content_type_says(running: Running, path: str, content_type: str) -> None:
    answer = await running.send(json.dumps(PAGE).encode(), path=path, content_type=content_type)
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("", gzip.compress)]
)
async def test_compressed_bodies(running: Running, encoding: str, compress: Any) -> None:
    headers = {"content_encoding": encoding} if encoding else {}
    answer = await running.send(compress(json.dumps(PAGE).encode()), **headers)
    assert answer.status_code == 202


async def test_a_batch_keeps_its_good_events_and_tells_the_bad_ones(running: Running) -> None:
    before = await running.stored()
    events = [
        PAGE,
        {"url": "https://example.com/"},
        {**PAGE, "event": "x" * 256},
        {**PAGE, "event": 7},
        {**PAGE, "timestamp": "soon"},
        {**PAGE, "properties": [1]},
        {**PAGE, "revenue": {"amount": "much", "currency": "EUR"}},
        {**PAGE, "revenue": {"amount": 1, "currency": "euros"}},
        {**PAGE, "automation": True},
        {**PAGE, "sample": 7},
        {"event": "identify"},
        {"event": "engagement", "url": "https://example.com/"},
        {**PAGE, "user_id": "u" * 256},
        {**PAGE, "url": "data:text/html,x"},
        {**PAGE, "event": "last"},
    ]
    answer = await running.send({"events": events})
    assert answer.status_code == 202
    body = answer.json()
    assert body["accepted"] == 2
    assert body["dropped"] == [{"index": 8, "reason": "automation"}]
    assert [(r["index"], r["code"], r["field"]) for r in body["rejected"]] == [
        (1, "missing", "event"),
        (2, "too_long", "event"),
        (3, "wrong_type", "event"),
        (4, "not_a_time", "timestamp"),
        (5, "wrong_type", "properties"),
        (6, "not_money", "revenue"),
        (7, "not_money", "revenue"),
        (9, "out_of_range", "sample"),
        (10, "missing", "user_id"),
        (11, "missing", "pageview_id"),
        (12, "too_long", "user_id"),
        (13, "not_a_page", "url"),
    ]
    assert all(r["message"] for r in body["rejected"])
    assert await running.stored() == before + 2


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b'{"event": "a"} x', 400, "malformed_json"),
        (b"\xff\xfe", 400, "malformed_json"),
        (b'{"event": "\xff"}', 400, "malformed_json"),
        (b'"text"', 422, "wrong_type"),
        (b"[]", 422, "wrong_type"),
        (b"null", 422, "wrong_type"),
        (b"{}", 422, "missing"),
        (b'{"events": []}', 422, "empty_batch"),
        (b'{"events": {}}', 422, "wrong_type"),
        (b'{"events": [1]}', 422, "wrong_type"),
        (b'{"event": 5}', 422, "wrong_type"),
        (b'{"event": "pageview", "sent_at": []}', 422, "wrong_type"),
        (b'{"events": [{"event": "a"}, 1], "sent_at": {}}', 422, "wrong_type"),
        (b'{"event": "pageview", "url": "https://example.com/", "properties": "x"}', 422, "wrong_type"),
        (b'{"event": "a", "properties": ' + b'{"a":' * 30 + b"1" + b"}" * 30 + b"}", 422, "too_deep"),
        (b'{"event": "a", "properties": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "too_deep"),
        (b'{"event": "a", "properties": {"a": "' + b"x" * 65_536 + b'"}}', 422, "too_large"),
        (b"\x1f\x8b cut", 400, "malformed_gzip"),
    ],
)
async def test_bad_bodies_are_told_and_nothing_is_kept(running: Running, body: bytes, status: int, code: str) -> None:
    before = await running.stored()
    answer = await running.send(body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert await running.stored() == before


async def test_damage_inside_one_event_is_that_events(running: Running) -> None:
    good = json.dumps(PAGE).encode()
    answer = await running.send(b'{"events": [' + good + b', {"event": "\xff"}, ' + good + b"]}")
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 2
    assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [(1, "malformed_event")]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (r"cut \ud83d", "cut \ufffd"),
        (r"\ude00 rest", "\ufffd rest"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
    ],
)
async def test_half_characters_are_replaced(running: Running, sent: str, kept: str) -> None:
    body = b'{"event": "pageview", "url": "https://example.com/", "title": "' + sent.encode() + b'"}'
    assert (await running.send(body)).status_code == 202
    assert await text_of(running, "title", 5) == kept


async def test_too_many_events_and_too_large_bodies(running: Running) -> None:
    assert (await running.send({"events": [PAGE] * 1001})).status_code == 413
    assert (await running.send({"events": [PAGE] * 1000})).json()["accepted"] == 1000
    assert (await running.send(b" " * (5 << 20) + b"{}")).status_code == 413
    bomb = gzip.compress(b" " * (50 << 20))
    assert len(bomb) < 100_000
    answer = await running.send(bomb, content_encoding="gzip")
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_other_encodings_and_methods(running: Running) -> None:
    assert (await running.send(b"x", content_encoding="br")).status_code == 415
    answer = await running.http.get(INGEST)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"


# ---------------------------------------------------------------------- keys, origins


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "{key}"},
        {"authorization": "Bearer {key}"},
        {"authorization": "bearer {key}"},
        {"authorization": "Basic {basic}"},
    ],
)
async def test_where_a_key_may_stand(running: Running, headers: dict[str, str]) -> None:
    from base64 import b64encode

    basic = b64encode(f"{running.key}:".encode()).decode()
    filled = {name: value.format(key=running.key, basic=basic) for name, value in headers.items()}
    assert (await running.http.post(INGEST, json=PAGE, headers=filled)).status_code == 202


async def test_a_key_in_the_query(running: Running) -> None:
    assert (await running.send(PAGE, path=f"{INGEST}?key={running.key}", key="")).status_code == 202
    assert (await running.send(PAGE, path=f"{INGEST}?%6bey={running.key}&", key="")).status_code == 202


@pytest.mark.parametrize(("place", "status"), [(0, 202), (199, 202), (200, 401)])
async def test_a_query_has_two_hundred_parameters_and_no_more_count(running: Running, place: int, status: int) -> None:
    query = [f"p{n}=%zz+" for n in range(300)]
    query[place] = f"key={running.key}"
    bare = {"event": "Bare"}
    assert (await running.send(bare, path=f"{INGEST}?{'&'.join(query)}", key="")).status_code == status


@pytest.mark.parametrize("key", ["sa_unknown", "nonsense", "sa_priv_unknown", "ä", "x" * 5000])
async def test_wrong_keys(running: Running, key: str) -> None:
    answer = await running.http.post(INGEST, json=PAGE, headers={"x-api-key": key.encode()})
    assert (answer.status_code, answer.json()["code"]) == (401, "unknown_key")
    assert "www-authenticate" in answer.headers


async def test_private_keys_send_from_servers_only_and_in_headers_only(running: Running) -> None:
    assert (await running.send(PAGE, key=running.private)).status_code == 202
    from_node = await running.send(PAGE, key=running.private, sec_fetch_mode="cors")  # as Node's fetch says
    assert from_node.status_code == 202
    from_browser = await running.send(PAGE, key=running.private, **BROWSER)
    assert (from_browser.status_code, from_browser.json()["code"]) == (401, "private_key_exposed")
    in_url = await running.send(PAGE, path=f"{INGEST}?key={running.private}", key="")
    assert (in_url.status_code, in_url.json()["code"]) == (401, "private_key_misplaced")


async def test_a_new_key_is_valid_at_once_and_a_revoked_one_ends(running: Running) -> None:
    database, project = running.appliance.database, running.project
    made = await keys.mint(database, project.public_id, "public", actor="test", at=clock.now())
    assert (await running.send(PAGE, key=made.token)).status_code == 202
    await keys.revoke(database, project.id, made.key.id, actor="test", at=clock.now())
    await running.appliance.registry.refresh()
    assert (await running.send(PAGE, key=made.token)).status_code == 401


@pytest.mark.parametrize(
    ("url", "origin", "status"),
    [
        ("https://example.com/", None, 202),
        ("https://www.example.com/", None, 202),
        ("https://example.com/", "https://www.example.com", 202),
        ("https://other.org/", None, 401),
        ("https://example.com/", "https://other.org", 403),
        ("https://example.com.evil.org/", None, 401),
    ],
)
async def test_without_a_key_the_domain_must_be_right(
    running: Running, url: str, origin: str | None, status: int
) -> None:
    headers = {"origin": origin} if origin else {}
    answer = await running.send({"event": "pageview", "url": url}, key="", **headers)
    assert answer.status_code == status


async def test_without_a_key_each_events_host_must_be_right(running: Running) -> None:
    events = [PAGE, {"event": "pageview", "url": "https://other.org/"}]
    answer = await running.send({"events": events}, path=f"{INGEST}?domain=example.com", key="")
    assert answer.json()["accepted"] == 1
    assert answer.json()["rejected"][0]["code"] == "unknown_host"


async def test_the_origin_list(running: Running) -> None:
    database = running.appliance.database
    listed = ProjectSettings(origins=("https://shop.example.com", "http://localhost:3000"))
    made = await projects.create(database, name="Listed", settings=listed, actor="test", at=clock.now())
    token = made.public_key.token or ""
    for origin, status in {
        "https://shop.example.com": 202,
        "http://localhost:3000": 202,
        "http://localhost:3001": 403,
        "https://example.com": 403,
        "https://shop.example.com.evil.org": 403,
        "null": 202,
    }.items():
        answer = await running.send(PAGE, key=token, origin=origin)
        assert answer.status_code == status, origin
        assert answer.headers["access-control-allow-origin"] == origin, "the page must be able to read why"
        assert "retry-after" in answer.headers["access-control-expose-headers"]
    assert (await running.send(PAGE, key=token)).status_code == 202, "servers send no Origin"


async def test_preflight(running: Running) -> None:
    asked = {"origin": "https://example.com", "access-control-request-headers": "x-api-key, content-type"}
    answer = await running.http.request("OPTIONS", INGEST, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://example.com"
    assert answer.headers["access-control-allow-headers"] == "x-api-key, content-type"
    assert "POST" in answer.headers["access-control-allow-methods"]


# ---------------------------------------------------------------------- what is stored


async def test_aliases_of_fields(running: Running) -> None:
    await running.send(
        {"event_name": "signup", "distinct_id": 42, "page_url": "https://example.com/join", "event_source": "web_app"}
    )
    assert await text_of(running, "name", 1) == "signup"
    assert await text_of(running, "user", 6) == "42"
    assert await text_of(running, "path", 4) == "/join"
    assert await text_of(running, "source", 2) == "web_app"
    assert await running.appliance.database.read("SELECT name FROM source WHERE name = 'web_app'") == [("web_app",)]


async def test_nul_is_taken_out_everywhere(running: Running) -> None:
    answer = await running.send(
        {"event": "a\0b", "url": "https://example.com/x", "user_id": "u\0", "properties": {"k\0": ["v\0"]}}
    )
    assert answer.status_code == 202
    assert await text_of(running, "name", 1) == "ab"
    assert await newest(running, "properties") == '{"k":["v"]}'


async def test_a_browsers_address_and_agent_make_the_visitor_and_are_not_kept(running: Running) -> None:
    await running.send({**PAGE, "referrer": "https://www.google.com/search?q=x", "screen": "1920x1080"}, **BROWSER)
    await running.send(PAGE, **BROWSER)
    await running.drained()
    assert await text_of(running, "browser", 20, "visit") == "Firefox"
    assert await text_of(running, "referrer_source", 9, "visit") == "Google"
    folder = running.appliance.settings.data_dir
    for path in [folder / "appliance.db", folder / "appliance.db-wal", *(folder / "journal").glob("*.journal")]:
        content = path.read_bytes()
        assert b"203.0.113.7" not in content, path
        assert b"Gecko/20100101" not in content, path


async def test_bots_are_dropped_with_the_reason(running: Running) -> None:
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    answer = await running.send(PAGE, origin="https://example.com", user_agent=agent)
    assert answer.json()["dropped"] == [{"index": 0, "reason": "bot"}]
    newest_refusal = running.appliance.refusals.newest(running.project.id, clock.now(), 1)[0]
    assert (newest_refusal.reason, newest_refusal.dialect) == ("bot", "native")


async def test_an_sdks_own_agent_is_nobodys(running: Running) -> None:
    answer = await running.send(PAGE, user_agent="python-requests/2.32")
    assert answer.json()["accepted"] == 1


@pytest.mark.parametrize(
    ("name", "kind", "stored"),
    [
        ("identify", "custom", Kind.CUSTOM),
        ("Home", "pageview", Kind.PAGEVIEW),
        ("pageview", None, Kind.PAGEVIEW),
        ("pageview", "unheard", Kind.PAGEVIEW),
        ("click", 1, Kind.CUSTOM),
    ],
)
async def test_a_stated_kind_goes_before_that_of_the_name(running: Running, name: str, kind: Any, stored: Kind) -> None:
    assert (await running.send({**PAGE, "event": name, "kind": kind})).json()["accepted"] == 1
    assert await newest(running, "kind") == stored
    assert await text_of(running, "name", DICTIONARIES["name"]) == name


async def test_a_server_says_what_no_agent_or_address_does(running: Running) -> None:
    said = {
        "campaign": {"source": "mail & more", "name": "spring", "medium": None},
        "browser": "Opera", "browser_version": "9", "os": "Haiku", "os_version": "1", "device": "Console",
        "country": "fr",
    }  # fmt: skip
    await running.send({**PAGE, "url": "https://example.com/a?utm_campaign=autumn", "user_id": "says-all", **said})
    expected = {
        "utm_source": "mail & more", "utm_campaign": "autumn", "utm_medium": "",
        "browser": "Opera", "browser_version": "9", "os": "Haiku", "os_version": "1", "device": "Console",
        "country": "FR",
    }  # fmt: skip
    found = {name: await text_of(running, name, DICTIONARIES[name], "visit") for name in expected}
    assert found == expected
    await running.send({**PAGE, "user_id": "says-too", "user_agent": FIREFOX, "ip": "8.8.8.8", **said})
    found = {name: await text_of(running, name, DICTIONARIES[name], "visit") for name in ("browser", "os", "country")}
    assert found == {"browser": "Firefox", "os": "Linux", "country": "US"}


async def test_duplicates_are_answered_and_stored_once(running: Running) -> None:
    before = await running.stored()
    event = {**PAGE, "event_id": "the-same"}
    assert (await running.send(event)).json()["accepted"] == 1
    again = (await running.send({"events": [event, event, {**event, "event_id": "another"}]})).json()
    assert (again["accepted"], again["duplicates"]) == (1, 2)
    assert await running.stored() == before + 2


@pytest.mark.parametrize(
    ("timestamp", "browser", "kept"),
    [
        (-3600, True, True),
        (-8 * DAY_SECONDS, True, False),
        (-8 * DAY_SECONDS, False, True),
        (-3000 * DAY_SECONDS, False, True),
        (240, True, True),
        (360, True, False),
        (360, False, False),
    ],
)
async def test_times_far_off(running: Running, timestamp: int, browser: bool, kept: bool) -> None:
    stated = clock.now() // 1_000_000 + timestamp
    await running.send({**PAGE, "timestamp": stated}, **(BROWSER if browser else {}))
    time, received, flags = await newest(running, "time", "received", "flags")
    assert (time == stated * 1_000_000) is kept
    assert bool(flags & 2) is not kept
    if not kept:
        assert time == received


async def test_a_clock_that_is_wrong_is_corrected_by_its_own_word(running: Running) -> None:
    wrong = clock.now() // 1000 - 3_600_000
    await running.send({"sent_at": wrong, "events": [{**PAGE, "timestamp": wrong - 10_000}]}, **BROWSER)
    time, received = await newest(running, "time", "received")
    assert abs(received - time - 10_000_000) < 1_000_000


async def test_the_pixel(running: Running) -> None:
    before = await running.stored()
    answer = await running.http.get(
        f"/pixel.gif?key={running.key}", headers={"referer": "https://example.com/no-script", **BROWSER}
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/gif"
    assert len(answer.content) == 43
    assert await running.stored() == before + 1
    assert await text_of(running, "path", 4) == "/no-script"
    refused = await running.http.get("/pixel.gif?key=sa_wrong&url=https://example.com/")
    assert (refused.status_code, refused.headers["x-appliance-dropped"]) == (200, "unknown_key")
