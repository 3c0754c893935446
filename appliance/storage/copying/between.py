"""A copy between what an operator names: `sqlite:///path`, `sqlite:path`, a path, or `postgresql://…`."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg

from appliance.errors import ConfigurationError
from appliance.storage.copying.ends import Source, Target
from appliance.storage.copying.job import Copied, Tell, copy
from appliance.storage.location import SERVERS, SQLITE
from appliance.storage.postgresql import connection as postgresql
from appliance.storage.sqlite import writer as sqlite

_FILES: Final = (SQLITE, "sqlite:")


def copy_between(source_url: str, target_url: str, *, restart: bool, tell: Tell) -> Copied:
    """Copy (job.py). Raises ConfigurationError, StorageUnavailable, ChunkDamaged, DatabaseTooNew."""
    try:
        with closing(source_at(source_url)) as source, closing(target_at(target_url)) as target:
            return copy(source, target, restart=restart, tell=tell)
    except sqlite3.Error as error:
        raise sqlite.storage_error(error) from error
    except psycopg.Error as error:
        raise postgresql.storage_error(error) from error


def source_at(url: str) -> Source:
    """The database at a URL, to copy from. Raises ConfigurationError, StorageUnavailable."""
    path = _path(url)
    # numpy only for whom needs it
    if path is None:
        from appliance.storage.copying.postgresql_source import PostgresqlSource

        return PostgresqlSource(url)
    from appliance.storage.copying.sqlite_source import SqliteSource

    return SqliteSource(path)


def target_at(url: str) -> Target:
    """The database at a URL, to copy into; a file is made where there is none. Raises ConfigurationError,
    StorageUnavailable, DatabaseTooNew."""
    path = _path(url)
    if path is None:
        from appliance.storage.copying.postgresql_target import PostgresqlTarget

        return PostgresqlTarget(url)
    from appliance.storage.copying.sqlite_target import SqliteTarget

    return SqliteTarget(path)


def _path(url: str) -> Path | None:
    """The file that a URL names; None: a server's database. Raises ConfigurationError."""
    if url.startswith(SERVERS):
        return None
    for prefix in _FILES:
        if url.startswith(prefix):
            url = url.removeprefix(prefix)
            break
    if not url or "://" in url:
        raise ConfigurationError(
            f"{url.partition('@')[2] or url!r} is no database: give sqlite:///path, postgresql://…, or a path"
        )
    return Path(url)
