"""The audit log: who changed what, and when. Its rows are written in the transaction of the change itself."""

from collections.abc import Mapping
from typing import NamedTuple

from appliance.clock import DAY
from appliance.storage.catalogue_version import Statement
from appliance.storage.interface import Database

ENTRIES_MAX = 500


class Entry(NamedTuple):
    """One row: `actor` is an e-mail, a key's prefix, or 'cli', 'setup', 'register', ...; `action` is like
    `project.create`."""

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


def entry_if(condition: str, note: Statement, more: Mapping[str, object]) -> Statement:
    """The row of `note`, written only where the condition, of which `more` are the values, holds after the change."""
    return (
        f"""
        INSERT INTO audit (at, actor, action, subject, detail)
        SELECT :at, :actor, :action, :subject, :detail WHERE {condition}
        """,
        {**note[1], **more},
    )


async def record(db: Database, at: int, actor: str, action: str, subject: str = "", detail: str = "") -> None:
    """Add a row of its own, for what changes nothing that is stored: a login, a refused key."""
    await db.write(*entry(at, actor, action, subject, detail))


async def record_once(db: Database, at: int, actor: str, action: str, subject: str, detail: str) -> None:
    """Add a row unless there is one of this action and detail."""
    await db.write(
        """
        INSERT INTO audit (at, actor, action, subject, detail)
        SELECT :at, :actor, :action, :subject, :detail
        WHERE NOT EXISTS (SELECT 1 FROM audit WHERE action = :action AND detail = :detail)
        """,
        {"at": at, "actor": actor, "action": action, "subject": subject, "detail": detail},
    )


async def count_today(db: Database, at: int, actor: str, action: str, subject: str, *, of: str, times: int) -> bool:
    """Add to the row that counts how often something happened on this UTC day; the detail is `of`, a blank, the number.

    False: somebody else did at the same moment; try again.
    """
    rows = await db.read(
        """
        SELECT id, detail FROM audit
        WHERE action = :action AND at >= :day AND substr(detail, 1, :length) = :of ORDER BY id LIMIT 1
        """,
        {"action": action, "day": at // DAY * DAY, "length": len(of) + 1, "of": f"{of} "},
    )
    if not rows:
        await record(db, at, actor, action, subject, f"{of} {times}")
        return True
    id_, before = rows[0]
    number = int(before.rpartition(" ")[2]) + times
    return bool(
        await db.write(
            "UPDATE audit SET detail = :detail WHERE id = :id AND detail = :before RETURNING id",
            {"id": id_, "detail": f"{of} {number}", "before": before},
        )
    )


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
