"""Engagement that arrives before its page view: it waits, and then counts as if it had come after it."""

import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from appliance.ingest import early_engagement
from appliance.ingest.batch import Applied
from appliance.ingest.early_engagement import WAIT_MAX
from appliance.model import Event, Kind
from appliance.storage.interface import DrainTransaction
from appliance.storage.sqlite.drain_store import SqliteDrainStore
from appliance.storage.sqlite.migrate import migrate
from tests.builders import ANN, BOB, CAT, START, at, engagement, event, pageview, user_event
from tests.ingest.applying import Applying

REFUSED = "no_pageview"


class Place(Applying):
    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "appliance.db"
        migrate(self.path, folder)
        self.reader = sqlite3.connect(self.path, isolation_level=None)
        super().__init__(lambda: SqliteDrainStore(self.path))

    def fail(self, *events: Event) -> None:
        """Apply them in a transaction that is rolled back."""

        def broken(tx: DrainTransaction) -> None:
            self.batch.apply(tx, events)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            self.store.transact(broken)
        self.batch.forget()

    def expire(self, received: int) -> list[tuple[str, str]]:
        return reasons(self.store.transact(lambda tx: self.batch.expire(tx, received)))

    def read(self, select: str) -> list[Any]:
        rows = self.reader.execute(select).fetchall()
        return [row[0] if len(row) == 1 else row for row in rows]

    def pageviews(self) -> list[tuple[int, int]]:
        """Scroll depth and visible milliseconds of the page views, in journal order."""
        return self.read("SELECT scroll_depth, engaged_ms FROM event WHERE kind = 0 ORDER BY id")

    def visits(self) -> list[tuple[Any, ...]]:
        return self.read('SELECT visitor, start, "end", pageviews, events FROM visit ORDER BY visitor, start')

    def waiting(self) -> int:
        (number,) = self.read("SELECT count(*) FROM early_engagement")
        return int(number)

    def close(self) -> None:
        self.store.close()
        self.reader.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    opened = Place(tmp_path / "one")
    yield opened
    opened.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Place]:
    opened = Place(tmp_path / "other")
    yield opened
    opened.close()


def reasons(applied: Applied) -> list[tuple[str, str]]:
    return [(refused.path, reason) for refused, reason in applied.refused]


# ---------------------------------------------------------------------- it takes effect with its page view


@pytest.mark.parametrize("batches", ["one", "two", "two, and a restart between"])
def test_it_counts_once_its_pageview_is_there(place: Place, batches: str) -> None:
    page = pageview(0)
    early = engagement(0.1, page, 40, 5000)
    if batches == "one":
        applied = place.apply(early, page)
    else:
        assert place.apply(early).refused == []
        assert (place.waiting(), place.visits()) == (1, []), "it starts no visit"
        if "restart" in batches:
            place.restart()
        applied = place.apply(page)
    assert ([stored.event for stored in applied.stored], applied.refused) == ([page], [])
    assert place.pageviews() == [(40, 5000)]
    assert place.visits() == [(ANN, at(0), at(0.1), 1, 1)]
    assert place.waiting() == 0


@pytest.mark.parametrize("restart", [False, True])
def test_all_that_is_said_of_a_pageview_adds_up_whenever_it_came(place: Place, restart: bool) -> None:
    page = pageview(0)
    said = [
        engagement(0.1, page, 40, 5000),
        engagement(0.3, page, 70, 300),
        page,
        engagement(0.2, page, 55, 20),
        engagement(0.4, page, 60, 1),
    ]
    for each in said:
        place.apply(each)
        if restart:
            place.restart()
    assert place.pageviews() == [(70, 5321)]
    assert place.visits() == [(ANN, at(0), at(0.4), 1, 1)]


def test_it_takes_effect_at_the_place_of_its_pageview_in_the_journal(place: Place) -> None:
    page = pageview(0)
    # The event between the two makes the visit as long as it must be for the engagement to lengthen it.
    later = pageview(20, received=page.received)
    place.apply(engagement(45, page, received=page.received), later, page)
    assert place.visits() == [(ANN, at(0), at(45), 2, 2)]


def test_it_lengthens_no_visit_that_had_closed(place: Place) -> None:
    page = pageview(0)
    place.apply(engagement(31, page, 90, 1000, received=page.received), page)
    assert place.pageviews() == [(90, 1000)]
    assert place.visits() == [(ANN, at(0), at(0), 1, 1)]


def test_each_waits_for_its_own_pageview(place: Place) -> None:
    pages = [pageview(0, "/a"), pageview(0, "/b", BOB), pageview(0, "/c", CAT)]
    place.apply(*(engagement(0.1, page, 10 * n, n) for n, page in enumerate(pages, 1)))
    place.apply(pages[1])
    assert (place.pageviews(), place.waiting()) == ([(20, 2)], 2)
    place.apply(pages[2], pages[0])
    assert (place.pageviews(), place.waiting()) == ([(20, 2), (30, 3), (10, 1)], 0)


def test_the_same_id_in_another_project_is_another_pageview(place: Place) -> None:
    page = pageview(0)
    place.apply(engagement(0.1, page, 40, 5000))
    place.apply(pageview(0, project_id=2, event_id=page.event_id))
    assert place.pageviews() == [(0, 0)]
    assert place.waiting() == 1


@pytest.mark.parametrize("first", ["engagement", "statement"])
def test_what_names_something_that_is_no_pageview_does_not_wait(place: Place, first: str) -> None:
    statement = user_event(0, "ann", kind=Kind.IDENTIFY, name="identify")
    early = engagement(0.1, statement, path="/read")
    applied = [place.apply(each) for each in ([early, statement] if first == "engagement" else [statement, early])]
    assert [reasons(each) for each in applied] == [[], [("/read", REFUSED)]]
    assert place.waiting() == 0


def test_nothing_of_who_it_was_is_kept(place: Place) -> None:
    page = pageview(0, "/read")
    early = engagement(0.1, page, 40, 5000, path="/read", visitor_yesterday=7, anonymous=8, user_id="ann")
    place.apply(early)
    kept = (1, "engagement", "/read", at(0.1), at(0.1), page.event_id, 40, 5000)
    assert place.read("SELECT * FROM early_engagement") == [(1, *kept)]


# ---------------------------------------------------------------------- its own id


@pytest.mark.parametrize("restart", [False, True])
def test_a_beacon_that_is_repeated_counts_once(place: Place, restart: bool) -> None:
    page = pageview(0)
    early = engagement(0.1, page, 40, 5000)
    duplicates = 0
    for each in (early, early, page, early):  # while it waits, and when it has counted
        duplicates += place.apply(each).duplicates
        if restart:
            place.restart()
    assert duplicates == 2
    assert place.pageviews() == [(40, 5000)]


def test_a_beacon_that_is_repeated_in_the_same_batch_counts_once(place: Place) -> None:
    page = pageview(0)
    early = engagement(0.1, page, 40, 5000)
    applied = place.apply(early, early, page, early)
    assert (applied.duplicates, applied.conflicts, applied.refused) == (2, 0, [])
    assert place.pageviews() == [(40, 5000)]


def test_what_was_refused_is_not_taken_a_second_time(place: Place) -> None:
    page = pageview(0)
    early = engagement(0.1, page, 40, 5000)
    place.apply(early)
    place.expire(early.received + WAIT_MAX + 1)
    assert place.apply(page, early).duplicates == 1
    assert place.pageviews() == [(0, 0)]


# ---------------------------------------------------------------------- how long it waits


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("waited", "in_time"), [(WAIT_MAX, True), (WAIT_MAX + 1, False)])
def test_it_waits_a_minute_of_receipt_time(place: Place, waited: int, in_time: bool, restart: bool) -> None:
    page = pageview(0, received=at(0) + waited)
    early = engagement(0.1, page, 40, 5000, path="/read", received=at(0))
    place.apply(early)
    if restart:
        place.restart()
    applied = place.apply(page)
    assert reasons(applied) == ([] if in_time else [("/read", REFUSED)])
    assert place.pageviews() == [(40, 5000) if in_time else (0, 0)]
    assert place.waiting() == 0


def test_times_of_clients_do_not_matter_to_that(place: Place) -> None:
    page = pageview(0, received=at(0) + 1)
    place.apply(engagement(9, page, 40, 5000, received=at(0)), event(3, BOB, received=at(0)), page)
    assert place.pageviews() == [(40, 5000)]


def test_whatever_comes_ends_the_waiting_also_a_duplicate_of_another_project(place: Place) -> None:
    known = pageview(0, project_id=2)
    earlier, later = engagement(0.5, pageview(0), path="/a"), engagement(1.2, pageview(0), path="/b")
    place.apply(known, earlier, later)
    again = pageview(0, project_id=2, event_id=known.event_id, received=earlier.received + WAIT_MAX + 1)
    applied = place.apply(again)
    assert (applied.duplicates, reasons(applied)) == (1, [("/a", REFUSED)])
    assert place.waiting() == 1


@pytest.mark.parametrize("restart", [False, True])
def test_where_nothing_comes_it_is_refused_too(place: Place, restart: bool) -> None:
    earlier, later = (engagement(minutes, pageview(0), path=path) for minutes, path in ((0, "/a"), (0.5, "/b")))
    place.apply(earlier, later)
    if restart:
        place.restart()
    assert place.expire(earlier.received + WAIT_MAX) == []
    assert place.expire(earlier.received + WAIT_MAX + 1) == [("/a", REFUSED)]
    assert place.expire(later.received + WAIT_MAX + 1) == [("/b", REFUSED)]
    assert place.waiting() == 0


def test_without_a_transaction_it_is_known_that_nothing_waits_too_long(place: Place) -> None:
    early = engagement(0, pageview(0))
    assert place.batch.may_expire(early.received), "of what an earlier process left, nothing is known yet"
    place.apply(event(0))
    assert not place.batch.may_expire(early.received + WAIT_MAX + 1)
    place.apply(early)
    assert not place.batch.may_expire(early.received + WAIT_MAX)
    assert place.batch.may_expire(early.received + WAIT_MAX + 1)


def test_a_clock_that_was_put_back_ends_no_waiting(place: Place) -> None:
    page = pageview(0, received=at(-60))
    place.apply(engagement(0.1, page, 40, 5000), page)
    assert place.pageviews() == [(40, 5000)]


@pytest.mark.parametrize("restart", [False, True])
def test_no_more_waits_than_there_is_room_for_and_the_oldest_make_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, restart: bool
) -> None:
    monkeypatch.setattr(early_engagement, "WAITING_MAX", 2)
    pages = [pageview(0, f"/{n}") for n in range(4)]
    early = [engagement(0, page, 0, 1000, path=page.path) for page in pages]
    refused = []
    for each in early:
        refused += reasons(place.apply(each))
        if restart:
            place.restart()
    assert refused == [("/0", REFUSED), ("/1", REFUSED)]
    assert place.waiting() == 2
    place.apply(*pages)
    assert place.pageviews() == [(0, 0), (0, 0), (0, 1000), (0, 1000)]


def test_when_nothing_waits_nothing_is_looked_for(place: Place) -> None:
    page = pageview(0)
    place.apply(engagement(0.1, page), engagement(0.1, page), engagement(0.1, pageview(0)), page)
    assert len(place.batch._early.by_pageview) == 1
    place.expire(at(0.1) + WAIT_MAX + 1)
    assert place.batch._early.by_pageview == {}


# ---------------------------------------------------------------------- batches that fail, and where they are cut


def test_what_a_failed_batch_set_aside_does_not_wait(place: Place) -> None:
    page = pageview(0)
    early = engagement(0.1, page, 40, 5000)
    place.apply(event(0, BOB))
    place.fail(early)
    assert place.expire(early.received + WAIT_MAX + 1) == []
    place.apply(page)
    assert place.pageviews() == [(0, 0)]
    assert place.apply(early).duplicates == 0
    assert place.pageviews() == [(40, 5000)]


def test_what_a_failed_batch_took_back_still_waits(place: Place) -> None:
    page = pageview(0)
    place.apply(engagement(0.1, page, 40, 5000))
    place.fail(page, engagement(0.2, page, 50, 100))
    assert (place.waiting(), place.pageviews()) == (1, [])
    place.apply(page)
    assert place.pageviews() == [(40, 5000)]


def test_what_a_failed_batch_refused_still_waits(place: Place) -> None:
    page = pageview(0)
    place.apply(engagement(0.1, page, 40, 5000))
    place.fail(event(5, BOB))
    place.apply(page)
    assert place.pageviews() == [(40, 5000)]


def test_it_does_not_matter_how_the_journal_was_cut(tmp_path: Path) -> None:
    soon, late, never = pageview(0, "/soon"), pageview(1, "/late", BOB), pageview(0, "/never", CAT)
    journal = [
        engagement(0, late, 10, 1, path="/late"),
        engagement(0.2, soon, 20, 2),
        engagement(0.2, never, 30, 4, path="/never"),
        soon,
        engagement(0.3, late, 40, 8, path="/late"),
        event(1.1, CAT),  # the first has waited too long
        late,
        event(1.25, CAT),  # and so has the third
    ]
    outcomes = set()
    for cuts in range(1 << (len(journal) - 1)):
        place = Place(tmp_path / f"{cuts}")
        ends = [0, *(n + 1 for n in range(len(journal) - 1) if cuts >> n & 1), len(journal)]
        refused = [each for start, stop in pairwise(ends) for each in reasons(place.apply(*journal[start:stop]))]
        outcomes.add((tuple(refused), tuple(place.pageviews()), tuple(place.visits()), place.waiting()))
        place.close()
    assert {outcome[:2] for outcome in outcomes} == {
        ((("/late", REFUSED), ("/never", REFUSED)), ((20, 2), (40, 8))),
    }
    assert len(outcomes) == 1


# ---------------------------------------------------------------------- any order


@pytest.mark.parametrize("seed", range(30))
def test_in_whatever_order_it_comes_within_a_minute_the_same_is_stored(place: Place, other: Place, seed: int) -> None:
    chance = Random(seed)
    sent = []
    for visitor in (ANN, BOB, CAT):
        for number in range(chance.randrange(1, 4)):
            page = pageview(number, f"/{number}", visitor)
            minutes = sorted(number + chance.random() for _ in range(chance.randrange(4)))
            sent += [page, *(engagement(m, page, chance.randrange(101), chance.randrange(9999)) for m in minutes)]
    place.apply(*sent)

    shuffled = chance.sample(sent, len(sent))
    for n, each in enumerate(shuffled):
        each.received = START + n * WAIT_MAX // len(sent)
    repeated = [each for each in shuffled for _ in range(chance.choice((1, 1, 2)))]
    while repeated:
        size = chance.randrange(1, 6)
        batch, repeated = repeated[:size], repeated[size:]
        if chance.random() < 0.3:
            other.fail(*batch)
        assert other.apply(*batch).refused == []
        if chance.random() < 0.3:
            other.restart()

    stored = "SELECT event_id, time, scroll_depth, engaged_ms FROM event ORDER BY event_id"
    assert other.read(stored) == place.read(stored)
    assert other.visits() == place.visits()
    assert other.waiting() == 0
