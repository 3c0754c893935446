"""Who is erased is gone from every row and every byte; everybody else's rows stay as they were."""

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from appliance.errors import Invalid
from appliance.model import Event, Project, ProjectSettings
from appliance.storage import audit, erasures
from appliance.storage.sqlite import maintenance
from appliance.storage.sqlite.chunks import seal
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.removal import erase as erasing
from appliance.storage.sqlite.removal import taking
from appliance.storage.sqlite.removal.erase import erase_all
from appliance.storage.sqlite.removal.wipe import delete_securely, wipe_free_pages
from appliance.storage.sqlite.stored import stored_rows
from appliance.storage.sqlite.writer import connect
from tests.builders import ANN, BOB, CAT, at, engagement, event, pageview, user_event, user_visitor
from tests.storage.test_seal import MONDAY, Place, traffic

SITE = Project(1, "p", "Site", (), "Europe/Berlin", "EUR", ProjectSettings(), 0, 0)

Rows = list[tuple[Any, ...]]


def ask(place: Place, users: tuple[str, ...] = (), visitors: tuple[int, ...] = ()) -> int:
    insert = "INSERT INTO erasure (project_id, asked_at, users, visitors) VALUES (1, 0, ?, ?) RETURNING id"
    people = [msgspec.json.encode(values).decode() for values in (users, visitors)]
    ((number,),) = place.jobs.transaction(lambda c: c.execute(insert, people).fetchall(), durable=True)
    return int(number)


def erase(place: Place, *, users: tuple[str, ...] = (), visitors: tuple[int, ...] = ()) -> tuple[int, int]:
    """Erase them; how many visits and events that took out."""
    number = ask(place, users, visitors)
    list(erase_all(lambda work: place.jobs.transaction(work, durable=False)))
    select = "SELECT visits, events, users, visitors, erased_at IS NULL FROM erasure WHERE id = ?"
    visits, events, *rest = place.reader.execute(select, (number,)).fetchone()
    assert rest == ["[]", "[]", 0]
    return visits, events


def stored(place: Place, project: int = 1) -> tuple[Rows, Rows]:
    """All visits, sealed or not, each with visitor and user before it, and all events with visit and user."""
    user = "(SELECT d.text FROM dictionary d WHERE d.project_id = r.project_id AND d.dimension = 6 AND d.code = r.user)"
    found = []
    for table, owner in (("visit", "visitor"), ("event", "visit_id")):
        select = f"SELECT r.{owner}, {user}, r.* FROM {table} r WHERE r.project_id = :project_id"
        with closing(connect(place.path, read_only=True)) as connection:
            batches = stored_rows(connection, select, project, 0, 1 << 62, 1000)
            found.append(sorted((row for rows in batches for row in rows), key=lambda row: int(row[2])))
    return found[0], found[1]


def without(rows: tuple[Rows, Rows], *visitors: int) -> tuple[Rows, Rows]:
    visits = [row for row in rows[0] if row[0] not in visitors]
    ids = {row[2] for row in visits}
    return visits, [row for row in rows[1] if row[0] in ids]


def fewer(before: tuple[Rows, Rows], after: tuple[Rows, Rows]) -> tuple[int, int]:
    return len(before[0]) - len(after[0]), len(before[1]) - len(after[1])


@pytest.mark.parametrize("seed", range(20))
def test_only_theirs_goes_wherever_it_is(place: Place, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(taking, "STEP_EVENTS", 5)
    monkeypatch.setattr(seal, "CHUNK_EVENTS_MAX", 30)
    random = Random(seed)
    sent: list[Event] = []
    for _ in range(25):
        sent += (events := traffic(random, sent))
        place.apply(*events, pageview(random.randrange(5000), project_id=2, visitor=random.choice([ANN, BOB])))
        if random.random() < 0.3:
            place.seal(random.randrange(MONDAY - 1, MONDAY + 5))
            place.seal(MONDAY, project=2)
    assert place.chunks() and place.count("visit")
    before, others = stored(place), stored(place, 2)
    visitor = random.choice([ANN, BOB, 7, 8])
    left = without(before, visitor)
    assert erase(place, visitors=(visitor,)) == fewer(before, left)
    assert stored(place) == left
    user = random.choice([user for user in "xy" if any(row[1] == user for row in left[0])])
    after = without(left, user_visitor(user))
    assert erase(place, users=(user,)) == fewer(left, after)
    assert stored(place) == after
    assert user not in [row[1] for rows in after for row in rows]
    assert stored(place, 2) == others
    place.unseal_all()
    assert place.reader.execute(
        "SELECT count(*) FROM alias WHERE visit_id NOT IN (SELECT id FROM visit)"
    ).fetchone() == (0,)


# ---------------------------------------------------------------------- what else there is of somebody


def test_what_else_is_stored_of_a_user_goes(place: Place) -> None:
    for user in ("ann@example.com", "bob@example.com"):
        visit = user_event(0, user, CAT if user < "b" else BOB, traits='{"name":"' + user + '"}')
        place.apply(visit, pageview(-500, visitor=user_visitor(user), salt_day=None, user_id=user))
        place.store.transact(lambda tx, user=user: tx.add_dead_letter(0, user_event(1, user), "no"))  # type: ignore[misc]
    place.store.transact(lambda tx: tx.add_dead_letter(0, pageview(0, visitor=user_visitor("ann@example.com")), "no"))
    place.store.transact(lambda tx: tx.add_dead_letter(0, pageview(0, visitor=7), "no"))
    assert erase(place, users=("ann@example.com",)) == (2, 2)
    assert [traits for _, _, traits, _ in place.rows("user_trait")] == ['{"name":"bob@example.com"}']
    letters = [msgspec.msgpack.decode(row[4], type=Event).visitor for row in place.rows("dead_letter")]
    assert letters == [user_visitor("bob@example.com"), 7]
    assert [visitor for _, visitor, _ in place.rows("alias")] == [BOB]
    texts = [text for _, dimension, _, text in place.rows("dictionary") if dimension == 6]
    assert texts[1:] == ["bob@example.com"]
    assert texts[0].startswith("erased ")


@pytest.mark.parametrize("sealed", [False, True])
def test_a_visitor_who_was_identified_is_that_user(place: Place, sealed: bool) -> None:
    place.apply(user_event(0, "ann", traits='{"a":1}'), user_event(3000, "ann"), pageview(9, visitor=BOB))
    if sealed:
        place.seal()
    assert erase(place, visitors=(user_visitor("ann"),)) == (2, 2)
    assert place.count("user_trait") == 0
    assert "ann" not in [text for *_, text in place.rows("dictionary")]
    assert len(stored(place)[0]) == 1


@pytest.mark.parametrize("visitor", [None, 7, 9])
def test_a_user_who_was_several_visitors_is_all_of_them(place: Place, visitor: int | None) -> None:
    """As imports may have it: which of them is met first does not matter."""
    visitors = [(7, "ann"), (8, "ann"), (8, "anna"), (9, "anna"), (10, "bob")]
    for day, (number, user) in enumerate(visitors):
        place.apply(pageview(day * 1440, visitor=number, user_id=user, salt_day=None))
        place.seal(MONDAY + day)
    found = erase(place, visitors=(visitor,)) if visitor else erase(place, users=("anna",))
    assert found == (4, 4)
    assert [row[0] for row in stored(place)[0]] == [10]


def test_a_rotating_visitor_does_not_lead_to_the_user(place: Place) -> None:
    place.apply(pageview(0), user_event(600, "ann", traits='{"a":1}'))
    assert [visitor for _, visitor, _ in place.rows("alias")] == [ANN]  # to the user's visit
    assert erase(place, visitors=(ANN,)) == (1, 1)
    assert place.count("alias") == 0
    assert place.count("user_trait") == 1
    assert [row[:2] for row in stored(place)[0]] == [(user_visitor("ann"), "ann")]


def test_somebody_who_is_not_there_is_erased_too(place: Place) -> None:
    place.apply(pageview(0))
    assert erase(place, users=("nobody",), visitors=(99,)) == (0, 0)
    assert len(stored(place)[1]) == 1


def test_dead_letters_are_looked_through_in_steps(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "LETTERS_LOOKED_AT", 2)
    for number in range(7):
        place.store.transact(lambda tx, n=number: tx.add_dead_letter(n, pageview(0, visitor=n % 2), "no"))  # type: ignore[misc]
    erase(place, visitors=(1,))
    assert [row[1] for row in place.rows("dead_letter")] == [0, 2, 4, 6]


# ---------------------------------------------------------------------- what comes afterwards


@pytest.mark.parametrize("sealed", [False, True])
def test_a_retry_brings_nothing_back(place: Place, sealed: bool) -> None:
    page = pageview(0)
    identify = user_event(2, "ann", kind=3, traits='{"a":1}')
    named = user_event(3, "ann")
    place.apply(page, identify, named)
    if sealed:
        place.seal()
    erase(place, users=("ann",))
    assert stored(place) == ([], [])
    for restarted in (False, True):
        if restarted:
            place.restart()
        applied = place.apply(page, identify, named)
        assert (len(applied.stored), applied.duplicates, applied.conflicts) == (0, 3, 0)
        late = place.apply(engagement(1, page, 50, 1000))
        assert [reason for _, reason in late.refused] == ["no_pageview"]
    assert stored(place) == ([], [])
    assert place.count("user_trait") == 0
    assert [event for *_, event in place.rows("seen")] == [0] * 5


@pytest.mark.parametrize("sealed", [False, True])
def test_what_the_drain_remembers_of_them_is_dropped(place: Place, sealed: bool) -> None:
    place.apply(pageview(0), pageview(1, visitor=BOB), user_event(2, "ann", CAT), user_event(2, "bob", 5))
    if sealed:
        place.seal()
    erase(place, visitors=(ANN,))
    erase(place, users=("ann",))
    applied = place.apply(pageview(5), pageview(6, visitor=BOB), user_event(7, "ann", CAT), user_event(7, "bob", 5))
    assert len(applied.stored) == 4
    visits, events = stored(place)
    assert [(row[1], row[2]) for row in visits] == [(None, 2), ("bob", 4), (None, 5), ("ann", 6)]
    assert [row[0] for row in events] == [2, 4, 5, 2, 6, 4]


def test_no_id_and_no_code_is_given_twice(place: Place) -> None:
    place.apply(pageview(0, visitor=BOB), user_event(0, "ann"))
    erase(place, users=("ann",))
    place.store._rows.forget()
    place.restart()
    place.apply(user_event(0, "bob", 5))
    visits, events = stored(place)
    assert [(row[2], row[1]) for row in visits] == [(1, None), (3, "bob")]
    assert [row[2] for row in events] == [1, 3]
    assert [code for _, dimension, code, text in place.rows("dictionary") if text == "bob"] == [2]


def test_what_the_drain_stores_while_somebody_is_erased_goes_too(place: Place) -> None:
    for day in range(3):
        place.apply(user_event(day * 1440, "ann"))
        place.seal(MONDAY + day)
    ask(place, ("ann",))
    steps = erase_all(lambda work: place.jobs.transaction(work, durable=False))
    next(steps)
    place.apply(user_event(4 * 1440, "ann"), user_event(5 * 1440, "ann"))
    place.seal(MONDAY + 4)
    assert len(list(steps)) == 4
    assert stored(place) == ([], [])


# ---------------------------------------------------------------------- bytes


def bytes_of(place: Place) -> bytes:
    return b"".join(Path(f"{place.path}{suffix}").read_bytes() for suffix in ("", "-wal"))


@pytest.mark.parametrize("sealed", [False, True])
def test_no_byte_is_left(place: Place, sealed: bool) -> None:
    """Of rows, of rows that were sealed since, of texts; in the file and in the write-ahead file."""
    words = ["ann@secret.example", "session-of-ann", "property-of-ann", "trait-of-ann", "event-of-ann", "letter-of-ann"]
    user, session, prop, trait, event_id, letter = words
    for day in range(3):
        for number in range(40):
            place.apply(
                user_event(
                    day * 1440 + number, user, session_id=session, properties=f'{{"x":"{prop}"}}',
                    traits=f'{{"t":"{trait}"}}', event_id=f"{event_id}-{day}-{number}",
                ),
                *(pageview(day * 1440 + number, f"/{day}/{number}", other, session_id="s") for other in range(20)),
            )  # fmt: skip
    place.store.transact(lambda tx: tx.add_dead_letter(0, user_event(0, user, name=letter), "no"))
    if sealed:
        for day in range(3):
            place.seal(MONDAY + day)
    assert all(word.encode() in bytes_of(place) for word in words if not (sealed and word == prop))
    rest = without(stored(place), user_visitor(user))
    number = ask(place, (user,))
    maintenance.erase(place.jobs)
    kept = bytes_of(place)
    assert [word for word in words if word.encode() in kept] == [event_id]
    # The ids of events stay, so that a retry is recognised; nothing leads from them to anybody.
    events = [event for *_, event in place.reader.execute("SELECT * FROM seen WHERE event_id LIKE 'event-of-ann%'")]
    assert events == [0] * 120
    assert stored(place) == rest
    assert place.reader.execute("SELECT wiped_at IS NULL FROM erasure WHERE id = ?", (number,)).fetchone() == (0,)
    assert place.count("blank") == 0


def test_pages_that_become_free_are_overwritten_at_once(place: Place) -> None:
    place.apply(*(user_event(number / 9, "ann", properties='{"x":"ann was here"}') for number in range(3000)))
    ask(place, ("ann",))
    place.jobs.transaction(delete_securely, durable=False)
    list(erase_all(lambda work: place.jobs.transaction(work, durable=False)))
    assert place.reader.execute("PRAGMA freelist_count").fetchone() > (10,)
    assert place.jobs.checkpoint("TRUNCATE")
    assert b"ann was here" not in bytes_of(place)


def test_free_pages_are_wiped_to_their_last_byte(place: Place) -> None:
    random = Random(1)
    blobs = [(b"\xab\xcd" * random.randrange(10, 40_000),) for _ in range(60)]

    def scatter(connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT INTO blank (data) VALUES (?)", blobs)

    place.jobs.transaction(scatter, durable=False)
    place.jobs.transaction(lambda c: c.execute("DELETE FROM blank"), durable=False)
    assert place.jobs.checkpoint("TRUNCATE")
    assert bytes_of(place).count(b"\xab\xcd" * 4) > 100_000
    place.jobs.transaction(delete_securely, durable=False)
    assert len(list(wipe_free_pages(lambda work: place.jobs.transaction(work, durable=False)))) > 1
    assert place.jobs.checkpoint("TRUNCATE")
    assert b"\xab\xcd" * 4 not in bytes_of(place)


def test_a_reader_in_the_way_is_waited_for_the_next_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.storage.sqlite.removal.wipe.TRY_SECONDS", 0.0)
    place.jobs.transaction(lambda c: c.execute("PRAGMA busy_timeout=50"), durable=False)
    place.apply(pageview(0))
    place.reader.execute("BEGIN")
    place.reader.execute("SELECT count(*) FROM visit").fetchall()
    number = ask(place, (), (ANN,))
    maintenance.erase(place.jobs)
    select = "SELECT erased_at IS NULL, wiped_at IS NULL FROM erasure WHERE id = ?"
    place.reader.execute("ROLLBACK")
    assert place.reader.execute(select, (number,)).fetchone() == (0, 1)
    maintenance.erase(place.jobs)
    assert place.reader.execute(select, (number,)).fetchone() == (0, 0)


# ---------------------------------------------------------------------- as the serving process does it


async def test_it_is_asked_for_carried_out_and_written_down(place: Place, database: SqliteDatabase) -> None:
    place.apply(user_event(0, "ann"), user_event(1, "ann"), pageview(0, visitor=-BOB), event(9, CAT))
    user = await erasures.ask_for_user(database, SITE, "ann", actor="cli", at=at(0))
    visitor = await erasures.ask_for_visitor(
        database, SITE, erasures.visitor(f"{-BOB & (1 << 64) - 1:016x}"), actor="cli", at=1
    )
    assert (await erasures.find(database, user)).erased_at is None
    await database.erase()
    found = [await erasures.find(database, number) for number in (user, visitor)]
    assert [(one.visits, one.events) for one in found] == [(1, 2), (1, 1)]
    assert all(one.wiped_at is not None for one in found)
    assert (await database.count_stored(1)).events == 1
    entries = await audit.recent(database)
    assert [(one.actor, one.action, one.subject) for one in entries] == [
        ("cli", "visitor.erase", "Site"),
        ("cli", "user.erase", "Site"),
    ]
    assert b"ann" not in msgspec.json.encode(entries)
    await database.erase()  # nothing to do


@pytest.mark.parametrize("digits", ["", "1", "g" * 16, "0" * 15, "0" * 17, "００００００００００００００００"])
def test_what_is_no_visitor_is_refused(digits: str) -> None:
    with pytest.raises(Invalid):
        erasures.visitor(digits)


async def test_a_user_needs_an_id(database: SqliteDatabase) -> None:
    with pytest.raises(Invalid):
        await erasures.ask_for_user(database, SITE, "", actor="cli", at=0)
