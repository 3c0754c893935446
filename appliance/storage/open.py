"""From settings to the parts of the engine that they name: a file with SQLite, or a server with PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from appliance.config import Settings
from appliance.errors import ConfigurationError, StorageUnavailable
from appliance.storage.evaluation import QueryEngine
from appliance.storage.interface import Database
from appliance.storage.location import SERVERS, SQLITE, sqlite_path
from appliance.storage.sqlite.database import SqliteDatabase
from appliance.storage.sqlite.evaluator import Evaluator

DATABASE_FILE: Final = "appliance.db"


def database_url(settings: Settings) -> str:
    """The URL of the database that the settings name. Raises ConfigurationError for one of another kind."""
    url = settings.database_url or f"{SQLITE}{settings.data_dir / DATABASE_FILE}"
    if not url.startswith((SQLITE, *SERVERS)):
        raise ConfigurationError(
            f"APPLIANCE_DATABASE_URL: {url.partition(':')[0]!r} is not a kind of database that this version knows;"
            " use sqlite:///path or postgresql://user:password@host/database"
        )
    return url


def database_of(settings: Settings) -> Database:
    """The database that the settings name, not open yet. Raises ConfigurationError."""
    url = database_url(settings)
    if (path := sqlite_path(url)) is not None:
        return SqliteDatabase(path, backups=settings.data_dir / "backups")
    from appliance.storage.postgresql.database import PostgresqlDatabase  # whose driver others need not load

    return PostgresqlDatabase(url)


def query_engine_of(settings: Settings) -> QueryEngine:
    """What answers questions about that database. Raises ConfigurationError."""
    url = database_url(settings)
    if (path := sqlite_path(url)) is None:
        from appliance.storage.postgresql.evaluator import PostgresqlEvaluator

        return PostgresqlEvaluator(
            settings.database_read_url or url,
            temp_directory=settings.data_dir / "tmp",
            idle_seconds=settings.worker_idle_seconds,
            timeout_seconds=settings.query_timeout_seconds,
            memory_bytes=settings.query_memory_mb << 20,
        )
    return Evaluator(
        path,
        temp_directory=settings.data_dir / "tmp",
        idle_seconds=settings.worker_idle_seconds,
        timeout_seconds=settings.query_timeout_seconds,
        memory_bytes=settings.query_memory_mb << 20,
    )


@asynccontextmanager
async def opened(settings: Settings, *, may_make: bool = False) -> AsyncIterator[Database]:
    """The database, open while the context lasts. `may_make`: also a new file, where there is none.

    Raises StorageUnavailable, DatabaseTooNew, ConfigurationError.
    """
    path = sqlite_path(database_url(settings))
    if path is not None and not may_make:
        _check_is_there(path)
    database = database_of(settings)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def _check_is_there(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(
            f"there is no database {path.absolute()}: name the data folder with --data-dir"
        ) from None
    except OSError as error:
        raise StorageUnavailable(f"cannot use {path}: {error}") from error
