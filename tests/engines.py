"""Both storage engines, for tests of what they promise alike."""

from pathlib import Path

from appliance.storage.interface import DrainStore
from appliance.storage.postgresql.database import PostgresqlDatabase
from appliance.storage.postgresql.drain_store import PostgresqlDrainStore
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.drain_store import SqliteDrainStore
from tests.postgresql import Server

ENGINES = ("sqlite", "postgresql", "timescaledb")
AnyDatabase = SqliteDatabase | PostgresqlDatabase

# Modules whose tests of a `database` run with each engine; those marked `sqlite` are about SQLite alone.
OF_BOTH = {
    "test_accounts",
    "test_exclusions",
    "test_funnels",
    "test_goals",
    "test_keys",
    "test_page_names",
    "test_projects",
    "test_quota",
    "test_segments",
    "test_stored_events",
    "test_sources",
    "test_usage",
    "test_violations",
    "test_visits",
    "test_drain",
    "test_tickets",
    "test_run",
    "test_plausible",
}


def made(folder: Path, server: Server | None) -> AnyDatabase:
    """An empty database that is to be opened: on a server, or without one a file."""
    if server is None:
        return SqliteDatabase(folder / "appliance.db")
    return PostgresqlDatabase(server.new_database())


def drain_store(database: AnyDatabase) -> DrainStore:
    """The drain's side of an open database."""
    if isinstance(database, SqliteDatabase):
        return SqliteDrainStore(database.path)
    return PostgresqlDrainStore(database.url)
