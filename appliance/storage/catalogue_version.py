"""A number that every change to projects, keys, accounts and memberships raises, in the same transaction.

A running server compares it with that of its snapshot, and so notices what the CLI or another appliance
changed. `BUMP` goes first in a transaction: the row's lock then lets such changes through one at a time on
PostgreSQL too, which is what makes their guards ("no other project has this domain") hold.
"""

from appliance.storage.interface import Database, Params

Statement = tuple[str, Params]

NAME = "catalogue_version"
BUMP: Statement = (
    """
    INSERT INTO meta (name, value) VALUES (:name, '1')
    ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(meta.value AS BIGINT) + 1 AS TEXT)
    """,
    {"name": NAME},
)


async def catalogue_version(db: Database) -> int:
    """Number of changes so far; 0 before the first."""
    rows = await db.read("SELECT value FROM meta WHERE name = :name", {"name": NAME})
    return int(rows[0][0]) if rows else 0
