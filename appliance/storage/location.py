"""What the URL of a database names, and the drain's side of what is there."""

from pathlib import Path
from typing import Final

from appliance.storage.interface import DrainStore

SQLITE: Final = "sqlite:///"
SERVERS: Final = ("postgresql://", "postgres://")
# Of the processes that this one starts: the URL of the database. Arguments can be seen by others, and it may hold a
# password.
DATABASE_VARIABLE: Final = "APPLIANCE_CHILD_DATABASE"


def sqlite_path(url: str) -> Path | None:
    """The file that a URL names, None for a server."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def drain_store_at(url: str) -> DrainStore:
    """The drain's side of a database that exists and is migrated. Raises StorageUnavailable."""
    # The drain's process loads what it needs, and nothing else.
    if (path := sqlite_path(url)) is not None:
        from appliance.storage.sqlite.drain_store import SqliteDrainStore

        return SqliteDrainStore(path)
    from appliance.storage.postgresql.drain_store import PostgresqlDrainStore

    return PostgresqlDrainStore(url)
