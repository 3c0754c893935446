"""Which tables a copy carries whole, and which rows of them.

Not carried is what an engine keeps for itself and makes anew: `claim` (which drain holds whom), `change` (for readers
that keep rows in memory), `blank` (scratch of wiping), `chunk` and `chunk_column` (visits and events are carried as
rows, and sealed again), and most of `rollup`.
"""

from typing import Final

from appliance.storage.unfinished import MARK

# Those that others refer to come first.
TABLES: Final = (
    "project", "account", "api_key", "membership", "login_session", "audit", "goal", "funnel", "segment", "exclusion",
    "secret", "salt", "checkpoint", "seen", "early_engagement", "dead_letter", "source", "erasure", "dictionary",
    "alias", "user_trait", "meta",
)  # fmt: skip
# What SQLite alone has: the counts of days that were purged, which nothing could make again, and who is counted in them
# more than once.
KEPT_COUNTS: Final = ("wanderer", "rollup", "rollup_column")
ENGINES_OWN: Final = ("claim", "change", "blank", "chunk", "chunk_column")

NUMBERED: Final = (
    "project", "account", "api_key", "audit", "goal", "funnel", "segment", "exclusion", "dead_letter", "source",
    "erasure",
)  # fmt: skip

SLICE_NOTE: Final = "copy_slice/"  # followed by project and day: name of a row of `meta`
assert MARK.startswith("copy_") and SLICE_NOTE.startswith("copy_")

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


def tables_of(source_engine: str, target_engine: str) -> tuple[str, ...]:
    """The management tables that go from one engine to another, in the order of inserting."""
    both_sqlite = source_engine == target_engine == "sqlite"
    return (*TABLES, *KEPT_COUNTS) if both_sqlite else TABLES
