"""GoatCounter's counter in pages, and its API for servers, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import Response

from appliance.errors import JournalFull
from appliance.ingest.arrival import Arrival
from appliance.ingest.dialects import goatcounter, goatcounter_api
from appliance.ingest.dialects.pixel import IMAGE
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded, Drop
from tests.ingest.dialects.site import Site, make_site
from tests.running import FIREFOX, Running

COUNT, API = "/count", "/api/v0/count"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


async def count(site: Site, method: str = "POST", path: str = COUNT, headers: Any = None, **query: Any) -> Response:
    """As count.js does: a beacon of a page of the site."""
    names = site.browser(**{"referer": f"https://{site.host}/"} | (headers or {}))
    return await site.http.request(method, path, params={"p": "/a", "rnd": "abcde"} | query, headers=names)


async def stored(site: Site, **query: Any) -> dict[str, Any]:
    """The one event that was counted, as it is stored."""
    answer = await count(site, **query)
    assert (answer.status_code, answer.content) == (200, IMAGE)
    return await site.event()


# ---------------------------------------------------------------- /count


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", [COUNT, COUNT + "/"])
async def test_a_page_view(site: Site, method: str, path: str) -> None:
    query = {"p": "/read%20me?x=1", "t": "A page", "r": "https://www.google.com/", "s": "1920,1080,1", "b": "0"}
    answer = await count(site, method, path, **query, q="?utm_source=letter")
    assert (answer.status_code, answer.content, len(answer.content)) == (200, IMAGE, 43)
    assert answer.headers["content-type"] == "image/gif"
    row = await site.event()
    said = {
        "event": "pageview", "hostname": site.host, "path": "/read me", "title": "A page", "screen": "1920x1080",
        "utm_source": "letter", "referrer": "www.google.com", "browser": "Firefox",
    }  # fmt: skip
    assert {name: row.get(name) for name in said} == said


@pytest.mark.parametrize(
    ("query", "path", "tag"),
    [
        ({"p": "/a"}, "/a", ""),
        ({"p": "a"}, "/a", ""),
        ({"p": "//a/b"}, "/a/b", ""),
        ({"p": "/a/"}, "/a/", ""),
        ({"p": "/a?utm_source=letter"}, "/a", "letter"),
        ({"p": "/a", "q": "?utm_source=letter"}, "/a", "letter"),
        ({"p": "/a", "q": "utm_source=letter"}, "/a", "letter"),
        ({"p": "/a?utm_source=own", "q": "?utm_source=letter"}, "/a", "letter"),
        ({"p": "/a#part"}, "/a#part", ""),
        ({"p": "/a?x=1#part", "q": "?utm_source=letter"}, "/a#part", "letter"),
        ({"p": "https://{host}/b?utm_source=letter"}, "/b", "letter"),
        ({"p": "mailto:ann"}, "/mailto:ann", ""),
        ({"p": " /a "}, "/a", ""),
        ({"p": "/" + "x" * 2047}, "/" + "x" * 1999, ""),
    ],
)
async def test_paths(site: Site, query: dict[str, str], path: str, tag: str) -> None:
    row = await stored(site, **{name: value.replace("{host}", site.host) for name, value in query.items()})
    assert (row["hostname"], row["path"], row.get("utm_source", "")) == (site.host, path, tag)


@pytest.mark.parametrize("said", ["true", "1", "T", "on"])
async def test_an_event(site: Site, said: str) -> None:
    row = await stored(site, e=said, p="/click-header", t="Header")
    assert (row["event"], row["hostname"], row.get("path", ""), row["title"]) == (
        "click-header", site.host, "", "Header",
    )  # fmt: skip


async def test_the_page_of_an_event_is_known_where_the_browser_tells_it(site: Site) -> None:
    await count(site, headers={"referer": f"https://{site.host}/shop?x=1"}, e="true", p="buy")
    assert (await site.event())["path"] == "/shop"


@pytest.mark.parametrize("said", ["false", "0", "", "no"])
async def test_no_event(site: Site, said: str) -> None:
    assert (await stored(site, e=said))["event"] == "pageview"


@pytest.mark.parametrize(
    ("size", "screen"),
    [("1920,1080,2", "1920x1080"), ("1920", "1920"), ("1920.5", "1920"), ("", ""), ("0,0,0", ""), ("1920,", None),
     ("wide", None), ("nan", None), ("inf", None), ("-1", None), ("3000000000", None)],
)  # fmt: skip
async def test_sizes(site: Site, size: str, screen: str | None) -> None:
    answer = await count(site, s=size)
    if screen is None:
        assert (answer.status_code, answer.headers["x-goatcounter"][:5]) == (400, "size:")
    else:
        assert (await site.event()).get("screen", "") == screen


# The site


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"referer": ""},
        {"origin": ""},
        {"origin": "", "referer": "https://{host}/deep?x#y"},
        {"referer": "", "origin": "https://www.{host}"},
    ],
)
async def test_the_site_is_where_the_browser_says_it_is(site: Site, headers: dict[str, str]) -> None:
    told = {name: value.replace("{host}", site.host) for name, value in headers.items()}
    answer = await count(site, headers=told)
    assert answer.status_code == 200
    assert (await site.event())["hostname"].removeprefix("www.") == site.host


@pytest.mark.parametrize("name", ["key", "k"])
async def test_a_key_takes_pages_anywhere(site: Site, name: str) -> None:
    staging = {"origin": "https://staging.example", "referer": "https://staging.example/"}
    assert (await count(site, headers=staging, **{name: site.key})).status_code == 200
    assert (await count(site, headers={"origin": "", "referer": ""}, key=site.key)).status_code == 200
    assert await site.events("hostname", "path") == [("staging.example", "/a"), ("", "/a")]


async def test_the_address_of_the_counter_may_have_a_query_to_which_count_js_adds_a_second(site: Site) -> None:
    headers = site.browser(origin="https://staging.example")
    answer = await site.http.post(f"{COUNT}?key={site.key}?p=%2Fa%3Fx%3D1&r=&rnd=abcde", headers=headers)
    assert answer.status_code == 200
    assert (await site.event())["path"] == "/a"


@pytest.mark.parametrize("name", ["project", "domain"])
async def test_the_site_may_be_named(site: Site, name: str) -> None:
    value = {"project": site.project.public_id, "domain": site.host}[name]
    assert (await count(site, **{name: value})).status_code == 200
    assert len(await site.events()) == 1


@pytest.mark.parametrize(
    ("headers", "query", "reason"),
    [
        ({"origin": "https://nowhere.example", "referer": "https://nowhere.example/"}, {}, "unknown_project"),
        ({"origin": "", "referer": ""}, {}, "missing_key"),
        ({"origin": "null", "referer": "data:x"}, {}, "missing_key"),
        ({"origin": "https://elsewhere.example"}, {}, "origin_not_allowed"),
        ({}, {"p": "https://elsewhere.example/"}, "unknown_host"),
        ({}, {"key": "sa_nobody"}, "unknown_key"),
    ],
)
async def test_another_site(site: Site, headers: dict[str, str], query: dict[str, str], reason: str) -> None:
    answer = await count(site, headers=headers, **query)
    assert answer.status_code in (400, 401, 403)
    assert (answer.content, answer.headers["x-appliance-dropped"]) == (IMAGE, reason)
    assert answer.headers["x-goatcounter"]
    assert await site.events() == []


# What is not counted


@pytest.mark.parametrize("number", ["150", "151", "152", "153", "999"])
async def test_a_driven_browser_is_not_counted(site: Site, number: str) -> None:
    answer = await count(site, b=number)
    assert (answer.status_code, answer.content) == (200, IMAGE)
    assert answer.headers["x-goatcounter"] == "ignored: automation"
    assert (await site.events(), site.refused()) == ([], ["automation"])


async def test_a_bot_is_not_counted(site: Site) -> None:
    answer = await count(site, headers={"user-agent": BOT})
    assert (answer.status_code, answer.headers["x-appliance-dropped"]) == (200, "bot")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"p": ""}, "path: must be set"),
        ({"p": "  "}, "path: must be set"),
        ({"p": "/", "e": "1"}, "path: must be set"),
        ({"p": "/" + "x" * 2048}, "path: longer than 2048 bytes"),
        ({"p": "/" + "ä" * 1024}, "path: longer than 2048 bytes"),
        ({"p": "x" * 256, "e": "1"}, "event: "),
        ({"b": "1"}, "wrong value: b=1"),
        ({"b": "149"}, "wrong value: b=149"),
        ({"b": "-1"}, "wrong value: b=-1"),
        ({"b": "robot"}, "bot: "),
        ({"b": "9" * 5000}, "bot: "),
    ],
)
async def test_what_is_wrong_is_told_in_a_header(site: Site, query: dict[str, str], named: str) -> None:
    answer = await count(site, **query)
    assert (answer.status_code, answer.content) == (400, IMAGE)
    assert answer.headers["x-goatcounter"].startswith(named)
    assert (await site.events(), len(site.refused())) == ([], 1)


async def test_a_header_stays_one_line_of_ascii(site: Site) -> None:
    answer = await count(site, b="robot\r\nset-cookie: x=1ä🐐")
    assert (answer.status_code, "set-cookie" in answer.headers) == (400, False)
    assert answer.headers["x-goatcounter"].isascii()
    answer = await count(site, headers={"origin": "", "referer": ""}, domain="nöwhere\n🐐")
    assert answer.headers["x-goatcounter"].isascii()


def test_a_blocked_address_is_202() -> None:
    outcome = Outcome(1, True, 0, 0, [Drop(0, "blocked_address")], [], [])
    answer = goatcounter.encode(outcome, Decoded([], single=True, context=True))
    assert (answer.status, answer.body) == (202, IMAGE)
    assert dict(answer.headers)[b"x-goatcounter"] == b"ignored because the address is blocked"


def test_when_the_appliance_is_at_fault_it_says_when_to_come_again() -> None:
    arrival = Arrival("GET", COUNT, b"", {}, peer="", secure=False, received=0)
    answer = goatcounter.refuse(JournalFull(), arrival)
    assert (answer.status, answer.body, dict(answer.headers)[b"retry-after"]) == (503, IMAGE, b"10")


async def test_everybody_may_read_the_answer(site: Site) -> None:
    answer = await count(site, headers={"origin": ""})
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    answer = await count(site)
    assert answer.headers.get_list("access-control-allow-origin") == [f"https://{site.host}"]
    answer = await count(site, headers={"origin": "", "referer": ""})
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]


# ---------------------------------------------------------------- /api/v0/count


def hit(**fields: Any) -> dict[str, Any]:
    """A page view as a server sends it; `None` takes a field away."""
    made = {"path": "/a", "ip": "198.51.100.9", "user_agent": FIREFOX} | fields
    return {name: value for name, value in made.items() if value is not None}


async def send(site: Site, *hits: Any, key: str | None = None, **more: Any) -> Response:
    token = site.key if key is None else key
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return await site.http.post(API, json={"hits": list(hits)} | more, headers=headers | {"user-agent": "curl/8"})


async def sent(site: Site, **fields: Any) -> dict[str, Any]:
    """The one hit that was sent, as it is stored."""
    answer = await send(site, hit(**fields))
    assert (answer.status_code, answer.json()) == (202, {"status": "ok"})
    assert "x-goatcounter-filter" not in answer.headers
    return await site.event()


async def test_a_hit(site: Site) -> None:
    row = await sent(
        site, path="/a?x=1", title="A page", ref="https://www.google.com/", size=[1920, 1080, 2],
        query="utm_source=letter", language="de-DE", location="DE", created_at="2026-03-02T12:00:00+01:00", bot=0,
    )  # fmt: skip
    said = {
        "event": "pageview", "path": "/a", "title": "A page", "referrer": "www.google.com", "screen": "1920x1080",
        "utm_source": "letter", "language": "de-DE", "country": "DE", "browser": "Firefox",
    }  # fmt: skip
    assert {name: row.get(name) for name in said} == said
    assert row["timestamp"].startswith("2026-03-02T11:00:00")


@pytest.mark.parametrize("said", [True, "true", 1])
async def test_a_hit_that_is_an_event(site: Site, said: Any) -> None:
    row = await sent(site, path="/signup", event=said)
    assert (row["event"], row.get("path", "")) == ("signup", "")


@pytest.mark.parametrize(("size", "screen"), [(1920, "1920"), ("1920,1080,1", "1920x1080"), ([], ""), (0, "")])
async def test_sizes_of_hits(site: Site, size: Any, screen: str) -> None:
    assert (await sent(site, size=size)).get("screen", "") == screen


@pytest.mark.parametrize("location", ["DE", "de", "DE-BE"])
async def test_a_location_is_a_country(site: Site, location: str) -> None:
    assert (await sent(site, location=location, ip=None, session="s"))["country"] == "DE"


@pytest.mark.parametrize("time", [None, "0001-01-01T00:00:00Z"])
async def test_without_a_time_it_is_now(site: Site, time: Any) -> None:
    row = await sent(site, created_at=time)
    assert datetime.now(UTC) - datetime.fromisoformat(row["timestamp"]) < timedelta(minutes=1)
    assert "skewed" not in row["flags"]


async def test_sessions_are_visitors_and_visits(site: Site) -> None:
    for session in ("one", "two", "one"):
        await send(site, hit(session=session, ip=None))
    rows = await site.events()
    assert (len({row["visitor"] for row in rows}), len({row["visit_id"] for row in rows})) == (2, 2)


async def test_address_and_agent_are_a_visitor(site: Site) -> None:
    await send(site, hit(), hit(), hit(ip="198.51.100.10"))
    assert len({row["visitor"] for row in await site.events()}) == 2


async def test_without_sessions_nobody_need_be_told(site: Site) -> None:
    bare = hit(ip=None, user_agent=None)
    assert (await send(site, bare, no_sessions=True)).status_code == 202
    assert len(await site.events()) == 1


async def test_each_wrong_hit_is_told_and_the_others_are_kept(site: Site) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
    answer = await send(
        site,
        hit(path="/0"),
        hit(path=None),
        hit(ip=None),
        hit(user_agent=None),
        hit(created_at=soon),
        hit(created_at="soon"),
        hit(path="/" + "x" * 2048),
        hit(size="wide"),
        hit(path=7),
        7,
        hit(bot="robot"),
        hit(path="x" * 256, event=True),
        hit(path="/12"),
    )
    errors = answer.json()["errors"]
    assert answer.status_code == 400
    assert list(errors) == [str(n) for n in range(1, 12)]
    assert [text.partition(":")[0] for text in errors.values()][3:7] == ["created_at", "created_at", "path", "size"]
    assert errors["11"].startswith("path: ")
    assert sorted(await site.events("path")) == ["/0", "/12"]
    assert len(site.refused()) == 11


async def test_clocks_may_differ_by_seconds(site: Site) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    assert (await send(site, hit(created_at=soon))).status_code == 202


async def test_what_is_filtered_stands_in_a_header(site: Site) -> None:
    answer = await send(site, hit(), hit(user_agent=BOT), hit(bot=150), filter=["ip"])
    assert (answer.status_code, answer.headers["x-goatcounter-filter"]) == (202, "1, 2")
    answer = await send(site, hit(path=None), hit(user_agent=BOT), filter=[])
    assert (answer.status_code, answer.headers["x-goatcounter-filter"]) == (400, "1")
    assert list(answer.json()["errors"]) == ["0"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"{}", 400),
        (b'{"hits": []}', 400),
        (b'{"hits": null}', 400),
        (b'{"hits": {}}', 400),
        (b'{"hits": [{"path": "/", "session": "s"}], "filter": ["country"]}', 400),
        (b'{"hits": [{"path": "/", "session": "s"}], "filter": "ip"}', 400),
        (b'{"hits": [{"path": "/", "session": "s"}], "no_sessions": "yes"}', 400),
        (b"[" * 100_000, 400),
    ],
)
async def test_a_request_that_is_wrong_as_a_whole(site: Site, body: bytes, status: int) -> None:
    answer = await site.http.post(API, content=body, headers={"authorization": f"Bearer {site.key}"})
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert await site.events() == []


async def test_at_most_five_hundred(site: Site) -> None:
    assert (await send(site, *[hit()] * 501)).json() == {"error": "at most 500 hits in one request"}
    assert (await send(site, *[hit(path=7)], *[hit()] * 500)).status_code == 400
    assert await site.events() == []
    assert (await send(site, *[hit()] * 500)).status_code == 202


@pytest.mark.parametrize(("key", "status"), [("", 401), ("sa_nobody", 401), ("sa_priv_nobody", 401)])
async def test_a_key_is_needed(site: Site, key: str, status: int) -> None:
    answer = await send(site, hit(), key=key)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


async def test_a_private_key_that_may_send_will_do(site: Site) -> None:
    assert (await send(site, hit(), key=site.private)).status_code == 202


async def test_a_key_may_be_narrowed_to_origins(running: Running) -> None:
    async with await make_site(running, origins=("https://good.example",)) as site:
        headers = {"authorization": f"Bearer {site.key}", "origin": "https://bad.example", "user-agent": FIREFOX}
        answer = await site.http.post(API, json={"hits": [hit()]}, headers=headers)
        assert (answer.status_code, list(answer.json())) == (403, ["error"])


async def test_an_id_of_ours_lets_a_server_send_again(site: Site) -> None:
    for _ in range(2):
        assert (await send(site, hit(event_id="once"))).status_code == 202
    assert (await site.event())["event_id"] == "once"


def test_when_the_appliance_is_at_fault_the_api_says_when_to_come_again() -> None:
    arrival = Arrival("POST", API, b"", {}, peer="", secure=False, received=0)
    answer = goatcounter_api.refuse(JournalFull(), arrival)
    assert (answer.status, dict(answer.headers)[b"retry-after"]) == (503, b"10")
