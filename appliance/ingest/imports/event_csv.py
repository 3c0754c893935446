"""The CSV files of the Event Analytics API (PROTOCOLS, B): event_id, occurred_at, user_id, event_type,
properties_json."""

from typing import Final

import msgspec

from appliance.ingest.imports.format import Context, Format, Head, Reader, cells
from appliance.ingest.pipeline import Rejected
from appliance.ingest.sent import Sent

_NEEDED: Final = frozenset(("event_type", "occurred_at"))


def _recognises(head: Head) -> bool:
    return set(head.columns) >= _NEEDED


def _reader(head: Head, context: Context) -> Reader:
    by_name = cells(head)

    def read(row: list[str]) -> Sent | None:
        if row == head.columns:
            return None
        found = by_name(row)
        if "occurred_at" not in found:
            raise Rejected("missing", "occurred_at", "occurred_at: it is missing")
        return Sent(
            event=found.get("event_type"),
            event_id=found.get("event_id"),
            timestamp=found["occurred_at"],
            user_id=found.get("user_id"),
            properties=msgspec.Raw(found.get("properties_json", "").encode()),
        )

    return read


FORMAT: Final = Format(
    "event-csv", "event_id,occurred_at,user_id,event_type,properties_json", "csv", _recognises, _reader, True
)
