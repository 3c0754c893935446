"""Plausible's events API over HTTP: what an event becomes, what is dropped and what is wrong, and how that is told."""

import json
from typing import Any

import pytest

from tests.ingest.dialects.site import Site, make_site
from tests.running import Running

PATH = "/api/event"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def event(site: Site, **fields: Any) -> dict[str, Any]:
    """A page view as the tracker sends it; `None` takes a field away."""
    sent = {"n": "pageview", "u": site.url, "d": site.host, "r": None, "v": 36} | fields
    return {name: value for name, value in sent.items() if value is not None or name == "r"}


async def stored(site: Site, **fields: Any) -> dict[str, Any]:
    """The one event that was sent, as it is stored."""
    answer = await site.post(PATH, event(site, **fields))
    assert (answer.status_code, answer.text) == (202, "ok")
    assert "x-plausible-dropped" not in answer.headers
    return await site.event()


# ---------------------------------------------------------------- what an event becomes


@pytest.mark.parametrize("path", [PATH, PATH + "/"])
@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
async def test_a_page_view(site: Site, path: str, content_type: str) -> None:
    body = event(site, u=f"https://{site.host}/read%20me%20?utm_source=letter&ref=x#part", r="https://www.google.com/")
    answer = await site.post(path, body, content_type=content_type)
    assert (answer.status_code, answer.content) == (202, b"ok")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["access-control-allow-origin"] == f"https://{site.host}"
    row = await site.event()
    assert {name: row.get(name) for name in ("event", "hostname", "path", "utm_source", "browser", "os", "device")} == {
        "event": "pageview", "hostname": site.host, "path": "/read me", "utm_source": "letter",
        "browser": "Firefox", "os": "Linux", "device": "Desktop",
    }  # fmt: skip
    assert (await site.export("visits"))[0]["referrer_source"] == "letter"


async def test_long_names_are_the_short_ones(site: Site) -> None:
    body = {
        "name": "Signup", "url": site.url, "domain": site.host, "referrer": "https://example.org/",
        "props": {"plan": "pro"}, "revenue": {"amount": 5, "currency": "EUR"}, "hashMode": 1, "interactive": False,
    }  # fmt: skip
    body["url"] = f"https://{site.host}/a#b"
    assert (await site.post(PATH, body)).status_code == 202
    row = await site.event()
    assert (row["event"], row["path"], row["properties"], row["revenue"], row["currency"], row["interactive"]) == (
        "Signup", "/a#b", {"plan": "pro"}, "5.00", "EUR", 0,
    )  # fmt: skip
    assert row["referrer"] == "example.org"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "/a"),
        ({"u": "https://{host}/a#section"}, "/a"),
        ({"u": "https://{host}/a#section", "h": 1}, "/a#section"),
        ({"u": "https://{host}/a#section", "h": "1"}, "/a#section"),
        ({"u": "https://{host}/a#section", "h": 0}, "/a"),
        ({"u": "https://{host}"}, "/"),
        ({"u": "https://{host}/%C3%A4%20?x=1"}, "/ä"),
        ({"u": "https://WWW.{host}:8080/a"}, "/a"),
    ],
)
async def test_paths(site: Site, fields: dict[str, Any], path: str) -> None:
    told = {name: value.format(host=site.host) if name == "u" else value for name, value in fields.items()}
    assert (await stored(site, **told))["path"] == path


@pytest.mark.parametrize(
    ("name", "kind_of_count"), [("Signup", 1), ("identify", 1), ("reset", 1), ("page_view", 1), ("$pageview", 1)]
)
async def test_every_other_name_is_a_custom_event(site: Site, name: str, kind_of_count: int) -> None:
    row = await stored(site, n=name)
    assert row["event"] == name
    (visit,) = await site.export("visits")
    assert (visit["events"], visit["pageviews"]) == (kind_of_count, 0)


async def test_a_number_may_be_a_name(site: Site) -> None:
    row = await stored(site, n=404)
    assert (row["event"], row["interactive"]) == ("404", 0)


@pytest.mark.parametrize(
    ("fields", "interactive"),
    [({}, 1), ({"i": False}, 0), ({"interactive": False}, 0), ({"i": True}, 1), ({"i": "no"}, 1)],
)
async def test_interactive(site: Site, fields: dict[str, Any], interactive: int) -> None:
    assert (await stored(site, n="Play", **fields))["interactive"] == interactive


@pytest.mark.parametrize(
    ("props", "kept"),
    [
        (
            {"a": "x", "n": 1, "f": 1.5, "yes": True, "no": False},
            {"a": "x", "n": 1, "f": 1.5, "yes": True, "no": False},
        ),
        ({"null": None, "empty": "", "blank": "  ", "list": [1], "object": {"a": 1}, "a": "x"}, {"a": "x"}),
        ({" ": "nameless", "a": "x"}, {"a": "x"}),
        ('{"a": "x", "empty": ""}', {"a": "x"}),
        ("no JSON", {}),
        ("[1]", {}),
        ("\ud83d", {}),
        ([1, 2], {}),
        (7, {}),
        ({}, {}),
        ({f"p{n}": n for n in range(31)}, {f"p{n}": n for n in range(30)}),
        ({"gone": None} | {f"p{n}": n for n in range(30)}, {f"p{n}": n for n in range(30)}),
        ({"k" * 300: "v" * 2000}, {"k" * 300: "v" * 2000}),
    ],
)
@pytest.mark.parametrize("field", ["p", "m"])
async def test_props(site: Site, field: str, props: Any, kept: dict[str, Any]) -> None:
    row = await stored(site, **{field: props})
    assert row.get("properties", {}) == kept
    assert list(row.get("properties", {})) == list(kept)


async def test_the_older_name_of_props_goes_before(site: Site) -> None:
    row = await stored(site, m={"of": "m"}, meta={"of": "meta"}, p={"of": "p"}, props={"of": "props"})
    assert row["properties"] == {"of": "m"}


@pytest.mark.parametrize("props", [{"k" * 301: "v"}, {"k": "v" * 2001}, json.dumps({"k": "v" * 2001})])
async def test_a_property_that_is_too_long_is_told(site: Site, props: Any) -> None:
    answer = await site.post(PATH, event(site, p=props))
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["props"])
    assert (await site.events(), site.refused()) == ([], ["too_long"])


@pytest.mark.parametrize(
    ("money", "revenue"),
    [
        ({"amount": 12.5, "currency": "EUR"}, ("12.50", "EUR")),
        ({"amount": "12.50", "currency": "usd"}, ("12.50", "USD")),
        ('{"amount": 3, "currency": "JPY"}', ("3", "JPY")),
        ({"amount": "much", "currency": "EUR"}, None),
        ({"amount": True, "currency": "EUR"}, None),
        ({"amount": 1, "currency": "euros"}, None),
        ({"currency": "EUR"}, None),
        ({}, None),
        ("no JSON", None),
        ([], None),
        (12, None),
    ],
)
@pytest.mark.parametrize("field", ["$", "revenue"])
async def test_money_that_cannot_be_read_goes_alone(
    site: Site, field: str, money: Any, revenue: tuple[str, str] | None
) -> None:
    row = await stored(site, n="Purchase", **{field: money})
    assert (row.get("revenue"), row.get("currency")) == (revenue or (None, None))


@pytest.mark.parametrize(
    ("query", "medium"),
    [
        ("gclid=abc", "(gclid)"),
        ("a=1&msclkid=abc", "(msclkid)"),
        ("gclid=abc&utm_medium=cpc", "cpc"),
        ("gclid=abc&utm_source=letter", ""),
        ("xgclid=abc", ""),
        ("fbclid=abc", ""),
        ("a=1#gclid=abc", ""),
    ],
)
async def test_a_click_on_an_advertisement_is_a_medium(site: Site, query: str, medium: str) -> None:
    assert (await stored(site, u=f"{site.url}?{query}")).get("utm_medium", "") == medium


async def test_an_old_screen_width(site: Site) -> None:
    assert (await stored(site, w=1440))["screen"] == "1440"


async def test_the_visitor_is_who_connects(running: Running, site: Site) -> None:
    # Forwarding headers of anybody, and addresses in the body, say nothing.
    await site.post(PATH, event(site))
    await site.post(PATH, event(site, ip="198.51.100.9"), x_forwarded_for="198.51.100.8")
    assert len({row["visitor"] for row in await site.events()}) == 1
    await site.post(PATH, event(site), user_agent="Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0.0.0 Safari/537.36")
    assert len({row["visitor"] for row in await site.events()}) == 2


# ---------------------------------------------------------------- engagement


async def engaged(site: Site) -> list[Any]:
    return await site.events("path", "scroll_depth", "engaged_ms")


async def test_engagement_adds_to_its_page_view(site: Site) -> None:
    await site.post(PATH, event(site))
    await site.post(PATH, event(site, u=f"https://{site.host}/b"))
    for depth, time in ((40, 3000), (70, 500)):
        body = event(site, n="engagement", sd=depth, e=time)
        assert (await site.post(PATH, body)).text == "ok"
    await site.post(PATH, event(site, n="engagement", u=f"https://{site.host}/b", sd=10, e=1))
    assert await engaged(site) == [("/a", 70, 3500), ("/b", 10, 1)]
    (visit,) = await site.export("visits")
    assert (visit["events"], visit["pageviews"]) == (2, 2)


async def test_of_several_views_of_a_page_the_newest_is_meant(site: Site) -> None:
    for time in (10, 20):
        await site.post(PATH, event(site))
        await site.post(PATH, event(site, n="engagement", sd=50, e=time))
    assert await engaged(site) == [("/a", 50, 10), ("/a", 50, 20)]


async def test_engagement_that_comes_early_waits_for_its_page_view(site: Site) -> None:
    await site.post(PATH, event(site, n="engagement", sd=90, e=700))
    await site.post(PATH, event(site))
    assert await engaged(site) == [("/a", 90, 700)]


async def test_a_fragment_belongs_to_the_page_where_it_is_said_to(site: Site) -> None:
    for fragment in ("one", "two"):
        await site.post(PATH, event(site, u=f"{site.url}#{fragment}", h=1))
    await site.post(PATH, event(site, n="engagement", u=f"{site.url}#one", h=1, sd=50, e=10))
    assert await engaged(site) == [("/a#one", 50, 10), ("/a#two", 0, 0)]


async def test_somebody_elses_engagement_is_not_for_this_page_view(site: Site) -> None:
    await site.post(PATH, event(site))
    await site.post(PATH, event(site, n="engagement", sd=50, e=10), user_agent="Mozilla/5.0 Chrome/142.0.0.0")
    assert await engaged(site) == [("/a", 0, 0)]


@pytest.mark.parametrize(
    ("fields", "depth", "time"),
    [
        ({"sd": 40, "e": 10}, 40, 10),
        ({"sd": 0, "e": 10}, 0, 10),
        ({"sd": 0}, 0, 0),
        ({"sd": "40", "e": "10"}, 40, 10),
        ({"sd": 101}, 100, 0),
        ({"sd": 255, "e": 10}, 0, 10),
        ({"sd": -1, "e": 10}, 0, 10),
        ({"sd": "deep", "e": 10}, 0, 10),
        ({"sd": 40, "e": -5}, 40, 0),
        ({"sd": 40, "e": 30 * 24 * 3_600_000}, 40, 0),
    ],
)
async def test_scroll_depth_and_time(site: Site, fields: dict[str, Any], depth: int, time: int) -> None:
    await site.post(PATH, event(site))
    assert (await site.post(PATH, event(site, n="engagement", **fields))).status_code == 202
    assert await engaged(site) == [("/a", depth, time)]


@pytest.mark.parametrize("fields", [{}, {"sd": 255}, {"sd": 255, "e": 0}, {"sd": None, "e": "long"}, {"sd": True}])
async def test_engagement_that_says_nothing_is_wrong(site: Site, fields: dict[str, Any]) -> None:
    answer = await site.post(PATH, event(site, n="engagement", **fields))
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["event_name"])


# ---------------------------------------------------------------- sites


async def test_a_site_is_a_domain_an_id_or_a_public_key(site: Site) -> None:
    for name in (site.host, f"www.{site.host}", site.host.upper(), site.project.public_id, site.key, f" {site.host} "):
        assert (await site.post(PATH, event(site, d=name))).text == "ok"
    assert len(await site.events()) == 6


async def test_without_a_site_it_is_the_hosts(site: Site) -> None:
    assert (await stored(site, d=None))["hostname"] == site.host


async def test_a_key_takes_pages_anywhere_and_none(site: Site) -> None:
    for url in ("https://staging.example/x", "app://shop/cart", "/cart"):
        answer = await site.post(PATH, event(site, d=site.key, u=url), origin="")
        assert "x-plausible-dropped" not in answer.headers
    assert await site.events("hostname", "path") == [("staging.example", "/x"), ("shop", "/cart"), ("", "/cart")]


async def test_several_sites_get_the_same_event(running: Running, site: Site) -> None:
    async with await make_site(running) as other:
        answer = await site.post(PATH, event(site, d=f"{site.host}, {other.host},,{site.host}"))
        assert (answer.text, "x-plausible-dropped" in answer.headers) == ("ok", False)
        assert [row["hostname"] for row in await site.events()] == [site.host]
        assert [row["hostname"] for row in await other.events()] == [site.host]


async def test_two_domains_of_one_project_get_it_once(running: Running) -> None:
    async with await make_site(running, "twice.example") as site:
        answer = await site.post(PATH, event(site, d=f"{site.host},twice.example"))
        assert answer.text == "ok"
        assert len(await site.events()) == 1


async def test_the_sites_that_are_here_get_it_whatever_the_others_are(site: Site) -> None:
    for order in (f"nowhere.example,{site.host}", f"{site.host},nowhere.example"):
        answer = await site.post(PATH, event(site, d=order))
        assert (answer.status_code, answer.headers["x-plausible-dropped"]) == (202, "1")
    assert len(await site.events()) == 2


async def test_a_new_site_is_known_at_once_also_beside_others(running: Running, site: Site) -> None:
    await site.post(PATH, event(site))
    async with await make_site(running) as other:
        await site.post(PATH, event(site, d=f"{site.host},{other.host}"))
        assert len(await other.events()) == 1


async def test_a_key_names_the_project_whatever_sites_are_named(running: Running, site: Site) -> None:
    async with await make_site(running) as other:
        await site.post(PATH, event(site, d=f"{site.host},{other.host}"), x_api_key=site.key)
        assert (len(await site.events()), len(await other.events())) == (1, 0)


async def test_too_many_sites_are_wrong(site: Site) -> None:
    answer = await site.post(PATH, event(site, d=",".join([site.host, *(f"s{n}.example" for n in range(30))])))
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["domain"])
    assert site.refused() == ["too_many"]


async def test_an_id_of_ours_lets_a_server_send_again(site: Site) -> None:
    for _ in range(2):
        assert (await site.post(PATH, event(site, event_id="once"))).text == "ok"
    assert (await site.event())["event_id"] == "once"


# ---------------------------------------------------------------- what is dropped, and what is wrong


async def test_a_bot_is_dropped_with_a_success(site: Site) -> None:
    answer = await site.post(PATH, event(site), user_agent=BOT)
    assert (answer.status_code, answer.text) == (202, "ok")
    assert (answer.headers["x-plausible-dropped"], answer.headers["x-appliance-dropped"]) == ("1", "bot")
    assert (await site.events(), site.refused()) == ([], ["bot"])


@pytest.mark.parametrize(
    ("fields", "headers", "reason"),
    [
        ({"d": "nowhere.example"}, {}, "unknown_project"),
        ({"d": "00000000-0000-4000-8000-000000000000"}, {}, "unknown_project"),
        ({"u": "https://elsewhere.example/"}, {}, "unknown_host"),
        ({"u": "/a"}, {}, "unknown_host"),
        ({}, {"origin": "https://elsewhere.example"}, "origin_not_allowed"),
        ({}, {"origin": "http://[", "x": "y"}, "origin_not_allowed"),
    ],
)
async def test_an_event_for_another_site_is_dropped_with_a_success(
    site: Site, fields: dict[str, Any], headers: dict[str, str], reason: str
) -> None:
    answer = await site.post(PATH, event(site, **fields), **headers)
    assert (answer.status_code, answer.text) == (202, "ok")
    assert (answer.headers["x-plausible-dropped"], answer.headers["x-appliance-dropped"]) == ("1", reason)
    assert await site.events() == []
    assert site.refused() == ([] if reason == "unknown_project" else [reason])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"n": None}, "event_name"),
        ({"n": ""}, "event_name"),
        ({"n": ["pageview"]}, "event_name"),
        ({"n": True}, "event_name"),
        ({"n": "x" * 256}, "event_name"),
        ({"u": None}, "url"),
        ({"u": 7}, "url"),
        ({"u": ["https://x"]}, "url"),
        ({"u": "data:text/html,x"}, "url"),
        ({"u": "javascript:alert(1)"}, "url"),
        ({"u": "https://{host}/" + "x" * 2000}, "url"),
        ({"u": "https://{host}/" + "%C3%A4" * 2000}, "url"),
        ({"d": ""}, "domain"),
        ({"d": " "}, "domain"),
        ({"d": " , ,"}, "domain"),
        ({"d": 7}, "domain"),
    ],
)
async def test_what_is_wrong_is_told_by_its_field(site: Site, fields: dict[str, Any], field: str) -> None:
    told = {n: v.replace("{host}", site.host) if isinstance(v, str) else v for n, v in fields.items()}
    answer = await site.post(PATH, event(site, **told))
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/json")
    ((name, messages),) = answer.json()["errors"].items()
    assert name == field
    assert messages
    assert all(isinstance(message, str) for message in messages)
    assert await site.events() == []


async def test_a_path_of_2000_characters_is_kept_whatever_its_host_and_query(site: Site) -> None:
    path = "/" + "x" * 1999
    row = await stored(site, u=f"https://{site.host}{path}?utm_source=letter&long={'y' * 2000}#{'z' * 100}")
    assert (row["path"], row["utm_source"]) == (path, "letter")


async def test_percent_signs_do_not_make_a_path_longer(site: Site) -> None:
    row = await stored(site, u=f"https://{site.host}/" + "%C3%A4" * 1000)
    assert row["path"] == "/" + "ä" * 1000


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_object(site: Site, body: bytes) -> None:
    answer = await site.post(PATH, body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["request"])


@pytest.mark.parametrize(("levels", "status"), [(100, 202), (100_000, 400)])
async def test_properties_that_are_nested_deeply(site: Site, levels: int, status: int) -> None:
    body = json.dumps(event(site, p="HERE")).replace('"HERE"', "[" * levels + "]" * levels)
    assert (await site.post(PATH, body.encode())).status_code == status
    as_text = event(site, n="As text", p="[" * levels + "]" * levels)
    assert (await site.post(PATH, as_text)).status_code == 202
    assert all("properties" not in row for row in await site.events())


async def test_nothing_but_no_site_at_all(site: Site) -> None:
    answer = await site.post(PATH, event(site, d=None, u="/a"), origin="")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["domain"])
    answer = await site.post(PATH, {"n": "x"}, origin="")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["url"])


@pytest.mark.parametrize(
    ("fields", "headers"),
    [({"d": "sa_nobody"}, {}), ({}, {"x_api_key": "sa_nobody"}), ({}, {"authorization": "Bearer sa_nobody"})],
)
async def test_a_wrong_key_is_told(site: Site, fields: dict[str, Any], headers: dict[str, str]) -> None:
    answer = await site.post(PATH, event(site, **fields), **headers)
    assert (answer.status_code, list(answer.json()["errors"])) == (401, ["request"])


async def test_a_private_key_sends_from_servers_and_never_from_browsers_or_bodies(site: Site) -> None:
    private = f"Bearer {site.private}"
    assert (await site.post(PATH, event(site), origin="", authorization=private)).text == "ok"
    assert (await site.post(PATH, event(site), authorization=private)).status_code == 401
    assert (await site.post(PATH, event(site, d=site.private))).status_code == 401
    assert len(await site.events()) == 1


async def test_a_debug_request_is_answered_with_the_address_and_not_stored(site: Site) -> None:
    for body in (event(site), b"", b"{"):
        answer = await site.post(PATH, body, x_debug_request="true", x_forwarded_for="198.51.100.8")
        assert (answer.status_code, answer.text) == (200, "203.0.113.7")
    assert (await site.post(PATH, event(site), x_debug_request="no")).status_code == 202
    assert len(await site.events()) == 1


async def test_other_methods_and_pre_flight(site: Site) -> None:
    assert (await site.http.get(PATH)).status_code == 405
    answer = await site.http.options(PATH, headers=site.browser(access_control_request_method="POST"))
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, f"https://{site.host}")
