"""Brings a SQLite file to the schema of this version.

A new file gets `schema.sql`, which is always the whole schema. An older one gets the numbered files of `migrations/`
above its version, each in a transaction of its own, after a copy of the file was put beside the backups. A file that
was applied is left alone after release: its SHA-256 is kept in `meta` and compared.
"""

import fcntl
import re
import sqlite3
from importlib.resources import files
from pathlib import Path

from appliance.errors import DatabaseTooNew, StorageUnavailable
from appliance.storage.migrations import BASELINE, Migration, available
from appliance.storage.sqlite.writer import connect

_PACKAGE = files("appliance.storage.sqlite")


def migrate(path: Path, backups: Path, migrations: list[Migration] | None = None) -> int:
    """Make or update the file at `path`; gives its version.

    Raises DatabaseTooNew for a file of a newer appliance, StorageUnavailable when an applied migration was changed.
    """
    migrations = available(_PACKAGE / "migrations") if migrations is None else migrations
    newest = BASELINE + len(migrations)
    path.touch(mode=0o600)  # a new file is the owner's alone; so are those that SQLite puts beside it
    connection = connect(path)
    try:
        if _version(connection) != newest:
            # Two processes may start at once: one migrates, the other waits and finds it done.
            with path.with_name(path.name + ".migrating").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                _bring_up(connection, path, backups, migrations)
        _check_digests(connection, migrations)
        return newest
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.close()


def _bring_up(connection: sqlite3.Connection, path: Path, backups: Path, migrations: list[Migration]) -> None:
    newest = BASELINE + len(migrations)
    version = _version(connection)
    if version > newest:
        raise DatabaseTooNew(f"{path} has schema version {version}, this appliance knows {newest}: start the newer one")
    if version == 0:
        connection.execute("PRAGMA page_size=8192")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")
        _apply(connection, (_PACKAGE / "schema.sql").read_text("utf-8"), newest)
        _note(connection, migrations)
        connection.execute("COMMIT")
    elif version < newest:
        _check_digests(connection, migrations[: version - BASELINE])
        _back_up(connection, backups, version)
        for migration in migrations[version - BASELINE :]:
            connection.execute("BEGIN IMMEDIATE")
            _apply(connection, migration.sql, migration.version)
            _note(connection, [migration])
            connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _apply(connection: sqlite3.Connection, script: str, version: int) -> None:
    """Run a script inside the transaction that is open; `executescript` would end it."""
    statement = ""
    for piece in re.split("(;)", script):
        statement += piece
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    connection.execute(f"PRAGMA user_version={version}")


def _note(connection: sqlite3.Connection, migrations: list[Migration]) -> None:
    for migration in migrations:
        connection.execute(
            "INSERT INTO meta (name, value) VALUES (?, ?)", (f"migration_{migration.version:04}", migration.digest)
        )


def _check_digests(connection: sqlite3.Connection, migrations: list[Migration]) -> None:
    noted = dict(connection.execute("SELECT name, value FROM meta WHERE name LIKE 'migration\\_%' ESCAPE '\\'"))
    for migration in migrations:
        if noted.get(f"migration_{migration.version:04}") != migration.digest:
            raise StorageUnavailable(f"migration {migration.version:04} is not the one that was applied to this file")


def _back_up(connection: sqlite3.Connection, backups: Path, version: int) -> None:
    backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = backups / f"before-migration-from-{version:04}.db"
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)  # SQLite fills an empty file, and would make one for everybody's eyes
    connection.execute("VACUUM INTO ?", (str(target),))
