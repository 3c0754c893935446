"""kill -9 while beacons arrive before their page views: what was acknowledged of a page view adds up, each once."""

import http.client
import json
import sqlite3
import time
from pathlib import Path

import pytest

from tests.crash.killing import Client, kill_under_load


class Leavers(Client):
    """Visitors who leave at once, one after the other. The page view and the beacons of each arrive in any order, and
    what was not acknowledged is sent again with the same id, until all of it is."""

    def __init__(self, port: int, key: str, number: int, seed: int) -> None:
        super().__init__(port, key, number, seed)
        self.pageviews: dict[str, tuple[int, int]] = {}  # id: scroll depth, visible milliseconds

    def run(self) -> None:
        while not self.stopping.is_set():
            page = f"{self.number}-{len(self.pageviews)}"
            depths = [self.chance.randrange(101) for _ in range(self.chance.choice((1, 1, 2, 3)))]
            common = {"url": "https://example.com/", "user_id": f"user-{page}"}
            events: list[dict[str, object]] = [{"event": "pageview", "event_id": page, **common}]
            for n, depth in enumerate(depths):
                said = {"pageview_id": page, "scroll_depth": depth, "engaged_ms": 10**n}
                events.append({"event": "engagement", "event_id": f"{page}-{n}", **said, **common})
            self.chance.shuffle(events)
            while events:
                size = self.chance.choice((1, 1, 2))
                self.send(events[:size])
                del events[:size]
            self.pageviews[page] = (max(depths), sum(10**n for n in range(len(depths))))

    def send(self, events: list[dict[str, object]]) -> None:
        """Returns when they are acknowledged."""
        body = json.dumps({"events": events})
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("POST", "/api/v1/events/ingest", body, {"X-API-Key": self.key})
                if connection.getresponse().status == 202:
                    return
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(0.01)


def kill_repeatedly(folder: Path, rounds: int, seed: int) -> None:
    _, clients = kill_under_load(folder, rounds, seed, Leavers)
    sent = {page: said for client in clients for page, said in client.pageviews.items()}
    assert len(sent) > rounds * 5, "the load was too small to show anything"
    database = sqlite3.connect(folder / "appliance.db")
    stored = database.execute("SELECT event_id, scroll_depth, engaged_ms FROM event").fetchall()
    assert {page: tuple(said) for page, *said in stored} == sent
    assert len(stored) == len(sent)
    for table in ("early_engagement", "dead_letter"):
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    database.close()


def test_killed_a_few_times(tmp_path: Path) -> None:
    kill_repeatedly(tmp_path / "data", rounds=6, seed=1)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_a_hundred_times(tmp_path: Path) -> None:
    kill_repeatedly(tmp_path / "data", rounds=100, seed=2)
