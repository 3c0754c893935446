"""The small parts of ingestion: times, money, client addresses, local days, ids just taken, people now."""

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import clock
from appliance.clock import DAY, HOUR, MINUTE
from appliance.ingest.client_address import TrustedProxies
from appliance.ingest.money import minor_units
from appliance.ingest.presence import Presence
from appliance.ingest.progress import FeedItem, Person
from appliance.ingest.recent import RecentIds
from appliance.ingest.times import is_kept, read_time
from appliance.ingest.visitor import local_day, persistent, rotating
from appliance.model import Project, ProjectSettings
from appliance.storage.retention import horizon
from tests.running import Running


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (1_700_000_000, "2023-11-14T22:13:20"),
        (1_700_000_000.25, "2023-11-14T22:13:20.250000"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123000"),
        (1_700_000_000_123_456, "2023-11-14T22:13:20.123456"),
        ("1700000000", "2023-11-14T22:13:20"),
        ("1700000000123", "2023-11-14T22:13:20.123000"),
        ("2023-11-14T22:13:20Z", "2023-11-14T22:13:20"),
        ("2023-11-14T22:13:20.123456Z", "2023-11-14T22:13:20.123456"),
        ("2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20"),
        ("2023-11-14 22:13:20", "2023-11-14T22:13:20"),
        ("2023-11-14", "2023-11-14T00:00:00"),
        (0, "1970-01-01T00:00:00"),
    ],
)
def test_times(sent: float | str, expected: str) -> None:
    assert read_time(sent) == utc(expected)


@pytest.mark.parametrize("sent", ["", "soon", "2023-13-01", -5, float("nan"), float("inf"), 10**19, "1e400", "T"])
def test_no_times(sent: float | str) -> None:
    with pytest.raises(ValueError, match="it "):
        read_time(sent)


@given(st.text(max_size=40) | st.integers() | st.floats())
def test_any_time_is_read_or_refused(sent: float | str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(read_time(sent), int)


@given(
    st.sampled_from(["UTC", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.integers(0, 366 * 24 * 4).map(lambda quarter: utc("2026-01-01") + quarter * HOUR // 4),
    st.sampled_from([7, 30, 365]),
    st.integers(-5 * HOUR, 5 * HOUR),
)
def test_kept_is_what_no_purge_would_take(zone: str, now: int, days: int, beside: int) -> None:
    project = Project(1, "p", "p", (), zone, "EUR", ProjectSettings(raw_retention_days=days), 0, 0)
    oldest = horizon(now, days, ZoneInfo(zone))
    for time in (oldest - 1, oldest, oldest + beside, now - days * DAY, now, now + DAY):
        assert is_kept(project, time, now) == (time >= oldest)
    assert not is_kept(project, utc("0001-01-01"), now)
    purged = msgspec.structs.replace(project, settings=ProjectSettings(), raw_purged_before=oldest)
    assert [is_kept(purged, time, now) for time in (oldest - 1, oldest)] == [False, True]
    assert is_kept(msgspec.structs.replace(project, settings=ProjectSettings()), utc("0001-01-01"), now)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        (12.5, "EUR", 1250),
        ("12.50", "EUR", 1250),
        (0.1 + 0.2, "EUR", 30),
        (1.005, "EUR", 101),
        (500, "JPY", 500),
        (1.2345, "KWD", 1235),
        (-3, "USD", -300),
        (7, "XYZ", 700),
    ],
)
def test_money(amount: float | str, currency: str, minor: int) -> None:
    assert minor_units(amount, currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency"), [("much", "EUR"), (1, "euro"), (1, ""), (10**30, "EUR"), ("NaN", "EUR")]
)
def test_no_money(amount: float | str, currency: str) -> None:
    with pytest.raises(ValueError, match=r"amount|currency"):
        minor_units(amount, currency)


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "client"),
    [
        ((), "1.2.3.4", "9.9.9.9", "1.2.3.4"),
        (("10.0.0.0/8",), "1.2.3.4", "9.9.9.9", "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", "9.9.9.9", "9.9.9.9"),
        (("10.0.0.0/8",), "10.0.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        (("10.0.0.0/8",), "10.0.0.1", "9.9.9.9, 10.0.0.2", "9.9.9.9"),
        (("10.0.0.0/8",), "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (("10.0.0.0/8",), "10.0.0.1", "", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", "rubbish", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", "9.9.9.9:1234", "9.9.9.9"),
        (("::1",), "::1", "[2001:db8::7]:443", "2001:db8::7"),
        (("10.0.0.0/8",), "::ffff:10.0.0.1", "9.9.9.9", "9.9.9.9"),
    ],
)
def test_client_addresses(proxies: tuple[str, ...], peer: str, forwarded: str, client: str) -> None:
    assert TrustedProxies(proxies).client(peer, forwarded) == client


@pytest.mark.parametrize(
    ("zone", "moment", "day", "since"),
    [
        ("UTC", "2026-03-29T00:00:00", "2026-03-29", 0),
        ("Europe/Berlin", "2026-03-28T23:00:00", "2026-03-29", 0),
        ("Europe/Berlin", "2026-03-29T21:59:59", "2026-03-29", 23 * HOUR - 1_000_000),
        ("Europe/Berlin", "2026-03-29T22:00:00", "2026-03-30", 0),
        ("Europe/Berlin", "2026-10-25T22:30:00", "2026-10-25", 24 * HOUR + 30 * MINUTE),
        ("Asia/Kathmandu", "2026-01-01T18:15:00", "2026-01-02", 0),
        ("Pacific/Apia", "2026-01-01T10:59:00", "2026-01-01", 23 * HOUR + 59 * MINUTE),
    ],
)
def test_local_days(zone: str, moment: str, day: str, since: int) -> None:
    assert local_day(zone, utc(moment)) == (utc(day) // DAY, since)


def test_visitor_ids_depend_on_each_part_and_on_nothing_else() -> None:
    salt = b"s" * 32
    ids = {
        rotating(salt, 1, "1.2.3.4", "Firefox"),
        rotating(b"t" * 32, 1, "1.2.3.4", "Firefox"),
        rotating(salt, 2, "1.2.3.4", "Firefox"),
        rotating(salt, 1, "1.2.3.5", "Firefox"),
        rotating(salt, 1, "1.2.3.4", "Chrome"),
        persistent(salt, 1, "user", "ann"),
        persistent(salt, 1, "anonymous", "ann"),
    }
    assert len(ids) == 7
    assert all(-(2**63) <= visitor < 2**63 for visitor in ids)
    assert rotating(salt, 1, "1.2.3.4", "Firefox") == rotating(salt, 1, "1.2.3.4", "Firefox")


def test_ids_just_taken_are_known_for_a_while() -> None:
    recent = RecentIds(kept_max=20)
    assert recent.count_known([(1, "a"), (1, "a"), (2, "a")]) == 1
    recent.add([(1, "a")])
    assert recent.count_known([(1, "a"), (1, "b")]) == 1
    for n in range(100):
        recent.add([(1, f"x{n}")])
    assert recent.count_known([(1, "a")]) == 0
    assert recent.count_known([(1, "x99")]) == 1


# ---------------------------------------------------------------------- people now

NOW = utc("2026-03-02T12:00:30")


def person(visitor: int, minutes_ago: float, **more: object) -> Person:
    values = {"project_id": 1, "path": "/", "source": "", "country": "DE", "pageviews": 1} | more
    return Person(visitor=visitor, time=NOW - round(minutes_ago * MINUTE), **values)  # type: ignore[arg-type]


def come(presence: Presence, *people: Person) -> None:
    presence.meet(people, NOW)
    feed = [FeedItem(p.project_id, p.time, 0, "pageview", p.path, p.source, p.country, "", "", "") for p in people]
    presence.note(feed, NOW)


def test_people_now_are_those_of_the_last_five_minutes() -> None:
    presence = Presence()
    come(presence, person(1, 0), person(2, 4.9), person(3, 5.1), person(1, 2, project_id=2))
    assert presence.people(1, NOW) == 2
    assert presence.people(1, NOW + 2 * MINUTE) == 1
    assert presence.people(2, NOW) == 1
    assert presence.people(3, NOW) == 0


def test_a_visitor_counts_once_where_they_are_now_and_where_they_came_from() -> None:
    presence = Presence()
    come(presence, person(1, 3, path="/a", source="Google"))
    come(presence, person(1, 1, path="/b"))
    now = presence.look(1, NOW)
    assert (now.people, now.pages, now.sources) == (1, [("/b", 1)], [("Google", 1)])


def test_the_last_half_hour_in_minutes() -> None:
    presence = Presence()
    come(presence, person(1, 0), person(2, 0), person(1, 1), person(1, 10), person(1, 29), person(1, 31))
    minutes = presence.look(1, NOW).minutes
    assert len(minutes) == 30
    assert (minutes[29], minutes[28], minutes[19], minutes[0]) == (2, 1, 1, 1)
    assert sum(minutes) == 5
    later = presence.look(1, NOW + 10 * MINUTE).minutes
    assert (later[19], later[18]) == (2, 1)


def test_everybody_of_a_minute_counts_however_late_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    presence = Presence()
    come(presence, person(1, 20), person(2, 20))
    come(presence, person(2, 20), person(3, 20))
    assert presence.look(1, NOW).minutes[9] == 3
    monkeypatch.setattr("appliance.ingest.presence.CROWD", 2)
    assert presence.look(1, NOW).minutes[9] == 3
    come(presence, person(4, 20))
    assert presence.look(1, NOW).minutes[9] == 3, "of a crowded minute long ago only the number is kept"


def test_imports_are_nobodys_presence() -> None:
    presence = Presence()
    come(presence, person(1, 60 * 24))
    assert presence.people(1, NOW) == 0
    assert presence.feed(1) == []


async def test_who_was_there_is_known_after_a_restart(running: Running) -> None:
    await running.send({"event": "pageview", "url": "https://example.com/", "user_id": "somebody"})
    await running.send({"event": "pageview", "url": "https://example.com/b", "user_id": "somebody else"})
    await running.drained()
    now = clock.now()
    kept, loaded = running.appliance.presence.look(running.project.id, now), Presence()
    await loaded.load(running.appliance.database, now)
    assert sum(kept.minutes) >= 2
    assert loaded.look(running.project.id, now).minutes == kept.minutes
    assert loaded.people(running.project.id, now) == kept.people
