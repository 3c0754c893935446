"""A source with something in every table, and the rows of databases of both engines to compare."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from appliance.ingest.batch import Batch
from appliance.model import ACQUISITION_FIELDS, Event, ProjectSettings
from appliance.storage.copying.between import source_at, target_at
from appliance.storage.copying.ends import Target
from appliance.storage.copying.job import Copied, copy
from appliance.storage.copying.tables import ENGINES_OWN, SERVERS_ALONE, TABLES, carried
from appliance.storage.event_ids import as_bytes
from appliance.storage.interface import DrainStore, DrainTransaction, Position
from appliance.storage.postgresql.dictionary import digest
from appliance.storage.postgresql.drain_store import PostgresqlDrainStore
from appliance.storage.sqlite.drain_store import SqliteDrainStore
from tests.builders import engagement, pageview, user_event
from tests.storage.test_seal import MONDAY, Place, traffic

JOURNAL = bytes(range(16))
ROWS = ("visit", "event")
Rows = dict[str, list[tuple[Any, ...]]]
MANAGEMENT = """
    INSERT INTO project (id, public_id, name, domains, timezone, settings, created_at, updated_at, raw_purged_before)
      VALUES (2, 'q', 'Zwei ''"\\ä', '["b.example"]', 'Asia/Tokyo', '{"raw_retention_days":30}', 5, 6, NULL),
             (9, 'gone', 'Gone', '[]', 'UTC', '{}', 7, 8, 9);
    DELETE FROM project WHERE id = 9;
    INSERT INTO account VALUES (3, 'Ann@example.com', 'Ann', 'hash', 'owner', 1),
      (5, 'b@example.com', '', 'h', 'viewer', 2);
    INSERT INTO membership VALUES (5, 2, 'admin');
    INSERT INTO api_key VALUES (1, 1, 'public', 'k', 'sa_1', 'sa_123', NULL, '["send"]', 1, NULL, NULL, NULL),
      (7, 2, 'private', '', 'sa_priv_', NULL, x'00ff00', '["read"]', 2, 3, NULL, 4);
    INSERT INTO login_session VALUES (x'00', 3, 1, 2, 'Firefox');
    INSERT INTO audit (at, actor, action, subject, detail) VALUES (1, 'cli', 'project.create', 'p', ''),
      (2, 'a', 'b', 'c', 'd');
    INSERT INTO goal VALUES (4, 1, 'Blog', 'page', '/blog/**', '', '', '', 1);
    INSERT INTO funnel VALUES (2, 1, 'Way', '[{"on":"page"}]', '7d', 1, 1);
    INSERT INTO segment VALUES (8, 1, 'Germans', '[["is","visit:country",["DE"]]]', 1);
    DELETE FROM segment; INSERT INTO segment VALUES (6, 1, 'Germans', '[["is","visit:country",["DE"]]]', 1);
    INSERT INTO exclusion VALUES (3, 1, 'path', '/admin/**', '', 'ann@example.com', 1, NULL),
      (4, 1, 'country', 'XK', 'spam', 'ann@example.com', 1, 2);
    INSERT INTO secret VALUES ('visitor', x'0001ff');
    INSERT INTO salt VALUES (20000, x'ff00'), (-1, x'');
    INSERT INTO dead_letter VALUES (2, 1, 1, 'what', x'93', 5);
    INSERT INTO key_use VALUES (1, 20000, 3, 30, 1);
    INSERT INTO erasure VALUES (1, 1, 5, '["ann"]', '[-5]', 1, 2, 3, NULL, NULL);
    INSERT INTO source (project_id, name, description, settings, created_at, seen_at)
      VALUES (2, 'ios', 'd', '{"off":true}', 3, 4);
    INSERT INTO import VALUES ('i', 1, 'access.log', 'combined', '', 1, x'01', 9, 10, 2, x'ff', 3, 4, '{"stored":5}',
      'running', '', 'cli', 1, 2, NULL);
    INSERT INTO import_salt VALUES ('i', 20000, x'00');
    INSERT INTO import_visit VALUES (1, 'i', 7, 1, 8);
    INSERT INTO imported_figure VALUES (1, 'visit:source', 19000, 'Google', 'i', 1, 2, 3, 4, 5, 6);
    INSERT INTO user_trait VALUES (2, 1, '{"plan":"ä"}', 4);
    INSERT INTO meta VALUES ('catalogue_version', '17'), ('deleted_project/2', '99');
    INSERT INTO wanderer VALUES (2, 11, -5);
    UPDATE project SET raw_purged_before = 1000 WHERE id = 1;
    INSERT INTO rollup VALUES (1, 1, 10, 1, 0, 1000, 'Europe/Berlin', 3, 7, 2, 1, 0),
      (2, 1, 11, 1, 10, 1000, 'Europe/Berlin', 3, 7, 2, 1, 1), (4, 1, 12, 1, 900, 1001, 'Europe/Berlin', 3, 7, 0, 1, 1),
      (5, 1, 9, 1, 20, 1000, 'Europe/Berlin', 3, 7, 0, 0, 1), (6, 2, 11, 1, 0, 1000, 'Asia/Tokyo', 3, 7, 0, 1, 1);
    DELETE FROM rollup WHERE id = 6;
    INSERT INTO rollup_column VALUES (1, 'a', x'31'), (2, 'a', x'3200ff'), (2, 'visitors', x''), (4, 'a', x'34');
    """
# Of these the second, and the one that says that its day is sampled: their days are purged.
CARRIED_ROLLUPS = [
    (2, 1, 11, 1, 10, 1000, "Europe/Berlin", 2, 1, 1),
    (5, 1, 9, 1, 20, 1000, "Europe/Berlin", 0, 0, 1),
]


def fill(place: Place, seed: int = 0) -> list[Event]:
    """Put something into every table; half of the days are sealed. Gives the events."""
    random = Random(seed)
    sent: list[Event] = []
    before: Position | None = None

    def apply(number: int, events: list[Event]) -> None:
        nonlocal before
        after = Position(1, number)
        place.store.transact(lambda tx: _drained(tx, place.batch, events, before, after))
        before = after

    for number in range(1, 21):
        events = traffic(random, sent)
        events.append(pageview(random.randrange(5000), visitor=random.randrange(-3, 3), project_id=2))
        sent += events
        apply(number, events)
        if number == 15:
            for day in (MONDAY, MONDAY + 1):
                place.seal(day)
            place.seal(MONDAY + 2, project=2)
    # An id of each form, one whose event is gone, and engagement that waits for its page.
    forms = [pageview(5000 + n, visitor=50, event_id=text) for n, text in enumerate(_IDS)]
    waiting = [engagement(5011, pageview(5001, event_id=f"later-{n}"), 5, 6) for n in range(2)]
    sent += forms
    named = user_event(5010, "z", 50, traits='{"a":1}', source="web", properties='{"n":[1]}')
    apply(21, [*forms, named, *waiting])
    place.jobs.transaction(lambda c: [c.execute(one) for one in _statements(MANAGEMENT)], durable=True)
    place.jobs.transaction(
        lambda c: c.execute("INSERT INTO seen VALUES (1, 'of an erased event', 20000, 1, 999999)"), durable=True
    )
    return sent


_IDS = ("0190a0b0c0d0e0", "0190f2a8-1b2c-7d3e-8f40-123456789abc", "nine-byte", "fifteen--bytes.", "ünï", "x" * 300)


def _statements(script: str) -> list[str]:
    found, statement = [], ""
    for piece in script.split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement) and statement.strip() != ";":
            found.append(statement)
            statement = ""
    return found


def _drained(tx: DrainTransaction, batch: Batch, events: list[Event], before: Position | None, after: Position) -> None:
    batch.apply(tx, events)
    tx.checkpoint(JOURNAL, before, after, after.offset)


def applied(url: str, *events: Event) -> Any:
    """Apply events to the database at a URL as the drain does."""
    store: DrainStore
    if url.startswith("sqlite:///"):
        store = SqliteDrainStore(Path(url.removeprefix("sqlite:///")))
    else:
        store = PostgresqlDrainStore(url)
    try:
        store.position(JOURNAL)
        batch = Batch(lambda project_id: ProjectSettings())
        return store.transact(lambda tx: batch.apply(tx, events))
    finally:
        store.close()


def url_of(place: Place) -> str:
    return f"sqlite:///{place.path}"


def copied(source: str, target: str, *, restart: bool = False, meddle: Callable[[Target], None] = id) -> Copied:
    """`copy_between`, with something done to the target first."""
    with closing(source_at(source)) as there, closing(target_at(target)) as here:
        meddle(here)
        return copy(there, here, restart=restart)


def connected(url: str) -> Any:
    """A connection of either driver."""
    if url.startswith("sqlite:///"):
        return closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None))
    return psycopg.connect(url, autocommit=True)


def columns_of(connection: Any, table: str) -> list[str]:
    if isinstance(connection, sqlite3.Connection):
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    return [column.name for column in connection.execute(f"SELECT * FROM {table} LIMIT 0").description]


def all_rows(url: str, like: str) -> Rows:
    """The rows of every carried table with the columns that a SQLite database has, event ids as bytes; not which chunks
    of its own a rollup is made of."""
    with connected(like) as named:
        columns = {table: columns_of(named, table) for table in (*TABLES, *ROWS)}
    columns["rollup"] = [name for name in columns["rollup"] if name not in ("chunks", "newest_chunk")]
    found = {}
    with connected(url) as connection:
        for table, names in columns.items():
            listed = ", ".join(f't."{name}"' for name in names)
            rows = connection.execute(f"SELECT {listed} FROM {table} t WHERE {carried(table)}").fetchall()
            if "event_id" in names:
                place = names.index("event_id")
                rows = [(*row[:place], as_bytes(row[place]), *row[place + 1 :]) for row in rows]
            found[table] = sorted(rows, key=repr)
    return found


def check_beside(url: str) -> None:
    """What PostgreSQL has beside is what the rest says."""
    with psycopg.connect(url) as connection:
        visits = {row[0]: row[1:] for row in connection.execute('SELECT id, start, "end", placed FROM visit')}
        assert all(start == placed for start, _, placed in visits.values())
        events = {row[0]: row[1:] for row in connection.execute("SELECT id, visit_id, time FROM event")}
        carried_columns = ("visitor", *ACQUISITION_FIELDS)
        e, v = (", ".join(f"{alias}.{name}" for name in carried_columns) for alias in "ev")
        wrong = f"SELECT 1 FROM event e JOIN visit v ON v.id = e.visit_id WHERE ({e}) IS DISTINCT FROM ({v})"
        assert connection.execute(wrong).fetchall() == []
        known = 0
        for event_id, number, visit_id, time, day in connection.execute(
            "SELECT event_id, event, visit_id, time, received_day FROM seen"
        ):
            if event_id == b"of an erased event\0":
                assert (visit_id, time) == (0, day * 86_400_000_000)
                continue
            assert (visit_id, time) == events.get(number, (0, 0))
            known += number in events
        assert known > 20
        aliases = connection.execute("SELECT visit_id, near FROM alias").fetchall()
        assert aliases
        for visit_id, near in aliases:
            assert visits[visit_id][0] <= near <= visits[visit_id][1]
        for text, found in connection.execute("SELECT text, digest FROM dictionary"):
            assert found == digest(text)
        assert connection.execute("SELECT DISTINCT journal_id FROM early_engagement").fetchall() == [(JOURNAL,)]


def unknown_tables(place: Place) -> set[str]:
    there = {
        name
        for (name,) in place.reader.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not name.startswith("sqlite_")
    }
    return there - {*TABLES, *SERVERS_ALONE, *ENGINES_OWN, *ROWS}
