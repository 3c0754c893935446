"""Chunks: sealed visits with all their events as columns. For processes that have numpy.

Visits stand in the order of their ids, events by visit and then in the order of their ids. What another column nearly
tells is stored as the difference from it, which is mostly 0: the end of a visit from the time of its last event, its
pages from those of its events, a title from the usual title of the page. Which visit an event belongs to is a number of
rows per visit.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from appliance.errors import ChunkDamaged
from appliance.model import ACQUISITION_FIELDS, UNSAMPLED, Visit
from appliance.storage.calendar import days_in_words, local_day
from appliance.storage.interface import StoredEvent
from appliance.storage.packing import (
    Ints,
    Text,
    pack_event_ids,
    pack_numbers,
    pack_texts,
    unpack_event_ids,
    unpack_numbers,
    unpack_texts,
)
from appliance.storage.sqlite.chunks.index import Chunk, add_chunk
from appliance.storage.units.facts import NO_SALT

VISIT_COLUMNS: Final = ("id", *Visit.__struct_fields__[2:-1], *ACQUISITION_FIELDS)
EVENT_COLUMNS: Final = ("id", *StoredEvent.__struct_fields__[2:])
_TEXTS: Final = frozenset(("session_id", "properties", "event_id"))
_NULLABLE: Final = frozenset(("salt_day", "entry_at", "exit_at", "revenue"))
# Where such a column has to be of numbers alone: no revenue (then the currency is 0 too), no salt of a day.
ABSENT: Final = {"revenue": 0, "salt_day": NO_SALT}
_RELATIVE: Final = {"entry_at": "start", "exit_at": "end", "received": "time"}
# Visits' columns near those of events: which event of the visit tells.
_FROM_EVENTS: Final = {
    "end": ("time", "largest"),
    "entry_path": ("path", "first"),
    "entry_hostname": ("hostname", "first"),
    "exit_path": ("path", "last"),
    "exit_hostname": ("hostname", "last"),
}
# Codes that mostly follow from another code.
_IMPLIED: Final = {
    "title": "path",
    "country": "region",
    "region": "city",
    "browser": "browser_version",
    "os": "os_version",
    "referrer_source": "referrer",
    "channel": "referrer",
}

_ROWS: Final = "stored_events"  # of a visit

MILLISECOND: Final = 1000

Columns = Mapping[str, Sequence[Any]]
Values = TypeVar("Values", Ints, list[Text], list[str | bytes])


def columns_of(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Columns:
    """Rows, at least one, as columns of these names."""
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def write_chunk(
    connection: sqlite3.Connection, project_id: int, day: int, visits: Columns, events: Columns, *, timezone: str = ""
) -> Chunk:
    """Store visits and all their events, both in the order of a chunk, inside the transaction that is open.

    The columns are VISIT_COLUMNS and EVENT_COLUMNS; every visit has events, every event has its visit there. `day` is
    one of the calendar of `timezone`.
    """
    visit = {name: _array(name, values) for name, values in visits.items() if name not in _TEXTS}
    event = {name: _array(name, values) for name, values in events.items() if name not in _TEXTS}
    times = [int(time) for time in (visit["start"].min(), visit["start"].max(), visit["end"].max())]
    ids = [int(end) for ids in (visit["id"], event["id"]) for end in (ids.min(), ids.max())]
    sampled = any(bool((table["rate"] != UNSAMPLED).any()) for table in (visit, event))
    made = Chunk._make([0, project_id, day, len(visit["id"]), len(event["id"]), *times, *ids, timezone, sampled])
    made = add_chunk(connection, made)
    blobs = _blobs(visit, event)
    blobs["visit.session_id"] = pack_texts(visits["session_id"])
    blobs["event.properties"] = pack_texts(events["properties"])
    blobs["event.event_id"] = pack_event_ids(events["event_id"], event["time"] // MILLISECOND)
    insert = "INSERT INTO chunk_column (chunk_id, name, data) VALUES (?, ?, ?)"
    connection.executemany(insert, ((made.id, name, blob) for name, blob in blobs.items()))
    return made


def _blobs(visit: Mapping[str, Ints], event: Mapping[str, Ints]) -> dict[str, bytes]:
    """The columns of numbers, packed, by table and name."""
    places = np.searchsorted(visit["id"], event["visit_id"])
    rows = np.bincount(places, minlength=len(visit["id"]))
    blobs = {f"visit.{_ROWS}": pack_numbers(rows)}
    for table, columns in (("visit", visit), ("event", event)):
        for name, values in columns.items():
            key = f"{table}.{name}"
            if name in _IMPLIED:
                codes = columns[_IMPLIED[name]]
                usual = _usual(values, codes)
                blobs[f"{key}.usual"] = pack_numbers(usual[np.unique(codes)])
                values = values - usual[codes]  # noqa: PLW2901
            elif name in _RELATIVE:
                values = values - columns[_RELATIVE[name]]  # noqa: PLW2901
            elif key == "event.time":
                values = values - visit["start"][places]  # noqa: PLW2901
            elif table == "visit" and name in _FROM_EVENTS:
                of, which = _FROM_EVENTS[name]
                values = values - _per_visit(event[of], rows, which)  # noqa: PLW2901
            if key != "event.visit_id":
                blobs[key] = pack_numbers(values)
    return blobs


class ChunkReader:
    """Columns of one chunk, decoded when they are asked for. Each method raises ChunkDamaged, which names both."""

    def __init__(self, connection: sqlite3.Connection, chunk: Chunk) -> None:
        self._connection = connection
        self.chunk = chunk
        self._known: dict[str, Ints] = {}

    def visit(self, name: str) -> Ints:
        """A column of visits; NULLs are masked."""
        return self._numbers("visit", name)

    def event(self, name: str) -> Ints:
        """A column of events, `visitor` (the visit's) among them; NULLs are masked."""
        if name == "visitor":
            return self.of_visits(self.visit("visitor"))
        if name == "visit_id":
            return self.of_visits(self.visit("id"))
        return self._numbers("event", name)

    def texts(self, table: str, name: str) -> list[Text] | list[str | bytes]:
        """A column of texts: `session_id`, `properties`, or the stored form of `event_id`."""
        if name == "event_id":
            near = self.event("time") // MILLISECOND
            return self._whole(self._unpacked("event.event_id", lambda blob: unpack_event_ids(blob, near)), table, name)
        return self._whole(self._unpacked(f"{table}.{name}", unpack_texts), table, name)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """All rows as they were stored, in the order of VISIT_COLUMNS or EVENT_COLUMNS."""
        names, read = (VISIT_COLUMNS, self.visit) if table == "visit" else (EVENT_COLUMNS, self.event)
        columns = [self.texts(table, name) if name in _TEXTS else read(name).tolist() for name in names]
        return list(zip(*columns, strict=True))

    def visit_rows(self, places: Sequence[int]) -> list[tuple[Any, ...]]:
        """Those visits' rows, in the order of VISIT_COLUMNS."""
        texts = self.texts("visit", "session_id")
        return [
            tuple([texts[place] if name in _TEXTS else self.visit(name)[[place]].tolist()[0] for name in VISIT_COLUMNS])
            for place in places
        ]

    def of_visits(self, values: NDArray[Any]) -> NDArray[Any]:
        """A column of visits as one of events: each value for every event of its visit."""
        repeated: NDArray[Any] = np.repeat(values, self._numbers("visit", _ROWS))
        return repeated

    def _numbers(self, table: str, name: str) -> Ints:
        key = f"{table}.{name}"
        if key not in self._known:
            stored = self._whole(self._unpacked(key, unpack_numbers), table, name)
            self._known[key] = self._restored(table, name, stored)
        return self._known[key]

    def _restored(self, table: str, name: str, values: Ints) -> Ints:
        """The column whose differences from another these are."""
        if name in _IMPLIED:
            codes = self._numbers(table, _IMPLIED[name])
            usual = np.zeros(int(codes.max()) + 1, np.int64)
            usual[np.bincount(codes) > 0] = self._unpacked(f"{table}.{name}.usual", unpack_numbers)
            values = values + usual[codes]
        if name in _RELATIVE:
            return values + self._numbers(table, _RELATIVE[name])
        if table == "event" and name == "time":
            starts: Ints = self.of_visits(self.visit("start"))
            return values + starts
        if table == "visit" and name in _FROM_EVENTS:
            of, which = _FROM_EVENTS[name]
            return values + _per_visit(self.event(of), self._numbers("visit", _ROWS), which)
        return values

    def _whole(self, values: Values, table: str, name: str) -> Values:
        if len(values) != (self.chunk.visits if table == "visit" else self.chunk.events):
            raise self._damaged(f"{table}.{name}", f"it has {len(values)} values")
        return values

    def _unpacked(self, key: str, unpack: Callable[[bytes], Values]) -> Values:
        try:
            return unpack(self._blob(key))
        except ChunkDamaged as error:
            raise self._damaged(key, str(error)) from None

    def _damaged(self, key: str, why: str) -> ChunkDamaged:
        """Visits that start on these days, and what they did later, cannot be read."""
        zone = ZoneInfo(self.chunk.timezone or "UTC")
        days = days_in_words(local_day(self.chunk.start, zone), local_day(self.chunk.end, zone))
        return ChunkDamaged(
            f"stored data of {days} are damaged: column {key} of chunk {self.chunk.id} ({why});"
            " periods without these days are answered"
        )

    def _blob(self, key: str) -> bytes:
        select = "SELECT data FROM chunk_column WHERE chunk_id = ? AND name = ?"
        row = self._connection.execute(select, (self.chunk.id, key)).fetchone()
        if row is None:
            raise ChunkDamaged("it is not there")
        blob: bytes = row[0]
        return blob


def _array(name: str, values: Sequence[Any]) -> Ints:
    if name in _NULLABLE:
        absent = [value is None for value in values]
        return np.ma.MaskedArray(np.array([value or 0 for value in values], np.int64), absent)
    return np.array(values, np.int64)


def _usual(values: Ints, codes: Ints) -> Ints:
    """By code the value that stands with it first; 0 for codes that are not there."""
    usual = np.zeros(int(codes.max()) + 1, np.int64)
    usual[codes[::-1]] = values[::-1]  # of several the last one assigned stays
    return usual


def _per_visit(values: Ints, rows: Ints, which: str) -> Ints:
    """One value per visit of a column of events, of which each visit has that many rows."""
    ends = np.cumsum(rows)
    if which == "largest":
        return np.asarray(np.maximum.reduceat(values, ends - rows), np.int64)
    return values[ends - 1] if which == "last" else values[ends - rows]
