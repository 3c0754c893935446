"""Umami's collecting API over HTTP: what an event becomes, what is answered, and that a token gives nobody a name."""

import json
import uuid
from typing import Any

import pytest
import time_machine

from appliance.clock import MICROSECONDS
from appliance.ingest.dialects import umami
from appliance.ingest.dialects.umami_session import VISIT_SECONDS, session_of
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded, Drop
from tests.builders import ANN, BOB, event
from tests.ingest.dialects.site import Site, make_site
from tests.running import Running

SEND, BATCH = "/api/send", "/api/batch"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"


def message(site: Site, kind: str | None = "event", **fields: Any) -> dict[str, Any]:
    """What the tracker sends of a page; `None` takes a field away."""
    payload = {
        "website": site.project.public_id, "hostname": site.host, "url": "/a?b=1", "referrer": "", "title": "A page",
        "language": "de-DE", "screen": "1920x1080",
    } | fields  # fmt: skip
    return {"type": kind, "payload": {name: value for name, value in payload.items() if value is not None}}


async def stored(site: Site, **fields: Any) -> dict[str, Any]:
    """The one event that was sent, as it is stored."""
    answer = await site.post(SEND, message(site, **fields))
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"cache", "sessionId", "visitId"}
    return await site.event()


# ---------------------------------------------------------------- what an event becomes


@pytest.mark.parametrize("path", [SEND, SEND + "/"])
async def test_a_page_view(site: Site, path: str) -> None:
    url = f"https://{site.host}/read%20me?utm_source=letter#part"
    body = message(site, url=url, referrer="https://www.google.com/search?q=secret", tag="blog", data={"plan": "pro"})
    answer = await site.post(path, body, content_type="application/json")
    assert answer.status_code == 200
    for name in ("sessionId", "visitId"):
        assert str(uuid.UUID(answer.json()[name])) == answer.json()[name]
    row = await site.event()
    said = {
        "event": "pageview", "hostname": site.host, "path": "/read me", "title": "A page", "utm_source": "letter",
        "referrer": "www.google.com/search", "language": "de-DE", "screen": "1920x1080", "source": "blog",
        "browser": "Firefox", "properties": {"plan": "pro"},
    }  # fmt: skip
    assert {name: row.get(name) for name in said} == said


@pytest.mark.parametrize(
    ("fields", "hostname", "path"),
    [
        ({"url": "/x"}, "{host}", "/x"),
        ({"url": "x"}, "{host}", "/x"),
        ({"url": "/x?next=https://other.example/"}, "{host}", "/x"),
        ({"url": "https://{host}/x"}, "{host}", "/x"),
        ({"url": "https://{host}/x", "hostname": None}, "{host}", "/x"),
        ({"url": "//{host}/x"}, "{host}", "/x"),
        ({"url": None}, "{host}", ""),
    ],
)
async def test_addresses(site: Site, fields: dict[str, Any], hostname: str, path: str) -> None:
    told = {name: value and value.replace("{host}", site.host) for name, value in fields.items()}
    row = await stored(site, **told)
    assert (row.get("hostname"), row.get("path", "")) == (hostname.replace("{host}", site.host), path)


async def test_a_custom_event(site: Site) -> None:
    row = await stored(site, name="identify", data={"plan": "pro", "seats": [1, 2]})
    assert (row["event"], row["properties"]) == ("identify", {"plan": "pro", "seats": [1, 2]})
    (visit,) = await site.export("visits")
    assert (visit["events"], visit["pageviews"]) == (1, 0)


@pytest.mark.parametrize(
    ("data", "revenue"),
    [
        ({"revenue": 19.99, "currency": "USD"}, ("19.99", "USD")),
        ({"revenue": "5", "currency": "EUR"}, ("5.00", "EUR")),
        ({"revenue": "much", "currency": "EUR"}, None),
        ({"revenue": 5, "currency": 7}, None),
        ({"note": '"revenue"'}, None),
        (None, None),
    ],
)
async def test_data_may_say_money(site: Site, data: Any, revenue: tuple[str, str] | None) -> None:
    row = await stored(site, name="Purchase", data=data)
    assert (row.get("revenue"), row.get("currency")) == (revenue or (None, None))
    assert row.get("properties") == data


@pytest.mark.parametrize("timestamp", [1_772_452_800, "1772452800"])
async def test_seconds_of_the_client(site: Site, timestamp: Any) -> None:
    said = {"timestamp": timestamp, "ip": "198.51.100.9", "userAgent": CHROME}
    await site.post(SEND, message(site, **said), origin="")
    await site.post(SEND, message(site, **said))
    of_server, of_browser = await site.events()
    assert of_server["timestamp"].startswith("2026-03-02T12:00:00")
    assert "skewed" in of_browser["flags"], "a browser's event that is too old has the time of its receipt"


# ---------------------------------------------------------------- who it is


async def test_a_browser_is_who_connects_whatever_it_states(site: Site) -> None:
    await site.post(SEND, message(site))
    await site.post(SEND, message(site, ip="198.51.100.9", userAgent=CHROME, browser="edge", os="BeOS"))
    rows = await site.events()
    assert len({row["visitor"] for row in rows}) == 1
    assert {(row["browser"], row["os"]) for row in rows} == {("Firefox", "Linux")}


async def test_who_connects_without_stating_anybody_is_the_visitor(site: Site) -> None:
    await site.post(SEND, message(site))
    await site.post(SEND, message(site), origin="")
    assert len({row["visitor"] for row in await site.events()}) == 1


@pytest.mark.parametrize("path", [SEND, BATCH])
async def test_a_server_states_its_visitors(site: Site, path: str) -> None:
    for address in ("198.51.100.9", "198.51.100.10"):
        sent: Any = message(site, ip=address, userAgent=CHROME)
        answer = await site.post(path, [sent] if path == BATCH else sent, origin="", user_agent="node")
        assert answer.status_code == 200
    rows = await site.events()
    assert len({row["visitor"] for row in rows}) == 2
    assert {row["browser"] for row in rows} == {"Chrome"}


async def test_an_id_is_the_users(site: Site) -> None:
    await site.post(SEND, message(site))
    answer = await site.post(SEND, message(site, "identify", id="ann", data={"plan": "team"}))
    assert answer.json()["sessionId"]
    await site.post(SEND, message(site, url="/b", id="ann"))
    rows = await site.events()
    assert [row["path"] for row in rows] == ["/a", "/b"]
    (visit,) = await site.export("visits")
    assert (visit["user_id"], visit["pageviews"]) == ("ann", 2), "the open visit became the user's"
    ((traits,),) = await site.appliance.database.read(
        "SELECT traits FROM user_trait WHERE project_id = :project", {"project": site.project.id}
    )
    assert json.loads(traits) == {"plan": "team"}


async def test_data_of_nobody_are_refused(site: Site) -> None:
    answer = await site.post(SEND, message(site, "identify", data={"plan": "team"}))
    assert (answer.status_code, answer.json()["error"]["message"][:3]) == (400, "id:")
    assert site.refused() == ["missing"]


# ---------------------------------------------------------------- session, visit and token


async def test_ids_stay_with_and_without_the_token(site: Site) -> None:
    with time_machine.travel("2031-05-05T12:10:00Z", tick=False):
        first = (await site.post(SEND, message(site))).json()
        again = (await site.post(SEND, message(site))).json()
        with_token = (await site.post(SEND, message(site), x_umami_cache=first["cache"])).json()
        other = (await site.post(SEND, message(site), user_agent=CHROME)).json()
    assert first == again == with_token
    assert other["sessionId"] != first["sessionId"]
    assert other["visitId"] != first["visitId"]


def session(seconds: int, token: str = "", visitor: int = ANN) -> tuple[str, str, str]:
    return session_of(event(visitor=visitor, time=(1_800_000_000 + seconds) * MICROSECONDS), token)


def test_a_visit_goes_on_for_half_an_hour_after_its_token() -> None:
    first = session(1000)
    second = session(1000 + VISIT_SECONDS, first[2])
    third = session(1000 + 2 * VISIT_SECONDS, second[2])
    assert first[:2] == second[:2] == third[:2], "each answer renews the token"
    late = session(1000 + 3 * VISIT_SECONDS + 1, third[2])
    assert (late[0] == first[0], late[1] == first[1]) == (True, False)
    assert session(1001)[1] == first[1], "also without a token, within the half hour"
    assert session(2 * VISIT_SECONDS)[1] != first[1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda token: "",
        lambda token: token[:-1],
        lambda token: token.replace(".", ","),
        lambda token: token + "0" * 30,
        lambda token: token.rsplit(".", 1)[0] + ".-5",
        lambda token: token.rsplit(".", 1)[0] + ".٣",
        lambda token: token.rsplit(".", 1)[0] + "." + "9" * 40,
        lambda token: "x" + token[1:],
        lambda token: "🐐" * 50,
    ],
)
def test_a_token_that_is_none_counts_as_none(damage: Any) -> None:
    began = session(0)
    assert session(VISIT_SECONDS + 100, damage(began[2])) == session(VISIT_SECONDS + 100)


def test_the_token_of_another_visitor_says_nothing() -> None:
    anns = session(VISIT_SECONDS - 1)
    bobs = session(VISIT_SECONDS + 10, anns[2], BOB)
    assert bobs == session(VISIT_SECONDS + 10, "", BOB)
    assert session(VISIT_SECONDS + 10, anns[2])[1] == anns[1]


def test_a_token_of_the_future_says_nothing() -> None:
    assert session(100, session(5000)[2]) == session(100)


async def test_a_token_decides_nothing_about_what_is_stored(site: Site) -> None:
    mine = (await site.post(SEND, message(site))).json()
    theirs = (await site.post(SEND, message(site), user_agent=CHROME, x_umami_cache=mine["cache"])).json()
    assert theirs["sessionId"] != mine["sessionId"]
    assert len({row["visitor"] for row in await site.events()}) == 2


def test_a_token_holds_nothing_but_what_the_answer_says() -> None:
    found = session(0)
    of, began, given = found.token.split(".")  # type: ignore[attr-defined]
    assert (of, int(began) <= int(given)) == (found[0], True)


# ---------------------------------------------------------------- what is not taken


async def test_a_bot_gets_its_boop(site: Site) -> None:
    answer = await site.post(SEND, message(site), user_agent=BOT)
    assert (answer.status_code, answer.json()) == (200, {"beep": "boop"})
    assert answer.headers["x-appliance-dropped"] == "bot"
    assert (await site.events(), site.refused()) == ([], ["bot"])


def test_a_blocked_address_is_forbidden() -> None:
    outcome = Outcome(1, True, 0, 0, [Drop(0, "blocked_address")], [], [])
    answer = umami.encode(outcome, Decoded([], single=True, context=umami._Context("")))
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (403, "forbidden")


async def test_without_an_agent_nothing_is_taken(site: Site) -> None:
    headers = {"origin": f"https://{site.host}"}
    request = site.http.build_request("POST", SEND, json=message(site), headers=headers)
    del request.headers["user-agent"]
    answer = await site.http.send(request)
    assert (answer.status_code, "User-Agent" in answer.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    ("kind", "fields", "named"),
    [
        ("performance", {"lcp": 1200, "cls": 0.1}, "performance is not kept"),
        ("link", {}, "type: "),
        (None, {}, "type: "),
        ("event", {"website": None}, "exactly one of"),
        ("event", {"link": "00000000-0000-4000-8000-000000000000"}, "exactly one of"),
        ("event", {"website": None, "link": "00000000-0000-4000-8000-000000000000"}, "links and pixels"),
        ("event", {"website": None, "pixel": "00000000-0000-4000-8000-000000000000"}, "links and pixels"),
        ("event", {"hostname": "h" * 101}, "hostname: "),
        ("event", {"language": "l" * 36}, "language: "),
        ("event", {"screen": "1" * 12}, "screen: "),
        ("event", {"name": "n" * 51}, "name: "),
        ("event", {"tag": "t" * 51}, "tag: "),
        ("event", {"name": 7}, "name: "),
        ("event", {"data": [1]}, "data: "),
        ("event", {"timestamp": "soon"}, "timestamp: "),
        ("event", {"url": "data:text/html,x"}, "url: "),
    ],
)
async def test_what_is_wrong_is_told(site: Site, kind: str | None, fields: dict[str, Any], named: str) -> None:
    answer = await site.post(SEND, message(site, kind, **fields))
    error = answer.json()["error"]
    assert (answer.status_code, error["status"], error["code"]) == (400, 400, "bad-request")
    assert named in error["message"]
    assert await site.events() == []


async def test_the_limits_themselves_are_allowed(site: Site) -> None:
    row = await stored(site, name="n" * 50, tag="t" * 50, screen="1" * 11, language="de-DE" + "-x" * 15)
    assert (row["event"], row["source"]) == ("n" * 50, "t" * 50)


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        ({"website": "00000000-0000-4000-8000-000000000000"}, {}, 400),
        ({"website": "nowhere.example"}, {}, 400),
        ({"website": "sa_nobody"}, {}, 401),
        ({}, {"x_api_key": "sa_nobody"}, 401),
        ({}, {"origin": "https://elsewhere.example"}, 403),
        ({"url": "https://elsewhere.example/"}, {}, 400),
    ],
)
async def test_a_website_that_is_not_here_or_another_one(
    site: Site, fields: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    answer = await site.post(SEND, message(site, **fields), **headers)
    assert (answer.status_code, answer.json()["error"]["status"]) == (status, status)
    assert await site.events() == []


async def test_a_website_may_be_a_domain_or_a_public_key(site: Site) -> None:
    for name in (site.host, site.key, site.project.public_id.upper()):
        assert (await site.post(SEND, message(site, website=name))).status_code == 200
    assert len(await site.events()) == 3


@pytest.mark.parametrize("path", [SEND, BATCH])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b'"x"', b"\xff", b"[" * 100_000, b"[]", b"{}", b'{"type":"event"}']
)
async def test_a_body_that_is_none(site: Site, path: str, body: bytes) -> None:
    answer = await site.post(path, body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, 400)


# ---------------------------------------------------------------- batches


async def test_a_batch_says_what_became_of_each(site: Site) -> None:
    events = [
        message(site, url="/0"),
        message(site, "performance"),
        message(site, url="/2"),
        {"type": "event"},
        7,
        message(site, name="n" * 51),
        message(site, url="/6", name="Click"),
    ]
    answer = await site.post(BATCH, events)
    body = answer.json()
    assert answer.status_code == 200
    assert (body["size"], body["processed"], body["errors"]) == (7, 3, 4)
    assert [detail["index"] for detail in body["details"]] == [1, 3, 4, 5]
    assert {detail["response"]["error"]["status"] for detail in body["details"]} == {400}
    assert body["cache"]
    assert sorted(await site.events("path")) == ["/0", "/2", "/6"]
    assert len(site.refused()) == 4


async def test_a_bot_in_a_batch_is_no_error(site: Site) -> None:
    body = (await site.post(BATCH, [message(site)], user_agent=BOT)).json()
    assert body == {"size": 1, "processed": 1, "errors": 0, "details": [], "cache": None}


def test_a_blocked_address_in_a_batch_is_an_error() -> None:
    context = umami._Context("", [4, 9])
    outcome = Outcome(2, False, 0, 0, [Drop(0, "blocked_address"), Drop(1, "bot")], [], [])
    body = json.loads(umami.encode(outcome, Decoded([], single=False, context=context)).body)
    assert [(detail["index"], detail["response"]["error"]["status"]) for detail in body["details"]] == [(4, 403)]


async def test_each_website_gets_its_own(running: Running, site: Site) -> None:
    async with await make_site(running) as other:
        events = [
            message(site, url="/0"),
            message(other, url="/1"),
            message(site, "performance"),
            message(other, name="n" * 51),
            message(other, url="/4"),
            message(site, website="00000000-0000-4000-8000-000000000000"),
            {"type": "event"},
            message(site, url="/7"),
            message(site, url=f"https://{other.host}/8"),
        ]
        body = (await site.post(BATCH, events, origin="")).json()
        assert (body["size"], body["processed"], body["errors"]) == (9, 4, 5)
        assert [detail["index"] for detail in body["details"]] == [2, 3, 5, 6, 8]
        assert sorted(await site.events("path")) == ["/0", "/7"]
        assert sorted(await other.events("path")) == ["/1", "/4"]


async def test_a_batch_for_a_website_that_is_not_here(site: Site) -> None:
    events = [message(site, website="00000000-0000-4000-8000-000000000000")] * 2
    body = (await site.post(BATCH, events)).json()
    assert (body["size"], body["processed"], body["errors"], body["cache"]) == (2, 0, 2, None)
    assert [detail["index"] for detail in body["details"]] == [0, 1]


async def test_a_batch_has_at_most_a_thousand(site: Site) -> None:
    answer = await site.post(BATCH, [message(site)] * 1001)
    assert (answer.status_code, answer.json()["error"]["status"]) == (413, 413)
    assert await site.events() == []


async def test_an_id_of_ours_lets_a_server_send_again(site: Site) -> None:
    for _ in range(2):
        body = (await site.post(BATCH, [message(site, event_id="once")])).json()
        assert (body["processed"], body["errors"]) == (1, 0)
    assert (await site.event())["event_id"] == "once"


async def test_pre_flight_of_its_tracker(site: Site) -> None:
    wanted = "content-type,x-umami-cache"
    answer = await site.http.options(SEND, headers=site.browser(access_control_request_headers=wanted))
    assert (answer.status_code, answer.headers["access-control-allow-headers"]) == (204, wanted)
