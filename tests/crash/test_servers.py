"""PostgreSQL goes away, and several appliances share one: every acknowledged event is stored exactly once."""

import http.client
import json
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import psycopg
import pytest

from appliance.storage.event_ids import unpack
from tests import postgresql
from tests.crash.test_kill import Load
from tests.postgresql import Server as Postgres
from tests.process import Server

WRONG = """
    SELECT v.id FROM visit v LEFT JOIN (
        SELECT e.visit_id, count(*) AS events, sum(CASE WHEN e.kind = 0 THEN 1 ELSE 0 END) AS pageviews,
               min(e.time) AS first, max(e.time) AS last, min(e.visitor) AS low, max(e.visitor) AS high
        FROM event e GROUP BY e.visit_id
    ) n ON n.visit_id = v.id
    WHERE (v.events, v.pageviews, v.start, v."end", v.visitor, v.visitor)
          IS DISTINCT FROM (n.events, n.pageviews, n.first, n.last, n.low, n.high)
    """
OVERLAPPING = """
    SELECT a.id, b.id FROM visit a JOIN visit b
    ON a.project_id = b.project_id AND a.visitor = b.visitor AND a.id < b.id
    AND a.start <= b."end" AND b.start <= a."end"
    """


class Roamer(Load):
    """Sends now to one appliance and now to another, events of the same people as the others do."""

    def __init__(self, ports: list[int], key: str, number: int, seed: int) -> None:
        super().__init__(ports[0], key, number, seed)
        self.ports = ports
        self.crowd = "user"

    def next_port(self) -> int:
        return self.chance.choice(self.ports)

    def taken(self, events: list[dict[str, object]]) -> None:
        """Now and then send the same at once to another appliance, as a client does that did not hear the answer."""
        again = [event for event in events if "event_id" in event]
        if len(self.ports) < 2 or not again or self.chance.random() > 0.3:
            return
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.chance.choice(self.ports), timeout=10)
            connection.request("POST", "/api/v1/events/ingest", json.dumps({"events": again}), {"X-API-Key": self.key})
            connection.getresponse().read()


@contextmanager
def sending(ports: list[int], key: str, seed: int, clients: int = 4) -> Iterator[list[Roamer]]:
    """Clients that send meanwhile."""
    loads = [Roamer(ports, key, number, seed) for number in range(clients)]
    for load in loads:
        load.start()
    try:
        yield loads
    finally:
        for load in loads:
            load.stopping.set()
        for load in loads:
            load.join(20)


def check(url: str, loads: list[Roamer], events_min: int) -> None:
    """Once everything is drained: what was acknowledged is there once, and visits agree with their events."""
    acknowledged = set().union(*(load.acknowledged for load in loads))
    minted, uncertain = sum(load.minted for load in loads), sum(load.uncertain for load in loads)
    assert len(acknowledged) > events_min, "the load was too small to show anything"
    with psycopg.connect(url) as connection:
        stored = [unpack(event_id) for (event_id,) in connection.execute("SELECT event_id FROM event")]
        sent = Counter(event_id for event_id in stored if "-" in event_id)
        assert acknowledged - sent.keys() == set(), "acknowledged and lost"
        assert [event_id for event_id, times in sent.items() if times > 1] == [], "stored twice"
        own = len(stored) - sum(sent.values())
        assert minted <= own <= minted + uncertain, "events without an id: each acknowledged one once"
        assert connection.execute(WRONG).fetchall() == [], "visits that do not agree with their events"
        assert connection.execute(OVERLAPPING).fetchall() == [], "one visitor in two visits at once"
        assert connection.execute("SELECT count(*) FROM dead_letter").fetchone() == (0,)
    assert {status for load in loads for status, _ in load.refused} <= {503}


@pytest.fixture(params=["postgresql", "timescaledb"])
def own_server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A server that may be stopped."""
    if postgresql.programs() is None:
        pytest.skip("PostgreSQL not installed")
    if request.param == "timescaledb" and not postgresql.has_timescaledb():
        pytest.skip("TimescaleDB not installed")
    with postgresql.server(timescaledb=request.param == "timescaledb") as started:
        yield started


def cut(url: str, chance: Random) -> None:
    """End some of the appliance's connections, whatever they are doing."""
    with psycopg.connect(url) as connection:
        select = (
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'analytics-appliance'"
            " AND datname = current_database()"
        )
        for (pid,) in connection.execute(select).fetchall():
            if chance.random() < 0.5:
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))


def go_away(folder: Path, own: Postgres, *, seconds: float, cuts: int, seed: int) -> None:
    url, chance = own.new_database(), Random(seed)
    with Server(folder, database_url=url) as server:
        key = server.project()["public_key"]
        with sending([server.port], key, seed) as loads:
            for _ in range(cuts):
                time.sleep(chance.uniform(0.1, 0.4))
                cut(url, chance)
            before = sum(len(load.acknowledged) for load in loads)
            own.stop()
            time.sleep(seconds)
            assert sum(len(load.acknowledged) for load in loads) > before, "events are taken all the while"
            status, said = server.get("/readyz")
            assert status == 503
            assert b"database" in said
            own.start()
            time.sleep(0.5)
            for _ in range(cuts):
                time.sleep(chance.uniform(0.1, 0.4))
                cut(url, chance)
        assert server.cli("drain").strip() == "the journal is empty"
        deadline = time.monotonic() + 20
        while server.get("/readyz")[0] != 200:
            assert time.monotonic() < deadline, "it is ready again"
            time.sleep(0.1)
        check(url, loads, 100)
        assert server.cli("verify", "example.com", "--date-range", "day", "--json")["equal"]


def test_the_database_goes_away_under_load(tmp_path: Path, own_server: Postgres) -> None:
    go_away(tmp_path / "data", own_server, seconds=4, cuts=4, seed=1)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_database_is_away_for_half_a_minute(tmp_path: Path, own_server: Postgres) -> None:
    go_away(tmp_path / "data", own_server, seconds=30, cuts=60, seed=2)


def test_two_appliances_share_a_database(tmp_path: Path, own_server: Postgres) -> None:
    url = own_server.new_database()
    first, second = (Server(tmp_path / name, database_url=url) for name in ("first", "second"))
    starting = threading.Thread(target=first.start)  # at once, so that both find an empty database
    starting.start()
    second.start()
    starting.join()
    with first, second:
        key = first.project()["public_key"]
        with sending([first.port, second.port], key, seed=3) as loads:
            time.sleep(2)
            second.kill()
            time.sleep(1)
            second.start()
            time.sleep(2)
        for server in (first, second):
            assert server.cli("drain").strip() == "the journal is empty"
        check(url, loads, 200)


class Feed(threading.Thread):
    """Somebody who watches a site's live page on one appliance; `told` is what came."""

    def __init__(self, server: Server, site: str) -> None:
        super().__init__(daemon=True)
        jar = urllib.request.HTTPCookieProcessor()
        opener = urllib.request.build_opener(jar)
        form = urllib.parse.urlencode({"email": "ada@example.com", "password": PASSWORD}).encode()
        opener.open(urllib.request.Request(f"{server.url}/login", form, {"Origin": server.url}), timeout=10).close()
        self._answer = opener.open(f"{server.url}/sites/{site}/stream", timeout=20)
        self.told = ""

    def run(self) -> None:
        with suppress(OSError, ValueError):
            for line in self._answer:
                self.told += line.decode()

    def has(self, wanted: str) -> bool:
        return wanted in self.told


PASSWORD = "correct horse battery staple"


def test_live_pages_of_both_appliances_show_everything(tmp_path: Path, own_server: Postgres) -> None:
    url = own_server.new_database()
    both = [Server(tmp_path / name, database_url=url) for name in ("first", "second")]
    with both[0], both[1]:
        key = both[0].project()["public_key"]
        both[1].cli("user", "create", "ada@example.com", "--password", PASSWORD)
        feeds = [Feed(server, "example.com") for server in both]
        for feed in feeds:
            feed.start()
        pages = []
        for number in range(12):
            pages.append(f"/page-{number}" + "x" * 900 * (number % 3))  # some are too large for a notification
            view = {"event": "pageview", "url": f"https://example.com{pages[-1]}"}
            sent = [view | {"user_id": f"u{n}"} for n in range(9)]
            assert both[number % 2].ingest(key, {"events": sent})[0] == 202
            time.sleep(0.1)
        deadline = time.monotonic() + 15
        for feed in feeds:
            for page in pages:
                while not feed.has(page[:30]):
                    assert time.monotonic() < deadline, (page, feed.told[-500:])
                    time.sleep(0.05)


def test_keys_and_sites_of_one_appliance_hold_on_the_other(tmp_path: Path, own_server: Postgres) -> None:
    url = own_server.new_database()
    both = [Server(tmp_path / name, database_url=url) for name in ("first", "second")]
    event = {"events": [{"event": "pageview", "url": "https://example.com/"}]}
    with both[0], both[1]:
        made = both[0].project()
        assert both[1].ingest(made["public_key"], event)[0] == 202, "a new key is valid at once"
        keys = both[0].cli("key", "list", made["id"], "--json")
        (number,) = [key["id"] for key in keys if key["kind"] == "public"]
        both[0].cli("key", "revoke", made["id"], str(number))
        deadline = time.monotonic() + 2.5
        while (status := both[1].ingest(made["public_key"], event)[0]) != 401:
            assert time.monotonic() < deadline, status
            time.sleep(0.1)
