"""Whom an erasure is about: all visitors and users that the person is."""

from collections.abc import Collection, Iterable
from enum import IntEnum
from functools import partial
from typing import Final, NamedTuple

import msgspec

from appliance.model import Event
from appliance.storage.dimensions import DICTIONARIES
from appliance.storage.postgresql.dictionary import digest
from appliance.storage.postgresql.removal.steps import Connection, Transact, fetch

USER: Final = DICTIONARIES["user"]

_CODES: Final = (
    "SELECT d.code FROM dictionary d"
    f" WHERE d.project_id = %s AND d.dimension = {USER} AND d.digest = ANY(CAST(%s AS BYTEA[])) ORDER BY d.code"
)
# The identified visits of persistent visitors: those tell which visitor is which user.
_IDENTIFIED: Final = 'FROM visit v WHERE v.project_id = %s AND v.salt_day IS NULL AND v."user" <> 0'
_VISITORS: Final = f'SELECT DISTINCT v.visitor {_IDENTIFIED} AND v."user" = ANY(CAST(%s AS INTEGER[]))'
_USERS: Final = (
    f"SELECT d.text FROM dictionary d WHERE d.project_id = %s AND d.dimension = {USER}"
    f' AND d.code IN (SELECT v."user" {_IDENTIFIED} AND v.visitor = ANY(CAST(%s AS BIGINT[])))'
)


class Known(IntEnum):
    """`erasure.found_out`."""

    IN_PART = 0
    ALL = 1
    FORGOTTEN = 2  # the users have names of chance by now, by which what was stored under their codes is found


class Person(NamedTuple):
    """Whom an erasure is about, as it stands in the database."""

    erasure_id: int
    project_id: int
    users: frozenset[str]
    visitors: frozenset[int]
    known: Known

    @classmethod
    async def read(cls, connection: Connection, erasure_id: int) -> "Person":
        select = "SELECT id, project_id, users, visitors, found_out FROM erasure WHERE id = %s"
        ((number, project_id, users, visitors, known),) = await fetch(connection, select, (erasure_id,))
        decode = msgspec.json.decode
        texts, numbers = decode(users, type=frozenset[str]), decode(visitors, type=frozenset[int])
        return cls(number, project_id, texts, numbers, Known(known))

    async def write(self, connection: Connection) -> None:
        await connection.execute(
            "UPDATE erasure SET users = %s, visitors = %s, found_out = %s WHERE id = %s",
            (_json(sorted(self.users)), _json(sorted(self.visitors)), int(self.known), self.erasure_id),
        )

    async def codes(self, connection: Connection) -> list[int]:
        """Those that the users have."""
        return await _codes(connection, self.project_id, self.users)

    def sent(self, event: Event) -> bool:
        """Whether an event that could not be stored is theirs."""
        return event.user_id in self.users or not self.visitors.isdisjoint(
            (event.visitor, event.visitor_yesterday, event.anonymous)
        )


class _Looked(NamedTuple):
    """Of whom visits were looked through already."""

    users: frozenset[str] = frozenset()
    visitors: frozenset[int] = frozenset()


async def find_out(transact: Transact, erasure_id: int) -> None:
    """Get to know all visitors and users that the person is: of each that is found, who else that is."""
    looked: _Looked | None = _Looked()
    while looked is not None:
        looked = await transact(partial(_look, erasure_id=erasure_id, looked=looked))


async def _look(connection: Connection, erasure_id: int, looked: _Looked) -> _Looked | None:
    """One look further. None: they are all known."""
    person = await Person.read(connection, erasure_id)
    if person.known:
        return None
    users, visitors = set(person.users), set(person.visitors)
    if new_users := users - looked.users:  # all visits of the project are looked through
        codes = await _codes(connection, person.project_id, new_users)
        visitors.update(number for (number,) in await fetch(connection, _VISITORS, (person.project_id, codes)))
    if new_visitors := visitors - looked.visitors:
        values = (person.project_id, person.project_id, list(new_visitors))
        users.update(text for (text,) in await fetch(connection, _USERS, values))
    all_known = users == person.users
    known = Known.ALL if all_known else Known.IN_PART
    await person._replace(users=frozenset(users), visitors=frozenset(visitors), known=known).write(connection)
    return None if all_known else _Looked(person.users, frozenset(visitors))


async def _codes(connection: Connection, project_id: int, users: Iterable[str]) -> list[int]:
    rows = await fetch(connection, _CODES, (project_id, list(map(digest, users))))
    return [code for (code,) in rows]


def _json(values: Collection[int] | Collection[str]) -> str:
    return msgspec.json.encode(values).decode()
