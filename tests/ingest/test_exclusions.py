"""What is filtered, by which reason, in which order; and what is not although it looks like it."""

import secrets
from pathlib import Path
from typing import Any

import pytest

from appliance.clock import DAY, now
from appliance.ingest import pipeline
from appliance.ingest.acquisition import known_host
from appliance.ingest.admission import Grant
from appliance.ingest.arrival import Arrival
from appliance.ingest.data_centres import DataCentres
from appliance.ingest.exclusion_rules import PATHS_CACHED_MAX
from appliance.ingest.exclusions import Exclusions
from appliance.ingest.geo import Locator
from appliance.ingest.pipeline import Dropped, enrich
from appliance.ingest.sender import Sender
from appliance.ingest.sent import Decoded, Sent
from appliance.ingest.user_agent import is_bot
from appliance.ingest.visitor import Salts
from appliance.model import Project, ProjectSettings
from appliance.storage.catalogue import Catalogue
from appliance.storage.exclusions import Rule
from tests.running import FIREFOX

BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
GERMAN, AMERICAN, PRIVATE = "91.10.10.10", "8.8.8.8", "192.168.1.5"
CHROME = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
    "accept-language": "de-DE,de;q=0.9",
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "no-cors",
    "sec-ch-ua": '"Not:A-Brand";v="8", "Chromium";v="140"',
    "origin": "https://example.com",
}
LOCATOR, SALTS = Locator(), Salts()
SALTS._by_day = {now() // DAY + days: secrets.token_bytes(32) for days in range(-2, 3)}


class World:
    """A project with settings and rules, and the appliance's exclusions."""

    def __init__(self, *rules: tuple[str, str], centres: Path | None = None, **settings: Any) -> None:
        self.exclusions = Exclusions(DataCentres(centres))
        self.project = Project(
            1, "p", "Site", ("example.com",), "UTC", "EUR", ProjectSettings(**settings), created_at=0, updated_at=0
        )
        self.rules = tuple(
            Rule(number, 1, kind, value, "", "a", 0)  # type: ignore[arg-type]
            for number, (kind, value) in enumerate(rules, 1)
        )
        self.catalogue = Catalogue(1, {1: self.project}, {}, {}, {}, {}, {}, {1: self.rules} if rules else {})

    def dropped(self, headers: dict[str, str] | None = None, *, address: str = GERMAN, **sent: Any) -> Dropped | None:
        """What becomes of an event; by headers of a browser, or without any of a server."""
        fields = {name.encode(): value.encode("latin-1") for name, value in (headers or {}).items()}
        arrival = Arrival("POST", "/", b"", fields, peer=address, secure=True, received=now())
        grant = Grant(self.project, browser=arrival.from_browser, keyless=False)
        checks = self.exclusions.of(self.project, self.catalogue)
        sender = Sender(arrival, grant, Decoded([], single=True), SALTS, LOCATOR, checks)
        event = {"event": "pageview", "url": "https://example.com/", **sent}
        try:
            enrich(Sent(**event), sender)
        except Dropped as drop:
            return drop
        return None

    def reason(self, headers: dict[str, str] | None = None, **more: Any) -> str:
        drop = self.dropped(headers, **more)
        return drop.reason if drop is not None else ""

    def rule(self, headers: dict[str, str] | None = None, **more: Any) -> int:
        drop = self.dropped(headers, **more)
        return drop.rule if drop is not None else 0


# ---------------------------------------------------------------------- bots


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"user-agent": FIREFOX}, ""),
        ({"user-agent": ""}, ""),
        ({"accept-language": "*"}, ""),
        ({"user-agent": BOT}, "bot"),
        ({"sec-ch-ua": '"Not:A-Brand";v="8", "HeadlessChrome";v="140"'}, "bot_headers"),
        ({"from": "bot@example.org"}, "bot_headers"),
        ({"sec-purpose": "prefetch"}, "prerender"),
        ({"sec-purpose": "prefetch;prerender"}, "prerender"),
        ({"sec-purpose": "prefetch;anonymous-client-ip"}, "prerender"),
        ({"purpose": "prefetch"}, "prerender"),
        ({"x-purpose": "preview"}, "prerender"),
        ({"x-moz": "prefetch"}, "prerender"),
        ({"X-MOZ".lower(): "Prefetch"}, "prerender"),
        ({"purpose": "other"}, ""),
        ({"sec-purpose": ""}, ""),
    ],
)
def test_headers_of_browsers(changes: dict[str, str], reason: str) -> None:
    assert World().reason(CHROME | changes) == reason


def without(headers: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


def test_who_says_no_language_is_a_bot_where_others_do() -> None:
    world = World()
    silent = without(CHROME, "accept-language")
    assert world.reason(silent) == "", "perhaps a proxy takes the header away"
    assert world.reason(CHROME) == ""
    assert world.reason(silent) == "bot_headers"
    old = without(silent, "sec-fetch-site", "sec-fetch-mode")
    assert world.reason(old) == "", "older browsers are not known to say it always"


def test_servers_are_never_judged_by_their_own_agent_address_or_headers(tmp_path: Path) -> None:
    centres = tmp_path / "centres"
    centres.write_text("8.8.8.0/24\n")
    world = World(("address", AMERICAN), ("country", "US"), centres=centres)
    assert world.reason(CHROME) == ""
    headers = {"user-agent": BOT, "from": "bot@example.org", "purpose": "prefetch", "sec-fetch-mode": "cors"}
    assert world.reason(headers, address=AMERICAN) == ""
    assert world.reason(headers, address=GERMAN, user_agent=BOT) == "bot"
    assert world.reason(headers, address=GERMAN, ip=AMERICAN) == "data_center"
    assert world.reason(headers, address=AMERICAN, ip=GERMAN, user_agent=FIREFOX) == ""


def test_a_browser_cannot_state_another_address_or_agent() -> None:
    world = World(("address", AMERICAN))
    assert world.reason(CHROME, address=AMERICAN, ip=GERMAN) == "blocked_address"
    assert world.reason(CHROME, ip=AMERICAN, user_agent=BOT) == ""


def test_stated_addresses_count_only_where_the_project_believes_them() -> None:
    world = World(("address", AMERICAN), trust_stated_address=False)
    assert world.reason(None, ip=AMERICAN) == ""


def test_bots_are_let_through_where_the_project_wants_them() -> None:
    world = World(drop_bots=False)
    silent = without(CHROME, "accept-language")
    assert world.reason(CHROME) == ""
    for headers in (CHROME | {"user-agent": BOT}, CHROME | {"from": "a"}, silent):
        assert world.reason(headers) == ""
    assert world.reason(CHROME, automation=True) == "automation"
    assert world.reason(CHROME | {"sec-purpose": "prefetch"}) == "prerender"


def test_the_agent_of_fetch_on_a_server_is_a_bots_and_therefore_must_not_be_a_browsers() -> None:
    """As Node.js 20 was seen to send."""
    headers = {"accept-language": "*", "sec-fetch-mode": "cors", "user-agent": "node"}
    assert is_bot("node")
    assert World().reason(headers) == ""


# ---------------------------------------------------------------------- data centres, referrers


def test_data_centres_are_left_out_unless_the_project_wants_them(tmp_path: Path) -> None:
    centres = tmp_path / "centres"
    centres.write_text("8.8.8.0/24\n2a00::/16\n")
    assert World(centres=centres).reason(CHROME, address=AMERICAN) == "data_center"
    assert World(centres=centres).reason(CHROME, address="2a00::1") == "data_center"
    assert World(centres=centres).reason(CHROME) == ""
    assert World(centres=centres, drop_data_centres=False).reason(CHROME, address=AMERICAN) == ""
    assert World().reason(CHROME, address=AMERICAN) == ""


@pytest.mark.parametrize(
    ("referrer", "reason"),
    [
        ("https://semalt.com/project?u=example.com", "referrer_spam"),
        ("http://www.SEMALT.com", "referrer_spam"),
        ("https://a.b.semalt.com/", "referrer_spam"),
        ("https://notsemalt.com/", ""),
        ("https://semalt.com.example.org/", ""),
        ("https://www.google.com/", ""),
        ("android-app://com.google.android.gm/", ""),
        ("https://example.com/semalt.com", ""),
        ("semalt", ""),
        ("", ""),
    ],
)
def test_referrer_spam(referrer: str, reason: str) -> None:
    assert World().reason(CHROME, referrer=referrer) == reason
    assert World(drop_referrer_spam=False).reason(CHROME, referrer=referrer) == ""


def test_the_list_of_spam_is_in_order_and_has_nobody_who_is_known() -> None:
    path = Path(pipeline.__file__).with_name("data") / "referrer_spam.txt"
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) > 100
    assert len(set(lines)) == len(lines)
    assert [line for line in lines if line != line.strip().lower() or "/" in line or "." not in line] == []
    assert [line for line in lines if known_host(line) is not None] == []


# ---------------------------------------------------------------------- a project's own rules


@pytest.mark.parametrize(
    ("rule", "address", "out"),
    [
        ("91.10.10.10", "91.10.10.10", True),
        ("91.10.10.10", "::ffff:91.10.10.10", True),
        ("91.10.10.10", "91.10.10.11", False),
        ("91.10.0.0/16", "91.10.255.255", True),
        ("91.10.0.0/16", "91.11.0.0", False),
        ("2001:db8::/48", "2001:db8:0:ffff::1", True),
        ("2001:db8::/48", "2001:db8:1::1", False),
        ("2001:db8::/48", "91.10.10.10", False),
    ],
)
def test_addresses_and_networks(rule: str, address: str, out: bool) -> None:
    drop = World(("address", rule)).dropped(CHROME, address=address)
    assert (drop is not None) is out
    if drop is not None:
        assert (drop.reason, drop.rule) == ("blocked_address", 1)


def test_the_narrowest_network_is_named_and_of_equal_rules_the_oldest() -> None:
    world = World(
        ("address", "91.0.0.0/8"), ("address", "91.10.10.0/24"), ("address", "91.10.0.0/16"), ("country", "DE")
    )
    assert world.rule(CHROME, address="91.10.10.10") == 2
    assert world.rule(CHROME, address="91.10.11.10") == 3
    assert world.rule(CHROME, address="91.11.0.1") == 1


def test_countries_by_address_by_time_zone_and_as_servers_state_them() -> None:
    world = World(("country", "DE"), ("country", "US"))
    assert world.reason(CHROME, address=GERMAN) == "blocked_country"
    assert world.rule(CHROME, address=AMERICAN) == 2
    assert world.reason(CHROME, address=PRIVATE) == ""
    assert world.rule(CHROME, address=PRIVATE, timezone="Europe/Berlin") == 1
    assert world.rule(None, country="us") == 2
    assert world.reason(None, country="FR") == ""


@pytest.mark.parametrize("kind", ["engagement", "identify", "reset"])
def test_events_without_a_place_are_judged_by_their_senders(kind: str) -> None:
    world = World(("country", "DE"))
    more = {"event": kind, "pageview_id": "x", "user_id": "u"}
    assert world.rule(CHROME, address=GERMAN, **more) == 1
    assert world.reason(CHROME, address=AMERICAN, **more) == ""


@pytest.mark.parametrize(
    ("rules", "host", "rule"),
    [
        (["test.example.com"], "test.example.com", 1),
        (["test.example.com"], "www.test.example.com", 1),
        (["test.example.com"], "TEST.example.com.:8080", 1),
        (["test.example.com"], "a.test.example.com", 0),
        (["test.example.com"], "example.com", 0),
        (["*.example.com"], "a.b.example.com", 1),
        (["*.example.com"], "example.com", 0),
        (["*.example.com", "a.example.com"], "a.example.com", 2),
        (["localhost"], "localhost:3000", 1),
    ],
)
def test_hosts(rules: list[str], host: str, rule: int) -> None:
    world = World(*(("hostname", value) for value in rules))
    assert world.rule(CHROME, url=f"https://{host}/") == rule


@pytest.mark.parametrize(
    ("host", "out"),
    [
        ("example.com", False),
        ("www.example.com", False),
        ("a.shop.example", False),
        ("shop.example", True),
        ("evil.org", True),
    ],
)
def test_only_some_hosts(host: str, out: bool) -> None:
    world = World(("only_hostname", "example.com"), ("only_hostname", "*.shop.example"))
    drop = world.dropped(CHROME, url=f"https://{host}/")
    assert (drop is not None) is out
    if drop is not None:
        assert (drop.reason, drop.rule) == ("hostname", 0)


def test_events_that_name_no_host_and_no_page_pass_rules_about_them() -> None:
    world = World(("only_hostname", "example.com"), ("path", "**"), ("hostname", "*.example.com"))
    assert world.reason(None, event="signup", url=None) == ""


@pytest.mark.parametrize(
    ("pattern", "path", "out"),
    [
        ("/admin", "/admin", True),
        ("/admin", "/admin/", False),
        ("/admin/*", "/admin/users", True),
        ("/admin/*", "/admin/users/7", False),
        ("/admin/**", "/admin/users/7", True),
        ("/admin/**", "/admin", False),
        ("**/print", "/a/b/print", True),
        ("/a.c", "/abc", False),
        ("/a|b*", "/a|bc", True),
        ("/\\d*", "/7", False),
        ("/*/edit", "//edit", True),
        ("/ü*", "/%C3%BCber", True),
    ],
)
def test_paths(pattern: str, path: str, out: bool) -> None:
    assert (World(("path", pattern)).reason(CHROME, url=f"https://example.com{path}") == "blocked_path") is out


def test_a_path_is_named_by_the_rule_that_fits_and_answers_that_are_kept_are_right() -> None:
    world = World(*(("path", f"/{number}/**") for number in range(50)), ("path", "/7/exact"))
    for _ in range(2):
        for number in (0, 7, 49):
            assert world.rule(CHROME, url=f"https://example.com/{number}/x") == number + 1
        assert world.rule(CHROME, url="https://example.com/7/exact") == 51
        assert world.rule(CHROME, url="https://example.com/50/x") == 0
    for number in range(PATHS_CACHED_MAX + 10):
        assert world.rule(CHROME, url=f"https://example.com/3/{number}") == 4


def test_own_referrers() -> None:
    world = World(("referrer", "spam.example"), drop_referrer_spam=False)
    for referrer, rule in {
        "https://spam.example/x": 1, "https://a.spam.example": 1, "https://www.spam.example:8080/": 1,
        "https://nospam.example": 0, "": 0,
    }.items():  # fmt: skip
        assert world.rule(CHROME, referrer=referrer) == rule, referrer
    assert world.reason(CHROME, referrer="https://spam.example/x") == "referrer_spam"


def test_what_is_filtered_is_ready_for_the_journal() -> None:
    drop = World(("path", "/admin/**")).dropped(
        CHROME, url="https://example.com/admin/x", title="Secret", event_id="e1"
    )
    assert drop is not None
    assert drop.event is not None
    assert (drop.event.path, drop.event.title, drop.event.event_id) == ("/admin/x", "Secret", "e1")
    assert (drop.event.browser, drop.event.country) == ("Chrome", "DE")
    assert drop.event.visitor


def test_where_the_signal_says_so_nothing_is_looked_at_or_kept() -> None:
    drop = World(("path", "**"), privacy_signal="drop").dropped(CHROME | {"sec-gpc": "1", "user-agent": BOT})
    assert drop is not None
    assert (drop.reason, drop.event) == ("privacy_signal", None)


def test_a_wrong_event_is_wrong_whoever_sends_it() -> None:
    with pytest.raises(pipeline.Rejected):
        World(("path", "**")).dropped(CHROME | {"user-agent": BOT}, event="")


def test_the_order_is_that_of_the_description(tmp_path: Path) -> None:
    centres = tmp_path / "centres"
    centres.write_text("8.8.8.0/24\n")
    world = World(("path", "**"), ("country", "US"), ("address", AMERICAN), centres=centres)
    everything = CHROME | {"user-agent": BOT, "from": "x", "sec-purpose": "prefetch"}
    sent = {"address": AMERICAN, "referrer": "https://semalt.com", "automation": True}
    reasons = [world.reason(everything, **sent)]
    sent["automation"] = False
    reasons.append(world.reason(everything, **sent))
    for name, value in (("user-agent", CHROME["user-agent"]), ("from", ""), ("sec-purpose", "")):
        everything = (everything | {name: value}) if value else without(everything, name)
        reasons.append(world.reason(everything, **sent))
    sent["address"] = GERMAN
    reasons.append(world.reason(everything, **sent))
    sent["referrer"] = ""
    reasons.append(world.reason(everything, **sent))
    assert reasons == [
        "automation", "bot", "bot_headers", "prerender", "data_center", "referrer_spam", "blocked_path",
    ]  # fmt: skip
    assert world.reason(everything | {"sec-fetch-site": "none"}, address="9.9.9.9") == "blocked_country"


# ---------------------------------------------------------------------- changes


def test_checks_are_made_again_only_when_settings_or_rules_change() -> None:
    world = World(("path", "/admin/**"))
    first = world.exclusions.of(world.project, world.catalogue)
    assert world.exclusions.of(world.project, world.catalogue) is first
    again = Catalogue(2, {1: world.project}, {}, {}, {}, {}, {}, {1: tuple(world.rules)})
    assert world.exclusions.of(world.project, again) is first
    fewer = Catalogue(3, {1: world.project}, {}, {}, {}, {}, {})
    assert world.exclusions.of(world.project, fewer) is not first
    world.catalogue = fewer
    assert world.reason(CHROME, url="https://example.com/admin/x") == ""
    world.catalogue = again
    assert world.reason(CHROME, url="https://example.com/admin/x") == "blocked_path"
