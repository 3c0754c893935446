"""A small file of each format, made up for these tests, and what is to be stored of it."""

import json
from typing import Any, NamedTuple

from tests.ingest.imports.importing import CHROME, GOOGLEBOT, combined
from tests.running import FIREFOX

HEADER_B = "event_id,occurred_at,user_id,event_type,properties_json"
HEADER_UMAMI = (
    "website_id,session_id,visit_id,event_id,hostname,browser,os,device,screen,language,country,region,city,"
    "url_path,url_query,referrer_path,referrer_domain,page_title,event_type,event_name,created_at"
)
HEADER_GOATCOUNTER = (
    "2Path,Title,Event,UserAgent,Browser,System,Session,Bot,Referrer,Referrer scheme,Screen size,Location,FirstVisit,"
    "Date"
)
FIELDS_CLOUDFRONT = (
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent)"
    " cs-uri-query x-host-header"
)


class Sample(NamedTuple):
    """`stored`: name, path and time of each event, in order; `rest`: columns of some of their visits."""

    text: str
    stored: list[tuple[str, str, str]]
    dropped: dict[str, int]
    faults: list[tuple[int, str]]
    visits: int
    first_visit: dict[str, str]


def cloudfront(*cells: str) -> str:
    return "\t".join(cells) + "\n"


def alb(request: str, status: int, agent: str, client: str = "192.0.2.7:4711") -> str:
    return (
        f"https 2026-03-02T12:00:00.186641Z app/lb/50dc {client} 10.0.0.1:80 0.086 0.048 0.037 {status} {status} 0 57"
        f' "{request}" "{agent}" ECDHE-RSA TLSv1.2 arn:aws:x "Root=1-58337262" "shop.example.com" "arn:y" 1'
        ' 2026-03-02T11:59:59.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"\n'
    )


def caddy(uri: str, status: int = 200, kind: str = "text/html; charset=utf-8", **request: Any) -> str:
    headers = {"User-Agent": [FIREFOX], "Referer": ["https://duckduckgo.com/"], "Accept-Language": ["de-DE,de;q=0.9"]}
    asked = {"remote_ip": "192.0.2.9", "remote_port": "4711", "client_ip": "192.0.2.9", "proto": "HTTP/2.0"}
    asked |= {"method": "GET", "host": "example.com", "uri": uri, "headers": headers} | request
    line = {"level": "info", "ts": 1772452800.25, "logger": "http.log.access", "msg": "handled request"}
    answer = {"bytes_read": 0, "duration": 0.001, "size": 5, "status": status, "resp_headers": {"Content-Type": [kind]}}
    return json.dumps(line | {"request": asked} | answer) + "\n"


def nginx(request: str, status: str = "200", *, client: str = "192.0.2.3", **more: str) -> str:
    line = {"time_iso8601": "2026-03-02T13:00:00+01:00", "remote_addr": client, "request": request}
    line |= {"status": status, "http_referer": "-", "http_user_agent": FIREFOX, "host": "example.com"}
    return json.dumps(line | more) + "\n"


NOON = "2026-03-02T12:00:00.000000Z"
SAMPLES = {
    "combined": Sample(
        combined(1, "/a?utm_source=letter")
        + combined(1, "/style.css")
        + combined(2, "/b%20c", agent=GOOGLEBOT)
        + combined(2, "/b%20c", time="02/Mar/2026:13:30:00 +0130", referrer="https://www.google.com/")
        + combined(2, "/gone", status=404)
        + combined(2, "/form", method="POST")
        + "what is this\n"
        + combined(1, "/a", time="02/Mar/2026:12:05:00 +0000", status=304)
        + combined(3, "/a", time="02/Foo/2026:12:05:00 +0000")
        + '192.0.2.9 - - [02/Mar/2026:12:00:00 +0000] "\\x16\\x03" 400 0 "-" "-"\n'
        + combined(3, "/say", agent='a \\"quoted\\" thing'),
        [
            ("pageview", "/a", NOON),
            ("pageview", "/b c", NOON),
            ("pageview", "/a", "2026-03-02T12:05:00.000000Z"),
            ("pageview", "/say", NOON),
        ],
        {"asset": 1, "bot": 1, "status": 1, "method": 2},
        [(7, "malformed_line"), (9, "not_a_time")],
        3,
        {"utm_source": "letter", "browser": "Firefox", "os": "Linux", "device": "Desktop", "hostname": "example.com"},
    ),
    "common": Sample(
        'shop.example.com:443 192.0.2.1 - ann [02/Mar/2026:12:00:00 +0000] "GET /x HTTP/1.1" 200 12\n'
        'shop.example.com:443 192.0.2.1 - ann lee [02/Mar/2026:12:01:00 +0000] "GET / HTTP/1.1" 200 -\n'
        'shop.example.com:443 192.0.2.2 - - [02/Mar/2026:12:00:00 +0000] "GET /y.png HTTP/1.1" 200 12\n',
        [("pageview", "/x", NOON), ("pageview", "/", "2026-03-02T12:01:00.000000Z")],
        {"asset": 1},
        [],
        1,
        {"hostname": "shop.example.com"},
    ),
    "nginx-json": Sample(
        nginx("GET /n?x=1 HTTP/2.0", http_referer="https://news.ycombinator.com/item?id=1")
        + nginx("GET /n.woff2 HTTP/2.0")
        + nginx(
            "", request_uri="/m", request_method="GET", time_iso8601="", msec="1772452801.5", remote_addr="192.0.2.4"
        )
        + nginx("GET /z HTTP/2.0", "301")
        + "{\n",
        [("pageview", "/n", NOON), ("pageview", "/m", "2026-03-02T12:00:01.500000Z")],
        {"asset": 1, "status": 1},
        [(5, "malformed_line")],
        2,
        {"hostname": "example.com", "browser": "Firefox", "referrer_source": "Hacker News"},
    ),
    "caddy": Sample(
        caddy("/c.html?ref=x")
        + caddy("/api/items", kind="application/json")
        + '{"level":"error","msg":"something else","request":{"uri":"/"}}\n'
        + caddy("/d", client_ip="", remote_ip="", remote_addr="198.51.100.1:80", headers={"User-Agent": [GOOGLEBOT]})
        + caddy("/e", headers=None),
        [("pageview", "/c.html", "2026-03-02T12:00:00.250000Z"), ("pageview", "/e", "2026-03-02T12:00:00.250000Z")],
        {"asset": 1, "bot": 1},
        [],
        2,
        {"language": "de-DE", "hostname": "example.com", "browser": "Firefox"},
    ),
    "cloudfront": Sample(
        "#Version: 1.0\n#Fields: "
        + FIELDS_CLOUDFRONT
        + "\n"
        + cloudfront(
            "2026-03-02",
            "12:00:00",
            "FRA2",
            "9",
            "192.0.2.5",
            "GET",
            "d1.cloudfront.net",
            "/cf",
            "200",
            "https://www.bing.com/",
            CHROME.replace(" ", "%2520"),
            "utm_medium=email",
            "example.com",
        )
        + cloudfront(
            "2026-03-02",
            "12:00:00",
            "FRA2",
            "9",
            "192.0.2.5",
            "GET",
            "d1.cloudfront.net",
            "/a.js",
            "200",
            "-",
            CHROME.replace(" ", "%20"),
            "-",
            "example.com",
        )
        + "short\tline\n",
        [("pageview", "/cf", NOON)],
        {"asset": 1},
        [(5, "malformed_line")],
        1,
        {"utm_medium": "email", "browser": "Chrome", "os": "Windows", "hostname": "example.com"},
    ),
    "alb": Sample(
        alb("GET https://shop.example.com:443/lb?x=1 HTTP/2.0", 200, FIREFOX)
        + alb("GET https://shop.example.com:443/lb.gif HTTP/2.0", 200, FIREFOX)
        + alb("- http://example.com:80- -", 400, "-")
        + "http 2026\n",
        [("pageview", "/lb", "2026-03-02T12:00:00.186641Z")],
        {"asset": 1, "method": 1},
        [(4, "malformed_line")],
        1,
        {"hostname": "shop.example.com", "browser": "Firefox"},
    ),
    "event-csv": Sample(
        HEADER_B
        + "\n"
        + '550e8400-e29b-41d4-a716-446655440000,2026-03-02T12:00:00Z,user_123,page_view,"{""page"": ""/home""}"\n'
        "550e8400-e29b-41d4-a716-446655440001,2026-03-02T12:00:00Z,user_123,purchase,\n"
        "550e8400-e29b-41d4-a716-446655440002,,user_123,purchase,\n"
        '550e8400-e29b-41d4-a716-446655440003,2026-03-02T12:00:00Z,user_124,note,"{"\n'
        "550e8400-e29b-41d4-a716-446655440004,2026-03-02T12:00:00Z,user_124,,{}\n",
        [("page_view", "", NOON), ("purchase", "", NOON)],
        {},
        [(4, "missing"), (5, "malformed"), (6, "missing")],
        1,
        {"user": "user_123"},
    ),
    "umami": Sample(
        HEADER_UMAMI
        + "\n"
        + "w,s1,v1,e1,example.com,chrome,Windows 10,laptop,1920x1080,en-US,US,US-CA,San Jose,/u,utm_source=letter,"
        "/search,google.com,Title,1,,2026-03-02 12:00:00\n"
        "w,s1,v1,e2,example.com,chrome,Windows 10,laptop,1920x1080,en-US,US,US-CA,San Jose,/u,,,,Title,2,signup,"
        "2026-03-02 14:00:00\n"
        "w,s1,v2,e3,example.com,chrome,Windows 10,laptop,1920x1080,en-US,US,US-CA,San Jose,/v,,,,Title,1,,"
        "2026-03-02 14:10:00.500\n"
        "w,s2,v3,e4,example.com,,,,,,,,,/x,,,,,5,,2026-03-02 14:10:00\n"
        "w,s2,v3,e5,example.com,,,,,,,,,/x,,,,,1,,\n",
        [
            ("pageview", "/u", NOON),
            ("signup", "/u", "2026-03-02T14:00:00.000000Z"),
            ("pageview", "/v", "2026-03-02T14:10:00.500000Z"),
        ],
        {"not_an_event": 1},
        [(6, "missing")],
        2,
        {
            "browser": "Chrome",
            "os": "Windows",
            "os_version": "10",
            "device": "Desktop",
            "country": "US",
            "region": "US-CA",
            "city": "San Jose",
            "screen": "1920x1080",
            "referrer_source": "letter",
        },
    ),
    "goatcounter": Sample(
        HEADER_GOATCOUNTER
        + "\n"
        + f'/g,Page,false,{FIREFOX},Firefox 132,Linux,5f2,0,www.reddit.com/r/x,h,"1920,1080,1",DE-BE,true,'
        "2026-03-02T12:00:00Z\n"
        f"click-me,,true,{FIREFOX},Firefox 132,Linux,5f2,0,,,,DE,false,2026-03-02T12:01:00Z\n"
        f"/g,Page,false,{FIREFOX},Firefox 132,Linux,5f3,0,Hacker News,g,,US,true,2026-03-02T12:00:00Z\n"
        "/bot,,false,,,,5f4,3,,,,,true,2026-03-02T12:00:00Z\n"
        "/none,,false,,,,5f5,0,,,,,true,\n",
        [
            ("pageview", "/g", NOON),
            ("click-me", "/", "2026-03-02T12:01:00.000000Z"),
            ("pageview", "/g", NOON),
        ],
        {"bot": 1},
        [(6, "missing")],
        2,
        {"referrer_source": "Reddit", "screen": "1920x1080", "country": "DE", "region": "DE-BE", "browser": "Firefox"},
    ),
    "ndjson": Sample(
        '{"event":"pageview","url":"https://example.com/nd","timestamp":"2026-03-02T12:00:00Z","user_id":"u"}\n'
        '{"event":"click","timestamp":1772452800,"user_id":"u"}\n'
        '{"event":"","timestamp":1772452800,"user_id":"u"}\n',
        [("pageview", "/nd", NOON), ("click", "", NOON)],
        {},
        [(3, "missing")],
        1,
        {"user": "u", "hostname": "example.com"},
    ),
    "csv": Sample(
        "event,timestamp,path,user_id\npageview,2026-03-02T12:00:00Z,/cs,u\nclick,when?,/,u\n",
        [("pageview", "/cs", NOON)],
        {},
        [(3, "not_a_time")],
        1,
        {"user": "u", "hostname": "example.com"},
    ),
}
