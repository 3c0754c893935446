"""What a question reads of the rollups: closed days and months merged over its range. For the query worker only.

The visits of a project are parted in two: those inside the units that cover the range, and the rest. Of the first the
merged figures are read (`rolled_<name>`), of the rest the rows. Sums are added; of visitors those of the rest who are
among the first as well are listed (`again_<name>`), by the codes that they are counted under there, so that nobody is
counted twice.

This is right as long as a visitor kept by number alone is in no visit outside his unit: units with a wanderer unknown
to them, or whose days' salts are met in hot rows, are left out.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from appliance.clock import MICROSECONDS
from appliance.errors import ChunkDamaged, RawPurged
from appliance.storage.calendar import day_start, days_in_words, local_day, month_of
from appliance.storage.evaluation import BEGINNING, Rolled
from appliance.storage.rollup import EVENT_COUNTS, MEASURES, MONTH, PAGEVIEW_CODE, SLOT
from appliance.storage.sqlite.chunks.index import Chunk
from appliance.storage.sqlite.chunks.packing import Ints, unpack_numbers
from appliance.storage.sqlite.rollups.build import VISITORS
from appliance.storage.sqlite.rollups.columns import Counts, Totals, unpack_counts, unpack_totals
from appliance.storage.sqlite.rollups.index import Unit, count_wanderers, has_columns, units

THREADS: Final = 2

T = TypeVar("T")

Arrays = dict[str, Ints]


class Cover(NamedTuple):
    """Units that lie in a range and do not overlap, and the chunks that they are made of."""

    units: tuple[Unit, ...]
    chunks: frozenset[int]


class Merged(NamedTuple):
    """Figures by code, and who is counted by identity: `member[ends[n - 1] : ends[n]]` are those of the n-th code,
    as places in the sorted list of all such visitors of the cover."""

    table: Arrays
    ends: Ints
    member: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in (*self.table.values(), self.ends)) + self.member.nbytes


def cover(
    connection: sqlite3.Connection,
    asked: Rolled,
    span: tuple[int, int],
    known: Sequence[Unit],
    there: Sequence[Chunk],
    hot_salts: Ints,
    purged: int,
) -> Cover:
    """The units to answer with in a range, in the snapshot that is open. `hot_salts`: salt days of hot visits.

    Before the time `purged` those are final units, which need no check.
    """
    chosen: list[Unit] = []
    covered: set[int] = set()
    for unit in known:  # the longer ones of the same first day come first
        if unit.start < span[0] or unit.end > span[1] or unit.timezone != asked.timezone or not unit.usable:
            continue
        if chosen and unit.start < chosen[-1].end:
            continue
        if unit.final != (unit.end <= purged) or (not unit.final and unit.start < purged):
            continue
        if unit.final:
            chosen.append(unit)
            continue
        chunks = unit.sources(there)
        if not unit.is_made_of(chunks) or count_wanderers(connection, unit) != unit.wanderers:
            continue
        if not has_columns(connection, unit, map(_stored, asked.names)):
            continue
        if ((hot_salts >= unit.first_day) & (hot_salts <= unit.last_day)).any():
            continue
        chosen.append(unit)
        covered.update(chunk.id for chunk in chunks)
    return Cover(tuple(chosen), frozenset(covered))


def check_purged(asked: Rolled | None, span: tuple[int, int], known: Sequence[Unit], purged: int) -> None:
    """Raises Invalid when a question about a range needs raw data from before the time `purged`.

    Rollups answer for whole days; a day without a final unit had no events.
    """
    start, end = span
    if start >= purged or start == BEGINNING:
        return
    day = f"{datetime.fromtimestamp(purged / MICROSECONDS, UTC):%Y-%m-%d %H:%M} UTC"
    if asked is None or asked.of_visits:
        raise RawPurged(f"events from before {day} are purged: of that time only unfiltered counts are kept")
    zone = ZoneInfo(asked.timezone)
    edges = [start, *([end] if end < purged else [])]
    units = [unit for unit in known if unit.final and unit.start < min(end, purged) and unit.end > start]
    if any(day_start(local_day(edge, zone), zone) != edge for edge in edges) or any(
        unit.timezone != asked.timezone or not unit.usable for unit in units
    ):
        raise RawPurged(f"events from before {day} are purged: of that time only whole days are known")


class RolledUp:
    """The merged rollups of one project, kept between questions."""

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self._merged: OrderedDict[tuple[tuple[int, ...], str], Merged] = OrderedDict()
        self._visitors: dict[tuple[int, ...], tuple[Ints, list[Ints]]] = {}

    @property
    def nbytes(self) -> int:
        visitors = sum(
            all_of_them.nbytes + sum(part.nbytes for part in places) for all_of_them, places in self._visitors.values()
        )
        return visitors + sum(merged.nbytes for merged in self._merged.values())

    def forget(self) -> None:
        """Drop everything: codes may mean something else now."""
        self._merged.clear()
        self._visitors.clear()

    def shrink(self, nbytes_max: int) -> None:
        """Drop what was not asked for longest until there are no more bytes than that."""
        while self._merged and self.nbytes > nbytes_max:
            (ids, _), _ = self._merged.popitem(last=False)
            if not any(other == ids for other, _ in self._merged):
                self._visitors.pop(ids, None)

    def units(self, connection: sqlite3.Connection) -> list[Unit]:
        """Those that are stored in the snapshot that is open on the connection."""
        return units(connection, self._project_id)

    def tables(
        self, connection: sqlite3.Connection, covered: Cover, names: Sequence[str], rest: Ints
    ) -> Mapping[str, Arrays]:
        """`rolled_<name>` and `again_<name>` of each name; `rest`: the visitors of the rest. Raises ChunkDamaged."""
        found: dict[str, Arrays] = {}
        visitors, _ = self._identities(connection, covered)
        is_again = _contains(np.sort(rest), visitors)
        totals = [name for name in names if name != EVENT_COUNTS]
        if len(totals) < len(names):
            found[f"rolled_{EVENT_COUNTS}"] = _event_counts(connection, covered)
        for name, merged in zip(totals, self._merge(connection, covered, totals), strict=True):
            found[f"rolled_{name}"] = merged.table
            places = np.flatnonzero(is_again[merged.member])
            codes = merged.table["code"][np.searchsorted(merged.ends, places, "right")]
            found[f"again_{name}"] = {"code": codes, "visitor": visitors[merged.member[places]]}
        return found

    def _merge(self, connection: sqlite3.Connection, covered: Cover, names: Sequence[str]) -> list[Merged]:
        ids = tuple([unit.id for unit in covered.units])
        visitors, places = self._identities(connection, covered)
        missing = [name for name in names if (ids, name) not in self._merged]
        data = [[_data(connection, unit, _stored(name)) for unit in covered.units] for name in missing]

        def merge(name: str, blobs: Sequence[bytes]) -> Merged:
            parts = [_unpacked(*part, name, unpack_totals) for part in zip(covered.units, blobs, strict=True)]
            if name == MONTH:
                parts = [_of_month(part, unit) for part, unit in zip(parts, covered.units, strict=True)]
            return _merged(parts, places, len(visitors))

        # Nearly all of it is numpy and zstd, which let go of the interpreter.
        with ThreadPoolExecutor(THREADS) as threads:
            made = zip(missing, threads.map(merge, missing, data), strict=True)
            self._merged.update(((ids, name), merged) for name, merged in made)
        for name in names:
            self._merged.move_to_end((ids, name))
        return [self._merged[ids, name] for name in names]

    def _identities(self, connection: sqlite3.Connection, covered: Cover) -> tuple[Ints, list[Ints]]:
        """All visitors that the units keep by identity, ascending, and for each unit the places of its own there."""
        ids = tuple([unit.id for unit in covered.units])
        found = self._visitors.get(ids)
        if found is None:
            parts = [_read(connection, unit, VISITORS, unpack_numbers) for unit in covered.units]
            together = np.sort(np.concatenate([np.empty(0, np.int64), *parts]), kind="stable")
            visitors = together[_is_first(together)]
            found = self._visitors[ids] = visitors, [np.searchsorted(visitors, part) for part in parts]
        return found


def _of_month(totals: Totals, unit: Unit) -> Totals:
    """The totals of a unit under the code of its month."""
    return totals._replace(codes=np.full(len(totals.codes), month_of(unit.first_day)))


def _merged(parts: Sequence[Totals], places: Sequence[Ints], visitors: int) -> Merged:
    """Sums by code, and the distinct members of each; `visitors`: how many are counted by identity in all."""
    every = np.sort(np.concatenate([np.empty(0, np.int64), *(part.codes for part in parts)]))
    codes = every[_is_first(every)]
    sums: Arrays = {name: np.zeros(len(codes), np.int64) for name in MEASURES}
    bits = visitors.bit_length()
    dtype = np.uint32 if bits + len(codes).bit_length() <= 32 else np.uint64
    keys = [np.empty(0, dtype)]
    for part, place in zip(parts, places, strict=True):
        there = np.searchsorted(codes, part.codes)
        for name, values in sums.items():
            values[there] += getattr(part, name)
        keys.append(np.repeat((there << bits).astype(dtype), part.members) | place.astype(dtype)[part.member])
    # Each part is sorted already, which the stable way of sorting makes use of.
    together = np.concatenate(keys)
    together.sort(kind="stable")
    together = together[_is_first(together)]
    ends = np.searchsorted(together, ((np.arange(1, len(codes) + 1) << bits) - 1).astype(dtype), "right")
    sums["visitors"] += np.diff(ends, prepend=0)
    member = (together & dtype((1 << bits) - 1)).astype(np.int32)
    return Merged({"code": codes, **sums}, ends, member)


def _event_counts(connection: sqlite3.Connection, covered: Cover) -> Arrays:
    parts = [_read(connection, unit, EVENT_COUNTS, unpack_counts) for unit in covered.units]
    nothing = Counts._make([np.empty(0, np.int64)] * len(Counts._fields))
    slot, source, name, events = (np.concatenate(columns) for columns in zip(nothing, *parts, strict=True))
    pageviews = np.where(name == PAGEVIEW_CODE, events, 0)
    return {"time": slot * SLOT, "event_source": source, "event_name": name, "events": events, "pageviews": pageviews}


def _stored(name: str) -> str:
    return "total" if name == MONTH else name


def _data(connection: sqlite3.Connection, unit: Unit, name: str) -> bytes:
    select = "SELECT c.data FROM rollup_column c WHERE c.rollup_id = ? AND c.name = ?"
    data: bytes = connection.execute(select, (unit.id, name)).fetchone()[0]
    return data


def _read(connection: sqlite3.Connection, unit: Unit, name: str, unpack: Callable[[bytes], T]) -> T:
    return _unpacked(unit, _data(connection, unit, name), name, unpack)


def _unpacked(unit: Unit, data: bytes, name: str, unpack: Callable[[bytes], T]) -> T:
    try:
        return unpack(data)
    except ChunkDamaged as error:
        days = days_in_words(unit.first_day, unit.last_day)
        raise ChunkDamaged(
            f"rollups of {days} are damaged: column {_stored(name)} ({error}); periods without these days are answered"
        ) from None


def _is_first(ordered: Ints) -> Ints:
    """Where a value of an ascending array stands for the first time."""
    found = np.ones(len(ordered), bool)
    found[1:] = ordered[1:] != ordered[:-1]
    return found


def _contains(ordered: Ints, values: Ints) -> Ints:
    """Which values are in an ascending array."""
    if not len(ordered):
        return np.zeros(len(values), bool)
    places = np.searchsorted(ordered, values).clip(max=len(ordered) - 1)
    return np.asarray(ordered[places] == values)
