"""Rows as CSV (RFC 4180, UTF-8 without BOM) and NDJSON."""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

Cell = str | int | float | Decimal | None


def csv_bytes(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Rows as lines of CSV. A text that a spreadsheet would run as a formula gets an apostrophe before it."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([neutral(cell) for cell in row] for row in rows)
    return out.getvalue().encode()


def neutral(cell: Cell) -> Cell:
    """The cell as a spreadsheet may open it."""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return "'" + cell
    return cell


def ndjson_bytes(rows: Iterable[dict[str, Any]]) -> bytes:
    """Rows as lines of JSON."""
    return msgspec.json.Encoder().encode_lines(rows)
