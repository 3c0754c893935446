"""Tickets: what opens a stream once, soon, for a login session, where its token cannot be sent or must not be seen."""

from typing import Final

from appliance.clock import MICROSECONDS
from appliance.storage.interface import Database

LIFETIME: Final = 30 * MICROSECONDS


async def create(db: Database, digest: bytes, token_hash: bytes, *, at: int) -> None:
    """Keep the SHA-256 of a ticket for a login session, as long as that is in force; forget those that are too old."""
    await db.write_all(
        [
            ("DELETE FROM ticket WHERE expires_at <= :at", {"at": at}),
            (
                """
                INSERT INTO ticket (digest, token_hash, expires_at)
                SELECT :digest, token_hash, :expires_at FROM login_session WHERE token_hash = :token_hash
                """,
                {"digest": digest, "token_hash": token_hash, "expires_at": at + LIFETIME},
            ),
        ]
    )


async def take(db: Database, digest: bytes, *, at: int) -> bytes | None:
    """The token hash of the login session that a ticket is of, which holds no longer; None for one that never did, or
    not any more."""
    rows = await db.write(
        "DELETE FROM ticket WHERE digest = :digest AND expires_at > :at RETURNING token_hash",
        {"digest": digest, "at": at},
    )
    return rows[0][0] if rows else None
