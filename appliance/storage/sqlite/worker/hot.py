"""The hot rows of one project as arrays that are kept between questions. For the query worker only.

A question's snapshot is one read transaction of SQLite. In it new rows are appended (ids grow), rows that changed in
place are patched (table `change`), and columns asked for the first time are read. What those three cannot explain
(rows deleted: meta `hot_generation`; `change` pruned too far; ids gone backwards: another file) is read anew.

Rows are read column by column as one text of numbers per block: three times as fast as rows of Python objects.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.storage.dimensions import CARRIED, OF_FIRST_EVENT, is_property
from appliance.storage.evaluation import BEGINNING, END
from appliance.storage.sqlite.chunks.columns import ABSENT
from appliance.storage.sqlite.worker.properties import Properties

Ints = NDArray[Any]

BLOCK_ROWS = 65_536
_EVER: Final = (BEGINNING, END)
_VISITOR: Final = "visitor"

_CODES = np.dtype(np.int32)
_TIMES = np.dtype(np.int64)

VISIT_COLUMNS: Final[Mapping[str, np.dtype[Any]]] = {
    **dict.fromkeys(("id", "visitor", "start", "end"), _TIMES),
    **dict.fromkeys(("pageviews", "events", "interactive", "salt_day", "rate"), np.dtype(np.int32)),
    **dict.fromkeys(("entry_path", "entry_hostname", "exit_path", "exit_hostname", "user"), _CODES),
    **dict.fromkeys(sorted(OF_FIRST_EVENT), _CODES),
}
EVENT_COLUMNS: Final[Mapping[str, np.dtype[Any]]] = {
    **dict.fromkeys(("id", "visit_id", "time", _VISITOR), _TIMES),
    **dict.fromkeys(sorted(OF_FIRST_EVENT), _CODES),
    "kind": np.dtype(np.int8),
    **dict.fromkeys(("flags", "rate"), np.dtype(np.int32)),
    **dict.fromkeys(("name", "source", "hostname", "path", "title", "user", "currency"), _CODES),
    "scroll_depth": np.dtype(np.int16),
    "engaged_ms": np.dtype(np.int64),
    "revenue": np.dtype(np.int64),  # minor units
}


class Growing:
    """An array with room at its end: capacity doubles, so appending costs the new values only."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._buffer: Ints = np.empty(0, dtype)
        self._length = 0

    def append(self, values: Ints) -> None:
        end = self._length + len(values)
        if end > len(self._buffer):
            # The first load gets what it needs; only what grows pays for room to grow.
            buffer = np.empty(max(end, 2 * self._length), self._buffer.dtype)
            buffer[: self._length] = self.view()
            self._buffer = buffer
        self._buffer[self._length : end] = values
        self._length = end

    def view(self) -> Ints:
        return self._buffer[: self._length]

    @property
    def nbytes(self) -> int:
        return self._buffer.nbytes


class Marks(NamedTuple):
    """Where the database stands in a snapshot, for one project.

    Rows that were sealed or unsealed are told by the number of chunks and the newest one, whose id is never used again.
    """

    generation: int
    change: int  # newest
    oldest_change: int | None
    visit: int  # largest id that was given, also to rows that are sealed
    event: int
    chunks: int
    newest_chunk: int

    @classmethod
    def read(cls, connection: sqlite3.Connection, project_id: int) -> "Marks":
        select = (
            "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'hot_generation'), 0),"
            " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0), (SELECT min(seq) FROM change),"
            " max(coalesce((SELECT max(id) FROM visit), 0),"
            " coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'newest_visit'), 0)),"
            " max(coalesce((SELECT max(id) FROM event), 0),"
            " coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'newest_event'), 0)),"
            " count(*), coalesce(max(c.id), 0) FROM chunk c WHERE c.project_id = ?"
        )
        return cls(*connection.execute(select, (project_id,)).fetchone())

    def same_codes(self, seen: "Marks") -> bool:
        """Whether codes that were read at `seen` still mean the same."""
        return self.generation == seen.generation and self.visit >= seen.visit and self.event >= seen.event

    def follow(self, seen: "Marks") -> bool:
        """Whether the rows that were read at `seen` can be brought here by patching and appending."""
        moved = (self.chunks, self.newest_chunk) != (seen.chunks, seen.newest_chunk)
        if moved or not self.same_codes(seen):
            return False
        if self.change <= seen.change:
            return self.change == seen.change
        return self.oldest_change is not None and self.oldest_change <= seen.change + 1


class Table:
    """The loaded columns of one table, in the order of ids. `id` is always among them once anything is."""

    def __init__(self, name: str, known: Mapping[str, np.dtype[Any]], project_id: int, properties: Properties) -> None:
        self._name = name
        self._known = known
        self._project_id = project_id
        self._properties = properties
        self.columns: dict[str, Growing] = {}
        self.last_id = 0  # rows up to here have been looked at

    def __len__(self) -> int:
        return len(self["id"]) if self.columns else 0

    def __getitem__(self, column: str) -> Ints:
        return self.columns[column].view()

    def arrays(self) -> dict[str, Ints]:
        return {name: column.view() for name, column in self.columns.items()}

    def load(self, connection: sqlite3.Connection, wanted: Iterable[str], last_id: int) -> bool:
        """Append the rows up to `last_id`, and read columns that are wanted and not there. True: something came.

        Raises KeyError for a column that the table has not.
        """
        missing = {name: self._dtype(name) for name in ("id", *wanted) if name not in self.columns}
        grown = False
        if self.columns and last_id > self.last_id:
            grown = self._read(connection, self.columns, self.last_id, last_id) > 0
        if missing:
            fresh = {name: Growing(dtype) for name, dtype in missing.items()}
            rows = self._read(connection, fresh, 0, last_id)
            if self.columns and rows != len(self):
                raise OutOfStep(f"{self._name}: {rows} rows where {len(self)} were")
            self.columns |= fresh
        self.last_id = last_id
        return grown or bool(missing)

    def _read(self, connection: sqlite3.Connection, columns: Mapping[str, Growing], after: int, last_id: int) -> int:
        stored = [name for name in columns if self._is_stored(name)]
        if not stored:
            return len(self)
        for name in filter(is_property, stored):
            connection.create_function(name, 1, self._properties.coder(name), deterministic=True)
        texts = ", ".join(f'group_concat(b."{name}")' for name in stored)
        inner = ", ".join(f'{_expression(name)} AS "{name}"' for name in {"id", *stored})
        # NOT INDEXED: in the order of ids, and so that no index makes it a search per row.
        select = (
            f'SELECT count(*), max(b.id), {texts} FROM (SELECT {inner} FROM "{self._name}" r NOT INDEXED'
            " WHERE r.id > ? AND r.id <= ? AND r.project_id = ? ORDER BY r.id LIMIT ?) b"
        )
        total = 0
        while True:
            row = connection.execute(select, (after, last_id, self._project_id, BLOCK_ROWS)).fetchone()
            count = row[0]
            if count:
                for name, text in zip(stored, row[2:], strict=True):
                    columns[name].append(_numbers(text, count))
                total += count
                after = row[1]
            if count < BLOCK_ROWS:
                return total

    def patch(self, connection: sqlite3.Connection, changed: str, since: int) -> Ints:
        """Read again the rows named in column `changed` of `change` since that number; gives their places here.

        Raises OutOfStep when one of them is new among rows that were already read.
        """
        # Properties never change.
        stored = [name for name in self.columns if name != "id" and self._is_stored(name) and not is_property(name)]
        stored.insert(0, "id")
        names = ", ".join(_expression(name) for name in stored)
        select = (
            f'SELECT {names} FROM "{self._name}" r WHERE r.project_id = ? AND r.id <= ?'
            f' AND r.id IN (SELECT j.value FROM change c, json_each(c."{changed}") j WHERE c.seq > ?) ORDER BY r.id'
        )
        rows = connection.execute(select, (self._project_id, self.last_id, since)).fetchall()
        if not rows:
            return np.empty(0, np.int64)
        values = np.array(rows, dtype=np.int64)
        places = places_of(self["id"], values[:, 0])
        for index, name in enumerate(stored):
            self.columns[name].view()[places] = values[:, index]
        return places

    def _dtype(self, column: str) -> np.dtype[Any]:
        return _CODES if self._name == "event" and is_property(column) else self._known[column]

    def _is_stored(self, column: str) -> bool:
        return not (self._name == "event" and column in CARRIED)


class OutOfStep(Exception):
    """The arrays do not fit the database any more; they must be read anew."""


class HotRows:
    """Visits and events of one project, as of the last `refresh`."""

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self.properties = Properties()
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next refresh reads anew."""
        self.visits = Table("visit", VISIT_COLUMNS, self._project_id, self.properties)
        self.events = Table("event", EVENT_COLUMNS, self._project_id, self.properties)
        self._marks: Marks | None = None
        self.changed: tuple[int, int] | None = _EVER

    @property
    def nbytes(self) -> int:
        tables = (self.visits, self.events)
        arrays = sum(column.nbytes for table in tables for column in table.columns.values())
        return arrays + self.properties.nbytes

    def refresh(self, connection: sqlite3.Connection, marks: Marks, visit: Iterable[str], event: Iterable[str]) -> bool:
        """Follow the snapshot that is open on the connection, with at least these columns; `marks` are its marks.

        True when arrays were added, grown or replaced, False when at most values inside them changed. `changed` is then
        the span that all visits touch that came or changed since the refresh before, None when there are none.
        Raises OutOfStep when the database contradicts itself, KeyError for an unknown column.
        """
        visit, event = {*visit, "start", "end"}, {*event, "time"}
        if carried := event & CARRIED:
            event.add("visit_id")
            visit |= carried
        try:
            return self._follow(connection, marks, visit, event)
        except OutOfStep:
            # Once: a database that contradicts itself inside one snapshot is not ours to mend.
            self.reset()
            self._follow(connection, marks, visit, event)
            return True
        except BaseException:
            self.reset()  # some columns may be longer than others
            raise

    def _follow(self, connection: sqlite3.Connection, marks: Marks, visit: set[str], event: set[str]) -> bool:
        known = len(self.visits) if self._marks is not None else None
        moved, times = self._patch(connection, marks)
        grown = self.visits.load(connection, visit, marks.visit)
        grown = self.events.load(connection, event, marks.event) or grown
        starts, ends = (self.visits[name][known or 0 :] for name in ("start", "end"))
        self.changed = _EVER if known is None else _span([starts, ends, times])
        self._carry()
        if _VISITOR in self.events.columns:
            self._move_visitors(moved)
        self._marks = marks
        return grown

    def _patch(self, connection: sqlite3.Connection, marks: Marks) -> tuple[Ints, Ints]:
        """Take over what changed in place; gives the ids of visits whose visitor is another now, and the times of
        events, and of starts and ends of visits, that changed."""
        seen = self._marks
        nothing = np.empty(0, np.int64)
        if seen is None or marks.change == seen.change:
            return nothing, nothing
        times = nothing
        if len(self.events):
            times = self.events["time"][self.events.patch(connection, "events", seen.change)]
        if not len(self.visits):
            return nothing, times
        before = self.visits["visitor"].copy() if "visitor" in self.visits.columns else None
        places = self.visits.patch(connection, "visits", seen.change)
        times = np.concatenate([times, self.visits["start"][places], self.visits["end"][places]])
        if before is None or not len(places):
            return nothing, times
        moved = places[before[places] != self.visits["visitor"][places]]
        ids: Ints = self.visits["id"][moved]
        return ids, times

    def _carry(self) -> None:
        """Fill what events carry of their visits where it is missing: in new rows, or all along."""
        events = self.events
        missing = {name: len(events[name]) for name in events.columns if name in CARRIED}
        if not missing or min(missing.values()) == len(events):
            return
        first = min(missing.values())
        places = places_of(self.visits["id"], events["visit_id"][first:])
        for name, start in missing.items():
            events.columns[name].append(self.visits[name][places[start - first :]])

    def _move_visitors(self, visit_ids: Ints) -> None:
        if len(visit_ids):
            theirs = np.flatnonzero(np.isin(self.events["visit_id"], visit_ids))
            places = places_of(self.visits["id"], self.events["visit_id"][theirs])
            self.events[_VISITOR][theirs] = self.visits["visitor"][places]


def _span(times: Iterable[Ints]) -> tuple[int, int] | None:
    found = np.concatenate(list(times))
    return (int(found.min()), int(found.max())) if len(found) else None


def places_of(ids: Ints, wanted: Ints) -> Ints:
    """Places of the wanted ids in ascending `ids`. Raises OutOfStep when one is not there."""
    places: Ints = np.searchsorted(ids, wanted)
    if len(places) and (places.max() >= len(ids) or not np.array_equal(ids[places], wanted)):
        raise OutOfStep("a row names another that is not there")
    return places


def _expression(column: str) -> str:
    """What gives the number of a stored column of row r."""
    if is_property(column):
        return f'CASE WHEN r."properties" IS NULL THEN 0 ELSE {column}(r."properties") END'
    return f'ifnull(r."{column}", {ABSENT[column]})' if column in ABSENT else f'r."{column}"'


def _numbers(text: str, count: int) -> Ints:
    values: Ints = np.fromstring(text, dtype=np.int64, sep=",")
    if len(values) != count:
        raise OutOfStep(f"{len(values)} numbers where {count} rows are")
    return values
