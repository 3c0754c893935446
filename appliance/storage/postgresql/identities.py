"""What a batch says of who somebody is: other ids of visitors, traits of users. It is written at the batch's end, all
together: one after the other each would cost a way to the server and back."""

from functools import reduce
from typing import Any, NamedTuple

import psycopg

from appliance.storage.postgresql import statements as sql
from appliance.storage.traits import merged

Connection = psycopg.Connection[tuple[Any, ...]]


class _Stated(NamedTuple):
    traits: str
    once: str
    at: int


def _laid_over(known: str, stated: _Stated) -> str:
    return merged(merged(stated.once, known), stated.traits)


class Identities:
    """What is to be written."""

    def __init__(self) -> None:
        self._aliases: dict[tuple[int, int], tuple[int, int] | None] = {}  # by project, visitor: visit and a time in it
        self._stated: dict[tuple[int, int], list[_Stated]] = {}  # by project, user

    def alias(self, project_id: int, visitor: int, visit: tuple[int, int] | None) -> None:
        """Next events of the visitor belong to that visit (id, a time in its span); None: to the visitor's own."""
        self._aliases[project_id, visitor] = visit

    def state(self, project_id: int, user: int, traits: str, once: str, at: int) -> None:
        """Traits of a user, as `DrainTransaction.merge_traits` takes them."""
        self._stated.setdefault((project_id, user), []).append(_Stated(traits, once, at))

    def write(self, connection: Connection) -> None:
        """Write it in the transaction that is open. In one order, so that two drains never wait for each other."""
        gone = sorted(key for key, visit in self._aliases.items() if visit is None)
        if gone:
            connection.execute(sql.DROP_ALIASES, sql.columns_of(gone))
        there = sorted((*key, *visit) for key, visit in self._aliases.items() if visit is not None)
        if there:
            connection.execute(sql.SET_ALIASES, sql.columns_of(there))
        if self._stated:
            self._write_traits(connection)
        self._aliases, self._stated = {}, {}

    def _write_traits(self, connection: Connection) -> None:
        users = sql.columns_of(sorted(self._stated))
        connection.execute(sql.MAKE_TRAITS, users)
        rows = []
        for project_id, user, traits in connection.execute(sql.HOLD_TRAITS, users).fetchall():
            stated = self._stated[project_id, user]
            rows.append((project_id, user, reduce(_laid_over, stated, traits), stated[-1].at))
        connection.execute(sql.SET_TRAITS, sql.columns_of(rows))
