"""CSV whose header has the names of native fields, as `GET /api/v1/export` writes it."""

from typing import Any, Final

import msgspec

from appliance.ingest.imports.format import Context, Exact, Format, Head, Reader, cells
from appliance.ingest.imports.native import Line, meaning
from appliance.ingest.pipeline import Rejected
from appliance.ingest.sent import Sent

_NAMES: Final = frozenset(("event", "event_name"))
_FIELDS: Final = frozenset(Line.__struct_fields__)
_OBJECTS: Final = ("properties", "traits")
# Before these an export puts an apostrophe, so that no spreadsheet takes the text for a formula.
_FORMULA: Final = ("'=", "'+", "'-", "'@", "'\t", "'\r")


def _recognises(head: Head) -> bool:
    return not _NAMES.isdisjoint(head.columns)


def _reader(head: Head, context: Context) -> Reader:
    by_name = cells(head)

    def read(row: list[str]) -> Sent | Exact | None:
        if row == head.columns:
            return None  # the header, or that of another file behind it
        found: dict[str, Any] = {
            name: cell[1:] if cell.startswith(_FORMULA) else cell
            for name, cell in by_name(row).items()
            if name in _FIELDS
        }
        objects = {name: msgspec.Raw(found.pop(name).encode()) for name in _OBJECTS if name in found}
        try:
            line = msgspec.convert(found, Line, strict=False)
        except msgspec.ValidationError as error:
            raise Rejected("wrong_type", "", str(error)) from None
        for name, value in objects.items():
            setattr(line, name, value)
        return meaning(line, context)

    return read


FORMAT: Final = Format("csv", "native fields as columns, also our own export", "csv", _recognises, _reader, True)
