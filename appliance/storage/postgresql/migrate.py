"""Brings a PostgreSQL database to the schema of this version.

A new database gets `schema.sql`, which is always the whole schema; an older one the numbered files of `migrations/`
above its version. After either, the views are made that are other ones where TimescaleDB is (aggregates.py). All of it
is one transaction, so that nothing is ever half done; of several appliances that start at once one does it, and the
others wait.
"""

from importlib.resources import files
from typing import Final

import psycopg

from appliance.errors import ApplianceError, ConfigurationError, DatabaseTooNew, StorageUnavailable
from appliance.storage.migrations import BASELINE, Migration, available
from appliance.storage.postgresql.aggregates import make_aggregates
from appliance.storage.postgresql.connection import parameters, storage_error
from appliance.storage.postgresql.partitions import add_extension, make_hypertables, schema_for_hypertables

_PACKAGE: Final = files("appliance.storage.postgresql")
_LOCK: Final = 0x616E616C  # of PostgreSQL's advisory locks; held while migrating
_VERSION: Final = "schema_version"  # a row of `meta`
_DIGEST: Final = "migration_"

Connection = psycopg.Connection[tuple[object, ...]]


def migrate(url: str, migrations: list[Migration] | None = None) -> int:
    """Make or update the schema of the database; gives its version.

    Raises DatabaseTooNew for a database of a newer appliance; ConfigurationError when a new one would get a TimescaleDB
    that is too old, or the server refuses for another reason that does not pass; StorageUnavailable when an applied
    migration was changed, or the database does not answer.
    """
    migrations = available(_PACKAGE / "migrations") if migrations is None else migrations
    newest = BASELINE + len(migrations)
    try:
        with psycopg.connect(url, **parameters(url) | {"autocommit": False}) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            version = _version(connection)
            if version > newest:
                raise DatabaseTooNew(
                    f"the database has schema version {version}, this appliance knows {newest}: start the newer one"
                )
            if version == 0:
                _create(connection)
                new = migrations
            else:
                _check_digests(connection, migrations[: version - BASELINE])
                new = migrations[version - BASELINE :]
                for migration in new:
                    connection.execute(migration.sql.encode())
            for migration in new:
                _note(connection, f"{_DIGEST}{migration.version:04}", migration.digest)
            if version != newest:
                make_aggregates(connection)
                _note(connection, _VERSION, str(newest))
    except psycopg.Error as error:
        if isinstance(known := storage_error(error), ApplianceError):
            raise known from error
        if error.sqlstate is None:  # what it says quotes the URL, in which a password may be
            raise ConfigurationError("the URL of the database cannot be understood") from None
        raise ConfigurationError(f"the database refuses: {error.diag.message_primary} ({error.sqlstate})") from error
    return newest


def _create(connection: Connection) -> None:
    schema = (_PACKAGE / "schema.sql").read_text("utf-8")
    if add_extension(connection):
        connection.execute(schema_for_hypertables(schema).encode())
        make_hypertables(connection)
    else:
        connection.execute(schema.encode())


def _version(connection: Connection) -> int:
    """0 in an empty database."""
    (made,) = connection.execute("SELECT to_regclass('meta') IS NOT NULL").fetchone() or (False,)
    row = connection.execute("SELECT value FROM meta WHERE name = %s", (_VERSION,)).fetchone() if made else None
    return int(str(row[0])) if row else 0


def _note(connection: Connection, name: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta (name, value) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def _check_digests(connection: Connection, migrations: list[Migration]) -> None:
    select = "SELECT count(*) FROM meta WHERE name = %s AND value = %s"
    for migration in migrations:
        name = f"{_DIGEST}{migration.version:04}"
        if connection.execute(select, (name, migration.digest)).fetchone() != (1,):
            raise StorageUnavailable(f"migration {migration.version:04} is not the one that was applied here")
