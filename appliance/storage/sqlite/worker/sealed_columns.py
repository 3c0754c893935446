"""The columns of a project's chunks as arrays that are kept between questions. For the query worker only.

A column is one array over neighbouring chunks in the order of their start, so that a range of time is a slice of it and
DuckDB reads one table, not one per chunk (measured: 365 tables cost 7 times the query). What a wider range lacks is
decoded and joined to it.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from appliance.storage.dimensions import CARRIED, is_property
from appliance.storage.sqlite.chunks.columns import ABSENT, ChunkReader
from appliance.storage.sqlite.chunks.index import Chunk
from appliance.storage.sqlite.worker.hot import Ints
from appliance.storage.sqlite.worker.properties import Properties

Key = tuple[str, str]  # table, column


class _Column(NamedTuple):
    """Values of some chunks: those of `ids[n]` end before `ends[n]`."""

    ids: tuple[int, ...]
    ends: tuple[int, ...]
    values: Ints

    def of(self, first: int, count: int) -> Ints:
        """The values of `count` chunks from place `first` on."""
        return self.values[self.ends[first - 1] if first else 0 : self.ends[first + count - 1]]


class SealedColumns:
    """Sealed visits and events of one project."""

    def __init__(self, properties: Properties) -> None:
        self._properties = properties
        self._chunks: list[Chunk] = []
        self._columns: OrderedDict[Key, _Column] = OrderedDict()  # the least recently used first

    @property
    def nbytes(self) -> int:
        return sum(column.values.nbytes for column in self._columns.values())

    @property
    def first_start(self) -> int | None:
        """Start of the earliest visit, None when nothing is sealed."""
        return self._chunks[0].start if self._chunks else None

    def forget(self) -> None:
        """Drop all columns: codes may mean something else now."""
        self._columns.clear()

    def shrink(self, nbytes_max: int) -> bool:
        """Drop columns until there are no more bytes than that. True: some are gone."""
        dropped = False
        while self._columns and self.nbytes > nbytes_max:
            self._columns.popitem(last=False)
            dropped = True
        return dropped

    def follow(self, there: list[Chunk]) -> None:
        """Take over which chunks to look at, in the order of their start."""
        self._chunks = there

    def arrays(
        self,
        connection: sqlite3.Connection,
        span: tuple[int, int],
        wanted: Sequence[Key],
        check: Callable[[], None],
    ) -> dict[Key, Ints]:
        """The wanted columns of all visits that touch [start, end) and their events, and maybe of others.

        Nothing when there are none. `check` is called between chunks and may raise. Raises ChunkDamaged.
        """
        first, last = self._places(span)
        if first >= last:
            return {}
        self._load(connection, first, last, [key for key in wanted if self._found(key, first, last) is None], check)
        found = {}
        for key in wanted:
            values = self._found(key, first, last)
            assert values is not None
            found[key] = values
            self._columns.move_to_end(key)  # the most recently used
        return found

    def touching(self, span: tuple[int, int]) -> list[Chunk]:
        """The chunks with a visit that touches [start, end), and maybe others between them."""
        first, last = self._places(span)
        return self._chunks[first:last]

    def _places(self, span: tuple[int, int]) -> tuple[int, int]:
        """The chunks to look at: from the first place up to the last, which is not among them."""
        start, end = span
        touching = [place for place, c in enumerate(self._chunks) if c.start < end and c.end >= start]
        return (touching[0], touching[-1] + 1) if touching else (0, 0)

    def _found(self, key: Key, first: int, last: int) -> Ints | None:
        column = self._columns.get(key)
        ids = tuple([chunk.id for chunk in self._chunks[first:last]])
        if column is None or ids[0] not in column.ids:
            return None
        place = column.ids.index(ids[0])
        return column.of(place, len(ids)) if column.ids[place : place + len(ids)] == ids else None

    def _load(
        self, connection: sqlite3.Connection, first: int, last: int, keys: Iterable[Key], check: Callable[[], None]
    ) -> None:
        places = {key: self._widened(key, first, last) for key in keys}
        if not places:
            return
        parts = {key: self._kept(key) for key in places}
        for place in range(min(p.start for p in places.values()), max(p.stop for p in places.values())):
            chunk = self._chunks[place]
            missing = [key for key in places if place in places[key] and chunk.id not in parts[key]]
            if missing:
                check()
                reader = ChunkReader(connection, chunk)
                for key in missing:
                    parts[key][chunk.id] = self._decoded(reader, key)
        for key, there in places.items():
            ids = tuple([chunk.id for chunk in self._chunks[there.start : there.stop]])
            found = parts.pop(key)
            values = [found[chunk_id] for chunk_id in ids]
            ends = np.cumsum([len(part) for part in values]).tolist()
            self._columns[key] = _Column(ids, tuple(ends), np.concatenate(values))

    def _widened(self, key: Key, first: int, last: int) -> range:
        """The places asked for, and those that the column has already where they touch."""
        column = self._columns.get(key)
        known = set(column.ids) if column else set()
        places = [place for place, chunk in enumerate(self._chunks) if chunk.id in known]
        if places and places[0] <= last and places[-1] + 1 >= first:
            return range(min(first, places[0]), max(last, places[-1] + 1))
        return range(first, last)

    def _kept(self, key: Key) -> dict[int, Ints]:
        column = self._columns.get(key)
        return {} if column is None else {chunk_id: column.of(place, 1) for place, chunk_id in enumerate(column.ids)}

    def _decoded(self, reader: ChunkReader, key: Key) -> Ints:
        table, name = key
        if table == "event" and is_property(name):
            code = self._properties.coder(name)
            texts = reader.texts("event", "properties")
            # Packed as texts or NULL, never as bytes.
            codes = {text: code(text) for text in dict.fromkeys(texts)}  # type: ignore[arg-type]
            return _narrow(np.array([codes[text] for text in texts], np.int64))
        if table == "event" and name in CARRIED:
            return reader.of_visits(_narrow(reader.visit(name)))
        values = reader.visit(name) if table == "visit" else reader.event(name)
        return _narrow(np.ma.filled(values, ABSENT.get(name, 0)))


def _narrow(values: Ints) -> Ints:
    """The numbers in the smallest type that holds them: a year of ten million events fits because of it.

    DuckDB widens them to the type of the hot rows as it reads.
    """
    smallest, largest = values.min(), values.max()
    for dtype in (np.int8, np.int16, np.int32):
        known = np.iinfo(dtype)
        if known.min <= smallest and largest <= known.max:
            return values.astype(dtype)
    return values
