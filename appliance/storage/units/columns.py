"""The rollup of one unit by one column, as arrays and as bytes. For processes that have numpy."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from appliance.errors import ChunkDamaged
from appliance.storage.packing import Ints, pack_numbers, unpack_numbers
from appliance.storage.rollup import MEASURES

_LENGTH_BYTES = 4


class Totals(NamedTuple):
    """Per code, ascending, its measures; `visitors` counts those kept by number alone, `members` those by identity.

    `member` lists the latter, code after code and ascending, as places in the unit's sorted list of such visitors.
    """

    codes: Ints
    visitors: Ints
    events: Ints
    pageviews: Ints
    visits: Ints
    bounces: Ints
    duration: Ints
    visit_pageviews: Ints
    members: Ints
    member: Ints


assert Totals._fields == ("codes", *MEASURES, "members", "member")


class Counts(NamedTuple):
    """How many events there are of each source and name in each slot (storage/rollup.py) with any."""

    slot: Ints
    source: Ints
    name: Ints
    events: Ints


def pack_counts(counts: Counts) -> bytes:
    """Bytes of event counts."""
    return _joined(counts)


def unpack_counts(data: bytes) -> Counts:
    """What `pack_counts` was given. Raises ChunkDamaged."""
    return Counts._make(_split(data, len(Counts._fields)))


def pack_totals(totals: Totals) -> bytes:
    """Bytes of a rollup."""
    steps = np.diff(totals.member, prepend=0)  # mostly small, and negative where the next code begins
    return _joined([*totals[:-1], steps])


def unpack_totals(data: bytes) -> Totals:
    """What `pack_totals` was given. Raises ChunkDamaged."""
    *columns, steps = _split(data, len(Totals._fields))
    return Totals._make([*columns, np.cumsum(steps)])


def without_members(totals: Totals, gone: Ints) -> Totals:
    """The totals without some who are kept by identity: their places, ascending. What they did stays counted."""
    stays = ~np.isin(totals.member, gone)
    codes = np.repeat(np.arange(len(totals.codes)), totals.members)[stays]
    member = totals.member[stays]
    return totals._replace(
        members=np.bincount(codes, minlength=len(totals.codes)), member=member - np.searchsorted(gone, member)
    )


def _joined(columns: Sequence[Ints]) -> bytes:
    blobs = [pack_numbers(column) for column in columns]
    return b"".join(len(blob).to_bytes(_LENGTH_BYTES, "little") + blob for blob in blobs)


def _split(data: bytes, count: int) -> list[Ints]:
    columns, place = [], 0
    while place < len(data):
        length = int.from_bytes(data[place : place + _LENGTH_BYTES], "little")
        place += _LENGTH_BYTES + length
        columns.append(unpack_numbers(data[place - length : place]))
    if len(columns) != count:
        raise ChunkDamaged(f"a rollup has {len(columns)} columns where {count} were expected")
    return columns
