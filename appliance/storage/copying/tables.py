"""Which tables a copy carries whole, and which rows of them.

Not carried is what an engine keeps for itself and makes anew: `claim` (which drain holds whom), `change` (for readers
that keep rows in memory), `blank` (scratch of wiping), `chunk` and `chunk_column` (visits and events are carried as
rows, and sealed again), `touched` (which rollups do not hold any more), and those rollups whose visits are there; nor
`ticket`, which holds for seconds.
"""

from typing import Final

from appliance.storage.unfinished import MARK

# Those that others refer to come first.
TABLES: Final = (
    "project", "account", "api_key", "key_use", "membership", "login_session", "audit", "goal", "funnel", "segment",
    "exclusion", "secret", "salt", "checkpoint", "seen", "early_engagement", "dead_letter", "source", "import",
    "import_salt", "import_visit", "imported_figure", "erasure", "dictionary", "alias", "user_trait", "monthly_usage",
    "wanderer", "rollup", "rollup_column", "meta",
)  # fmt: skip
# What servers alone have: what was purged, as views for others count it (postgresql/aggregates.py).
SERVERS_ALONE: Final = ("purged_count",)
ENGINES_OWN: Final = ("claim", "ticket", "change", "blank", "chunk", "chunk_column")

NUMBERED: Final = (
    "project", "account", "api_key", "audit", "goal", "funnel", "segment", "exclusion", "dead_letter", "source",
    "erasure", "rollup",
)  # fmt: skip

SLICE_NOTE: Final = "copy_slice/"  # followed by project and day: name of a row of `meta`
assert MARK.startswith("copy_") and SLICE_NOTE.startswith("copy_")

# The counts of days that were purged: nothing could make them again, and no engine looks at what they were made of.
_PURGED: Final = (
    "SELECT r.id FROM rollup r JOIN project p ON p.id = r.project_id"
    ' WHERE r.final = 1 AND r."end" <= p.raw_purged_before'
)
# Settings and marks of projects are carried, also those that come to be; not the version and the migrations of this
# very database, how often its rows were taken out, which ids it gave (they are set apart), and the notes of a copy.
_WHERE: Final = {
    "meta": "t.name NOT IN ('schema_version', 'hot_generation') AND substr(t.name, 1, 10) <> 'migration_'"
    " AND substr(t.name, 1, 7) <> 'newest_' AND substr(t.name, 1, 5) <> 'copy_'",
    "rollup": f"t.id IN ({_PURGED})",
    "rollup_column": f"t.rollup_id IN ({_PURGED})",
}


def carried(table: str) -> str:
    """The condition that rows of a management table (alias t) are carried on."""
    return _WHERE.get(table, "1 = 1")
