"""System C's questions, about events that were sent in its own way, against plain counting."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from appliance import clock
from tests.running import INGEST, Running
from tests.web.reading_sites import get, joined

FIRST = datetime(2024, 2, 10, 22, 0, tzinfo=UTC)
RANGE = {"start": "2024-02-10", "end": "2024-02-14"}
Events = list[dict[str, Any]]


def sent() -> Events:
    """The sessions of some users and of people who are not known, over two days."""
    random = Random(3)
    events = []
    for number in range(30):
        user = random.choice([None, "user_42", "user_7", "Käthe"])
        start = FIRST + timedelta(minutes=random.randrange(2880))
        for step in range(random.randint(1, 5)):
            at = start + timedelta(minutes=step * random.choice([1, 25]))
            name = random.choice(["page_view", "button_click", "pageview"])
            event = {"event": name, "session_id": f"sess_{number}", "timestamp": at.isoformat().replace("+00:00", "Z")}
            event |= {"page_url": "https://example.com/pricing", "referrer": "https://google.com", "distinct_id": user}
            events.append(event | {"properties": {"path": "/pricing"}})
    return events


EVENTS = sent()


@pytest.fixture(scope="module")
async def site(running: Running) -> AsyncIterator[Running]:
    async with await joined(running, "C") as site:
        answer = await site.send({"events": EVENTS}, path=INGEST)
        assert answer.json()["accepted"] == len(EVENTS)
        await site.drained()
        yield site


async def ask(site: Running, name: str, **parameters: Any) -> Any:
    return await get(site, f"/api/v1/analytics/{site.project.public_id}/{name}", **parameters)


def at(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


def people(events: Events) -> int:
    """A session of nobody who is known is somebody."""
    return len({event["distinct_id"] or event["session_id"] for event in events})


def grouped(key: str, events: Events) -> dict[str, Events]:
    found: defaultdict[str, Events] = defaultdict(list)
    for event in events:
        found[event[key]].append(event)
    return found


async def test_overview(site: Running) -> None:
    answer = await ask(site, "overview", **RANGE)
    (top, _), *_ = sorted(Counter(event["event"] for event in EVENTS).items(), key=lambda item: (-item[1], item[0]))
    assert answer.json() == {
        "total_events": len(EVENTS),
        "unique_sessions": len(grouped("session_id", EVENTS)),
        "unique_users": people(EVENTS),
        "top_event": top,
        "period_start": "2024-02-10T00:00:00Z",
        "period_end": "2024-02-15T00:00:00Z",
    }


@pytest.mark.parametrize(("granularity", "shape"), [("hourly", "%Y-%m-%dT%H:00:00Z"), ("daily", "%Y-%m-%dT00:00:00Z")])
async def test_timeseries(site: Running, granularity: str, shape: str) -> None:
    inside = {"start": "2024-02-11T03:20:00Z", "end": "2024-02-12T09:40:00Z"}
    for there in (RANGE, inside):
        first, last = (there[name].ljust(20, "T")[:19] for name in ("start", "end"))
        counted = Counter(
            at(event).strftime(shape) for event in EVENTS if there is RANGE or first <= event["timestamp"][:19] < last
        )
        answer = await ask(site, "timeseries", granularity=granularity, **there)
        data = [{"timestamp": time, "count": counted[time]} for time in sorted(counted)]
        assert answer.json() == {"data": data, "granularity": granularity}
        assert data


@pytest.mark.parametrize("limit", [None, 2])
async def test_top_events(site: Running, limit: int | None) -> None:
    rows = [
        {
            "event_name": name,
            "count": len(events),
            "unique_sessions": len(grouped("session_id", events)),
            "unique_users": people(events),
        }
        for name, events in grouped("event", EVENTS).items()
    ]
    rows.sort(key=lambda row: (-row["count"], row["event_name"]))
    answer = await ask(site, "top-events", **RANGE, **({"limit": limit} if limit else {}))
    assert answer.json() == {"data": rows[:limit]}


def seen(events: Events) -> dict[str, str]:
    times = sorted(event["timestamp"] for event in events)
    return {"first_seen": times[0], "last_seen": times[-1]}


async def test_sessions(site: Running) -> None:
    rows = [
        {"session_id": session, "event_count": len(events), **seen(events), "distinct_id": events[0]["distinct_id"]}
        for session, events in grouped("session_id", EVENTS).items()
    ]
    answer = (await ask(site, "sessions", **RANGE)).json()
    assert answer["total"] == len(rows)
    assert sorted(map(repr, answer["data"])) == sorted(map(repr, rows))
    times = [row["last_seen"] for row in answer["data"]]
    assert times == sorted(times, reverse=True)
    part = (await ask(site, "sessions", **RANGE, limit=4, offset=3)).json()
    assert part == {"data": answer["data"][3:7], "total": len(rows)}


async def test_users(site: Running) -> None:
    known = grouped("distinct_id", [event for event in EVENTS if event["distinct_id"]])
    rows = [
        {
            "distinct_id": user,
            "event_count": len(events),
            "session_count": len(grouped("session_id", events)),
            **seen(events),
        }
        for user, events in known.items()
    ]
    rows.sort(key=lambda row: str(row["last_seen"]), reverse=True)
    assert (await ask(site, "users", **RANGE)).json() == {"data": rows, "total": len(rows)}
    assert (await ask(site, "users", **RANGE, limit=1, offset=1)).json() == {"data": rows[1:2], "total": len(rows)}
    assert len(rows) == 3


async def test_sessions_of_sealed_days(site: Running) -> None:
    before = (await ask(site, "sessions", **RANGE)).json()
    await site.appliance.database.seal()
    assert (await ask(site, "sessions", **RANGE)).json() == before


async def test_periods_roll_to_now(running: Running) -> None:
    async with await joined(running, "C now") as site:
        now = clock.now() // 1_000_000
        for days in (0, 2, 8, 20, 40):
            event = {"event": f"{days} days ago", "distinct_id": "u", "timestamp": now - days * 86_400 - 60}
            assert (await site.send(event)).status_code == 202
        await site.drained()
        counts = [
            (await ask(site, "overview", **({"period": period} if period else {}))).json()["total_events"]
            for period in (None, "24h", "7d", "30d")
        ]
        assert counts == [1, 1, 2, 4]
        since = (await ask(site, "overview", start="2020-01-01")).json()
        assert since["total_events"] == 5
        assert (await ask(site, "overview", start="2020-01-01", end="2020-01-02")).json() == {
            "total_events": 0, "unique_sessions": 0, "unique_users": 0, "top_event": None,
            "period_start": "2020-01-01T00:00:00Z", "period_end": "2020-01-03T00:00:00Z",
        }  # fmt: skip
        sessions = (await ask(site, "sessions", period="30d")).json()["data"]
        assert all(session["session_id"].isdecimal() for session in sessions)


@pytest.mark.parametrize(
    ("name", "parameters", "field"),
    [
        ("overview", {"period": "1y"}, "period"),
        ("overview", {"end": "2024-01-01"}, "start"),
        ("overview", {"start": "2024-01-02", "end": "2024-01-01"}, "start"),
        ("overview", {"start": "soon"}, "start"),
        ("timeseries", {"granularity": "weekly"}, "granularity"),
        ("top-events", {"limit": "0"}, "limit"),
        ("sessions", {"limit": "1001"}, "limit"),
        ("users", {"offset": "-1"}, "offset"),
    ],
)
async def test_what_cannot_be_asked(site: Running, name: str, parameters: dict[str, str], field: str) -> None:
    answer = await ask(site, name, **parameters)
    assert (answer.status_code in (400, 422), answer.json()["field"]) == (True, field)


@pytest.mark.parametrize("name", ["overview", "timeseries", "top-events", "sessions", "users"])
async def test_who_may_ask(site: Running, name: str) -> None:
    path = f"/api/v1/analytics/{site.project.public_id}/{name}"
    assert (await get(site, f"{path}/")).status_code == 200
    assert (await get(site, path, key="")).status_code == 401
    assert (await get(site, path, key="at_wrong")).status_code == 401
    assert (await get(site, path, key=site.key)).status_code == 403
    assert (await get(site, f"/api/v1/analytics/another/{name}")).status_code == 404
