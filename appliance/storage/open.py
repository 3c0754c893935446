"""From settings to an open database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from appliance.config import Settings
from appliance.errors import ConfigurationError
from appliance.storage.sqlite.database import SqliteDatabase

DATABASE_FILE = "appliance.db"


def database_path(settings: Settings) -> Path:
    """The SQLite file that the settings name. Raises ConfigurationError for a URL of another kind."""
    url = settings.database_url
    if not url:
        return settings.data_dir / DATABASE_FILE
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    raise ConfigurationError(
        f"APPLIANCE_DATABASE_URL: {url.partition(':')[0]!r} is not a kind of database that this version knows"
    )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[SqliteDatabase]:
    """The database, open while the context lasts. Raises StorageUnavailable, DatabaseTooNew."""
    database = SqliteDatabase(database_path(settings))
    await database.open(backups=settings.data_dir / "backups")
    try:
        yield database
    finally:
        await database.close()
