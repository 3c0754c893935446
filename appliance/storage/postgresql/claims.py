"""Which drain holds a visitor: so that of several appliances one at a time changes somebody's visits.

A drain remembers visits from batch to batch. Before it uses what it remembers it claims all visitors of the batch: the
rows stay locked until the transaction ends, and of those that somebody else held in between it forgets the visits.
"""

import secrets
from collections.abc import Collection, Iterable
from typing import Any, Final

import psycopg

from appliance.clock import HOUR

RENEWED: Final = HOUR  # how old a claim gets before it is written again

Connection = psycopg.Connection[tuple[Any, ...]]
Visitor = tuple[int, int]  # project, visitor

_ADD: Final = """
    INSERT INTO claim (project_id, visitor, holder, at)
    SELECT u.project_id, u.visitor, 0, %(at)b
    FROM unnest(CAST(%(projects)b AS BIGINT[]), CAST(%(visitors)b AS BIGINT[])) u (project_id, visitor)
    ON CONFLICT DO NOTHING
    """
# Locked in one order, so that two drains never wait for each other.
_TAKE: Final = """
    WITH held AS MATERIALIZED (
      SELECT c.project_id, c.visitor, c.holder, c.at
      FROM claim c JOIN unnest(CAST(%(projects)b AS BIGINT[]), CAST(%(visitors)b AS BIGINT[])) u (project_id, visitor)
        ON c.project_id = u.project_id AND c.visitor = u.visitor
      ORDER BY c.project_id, c.visitor FOR UPDATE OF c)
    UPDATE claim c SET holder = %(holder)b, at = %(at)b
    FROM held h
    WHERE c.project_id = h.project_id AND c.visitor = h.visitor AND (h.holder <> %(holder)b OR h.at < %(old)b)
    RETURNING h.project_id, h.visitor, h.holder
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
        projects, numbers = (list(column) for column in zip(*wanted, strict=True))
        values = {"projects": projects, "visitors": numbers, "holder": self._holder, "at": at, "old": at - RENEWED}
        connection.execute(_ADD, values)
        rows = connection.execute(_TAKE, values).fetchall()
        return [(project_id, visitor) for project_id, visitor, holder in rows if holder != self._holder]
