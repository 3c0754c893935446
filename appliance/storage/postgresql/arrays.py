"""Rows of a database as arrays, one a column. For processes that have numpy.

They are read by COPY in its binary form: when no value is NULL all rows are of one length, so that numpy reads them
without a Python object for each.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from appliance.storage.units.facts import NO_SALT

Ints = NDArray[Any]

_HEAD_BYTES: Final = 19  # signature, flags, and no extension
_TAIL_BYTES: Final = 2
_WIDE: Final = frozenset(("id", "visit_id", "visitor", "start", "end", "time", "engaged_ms", "revenue"))
_ABSENT: Final = {"salt_day": NO_SALT, "revenue": 0}  # in place of NULL


def column(name: str, alias: str = "x") -> str:
    """SQL of a column that is a number, as `fetch` reads it."""
    value = f'{alias}."{name}"'
    if name in _ABSENT:
        value = f"coalesce({value}, {_ABSENT[name]})"
    return f"CAST({value} AS {'BIGINT' if name in _WIDE else 'INTEGER'})"


def fetch(
    connection: psycopg.Connection[Any], names: Sequence[str], source: str, values: Mapping[str, Any], rows_max: int = 0
) -> dict[str, Ints]:
    """Columns of `source`: what follows FROM, where the table is called x. `rows_max` 0: all rows, else so many."""
    listed = ", ".join(column(name) for name in names)
    limit = f" LIMIT {rows_max:d}" if rows_max else ""
    copy = f"COPY (SELECT {listed} FROM {source}{limit}) TO STDOUT (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(copy, values) as out:
        data = b"".join(out)
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for place, name in enumerate(names):
        fields += [(f"length {place}", ">i4"), (f"{place}", ">i8" if name in _WIDE else ">i4")]
    rows = np.frombuffer(data, np.dtype(fields), offset=_HEAD_BYTES, count=_rows_in(data, np.dtype(fields).itemsize))
    return {name: rows[f"{place}"].astype(np.int64 if name in _WIDE else np.int32) for place, name in enumerate(names)}


def _rows_in(data: bytes, row_bytes: int) -> int:
    rows, rest = divmod(len(data) - _HEAD_BYTES - _TAIL_BYTES, row_bytes)
    if rest:
        raise ValueError("a row is not as long as the others")
    return rows
