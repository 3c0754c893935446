"""The list of rollups: what closed days and months are counted by. What is not here is answered from chunks and rows.

Adding an entry is all it takes: days and months that lack it are made anew. Event counts for SQL tools are not
in this list: storage/postgresql/aggregates.py.
"""

from typing import Final

from appliance.storage.rollup import EVENT_COUNTS, Rollup

# Of visits and events the columns that have a dimension (queries/dimensions.py), but for currencies and properties.
_OF_EVENTS: Final = ("name", "path", "hostname", "source")
_OF_VISITS: Final = (
    "referrer_source", "referrer", "channel", "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term",
    "country", "region", "city", "browser", "browser_version", "os", "os_version", "device", "language", "screen",
    "entry_path", "entry_hostname", "exit_path", "exit_hostname",
)  # fmt: skip

CATALOG: Final[tuple[Rollup, ...]] = (
    *(Rollup(name, "time", name) for name in ("total", "day", "week")),
    *(Rollup(f"event_{column}", "event", column) for column in _OF_EVENTS),
    *(Rollup(f"visit_{column}", "visit", column) for column in _OF_VISITS),
    Rollup(EVENT_COUNTS, "counts", "slot, source, name"),
)
BY_COLUMN: Final[dict[tuple[str, str], Rollup]] = {(entry.of, entry.column): entry for entry in CATALOG}
