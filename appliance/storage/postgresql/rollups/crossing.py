"""Visits that touch a unit but do not lie inside it, with their events: the unit has them as rows. Needs numpy.

They are what no unit counts. Found anew they would cost a look at all visits around each edge; and as long as a unit is
right they have not changed either, because whatever changes them touches the unit.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from appliance.storage.dimensions import CARRIED
from appliance.storage.packing import Ints, pack_numbers, unpack_numbers

Table = dict[str, Ints]


class Rows(NamedTuple):
    """Visits and all their events, by column."""

    visit: Table
    event: Table


def pack(table: Mapping[str, Ints]) -> bytes:
    """Columns of one length as bytes."""
    names = ",".join(table).encode()
    return names + b"\0" + pack_numbers(np.concatenate([np.asarray(values, np.int64) for values in table.values()]))


def unpack(data: bytes) -> Table:
    """What `pack` was given. Raises ChunkDamaged."""
    head, _, body = data.partition(b"\0")
    names = head.decode("ascii", "replace").split(",")
    return dict(zip(names, unpack_numbers(body).reshape(len(names), -1), strict=True))


def together(parts: Sequence[Rows], visit: Sequence[str], event: Sequence[str]) -> Rows:
    """These columns of all visits, each once although several parts may have it, and of their events.

    A part with a visit has all its events. Raises KeyError for a column that is nowhere.
    """
    visits: dict[str, list[Ints]] = {name: [np.empty(0, np.int64)] for name in visit}
    events: dict[str, list[Ints]] = {name: [np.empty(0, np.int64)] for name in event}
    seen = np.empty(0, np.int64)
    for part in parts:
        ids = part.visit["id"]
        fresh = ~np.isin(ids, seen)
        seen = np.concatenate((seen, ids[fresh]))
        for name in visit:
            visits[name].append(part.visit[name][fresh])
        kept = np.isin(part.event["visit_id"], ids[fresh])
        order = np.argsort(ids)
        of_visit = order[np.searchsorted(ids[order], part.event["visit_id"][kept])]
        for name in event:
            events[name].append(part.visit[name][of_visit] if name in CARRIED else part.event[name][kept])
    return Rows(*({name: np.concatenate(values) for name, values in table.items()} for table in (visits, events)))
