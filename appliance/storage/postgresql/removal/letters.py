"""Dead letters of a person: events of theirs that could not be stored."""

from collections.abc import Iterable
from functools import partial
from typing import Final

import msgspec

from appliance.model import Event
from appliance.storage.postgresql.removal.person import Person
from appliance.storage.postgresql.removal.steps import Connection, Transact, fetch

LETTERS_LOOKED_AT: Final = 1_000  # in one step

# What is in a record that is theirs; whether it stands there for that is seen when the record is read.
_SELECT: Final = """
    SELECT d.id, d.event FROM dead_letter d
    WHERE d.project_id = %s AND d.id > %s
      AND EXISTS (SELECT 1 FROM unnest(CAST(%s AS BYTEA[])) u (part) WHERE position(u.part IN d.event) > 0)
    ORDER BY d.id LIMIT %s
    """
_decode = msgspec.msgpack.Decoder(Event).decode
_encode = msgspec.msgpack.encode


async def take_letters(transact: Transact, erasure_id: int) -> None:
    """Delete those there are of the person whom an erasure is about."""

    async def look(connection: Connection, after: int) -> int | None:
        return await take_some(connection, await Person.read(connection, erasure_id), after)

    last: int | None = 0
    while last is not None:
        last = await transact(partial(look, after=last))


async def take_some(connection: Connection, person: Person, after: int = 0) -> int | None:
    """Delete some of a person's with ids above that one; gives the last id that was looked at, None after the last."""
    parts: Iterable[str | int] = (*person.users, *person.visitors)
    values = (person.project_id, after, [_encode(part) for part in parts], LETTERS_LOOKED_AT)
    letters = await fetch(connection, _SELECT, values)
    theirs = [number for number, event in letters if person.sent(_decode(event))]
    await connection.execute("DELETE FROM dead_letter WHERE id = ANY(CAST(%s AS BIGINT[]))", (theirs,))
    return letters[-1][0] if letters else None
