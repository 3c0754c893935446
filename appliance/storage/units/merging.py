"""Closed days and months merged over a range: what a question reads of its rollups. For processes that have numpy.

The visits of a project are parted in two: those inside the units that cover the range, and the rest. Of the first the
merged figures are read (`rolled_<name>`), of the rest the rows. Sums are added; of visitors those of the rest who are
among the first as well are listed (`again_<name>`), by the codes that they are counted under there, so that nobody is
counted twice.

This is right as long as a visitor kept by number alone is in no visit outside his unit: which units do not hold that,
the engine has to know, and to leave out.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from appliance.errors import ChunkDamaged
from appliance.storage.calendar import days_in_words, month_of
from appliance.storage.packing import Ints, unpack_numbers
from appliance.storage.rollup import EVENT_COUNTS, MEASURES, MONTH, PAGEVIEW_CODE, SLOT, stored
from appliance.storage.units.columns import Counts, Totals, unpack_counts, unpack_totals
from appliance.storage.units.covering import Days
from appliance.storage.units.facts import VISITORS

THREADS: Final = 2

T = TypeVar("T")

Arrays = dict[str, Ints]
Blobs = Callable[[Sequence[int], str], Sequence[bytes]]  # the packed columns of a name, of units by their ids


class Merged(NamedTuple):
    """Figures by code, and who is counted by identity: `member[ends[n - 1] : ends[n]]` are those of the n-th code,
    as places in the sorted list of all such visitors of the cover."""

    table: Arrays
    ends: Ints
    member: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in (*self.table.values(), self.ends)) + self.member.nbytes


class RolledUp:
    """The merged rollups of one project, kept between questions."""

    def __init__(self) -> None:
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

    def tables(self, blobs: Blobs, units: Sequence[Days], names: Sequence[str], rest: Ints) -> Mapping[str, Arrays]:
        """`rolled_<name>` and `again_<name>` of each name; `rest`: the visitors of the rest.

        The units do not overlap. Raises ChunkDamaged.
        """
        found: dict[str, Arrays] = {}
        visitors, _ = self._identities(blobs, units)
        is_again = _contains(np.sort(rest), visitors)
        totals = [name for name in names if name != EVENT_COUNTS]
        if len(totals) < len(names):
            found[f"rolled_{EVENT_COUNTS}"] = _event_counts(blobs, units)
        for name, merged in zip(totals, self._merge(blobs, units, totals), strict=True):
            found[f"rolled_{name}"] = merged.table
            places = np.flatnonzero(is_again[merged.member])
            codes = merged.table["code"][np.searchsorted(merged.ends, places, "right")]
            found[f"again_{name}"] = {"code": codes, "visitor": visitors[merged.member[places]]}
        return found

    def _merge(self, blobs: Blobs, units: Sequence[Days], names: Sequence[str]) -> list[Merged]:
        ids = tuple([unit.id for unit in units])
        visitors, places = self._identities(blobs, units)
        missing = [name for name in names if (ids, name) not in self._merged]
        data = [blobs(ids, stored(name)) for name in missing]

        def merge(name: str, packed: Sequence[bytes]) -> Merged:
            parts = _unpacked(units, packed, name, unpack_totals)
            if name == MONTH:
                parts = [_of_month(part, unit) for part, unit in zip(parts, units, strict=True)]
            return _merged(parts, places, len(visitors))

        # Nearly all of it is numpy and zstd, which let go of the interpreter.
        with ThreadPoolExecutor(THREADS) as threads:
            made = zip(missing, threads.map(merge, missing, data), strict=True)
            self._merged.update(((ids, name), merged) for name, merged in made)
        for name in names:
            self._merged.move_to_end((ids, name))
        return [self._merged[ids, name] for name in names]

    def _identities(self, blobs: Blobs, units: Sequence[Days]) -> tuple[Ints, list[Ints]]:
        """All visitors that the units keep by identity, ascending, and for each unit the places of its own there."""
        ids = tuple([unit.id for unit in units])
        found = self._visitors.get(ids)
        if found is None:
            parts = _unpacked(units, blobs(ids, VISITORS), VISITORS, unpack_numbers)
            together = np.sort(np.concatenate([np.empty(0, np.int64), *parts]), kind="stable")
            visitors = together[_is_first(together)]
            found = self._visitors[ids] = visitors, [np.searchsorted(visitors, part) for part in parts]
        return found


def _of_month(totals: Totals, unit: Days) -> Totals:
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


def _event_counts(blobs: Blobs, units: Sequence[Days]) -> Arrays:
    packed = blobs([unit.id for unit in units], EVENT_COUNTS)
    parts = _unpacked(units, packed, EVENT_COUNTS, unpack_counts)
    nothing = Counts._make([np.empty(0, np.int64)] * len(Counts._fields))
    slot, source, name, events = (np.concatenate(columns) for columns in zip(nothing, *parts, strict=True))
    pageviews = np.where(name == PAGEVIEW_CODE, events, 0)
    return {"time": slot * SLOT, "event_source": source, "event_name": name, "events": events, "pageviews": pageviews}


def _unpacked(units: Sequence[Days], packed: Sequence[bytes], name: str, unpack: Callable[[bytes], T]) -> list[T]:
    found = []
    for unit, data in zip(units, packed, strict=True):
        try:
            found.append(unpack(data))
        except ChunkDamaged as error:
            days = days_in_words(unit.first_day, unit.last_day)
            raise ChunkDamaged(
                f"rollups of {days} are damaged: column {stored(name)} ({error});"
                " periods without these days are answered"
            ) from None
    return found


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
