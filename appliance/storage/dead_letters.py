"""Events that the database refused: looked at, stored again, or deleted.

Who asks to store one again marks it; the process that serves takes the marked ones into its journal (ingest/
dead_letters.py), so it does not matter where somebody asks.
"""

from collections.abc import Sequence
from typing import NamedTuple

from appliance.storage import audit
from appliance.storage.interface import Database

PAGE_ROWS = 100


class DeadLetter(NamedTuple):
    """`event` is the journaled record (MessagePack of model.Event); times are UTC microseconds."""

    id: int
    at: int
    project_id: int
    error: str
    event: bytes
    retry_at: int | None


_COLUMNS = "id, at, project_id, error, event, retry_at"


async def newest(db: Database, *, before: int | None = None, limit: int = PAGE_ROWS) -> list[DeadLetter]:
    """The newest ones, of those with a smaller id than `before`."""
    rows = await db.read(
        f"SELECT {_COLUMNS} FROM dead_letter WHERE id < :before ORDER BY id DESC LIMIT :limit",
        {"before": before if before is not None else 1 << 62, "limit": limit},
    )
    return [_from_row(row) for row in rows]


async def count(db: Database) -> int:
    """How many there are."""
    ((number,),) = await db.read("SELECT count(*) FROM dead_letter")
    return int(number)


async def count_of(db: Database, project_id: int) -> int:
    """How many a project has."""
    select = "SELECT count(*) FROM dead_letter WHERE project_id = :project_id"
    ((number,),) = await db.read(select, {"project_id": project_id})
    return int(number)


async def ask_to_retry(db: Database, letter_id: int | None, *, actor: str, at: int) -> int:
    """Have one stored again, or all (None); how many."""
    return await _change("UPDATE dead_letter SET retry_at = :at", "retry", db, letter_id, actor, at)


async def delete(db: Database, letter_id: int | None, *, actor: str, at: int) -> int:
    """Delete one, or all (None), for ever; how many."""
    return await _change("DELETE FROM dead_letter", "delete", db, letter_id, actor, at)


async def asked_for(db: Database, limit: int) -> list[DeadLetter]:
    """Those that are to be stored again, the oldest first."""
    select = f"SELECT {_COLUMNS} FROM dead_letter WHERE retry_at IS NOT NULL ORDER BY id LIMIT :limit"
    return [_from_row(row) for row in await db.read(select, {"limit": limit})]


async def journaled(db: Database, letter_ids: Sequence[int]) -> None:
    """Forget those that stand in a journal now."""
    numbers = ", ".join(f"{number:d}" for number in letter_ids)
    await db.write(f"DELETE FROM dead_letter WHERE id IN ({numbers})")


async def unreadable(db: Database, letter_id: int, error: str) -> None:
    """Note why one could not be stored again; nobody asks for it any more."""
    await db.write(
        "UPDATE dead_letter SET retry_at = NULL, error = :error WHERE id = :id", {"id": letter_id, "error": error}
    )


async def _change(change: str, word: str, db: Database, letter_id: int | None, actor: str, at: int) -> int:
    where, values = ("WHERE id = :id", {"id": letter_id}) if letter_id is not None else ("", {})
    if ":at" in change:
        values["at"] = at
    changed = await db.write(f"{change} {where} RETURNING id", values)
    if changed:
        await audit.record(db, at, actor, f"dead_letter.{word}", "", f"{len(changed)}")
    return len(changed)


def _from_row(row: Sequence[object]) -> DeadLetter:
    letter = DeadLetter(*row)  # type: ignore[arg-type]
    return letter._replace(event=bytes(letter.event))
