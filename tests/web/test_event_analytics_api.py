"""System B's questions, about events that were sent in its own way, against plain counting."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tests.running import Running
from tests.web.reading_sites import get, joined

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = datetime(2024, 1, 15, tzinfo=UTC)
NAMES = ["page_view", "page_view", "pageview", "signup", "identify"]


def sent() -> list[dict[str, Any]]:
    """Events of some users over five weeks, many of them around midnight."""
    random = Random(7)
    events = []
    for _ in range(400):
        at = FIRST + timedelta(days=random.randrange(35), minutes=random.choice([0, 30, 600, 1380, 1410]))
        name = random.choice(NAMES)
        user = f"user_{min(random.randrange(40), random.randrange(40))}"
        id_ = str(UUID(int=random.getrandbits(128)))
        properties = {"page": "/home", "referrer": "google"}
        events.append(
            {"event_id": id_, "occurred_at": at.isoformat(), "user_id": user, "event_type": name}
            | ({"properties": properties} if random.random() < 0.5 else {})
        )
    return events


EVENTS = sent()


@pytest.fixture(scope="module")
async def site(running: Running) -> AsyncIterator[Running]:
    async with await joined(running, "B", timezone="Europe/Berlin") as site:
        answer = await site.send({"events": EVENTS}, path="/events")
        assert answer.json()["message"] == "Accepted 400 events for processing"
        await site.drained()
        yield site


def days(first: str, last: str) -> list[tuple[date, dict[str, Any]]]:
    """The events between two local days, with theirs."""
    found = [(datetime.fromisoformat(e["occurred_at"]).astimezone(BERLIN).date(), e) for e in EVENTS]
    return [(day, event) for day, event in found if first <= day.isoformat() <= last]


@pytest.mark.parametrize(
    ("first", "last"),
    [("2024-01-15", "2024-01-30"), ("2024-01-20", "2024-01-20"), ("2023-01-01", "2024-12-31"), ("2022-01-01",) * 2],
)
async def test_daily_active_users(site: Running, first: str, last: str) -> None:
    users: dict[str, set[str]] = {}
    for day, event in days(first, last):
        users.setdefault(day.isoformat(), set()).add(event["user_id"])
    answer = await get(site, "/stats/dau", **{"from": first, "to": last})
    assert answer.status_code == 200
    assert answer.json() == [{"date": day, "unique_users": len(users[day])} for day in sorted(users)]


@pytest.mark.parametrize("limit", [None, 1, 3, 100])
async def test_top_events(site: Running, limit: int | None) -> None:
    counted = Counter(event["event_type"] for _, event in days("2024-01-15", "2024-01-30"))
    expected = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[: limit or 10]
    parameters = {"from": "2024-01-15", "to": "2024-01-30"} | ({} if limit is None else {"limit": limit})
    answer = await get(site, "/stats/top-events/", **parameters)
    assert answer.json() == [{"event_type": name, "count": count} for name, count in expected]
    assert {"page_view", "pageview", "identify"} <= set(counted)


@pytest.mark.parametrize(("start", "windows"), [("2024-01-15", 3), ("2024-01-18", 1), ("2024-01-31", 12)])
async def test_retention(site: Running, start: str, windows: int) -> None:
    first = date.fromisoformat(start)
    weeks: list[set[str]] = [set() for _ in range(windows + 1)]
    for day, event in days(start, (first + timedelta(7 * windows + 6)).isoformat()):
        weeks[(day - first).days // 7].add(event["user_id"])
    cohort = weeks[0]
    assert cohort
    answer = await get(site, "/stats/retention", start_date=start, windows=windows)
    assert answer.json() == {
        "start_date": start,
        "cohort_size": len(cohort),
        "retention": [
            {
                "week": week,
                "week_start": (first + timedelta(7 * week)).isoformat(),
                "retained_users": len(cohort & weeks[week]),
                "retention_rate": pytest.approx(100 * len(cohort & weeks[week]) / len(cohort), abs=0.005),
            }
            for week in range(1, windows + 1)
        ],
    }
    assert answer.json()["retention"][0]["retained_users"]


async def test_a_cohort_of_nobody_has_no_rate(site: Running) -> None:
    answer = await get(site, "/stats/retention", start_date="2020-01-01", windows=1)
    week = {"week": 1, "week_start": "2020-01-08", "retained_users": 0, "retention_rate": None}
    assert answer.json() == {"start_date": "2020-01-01", "cohort_size": 0, "retention": [week]}
    assert len((await get(site, "/stats/retention", start_date="2020-01-01")).json()["retention"]) == 3


RANGE = {"from": "2024-01-15", "to": "2024-01-30"}


@pytest.mark.parametrize(
    ("path", "parameters", "status", "field"),
    [
        ("/stats/dau", {"from": "2024-01-30", "to": "2024-01-15"}, 400, "from"),
        ("/stats/top-events", {"from": "2024-01-30", "to": "2024-01-15"}, 400, "from"),
        ("/stats/dau", {"from": "2024-01-15"}, 422, "to"),
        ("/stats/dau", {"from": "15.1.2024", "to": "2024-01-30"}, 422, "from"),
        ("/stats/dau", {"from": "2024-02-30", "to": "2024-03-30"}, 422, "from"),
        ("/stats/dau", {"from": "1970-01-01", "to": "2199-12-31"}, 422, None),
        ("/stats/top-events", RANGE | {"limit": "0"}, 422, "limit"),
        ("/stats/top-events", RANGE | {"limit": "101"}, 422, "limit"),
        ("/stats/top-events", RANGE | {"limit": "ten"}, 422, "limit"),
        ("/stats/top-events", RANGE | {"limit": "9" * 5000}, 422, "limit"),
        ("/stats/top-events", RANGE | {"limit": "\u0663"}, 422, "limit"),
        ("/stats/retention", {}, 422, "start_date"),
        ("/stats/retention", {"start_date": "2024-01-15", "windows": "0"}, 422, "windows"),
        ("/stats/retention", {"start_date": "2024-01-15", "windows": "13"}, 422, "windows"),
    ],
)
async def test_what_cannot_be_asked(
    site: Running, path: str, parameters: dict[str, str], status: int, field: str | None
) -> None:
    answer = await get(site, path, **parameters)
    assert (answer.status_code, answer.json().get("field")) == (status, field)
    assert answer.json()["detail"]


async def test_the_queue(site: Running) -> None:
    await site.drained()
    answer = await get(site, "/events/queue/status")
    assert answer.json() == {"queue_size": 0, "dead_letter_queue_size": 0}
    insert = "INSERT INTO dead_letter (at, project_id, error, event) VALUES (0, :project, 'x', x'00')"
    for project in (site.project.id, site.project.id, site.project.id + 1000):
        await site.appliance.database.write(insert, {"project": project})
    assert (await get(site, "/events/queue/status")).json()["dead_letter_queue_size"] == 2
    await site.appliance.database.write("DELETE FROM dead_letter")


@pytest.mark.parametrize("path", ["/stats/dau", "/stats/top-events", "/stats/retention", "/events/queue/status"])
async def test_a_private_key_is_needed(site: Running, path: str) -> None:
    assert (await get(site, path, key="")).status_code == 401
    assert (await get(site, path, key="sa_priv_wrong")).status_code == 401
    assert (await get(site, path, key=site.key)).status_code == 403


async def test_health(site: Running) -> None:
    answer = await site.http.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
