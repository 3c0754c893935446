"""kill -9 under load: every acknowledged event is stored exactly once, visits agree with them, the file opens."""

import http.client
import json
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.killing import Client, kill_under_load


class Load(Client):
    """One client that sends until told to stop, and remembers which events were acknowledged.

    Every id is used for one event; what was not acknowledged is sent again with the same id, as SDKs do.
    """

    def __init__(self, port: int, key: str, number: int, seed: int) -> None:
        super().__init__(port, key, number, seed)
        self.crowd = f"user-{number}"  # whose events it sends
        self.acknowledged: set[str] = set()
        self.minted = 0  # acknowledged events without an id of ours
        self.uncertain = 0  # events without an id whose answer never came
        self.refused: list[tuple[int, bytes]] = []

    def next_port(self) -> int:
        """Where to connect."""
        return self.port

    def taken(self, events: list[dict[str, object]]) -> None:
        """These were acknowledged."""

    def run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        sequence = 0
        retry: list[dict[str, object]] | None = None
        while not self.stopping.is_set():
            events = retry
            if events is None:
                events = []
                for _ in range(self.chance.choice((1, 1, 1, 5, 40))):
                    sequence += 1
                    event: dict[str, object] = {
                        "event": self.chance.choice(("pageview", "pageview", "click")),
                        "url": f"https://example.com/page/{self.chance.randrange(50)}",
                        "user_id": f"{self.crowd}-{self.chance.randrange(30)}",
                    }
                    if self.chance.random() < 0.8:
                        event["event_id"] = f"{self.number}-{sequence}"
                    events.append(event)
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.next_port(), timeout=10)
                body = json.dumps({"events": events})
                connection.request("POST", "/api/v1/events/ingest", body, {"X-API-Key": self.key})
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                connection = None
                self.uncertain += sum("event_id" not in event for event in events)
                retry = [event for event in events if "event_id" in event] or None
                time.sleep(0.01)
                continue
            if answer.status == 202:
                self.acknowledged |= {str(event["event_id"]) for event in events if "event_id" in event}
                self.minted += sum("event_id" not in event for event in events)
                retry = None
                self.taken(events)
            else:
                self.refused.append((answer.status, content))
                retry = events if answer.status == 503 else None


def kill_repeatedly(folder: Path, rounds: int, seed: int) -> None:
    server, clients = kill_under_load(folder, rounds, seed, Load)
    server.cli("drain")
    acknowledged = set().union(*(client.acknowledged for client in clients))
    minted = sum(client.minted for client in clients)
    uncertain = sum(client.uncertain for client in clients)
    assert len(acknowledged) > rounds * 5, "the load was too small to show anything"
    assert not [refusal for client in clients for refusal in client.refused if refusal[0] != 503]
    check(folder / "appliance.db", acknowledged, minted, uncertain)


def check(path: Path, acknowledged: set[str], minted: int, uncertain: int) -> None:
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    sent = Counter(
        event_id for (event_id,) in database.execute("SELECT event_id FROM event WHERE typeof(event_id) = 'text'")
    )
    assert acknowledged - sent.keys() == set(), "acknowledged and lost"
    assert [event_id for event_id, times in sent.items() if times > 1] == [], "stored twice"
    ((own,),) = database.execute("SELECT count(*) FROM event WHERE typeof(event_id) = 'blob'")
    assert minted <= own <= minted + uncertain, "events without an id: each acknowledged one once"
    wrong = database.execute(
        """
        SELECT v.id FROM visit v LEFT JOIN (
            SELECT visit_id, count(*) AS events, sum(kind = 0) AS pageviews, min(time) AS first, max(time) AS last
            FROM event GROUP BY visit_id
        ) e ON e.visit_id = v.id
        WHERE (v.events, v.pageviews, v.start, v."end") IS NOT (e.events, e.pageviews, e.first, e.last)
        """
    ).fetchall()
    assert wrong == [], "visits that do not agree with their events"
    assert database.execute("SELECT count(*) FROM dead_letter").fetchone() == (0,)
    overlapping = database.execute(
        """
        SELECT a.id, b.id FROM visit a JOIN visit b
        ON a.project_id = b.project_id AND a.visitor = b.visitor AND a.id < b.id
        AND a.start <= b."end" AND b.start <= a."end"
        """
    ).fetchall()
    assert overlapping == [], "one visitor in two visits at once"
    database.close()


def test_killed_a_few_times_under_load(tmp_path: Path) -> None:
    kill_repeatedly(tmp_path / "data", rounds=6, seed=1)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_a_hundred_times_under_load(tmp_path: Path) -> None:
    kill_repeatedly(tmp_path / "data", rounds=100, seed=2)
