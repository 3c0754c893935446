"""Which drain holds a visitor: so that of several appliances one at a time changes somebody's visits.

A drain remembers visits from batch to batch. Before it uses what it remembers it claims all visitors of the batch: the
rows stay locked until the transaction ends, and of those that somebody else held in between it forgets the visits.
"""

import secrets
from collections.abc import Collection, Iterable
from typing import Any, Final

import psycopg

from appliance.clock import HOUR
from appliance.storage.postgresql.statements import columns_of

Connection = psycopg.Connection[tuple[Any, ...]]
Visitor = tuple[int, int]  # project, visitor

# In one order, so that two drains never wait for each other. Rows that this drain held last stay as they are, and are
# locked all the same (PostgreSQL, INSERT, ON CONFLICT: also those that do not satisfy the condition); `at` need not be
# exact for claims to be forgotten days later.
_TAKE: Final = """
    INSERT INTO claim (project_id, visitor, holder, at)
    SELECT u.project_id, u.visitor, %(holder)b, %(at)b
    FROM unnest(CAST(%(projects)b AS BIGINT[]), CAST(%(visitors)b AS BIGINT[])) u (project_id, visitor)
    ON CONFLICT (project_id, visitor) DO UPDATE SET before = claim.holder, holder = excluded.holder, at = excluded.at
    WHERE claim.holder <> excluded.holder OR claim.at < excluded.at - %(renewed)b
    RETURNING project_id, visitor, before
    """


class Claims:
    """The claims of one drain."""

    def __init__(self) -> None:
        self._holder = 0
        self.forget()

    def forget(self) -> None:
        """Hold nobody: what was remembered of them is gone."""
        self._holder = secrets.randbits(62) + 1

    def take(self, connection: Connection, visitors: Iterable[Visitor], at: int) -> Collection[Visitor]:
        """Hold these until the transaction ends; gives those whom this drain did not hold last."""
        wanted = sorted(set(visitors))
        if not wanted:
            return []
        projects, numbers = columns_of(wanted)
        values = {"projects": projects, "visitors": numbers, "holder": self._holder, "at": at, "renewed": HOUR}
        rows = connection.execute(_TAKE, values)
        return [(project_id, visitor) for project_id, visitor, before in rows if before != self._holder]
