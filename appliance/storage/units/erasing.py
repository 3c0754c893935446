"""Takes visitors out of the columns of a unit whose raw data are gone. For processes that have numpy.

Such a unit cannot be made anew. Of a visitor it holds the identity, which goes, and sums over everybody, which stay.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from appliance.storage.packing import pack_numbers, unpack_numbers
from appliance.storage.rollup import EVENT_COUNTS
from appliance.storage.units.columns import pack_totals, unpack_totals, without_members
from appliance.storage.units.facts import VISITORS

_WITHOUT_MEMBERS: Final = (EVENT_COUNTS, VISITORS)


def without(columns: Mapping[str, bytes], gone: Iterable[int]) -> dict[str, bytes] | None:
    """The packed columns of a final unit without these visitors; None when none of them is there.

    Raises ChunkDamaged.
    """
    if not columns:
        return None
    visitors = unpack_numbers(columns[VISITORS])
    places = np.flatnonzero(np.isin(visitors, np.array(list(gone), np.int64)))
    if not len(places):
        return None
    left = dict(columns)
    for name in columns.keys() - set(_WITHOUT_MEMBERS):
        left[name] = pack_totals(without_members(unpack_totals(columns[name]), places))
    left[VISITORS] = pack_numbers(np.delete(visitors, places))
    return left
