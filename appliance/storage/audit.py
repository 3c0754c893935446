"""The audit log: who changed what, and when. Its rows are written in the transaction of the change itself."""

from typing import NamedTuple

from appliance.storage.catalogue_version import Statement
from appliance.storage.interface import Database

ENTRIES_MAX = 500


class Entry(NamedTuple):
    """One row: `actor` is an e-mail, 'cli', 'setup' or a key's prefix; `action` is like `project.create`."""

    id: int
    at: int
    actor: str
    action: str
    subject: str
    detail: str


def entry(at: int, actor: str, action: str, subject: str = "", detail: str = "") -> Statement:
    """The statement that adds a row, for a change that is known to happen."""
    return (
        """
        INSERT INTO audit (at, actor, action, subject, detail)
        VALUES (:at, :actor, :action, :subject, :detail)
        """,
        {"at": at, "actor": actor, "action": action, "subject": subject, "detail": detail},
    )


async def record(db: Database, at: int, actor: str, action: str, subject: str = "", detail: str = "") -> None:
    """Add a row of its own, for what changes nothing that is stored: a login, a refused key."""
    await db.write(*entry(at, actor, action, subject, detail))


async def recent(db: Database, *, offset: int = 0, limit: int = 100) -> list[Entry]:
    """At most `limit` rows, newest first, after leaving out `offset`."""
    rows = await db.read(
        """
        SELECT id, at, actor, action, subject, detail
        FROM audit ORDER BY id DESC LIMIT :limit OFFSET :offset
        """,
        {"limit": min(limit, ENTRIES_MAX), "offset": offset},
    )
    return [Entry(*row) for row in rows]


async def count(db: Database) -> int:
    """Number of rows."""
    return int((await db.read("SELECT COUNT(*) FROM audit"))[0][0])


async def purge(db: Database, before: int) -> None:
    """Forget rows older than this time."""
    await db.write("DELETE FROM audit WHERE at < :before", {"before": before})
