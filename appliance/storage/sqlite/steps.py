"""What jobs share that take whole visits from one place to another in steps: each a transaction of bounded size."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypeVar

import msgspec

T = TypeVar("T")

AMONG: Final = "(SELECT j.value FROM json_each(?) j)"  # to stand after IN; bind `listed`


class Transact(Protocol):
    """Runs work in one write transaction, of which nothing stays when it raises."""

    def __call__(self, work: Callable[[sqlite3.Connection], T], /) -> T: ...


def fitting(counts: Iterable[int], most: int) -> int:
    """How many of the first visits, by their numbers of events, have no more than `most` together; at least one."""
    total = place = 0
    for place, count in enumerate(counts, 1):
        total += count
        if total > most and place > 1:
            return place - 1
    return place


def listed(ids: Iterable[int]) -> str:
    """Ids as the value that AMONG binds."""
    return msgspec.json.encode(list(ids)).decode()


def note_newest(connection: sqlite3.Connection) -> None:
    """Note the largest ids of rows, so that none is given twice when the newest rows are gone."""
    for table in ("visit", "event"):
        connection.execute(
            f"INSERT INTO meta (name, value) SELECT 'newest_{table}', max(t.id) FROM {table} t HAVING max(t.id) > 0"
            " ON CONFLICT (name) DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))"
        )
