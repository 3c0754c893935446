"""System A's questions, about events that were sent in its own way, against plain counting."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from appliance import clock
from tests.running import Running
from tests.web.reading_sites import get, joined

KOLKATA = ZoneInfo("Asia/Kolkata")  # whose hours begin at half past in UTC
FIRST = datetime(2024, 1, 15, 18, 0, tzinfo=UTC)  # half an hour before midnight there
INGEST = "/api/events/ingest/"
RANGE = {"start_date": "2024-01-15T00:00:00Z", "end_date": "2024-01-20T00:00:00Z"}
ALL = RANGE | {"page_size": 1000}


def sent() -> list[dict[str, Any]]:
    """The sessions of some users over two days; each lasts up to three hours."""
    random = Random(11)
    events = []
    for number in range(40):
        user, start = f"user_{random.randrange(12)}", FIRST + timedelta(minutes=random.randrange(2880))
        for step in range(random.randint(1, 6)):
            at = start + timedelta(minutes=step * random.choice([0, 1, 4, 30]), milliseconds=random.choice([0, 250]))
            name = random.choice(["page_view", "pageview", "signup"])
            event = {"event_name": name, "timestamp": at.isoformat(), "user_id": user, "session_id": f"s{number}"}
            event |= {"event_source": random.choice(["web_shop", "ios"]), "event_id": f"{number}-{step}"}
            if random.random() < 0.5:
                event["properties"] = {"page": f"/{step}", "tags": ["a", {"b": 1}]}
            events.append(event)
    return events


EVENTS = sent()


def at(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


def utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def begin(time: datetime, minutes: int) -> datetime:
    """Where the local hour, or so many minutes of it, begins."""
    wall = time.astimezone(KOLKATA)
    return wall.replace(minute=wall.minute // minutes * minutes, second=0, microsecond=0)


TIMES: dict[str, tuple[str, Callable[[datetime], str]]] = {
    "5min": ("datetime_5min", lambda time: utc(begin(time, 5))),
    "hourly": ("datetime_hour", lambda time: utc(begin(time, 60))),
    "daily": ("date", lambda time: time.astimezone(KOLKATA).date().isoformat()),
}


@pytest.fixture(scope="module")
async def site(running: Running) -> AsyncIterator[Running]:
    async with await joined(running, "A", timezone="Asia/Kolkata") as site:
        for event in EVENTS:
            assert (await site.send(event, path=INGEST)).status_code == 202
        await site.drained()
        yield site


async def every(site: Running, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """The results of all pages, as their links lead from one to the next."""
    results: list[dict[str, Any]] = []
    answer = (await get(site, path, **parameters)).json()
    while True:
        results += answer["results"]
        if answer["next"] is None:
            assert answer["count"] == len(results)
            return results
        assert answer["next"].startswith("http://appliance.test/api/events/")
        previous, answer = answer, (await get(site, answer["next"])).json()
        back = (await get(site, answer["previous"])).json()
        assert back == previous or path != "/api/events/query/"  # other lists say when they were made


# ---------------------------------------------------------------- events


async def test_events_are_as_they_were_sent_the_newest_first(site: Running) -> None:
    found = await every(site, "/api/events/query/", **RANGE, page_size=17)
    ids = [event.pop("id") for event in found]
    received = [datetime.fromisoformat(event.pop("created_at")) for event in found]
    stored = sorted(enumerate(EVENTS), key=lambda item: (at(item[1]), item[0]), reverse=True)
    assert found == [
        {
            "event_id": event["event_id"],
            "project_name": "A",
            "event_source_name": event["event_source"],
            "event_name": event["event_name"],
            "event_properties": event.get("properties", {}),
            "user_id": event["user_id"],
            "session_id": event["session_id"],
            "ip_address": None,
            "user_agent": None,
            "timestamp": utc(at(event)),
        }
        for _, event in stored
    ]
    assert len(set(ids)) == len(ids)
    assert all(abs(time - datetime.now(UTC)) < timedelta(minutes=5) for time in received)


async def test_a_page_has_the_documented_members(site: Running) -> None:
    answer = await get(site, "/api/events/query", **RANGE)
    assert list(answer.json()) == ["count", "next", "previous", "results"]
    assert list(answer.json()["results"][0]) == [
        "id", "event_id", "project_name", "event_source_name", "event_name", "event_properties", "user_id",
        "session_id", "ip_address", "user_agent", "timestamp", "created_at",
    ]  # fmt: skip
    assert len(answer.json()["results"]) == 100


@pytest.mark.parametrize(
    ("parameters", "holds"),
    [
        ({"event_name": "pageview"}, lambda e: e["event_name"] == "pageview"),
        ({"user_id": "user_3"}, lambda e: e["user_id"] == "user_3"),
        (
            {"user_id": "user_3", "event_name": "signup"},
            lambda e: (e["user_id"], e["event_name"]) == ("user_3", "signup"),
        ),
        ({"event_name": "nothing"}, lambda e: False),
        ({"start_date": "2024-01-16"}, lambda e: TIMES["daily"][1](at(e)) >= "2024-01-16"),
        ({"end_date": "2024-01-16"}, lambda e: TIMES["daily"][1](at(e)) <= "2024-01-16"),
        (
            {"start_date": "2024-01-16T09:30:00", "end_date": "1705404600"},
            lambda e: 1705397400 <= at(e).timestamp() < 1705404600,
        ),
    ],
)
async def test_events_are_filtered(site: Running, parameters: dict[str, str], holds: Any) -> None:
    found = await every(site, "/api/events/query/", **RANGE | parameters)
    assert sorted(event["event_id"] for event in found) == sorted(e["event_id"] for e in EVENTS if holds(e))


async def test_sources_have_ids_and_events_and_counts_are_filtered_by_them(site: Running) -> None:
    answer = (await get(site, "/api/events/sources/")).json()
    assert [source["name"] for source in answer["event_sources"]] == ["ios", "web_shop"]
    assert answer["count"] == 2
    for source in answer["event_sources"]:
        assert list(source) == ["id", "name", "description"]
        mine = [event for event in EVENTS if event["event_source"] == source["name"]]
        found = await every(site, "/api/events/query/", **ALL, event_source_id=source["id"])
        assert len(found) == len(mine)
        rows = await every(site, "/api/events/aggregations/daily/", **ALL, event_source_id=source["id"])
        assert sum(row["event_count"] for row in rows) == len(mine)
        assert {row["event_source_name"] for row in rows} == {source["name"]}


async def test_names_are_those_that_were_sent(site: Running) -> None:
    answer = (await get(site, "/api/events/names/")).json()
    assert answer == {"event_names": ["page_view", "pageview", "signup"], "count": 3}


# ---------------------------------------------------------------- counts


@pytest.mark.parametrize("length", TIMES)
@pytest.mark.parametrize("rows", [1000, 7])
async def test_aggregations(site: Running, length: str, rows: int) -> None:
    name, bucket = TIMES[length]
    groups: defaultdict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for event in EVENTS:
        groups[bucket(at(event)), event["event_source"], event["event_name"]].append(event)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0][1:]))
    ordered.sort(key=lambda item: item[0][0], reverse=True)
    found = await every(site, f"/api/events/aggregations/{length}/", **RANGE, page_size=rows)
    for row in found:
        assert row.pop("created_at") == row.pop("updated_at")
    assert found == [
        {
            "project_name": "A",
            "event_source_name": source,
            "event_name": event_name,
            name: time,
            "event_count": len(events),
            "unique_users": len({event["user_id"] for event in events}),
            "unique_sessions": len({event["session_id"] for event in events}),
        }
        for (time, source, event_name), events in ordered
    ]


async def test_rows_of_time_are_whole(site: Running) -> None:
    """A range that begins inside an hour has all of that hour."""
    inside = {"start_date": "2024-01-16T04:47:11Z", "end_date": "2024-01-16T04:48:00Z"}
    hour = [event for event in EVENTS if TIMES["hourly"][1](at(event)) == "2024-01-16T04:30:00Z"]
    found = await every(site, "/api/events/aggregations/hourly/", **inside)
    assert sum(row["event_count"] for row in found) == len(hour) > 0
    assert {row["datetime_hour"] for row in found} == {"2024-01-16T04:30:00Z"}


@pytest.mark.parametrize("rows", [1000, 2])
async def test_daily_summaries(site: Running, rows: int) -> None:
    days: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in EVENTS:
        days[TIMES["daily"][1](at(event))].append(event)
    assert len(days) > 2
    found = await every(site, "/api/events/summaries/daily/", **RANGE, page_size=rows)
    for row in found:
        assert row.pop("created_at") == row.pop("updated_at")
    assert found == [
        {
            "project_name": "A",
            "date": day,
            "total_events": len(events),
            "unique_users": len({event["user_id"] for event in events}),
            "unique_sessions": len({event["session_id"] for event in events}),
            "unique_event_names": len({event["event_name"] for event in events}),
            "source_breakdown": dict(Counter(event["event_source"] for event in events)),
            "top_events": [
                {"event_name": name, "count": count}
                for name, count in sorted(
                    Counter(event["event_name"] for event in events).items(), key=lambda item: (-item[1], item[0])
                )
            ],
        }
        for day, events in sorted(days.items(), reverse=True)
    ]


async def test_figures_of_now(running: Running) -> None:
    async with await joined(running, "Now") as site:
        empty = (await get(site, "/api/events/metrics/realtime/")).json()
        assert (empty["last_24h_events"], empty["active_sessions_now"], empty["top_events_today"]) == (0, 0, [])
        now = clock.now() // 1_000_000
        ago = {"now": 10, "an hour ago": 3600, "yesterday": 23 * 3600, "before": 25 * 3600}
        for name, seconds in ago.items():
            event = {"event_name": name, "user_id": name, "event_source": "web", "timestamp": now - seconds}
            assert (await site.send(event, path=INGEST)).status_code == 202
        await site.send({"event_name": "now", "user_id": "now"}, path=INGEST)
        await site.drained()
        found = (await get(site, "/api/events/metrics/realtime/")).json()
        updated = datetime.fromisoformat(found.pop("last_updated"))
        times = [updated - timedelta(seconds=seconds) for seconds in ago.values()]
        today = [name for name, time in zip(ago, times, strict=True) if time.date() == updated.date()]
        hour = sum(f"{time:%d %H}" == f"{updated:%d %H}" for time in times)
        found["event_sources"].sort(
            key=lambda source: source["event_source_name"]
        )  # in the day's first hour both have one
        assert found == {
            "project_name": "Now",
            "current_hour_events": hour + 1,
            "current_day_events": len(today) + 1,
            "last_24h_events": 4,
            "active_users_today": len(today),
            "active_sessions_now": 1,
            "top_events_today": [
                {"event_name": name, "count": 2 if name == "now" else 1}
                for name in sorted(today, key=lambda name: (name != "now", name))
            ],
            "event_sources": [
                {"event_source_name": "(none)", "count": 1},
                {"event_source_name": "web", "count": len(today)},
            ],
        }
        usual = (await get(site, "/api/events/query/")).json()
        assert [event["event_name"] for event in usual["results"]] == ["now", "now", "an hour ago", "yesterday"]
        assert usual["results"][0]["event_source_name"] == "(none)"
        assert usual["results"][0]["session_id"].isdecimal()


async def test_events_of_sealed_days_are_read_too(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await every(site, "/api/events/query/", **ALL)
    await site.appliance.database.seal()
    sealed = await site.appliance.database.count_sealed()
    assert sealed.events >= len(EVENTS)
    assert await every(site, "/api/events/query/", **ALL) == before
    assert await every(site, "/api/events/query/", **ALL, user_id="user_3") == [
        event for event in before if event["user_id"] == "user_3"
    ]


# ---------------------------------------------------------------- what cannot be asked

PATHS = [
    "/api/events/query/", "/api/events/aggregations/5min/", "/api/events/aggregations/hourly/",
    "/api/events/aggregations/daily/", "/api/events/summaries/daily/", "/api/events/metrics/realtime/",
    "/api/events/names/", "/api/events/sources/",
]  # fmt: skip
LISTS = PATHS[:5]


@pytest.mark.parametrize("path", PATHS)
async def test_a_private_key_is_needed(site: Running, path: str) -> None:
    assert (await get(site, path, key="")).status_code == 401
    assert (await get(site, path, key="sa_priv_wrong")).status_code == 401
    assert (await get(site, path, key=site.key)).status_code == 403


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("parameters", "status", "field"),
    [
        ({"page": "0"}, 400, "page"),
        ({"page": "one"}, 400, "page"),
        ({"page": "999999999"}, 400, "page"),
        ({"page": "5000"}, 404, "page"),
        ({"page_size": "0"}, 400, "page_size"),
        ({"start_date": "soon"}, 400, "start_date"),
        ({"start_date": "0001-01-01T00:00:00Z"}, 400, "start_date"),
        ({"start_date": "2024-02-31"}, 400, "start_date"),
        ({"end_date": "9999-12-31T00:00:00Z"}, 400, "end_date"),
        ({"start_date": "2024-01-20", "end_date": "2024-01-15"}, 400, "start_date"),
        ({"event_source_id": "x"}, 400, "event_source_id"),
        ({"event_source_id": "987654321"}, 400, "event_source_id"),
    ],
)
async def test_what_cannot_be_asked(
    site: Running, path: str, parameters: dict[str, str], status: int, field: str
) -> None:
    answer = await get(site, path, **parameters)
    assert (answer.status_code, answer.json()["field"]) == (status, field)


async def test_too_much_and_what_is_not_there(site: Running) -> None:
    long = {"start_date": "1990-01-01", "end_date": "2020-01-01"}
    assert (await get(site, "/api/events/aggregations/5min/", **long)).status_code == 422
    assert (await get(site, "/api/events/aggregations/weekly/")).status_code == 404
    for path in ("/api/events/aggregations/daily/", "/api/events/summaries/daily/"):
        assert (await get(site, path, user_id="u")).json()["field"] == "user_id"


async def test_a_page_has_at_most_a_thousand_rows(site: Running) -> None:
    answer = (await get(site, "/api/events/query/", **RANGE, page_size=1_000_000)).json()
    assert (answer["count"], answer["next"], len(answer["results"])) == (len(EVENTS), None, len(EVENTS))
