"""Which rollups there are, and whether they still say what their chunks say.

Nothing marks a rollup as out of date. It knows the chunks that it was made of, whose ids are never used again: whatever
changes a sealed visit (a late event, an erased visitor, another time zone) replaces its chunk.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from appliance.storage.evaluation import BEGINNING
from appliance.storage.sqlite.chunks.index import Chunk


class Unit(NamedTuple):
    """The rollups of some local days together. Times are UTC microseconds."""

    id: int
    project_id: int
    first_day: int  # days since 1970 in the calendar of the time zone
    days: int
    start: int
    end: int
    timezone: str
    chunks: int  # of the visits inside: how many there are, and the newest
    newest_chunk: int
    wanderers: int  # that were known of its days
    usable: bool
    # Of all events of its one day, whatever visits they are in, for when raw data are purged; but for what was purged
    # before by the days of another time zone.
    final: bool = False

    @property
    def last_day(self) -> int:
        return self.first_day + self.days - 1

    def sources(self, there: Iterable[Chunk]) -> list[Chunk]:
        """Of a project's chunks those that it speaks of: all visits lie inside, or, if it is final, any touches it."""
        if self.final:
            return [chunk for chunk in there if chunk.start < self.end and chunk.end >= self.start]
        return [chunk for chunk in there if chunk.start >= self.start and chunk.end < self.end]

    def others(self, there: Sequence[Chunk]) -> list[Chunk]:
        """Chunks that it does not speak of and that may yet hold visits which lie inside it."""
        own = {chunk.id for chunk in self.sources(there)}
        return [
            chunk
            for chunk in there
            if chunk.id not in own and chunk.last_start >= self.start and chunk.start < self.end
        ]

    def is_made_of(self, sources: Sequence[Chunk]) -> bool:
        return (self.chunks, self.newest_chunk) == fingerprint(sources)


_COLUMNS: Final = ", ".join(f'r."{name}"' for name in Unit._fields)
_INSERTED: Final = ", ".join(f'"{name}"' for name in Unit._fields[1:])
_INSERT: Final = f"INSERT INTO rollup ({_INSERTED}) VALUES ({', '.join('?' * (len(Unit._fields) - 1))})"


def units(connection: sqlite3.Connection, project_id: int) -> list[Unit]:
    """A project's, by their start, the longer ones first."""
    select = f"SELECT {_COLUMNS} FROM rollup r WHERE r.project_id = ? ORDER BY r.start, r.days DESC"
    return [Unit(*row) for row in connection.execute(select, (project_id,))]


def fingerprint(sources: Sequence[Chunk]) -> tuple[int, int]:
    """What tells whether chunks were added or removed: ids are never used again."""
    return len(sources), max((chunk.id for chunk in sources), default=0)


def has_rows(connection: sqlite3.Connection, unit: Unit) -> bool:
    """Whether there are hot visits that touch it, or of visitors whom it may keep by number."""
    select = (
        'SELECT 1 FROM visit v WHERE v.project_id = ? AND (v.start < ? AND v."end" >= ? OR v.salt_day BETWEEN ? AND ?)'
        " LIMIT 1"
    )
    values = (unit.project_id, unit.end, unit.start, unit.first_day, unit.last_day)
    return connection.execute(select, values).fetchone() is not None


def final_units(connection: sqlite3.Connection, project_id: int, timezone: str) -> dict[int, Unit]:
    """The final units of days of a time zone, by their start."""
    return {u.start: u for u in units(connection, project_id) if u.final and u.timezone == timezone}


def is_final(connection: sqlite3.Connection, unit: Unit, there: Iterable[Chunk]) -> bool:
    """Whether a unit says all of its day that stored visits say, so that they may go. `there`: the project's chunks."""
    sources = unit.sources(there)
    if not unit.final or not unit.is_made_of(sources) or has_rows(connection, unit):
        return False
    return not sources or count_wanderers(connection, unit) == unit.wanderers


def wanderers(connection: sqlite3.Connection, project_id: int, first_day: int, days: int) -> list[int]:
    """Rotating visitors whose salt is of those days, with a sealed visit outside its day."""
    select = "SELECT w.visitor FROM wanderer w WHERE w.project_id = ? AND w.salt_day BETWEEN ? AND ?"
    return [visitor for (visitor,) in connection.execute(select, (project_id, first_day, first_day + days - 1))]


def count_wanderers(connection: sqlite3.Connection, unit: Unit) -> int:
    """How many are known now."""
    select = "SELECT count(*) FROM wanderer w WHERE w.project_id = ? AND w.salt_day BETWEEN ? AND ?"
    return int(connection.execute(select, (unit.project_id, unit.first_day, unit.last_day)).fetchone()[0])


def has_columns(connection: sqlite3.Connection, unit: Unit, names: Iterable[str]) -> bool:
    """Whether a unit has all of these, which one that was made before an entry came into the catalogue has not."""
    select = "SELECT c.name FROM rollup_column c WHERE c.rollup_id = ?"
    return {name for (name,) in connection.execute(select, (unit.id,))}.issuperset(names)


def blobs(connection: sqlite3.Connection, ids: Sequence[int], name: str) -> list[bytes]:
    """The columns of that name, packed, of units that have it."""
    select = "SELECT c.data FROM rollup_column c WHERE c.rollup_id = ? AND c.name = ?"
    return [connection.execute(select, (unit_id, name)).fetchone()[0] for unit_id in ids]


def replace_unit(connection: sqlite3.Connection, unit: Unit, columns: dict[str, bytes]) -> None:
    """Store a unit in place of those of as many days that share a time with it, inside the transaction that is open."""
    for other in units(connection, unit.project_id):
        if other.days == unit.days and other.start < unit.end and other.end > unit.start:
            delete_unit(connection, other)
    insert_unit(connection, unit, columns)


def insert_unit(connection: sqlite3.Connection, unit: Unit, columns: dict[str, bytes]) -> None:
    """Store a unit under an id that was never given, inside the transaction that is open."""
    unit_id = connection.execute(_INSERT, unit[1:]).lastrowid
    insert = "INSERT INTO rollup_column (rollup_id, name, data) VALUES (?, ?, ?)"
    connection.executemany(insert, ((unit_id, name, data) for name, data in columns.items()))


def delete_unit(connection: sqlite3.Connection, unit: Unit) -> None:
    """Remove a stored unit, if it is still there."""
    connection.execute("DELETE FROM rollup_column WHERE rollup_id = ?", (unit.id,))
    connection.execute("DELETE FROM rollup WHERE id = ?", (unit.id,))


def delete_all(connection: sqlite3.Connection) -> None:
    """Remove the units of all projects that can be made anew: not those of days whose raw data are gone."""
    gone = (
        "SELECT r.id FROM rollup r JOIN project p ON p.id = r.project_id"
        ' WHERE r.final = 1 AND r."end" <= p.raw_purged_before'
    )
    connection.execute(f"DELETE FROM rollup_column WHERE rollup_id NOT IN ({gone})")
    connection.execute(f"DELETE FROM rollup WHERE id NOT IN ({gone})")


def raw_purged_before(connection: sqlite3.Connection, project_id: int) -> int:
    """Up to when raw data are gone, in UTC microseconds; the smallest number when nothing is."""
    row = connection.execute("SELECT p.raw_purged_before FROM project p WHERE p.id = ?", (project_id,)).fetchone()
    return BEGINNING if row is None or row[0] is None else int(row[0])
