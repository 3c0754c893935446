"""How a server goes about what a drain asks of it."""

from contextlib import closing

import pytest

from appliance.clock import DAY, MINUTE, now
from appliance.ingest.batch import Batch
from appliance.model import ProjectSettings
from appliance.storage.postgresql import statements as sql
from appliance.storage.postgresql.drain_store import PostgresqlDrainStore
from appliance.storage.postgresql.migrate import migrate
from appliance.storage.row_columns import GROWING
from tests.builders import pageview
from tests.postgresql import Server


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
