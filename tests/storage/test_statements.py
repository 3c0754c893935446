"""How a server goes about what a drain asks of it."""

from contextlib import closing
from typing import Any

import psycopg
import pytest

from appliance.clock import DAY, HOUR, MINUTE, now
from appliance.ingest import visits
from appliance.ingest.batch import Batch
from appliance.model import Event, Kind, ProjectSettings
from appliance.storage.postgresql import statements as sql
from appliance.storage.postgresql.claims import Claims
from appliance.storage.postgresql.connection import work_connection
from appliance.storage.postgresql.drain_store import PostgresqlDrainStore
from appliance.storage.postgresql.migrate import migrate
from appliance.storage.row_columns import GROWING
from tests.builders import pageview, user_event
from tests.postgresql import Server


@pytest.mark.parametrize("logged_in", [False, True])
def test_people_who_were_forgotten_are_asked_for_together(
    postgresql: Server, monkeypatch: pytest.MonkeyPatch, logged_in: bool
) -> None:
    """However many come in a batch: each statement costs a way to the server and back."""
    for bound in ("VISITORS_KEPT", "VISITORS_KEPT_MAX"):
        monkeypatch.setattr(visits, bound, 10)
    url = postgresql.new_database()
    migrate(url)
    at, batch = now() - MINUTE, Batch(lambda _: ProjectSettings())
    asked: list[str] = []
    execute = psycopg.Connection.execute

    def noted(self: Any, query: Any, *more: Any, **named: Any) -> Any:
        asked.append(query)
        return execute(self, query, *more, **named)

    with closing(PostgresqlDrainStore(url)) as store:

        def came(number: int) -> Event:
            if not logged_in:
                return pageview(visitor=number, time=at, salt_day=at // DAY)
            of_view = {"kind": Kind.PAGEVIEW, "name": "pageview", "time": at, "visitor": -number - 1}
            return user_event(0, f"user {number}", number, traits='{"plan":"pro"}', **of_view)

        def drain(visitors: int) -> int:
            events = [came(number) for number in range(visitors)]
            asked.clear()
            store.transact(lambda tx: batch.apply(tx, events))
            return len(asked)

        for _ in range(2):
            drain(300)
        monkeypatch.setattr(psycopg.Connection, "execute", noted)
        assert drain(300) == drain(30)
        with psycopg.connect(url) as connection:
            visits_and_events = "SELECT count(*), sum(events), min(events), max(events) FROM visit"
            assert connection.execute(visits_and_events).fetchone() == (300, 930, 3, 4)
            said = "SELECT (SELECT count(*) FROM alias), (SELECT count(*) FROM user_trait)"
            assert connection.execute(said).fetchone() == (300 * logged_in, 300 * logged_in)


def test_whom_a_drain_holds_another_one_waits_for(postgresql: Server) -> None:
    url = postgresql.new_database()
    migrate(url)
    at, people = now(), [(1, 1), (1, 2)]
    with closing(work_connection(url)) as first, closing(work_connection(url, "-c lock_timeout=200")) as second:
        one, other = Claims(), Claims()
        assert sorted(one.take(first, people, at)) == people
        for later in (0, 2 * HOUR):  # as they are, and renewed
            with first.transaction():
                assert not one.take(first, people, at + later)
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.take(second, people[1:], at)
        assert other.take(second, people[1:], at) == people[1:]
        assert not other.take(second, people[1:], at)
        assert one.take(first, people, at) == people[1:]


@pytest.mark.parametrize("engine", ["postgresql", "timescaledb"])
def test_each_row_of_a_large_batch_is_looked_up_by_an_index(request: pytest.FixtureRequest, engine: str) -> None:
    """Of a table that has just been filled the planner would rather read all of it for each."""
    server: Server = request.getfixturevalue(engine)
    url = server.new_database()
    migrate(url)
    at, batch = now() - MINUTE, Batch(lambda _: ProjectSettings())
    with closing(PostgresqlDrainStore(url)) as store:
        store.transact(
            lambda tx: batch.apply(tx, [pageview(visitor=n, time=at, salt_day=at // DAY) for n in range(1000)])
        )
        connection, _ = store._connected()
        engaged = [(1, 0, at, number, 50, 1000) for number in range(1000)]
        grown = [(*(0 for _ in GROWING), number, at, at) for number in range(1000)]
        for statement, rows, condition in (
            (sql.ENGAGE, engaged, '((project_id = u.project_id) AND ("time" = u."time")'),
            (sql.GROW_VISITS, grown, "((id = u.id) AND (placed >= u.low)"),
        ):
            plan = connection.execute(f"EXPLAIN {statement}", (*sql.columns_of(rows), at, at)).fetchall()
            found = "\n".join(line for (line,) in plan)
            assert f"Index Cond: {condition}" in found, found
