"""Erasing people at their request: what was asked for, and how far it is. `Database.erase` carries it out.

A user is all the visitors that were identified for good as that user; a visitor who was is that user. What the audit
log and this table keep says that somebody was erased, and how much, not who.
"""

import msgspec

from appliance.errors import Invalid
from appliance.model import Project
from appliance.storage import audit
from appliance.storage.interface import Database

_COLUMNS = "id, asked_at, visits, events, erased_at, wiped_at"
_VISITOR_DIGITS = 16


class Erasure(msgspec.Struct, frozen=True):
    """`visits` and `events` were taken out so far. Times are UTC microseconds, None while it is not done.

    From `erased_at` on nothing of them is stored; from `wiped_at` on no byte of theirs is left in the files of a SQLite
    database, and no dead row in a PostgreSQL database (its log, replicas and backups are its operator's).
    """

    id: int
    asked_at: int
    visits: int
    events: int
    erased_at: int | None
    wiped_at: int | None


def visitor(digits: str) -> int:
    """The visitor whom exports and pages show as these 16 hexadecimal digits. Raises Invalid."""
    text = digits.strip().lower()
    if len(text) != _VISITOR_DIGITS or not set(text) <= set("0123456789abcdef"):
        raise Invalid("A visitor is 16 hexadecimal digits, as exports show them.", code="malformed", field="visitor")
    return int.from_bytes(bytes.fromhex(text), "big", signed=True)


async def ask_for_user(db: Database, project: Project, user: str, *, actor: str, at: int) -> int:
    """Note that a user is to be erased; the erasure's id. Raises Invalid."""
    if not user:
        raise Invalid("Give the user's id.", code="required", field="user")
    return await _ask(db, project, "user.erase", {"users": [user], "visitors": []}, actor, at)


async def ask_for_visitor(db: Database, project: Project, number: int, *, actor: str, at: int) -> int:
    """Note that a visitor is to be erased; the erasure's id."""
    return await _ask(db, project, "visitor.erase", {"users": [], "visitors": [number]}, actor, at)


async def find(db: Database, erasure_id: int) -> Erasure:
    """How far an erasure is."""
    rows = await db.read(f"SELECT {_COLUMNS} FROM erasure WHERE id = :id", {"id": erasure_id})
    return Erasure(*rows[0])


async def newest(db: Database, project_id: int) -> int:
    """When somebody was last asked to be erased from a project; 0 for never."""
    rows = await db.read("SELECT max(asked_at) FROM erasure WHERE project_id = :id", {"id": project_id})
    return rows[0][0] or 0


async def _ask(
    db: Database, project: Project, action: str, whom: dict[str, list[str] | list[int]], actor: str, at: int
) -> int:
    insert = (
        "INSERT INTO erasure (project_id, asked_at, users, visitors) VALUES (:project_id, :at, :users, :visitors)"
        " RETURNING id"
    )
    people = {name: msgspec.json.encode(values).decode() for name, values in whom.items()}
    written = await db.write_all(
        [
            (insert, {"project_id": project.id, "at": at, **people}),
            audit.entry(at, actor, action, project.name, project.public_id),
        ]
    )
    return int(written[0][0][0])
