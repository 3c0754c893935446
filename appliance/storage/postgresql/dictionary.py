"""Codes of texts: found, minted, and remembered by a drain.

Codes are minted in a transaction of their own, which holds a lock on the dictionary until it ends: so they become
visible in ascending order, whoever mints them, and who has seen all up to one need only look above it. A code without
an event, because the batch that wanted it failed, does no harm.
"""

from collections.abc import Collection, Iterable
from hashlib import blake2b
from typing import Any, Final

import psycopg

from appliance.storage.dimensions import is_missing

# Codes kept in memory. A text costs some 150 bytes; paths and referrers are what there is much of.
CODES_CACHED_MAX: Final = 60_000

Connection = psycopg.Connection[tuple[Any, ...]]
Dictionary = tuple[int, int]  # project, dimension

_FIND: Final = (
    "SELECT d.text, d.code FROM dictionary d"
    " WHERE d.project_id = %b AND d.dimension = %b AND d.digest = ANY(CAST(%b AS BYTEA[]))"
)
_LOCK: Final = "SELECT pg_advisory_xact_lock(CAST(%b AS INTEGER), CAST(%b AS INTEGER))"
_MINT: Final = """
    INSERT INTO dictionary (project_id, dimension, code, text, digest)
    SELECT %(project)b, %(dimension)b, row_number() OVER () +
           (SELECT coalesce(max(d.code), 0) FROM dictionary d
            WHERE d.project_id = %(project)b AND d.dimension = %(dimension)b), u.text, u.digest
    FROM unnest(CAST(%(texts)b AS TEXT[]), CAST(%(digests)b AS BYTEA[])) u (text, digest)
    RETURNING text, code
    """


def digest(text: str) -> bytes:
    """What stands for a text in an index: 16 bytes of BLAKE2b of its UTF-8."""
    return blake2b(text.encode(), digest_size=16).digest()


class Codes:
    """The codes that one drain knows. `connection` mints: it is in no transaction."""

    connection: Connection

    def __init__(self) -> None:
        self._codes: dict[Dictionary, dict[str, int]] = {}
        self._cached = 0

    def forget(self) -> None:
        """Drop what is remembered."""
        self._codes.clear()
        self._cached = 0

    def make_room(self) -> None:
        """Call between batches."""
        if self._cached > CODES_CACHED_MAX:
            self.forget()

    def code(self, project_id: int, dimension: int, text: str) -> int:
        """The code of a text, minted where it is new; 0 for what is missing."""
        where = (project_id, dimension)
        known = self._codes.get(where)
        code = known.get(text) if known is not None else None
        if code is None:
            code = 0 if is_missing(dimension, text) else self._look_up(where, {text})[text]
            self._codes.setdefault(where, {})[text] = code
        return code

    def prepare(self, texts: Iterable[tuple[int, int, str]]) -> None:
        """Find or mint the codes of all these (project, dimension, text) at once."""
        wanted: dict[Dictionary, set[str]] = {}
        for project_id, dimension, text in texts:
            if text not in self._codes.get((project_id, dimension), ()) and not is_missing(dimension, text):
                wanted.setdefault((project_id, dimension), set()).add(text)
        for where, missing in wanted.items():
            self._look_up(where, missing)

    def _look_up(self, where: Dictionary, texts: Collection[str]) -> dict[str, int]:
        connection = self.connection
        by_digest = {digest(text): text for text in texts}
        found: dict[str, int] = dict(connection.execute(_FIND, (*where, list(by_digest))).fetchall())
        if len(found) < len(texts):
            with connection.transaction():
                connection.execute(_LOCK, (where[0] & 0x7FFFFFFF, where[1]))
                # Somebody else may have minted some of them meanwhile.
                found = dict(connection.execute(_FIND, (*where, list(by_digest))).fetchall())
                new = {key: text for key, text in by_digest.items() if text not in found}
                values = {"project": where[0], "dimension": where[1], "texts": list(new.values()), "digests": list(new)}
                found |= dict(connection.execute(_MINT, values).fetchall())
        self._codes.setdefault(where, {}).update(found)
        self._cached += len(found)
        return found
