"""The list of rollups: what closed days and months are counted by. What is not here is answered from chunks and rows.

An entry's name is the key of the dimension that it answers (queries/dimensions.py). Adding one here is all it takes:
days and months that lack it are made anew.
"""

from typing import Final

from appliance.storage.rollup import Rollup

_TIMES: Final = ("total", "day", "week")
_EVENT: Final = {"event_name": "name", "event_page": "path", "event_hostname": "hostname", "event_source": "source"}
_VISIT: Final = {
    "visit_source": "referrer_source", "visit_channel": "channel", "visit_utm_source": "utm_source",
    "visit_utm_medium": "utm_medium", "visit_utm_campaign": "utm_campaign", "visit_country": "country",
    "visit_region": "region", "visit_city": "city", "visit_browser": "browser", "visit_os": "os",
    "visit_device": "device", "visit_language": "language", "visit_screen": "screen",
    "visit_entry_page": "entry_path", "visit_exit_page": "exit_path",
}  # fmt: skip

CATALOG: Final[tuple[Rollup, ...]] = (
    *(Rollup(name, "time", name) for name in _TIMES),
    *(Rollup(name, "event", column) for name, column in _EVENT.items()),
    *(Rollup(name, "visit", column) for name, column in _VISIT.items()),
    Rollup("event_counts", "counts", "slot, source, name"),
)
BY_NAME: Final[dict[str, Rollup]] = {entry.name: entry for entry in CATALOG}
