"""Engagement of clients that know no ids: it finds the visitor's newest page view of the page, on every engine."""

import uuid
from collections.abc import Iterator, Sequence
from itertools import count, pairwise
from random import Random
from typing import Any

import pytest

from appliance.clock import DAY, HOUR, MINUTE
from appliance.ingest.admission import Grant
from appliance.ingest.arrival import Arrival
from appliance.ingest.early_engagement import WAIT_MAX
from appliance.ingest.geo import Locator
from appliance.ingest.page_names import page_name
from appliance.ingest.pipeline import Rejected, enrich
from appliance.ingest.sender import Sender
from appliance.ingest.sent import Decoded, Sent
from appliance.ingest.visitor import Salts
from appliance.model import Event, Flag, Kind, Project, ProjectSettings
from appliance.storage import projects
from appliance.storage.event_ids import from_bytes, unpack
from tests.builders import ANN, BOB, CAT, START, at, engagement, pageview
from tests.engines import AnyDatabase, drain_store
from tests.ingest.applying import Applying
from tests.running import FIREFOX

SALT = b"s" * 32
MIDNIGHT = START + 12 * HOUR
BERLIN = Project(1, "", "Site", ("example.com",), "Europe/Berlin", "EUR", ProjectSettings(), 0, 0)
_numbers = count(1)


# ---------------------------------------------------------------------- the name


def test_a_name_is_a_uuid_that_begins_with_its_day() -> None:
    name = page_name(SALT, 20_514, ANN, "example.com", "/a")
    assert str(uuid.UUID(name)) == name
    assert name.startswith(f"{20_514:08x}-")


def test_a_name_is_of_one_visitor_on_one_page_under_one_salt() -> None:
    of = (SALT, 20_514, ANN, "example.com", "/a")
    others = [
        (b"t" * 32, *of[1:]), (SALT, 20_515, *of[2:]), (*of[:2], BOB, *of[3:]), (*of[:2], -ANN, *of[3:]),
        (*of[:3], "example.org", "/a"), (*of[:3], "example.com", "/b"), (*of[:3], "example.com/a", ""),
    ]  # fmt: skip
    assert len({page_name(*each) for each in (of, *others)}) == 1 + len(others)
    assert page_name(*of) == page_name(*of)


def test_half_characters_have_a_name_too() -> None:
    assert page_name(SALT, -1, ANN, "example.com", "/\ud83d")


# ---------------------------------------------------------------------- who gets which name


class _Salts(Salts):
    """With salts of the days around START, each its own."""

    def __init__(self, *gone: int) -> None:
        super().__init__()
        self.secret = b"secret"
        days = range(START // DAY - 3, START // DAY + 4)
        self._by_day = {day: f"salt of {day}".encode() for day in days if day - START // DAY not in gone}


def enriched(time: int, salts: Salts | None = None, *, by_page: bool = True, received: int = 0, **fields: Any) -> Event:
    """What becomes of an event of a browser in Berlin."""
    headers = {b"user-agent": FIREFOX.encode(), b"origin": b"https://example.com"}
    arrival = Arrival("POST", "/", b"", headers, peer="203.0.113.7", secure=True, received=received or time)
    sent = Sent(**{"event": "pageview", "url": "https://example.com/a", "timestamp": time / 1e6} | fields)
    decoded = Decoded([sent], single=True, engagement_by_page=by_page)
    grant = Grant(BERLIN, browser=True, keyless=False)
    return enrich(sent, Sender(arrival, grant, decoded, salts or _Salts(), Locator(None)))


def read(time: int, *salts: Salts, **fields: Any) -> Event:
    return enriched(time, *salts, **{"event": "engagement", "engaged_ms": 5} | fields)


def test_page_view_and_engagement_have_the_same_name() -> None:
    assert enriched(START).pageview_id == read(START + HOUR).pageview_id != ""
    assert enriched(START).pageview_id != enriched(START, url="https://example.com/b").pageview_id
    assert enriched(START).pageview_id == enriched(START + MINUTE).pageview_id


def test_other_events_have_none() -> None:
    for name in ("click", "reset"):
        assert enriched(START, event=name).pageview_id == ""
    assert enriched(START, event="identify", user_id="ann").pageview_id == ""


def test_whoever_knows_ids_is_asked_for_them() -> None:
    assert enriched(START, by_page=False).pageview_id == ""
    with pytest.raises(Rejected):
        read(START, by_page=False)
    assert read(START, by_page=False, pageview_id="mine").pageview_id == "mine"
    assert read(START, pageview_id="mine").pageview_id == "mine", "an id that is said is what is meant"


@pytest.mark.parametrize("identity", [{}, {"anonymous_id": "kept"}])
def test_who_says_in_between_who_they_are_is_still_found(identity: dict[str, str]) -> None:
    before = enriched(START, **identity)
    after = read(START + MINUTE, user_id="ann", **identity)
    assert before.visitor != after.visitor
    assert before.pageview_id == after.pageview_id == enriched(START, user_id="ann", **identity).pageview_id


# Midnight in Berlin is an hour before MIDNIGHT, in winter.
BEFORE, AFTER = MIDNIGHT - HOUR - 5 * MINUTE, MIDNIGHT - HOUR + 20 * MINUTE


@pytest.mark.parametrize("identity", [{}, {"anonymous_id": "kept"}, {"user_id": "ann"}])
def test_after_midnight_the_name_of_yesterday_is_known_for_the_length_of_a_visit_timeout(
    identity: dict[str, str],
) -> None:
    page = enriched(BEFORE, **identity)
    soon, late = read(AFTER, **identity), read(AFTER + 11 * MINUTE, **identity)
    assert soon.pageview_id == late.pageview_id == enriched(AFTER, **identity).pageview_id != page.pageview_id
    assert soon.pageview_id_yesterday == page.pageview_id
    assert late.pageview_id_yesterday == enriched(AFTER, **identity).pageview_id_yesterday == ""
    assert read(BEFORE, **identity).pageview_id_yesterday == ""


def test_where_the_salt_of_the_day_is_gone_that_of_the_receipt_takes_its_place() -> None:
    without_monday = _Salts(0)
    page = enriched(START, without_monday, received=START + DAY)
    assert page.pageview_id == read(START + HOUR, without_monday, received=START + DAY).pageview_id
    assert page.pageview_id.startswith(f"{START // DAY + 1:08x}-")


async def test_a_day_without_a_salt_gets_one_that_is_shared_later(database: AnyDatabase) -> None:
    salts, others = _Salts(*range(-3, 4)), _Salts(*range(-3, 4))
    first, later = (enriched(START + minutes * MINUTE, salts) for minutes in (0, 5))
    assert (first.visitor, first.pageview_id) == (later.visitor, later.pageview_id)
    assert first.visitor != enriched(START, others).visitor, "whoever knows address and agent does not know the id"
    for each in (salts, others):
        await each.refresh(database, START)
    # Whoever shares first has said it for all.
    assert enriched(START, salts).visitor == enriched(START, others).visitor == first.visitor


# ---------------------------------------------------------------------- what the drain makes of it


def view(minutes: float, name: str, visitor: int = ANN, **fields: Any) -> Event:
    """A page view with a name, and an id that the server made."""
    flags = {"event_id": f"view-{next(_numbers)}", "flags": int(Flag.MINTED)}
    return pageview(minutes, f"/{name}", visitor, **{"pageview_id": name} | flags | fields)


def reading(minutes: float, name: str, engaged_ms: int, visitor: int = ANN, **fields: Any) -> Event:
    page = view(minutes, name, visitor)
    values = {"pageview_id": name, "path": page.path, "flags": int(Flag.MINTED)}
    return engagement(minutes, page, 50, engaged_ms, **values | fields)


class Place(Applying):
    def __init__(self, database: AnyDatabase) -> None:
        super().__init__(lambda: drain_store(database))
        self.database = database

    async def read(self) -> list[tuple[int, int]]:
        """Scroll depth and visible milliseconds of the page views, in journal order."""
        rows = await self.database.read("SELECT scroll_depth, engaged_ms FROM event ORDER BY id")
        return [(depth, milliseconds) for depth, milliseconds in rows]


@pytest.fixture
def place(database: AnyDatabase) -> Iterator[Place]:
    opened = Place(database)
    yield opened
    opened.store.close()


@pytest.mark.parametrize("how", ["together", "apart", "restarted"])
async def test_the_newest_page_view_of_a_name_is_meant(place: Place, how: str) -> None:
    journal = [
        view(0, "a"),
        reading(0.1, "a", 1),
        view(0.2, "b"),
        view(0.3, "a"),
        reading(0.4, "a", 10),
        reading(0.5, "b", 100),
        view(0.6, "a", BOB, pageview_id="a of bob"),
        reading(0.7, "a", 1000),
    ]
    for events in [journal] if how == "together" else [[each] for each in journal]:
        assert place.apply(*events).refused == []
        if how == "restarted":
            place.restart()
    assert await place.read() == [(50, 1), (50, 100), (50, 1010), (0, 0)]


async def test_engagement_lengthens_the_visit(place: Place) -> None:
    place.apply(view(0, "a"), reading(3, "a", 1))
    rows = await place.database.read('SELECT "end", events, pageviews FROM visit')
    assert rows == [(at(3), 1, 1)]


@pytest.mark.parametrize("restart", [False, True])
async def test_it_waits_for_a_page_view_that_is_still_under_way(place: Place, restart: bool) -> None:
    place.apply(reading(0.1, "a", 7, received=at(0)))
    if restart:
        place.restart()
    place.apply(view(0, "b"), view(0, "a"))
    assert await place.read() == [(0, 0), (50, 7)]


async def test_what_waits_too_long_is_refused(place: Place) -> None:
    place.apply(reading(0, "a", 7))
    applied = place.apply(view(0, "a", received=at(0) + WAIT_MAX + 1))
    assert [(event.path, reason) for event, reason in applied.refused] == [("/a", "no_pageview")]
    assert await place.read() == [(0, 0)]


@pytest.mark.parametrize("apart", [False, True])
async def test_a_page_view_of_yesterday_is_found_by_its_name_of_yesterday(place: Place, apart: bool) -> None:
    page, late = view(0, "yesterday"), reading(1, "today", 7, pageview_id_yesterday="yesterday")
    for events in [[page], [late]] if apart else [[page, late]]:
        assert place.apply(*events).refused == []
    assert await place.read() == [(50, 7)]
    place.apply(view(2, "today"), reading(3, "today", 9, pageview_id_yesterday="yesterday"))
    assert await place.read() == [(50, 7), (50, 9)], "today's goes before"


async def test_a_page_view_that_is_sent_again_is_not_newer(place: Place) -> None:
    first = view(0, "a", event_id="one", flags=0)
    place.apply(first, view(1, "a"))
    assert place.apply(first).duplicates == 1
    place.apply(reading(2, "a", 7))
    assert await place.read() == [(0, 0), (50, 7)]


async def test_a_page_view_that_is_sent_again_on_another_day_is_the_same_although_its_name_is_not(place: Place) -> None:
    first = view(0, "a", event_id="one", flags=0)
    place.apply(first)
    again = view(0, "a", event_id="one", flags=0, pageview_id="of the next day", received=at(0) + DAY)
    applied = place.apply(again)
    assert (applied.duplicates, applied.conflicts) == (1, 0)


async def test_a_batch_that_failed_left_no_name(place: Place) -> None:
    place.apply(view(0, "a"))

    def broken(tx: Any) -> None:
        place.batch.apply(tx, [view(1, "a"), reading(1, "a", 1000)])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        place.store.transact(broken)
    place.batch.forget()
    place.apply(reading(2, "a", 7))
    assert await place.read() == [(50, 7)]


async def test_names_go_with_their_days_and_ids_with_the_window(place: Place) -> None:
    await projects.create(place.database, name="Site", actor="test", at=START)
    today = START // DAY
    gone, stays, late = (page_name(SALT, day, ANN, "example.com", "/a") for day in (today - 3, today - 2, today - 1))
    by_hand = "00000000-0000-4000-8000-000000000001"
    place.apply(
        view(0, "a", pageview_id=gone, event_id=by_hand, flags=0),
        view(1, "a", pageview_id=stays, event_id="kept", flags=0),
        view(2, "a", pageview_id=late, event_id="old", flags=0, received=at(2) - DAY),
    )
    assert await place.database.forget_ids(today, today - 2) == 3
    rows = await place.database.read("SELECT event_id FROM seen")
    known = {unpack(from_bytes(stored) if isinstance(stored, bytes) else stored) for (stored,) in rows}
    assert known == {by_hand, stays, "kept"}
    place.apply(reading(3, "a", 7, pageview_id=stays))
    assert await place.read() == [(0, 0), (50, 7), (0, 0)]


# ---------------------------------------------------------------------- by plain counting


class Counted:
    """What is to be stored, by a list of page views, and of what waits."""

    def __init__(self) -> None:
        self.views: list[list[int]] = []
        self.newest: dict[str, int] = {}
        self.waiting: list[Event] = []

    def take(self, event: Event) -> None:
        self.waiting = [each for each in self.waiting if event.received <= each.received + WAIT_MAX]
        if event.kind == Kind.PAGEVIEW:
            self.newest[event.pageview_id] = len(self.views)
            self.views.append([0, 0])
            arrived = [each for each in self.waiting if each.pageview_id == event.pageview_id]
            self.waiting = [each for each in self.waiting if each.pageview_id != event.pageview_id]
            for each in arrived:
                self.read(each)
        else:
            self.read(event)

    def read(self, event: Event) -> None:
        for name in (event.pageview_id, event.pageview_id_yesterday):
            if name in self.newest:
                of = self.views[self.newest[name]]
                of[:] = max(of[0], event.scroll_depth), of[1] + event.engaged_ms
                return
        self.waiting.append(event)


def journal_of(chance: Random) -> list[Event]:
    events: list[Event] = []
    for number in range(chance.randrange(5, 30)):
        visitor, minutes = chance.choice((ANN, BOB, CAT)), number * chance.choice((0.01, 0.4))
        name = f"{visitor}{chance.choice('abc')}"
        if chance.random() < 0.5:
            events.append(view(minutes, name, visitor))
        else:
            before = {"pageview_id_yesterday": f"{visitor}a"} if chance.random() < 0.2 else {}
            events.append(reading(minutes, name, 10 ** chance.randrange(5), visitor, **before))
    return events


def cut(journal: Sequence[Event], chance: Random) -> list[Sequence[Event]]:
    ends = sorted({0, len(journal), *(chance.randrange(len(journal)) for _ in range(chance.randrange(6)))})
    return [journal[start:end] for start, end in pairwise(ends)]


async def test_the_same_as_by_plain_counting_however_the_journal_is_cut(place: Place) -> None:
    chance = Random(20)
    counted: list[tuple[int, int]] = []
    for project in range(1, 11):
        journal = journal_of(chance)
        expected = Counted()
        for event in journal:
            event.project_id = project
            expected.take(event)
        for events in cut(journal, chance):
            place.apply(*events)
            if chance.random() < 0.2:
                place.restart()
        place.apply(view(10_000, "end", project_id=1000))  # whatever still waits has waited too long
        counted += [(depth, milliseconds) for depth, milliseconds in expected.views] + [(0, 0)]
    assert await place.read() == counted
