"""Login sessions: the SHA-256 of a cookie's token, whose it is, and until when. Thirty days, from the last
use on."""

from typing import NamedTuple

from appliance.clock import DAY, HOUR
from appliance.model import Account
from appliance.storage import accounts
from appliance.storage.interface import Database

LIFETIME = 30 * DAY
RENEWAL_INTERVAL = HOUR  # a session in use is written at most so often
USER_AGENT_CHARACTERS_MAX = 200
SESSIONS_MAX = 50  # of one account; a new one ends the oldest


class LoginSession(NamedTuple):
    """A login that is in force. `used_at` is right to the hour."""

    token_hash: bytes
    created_at: int
    expires_at: int
    user_agent: str

    @property
    def used_at(self) -> int:
        return self.expires_at - LIFETIME


async def create(db: Database, account_id: int, token_hash: bytes, user_agent: str, *, at: int) -> None:
    """Begin a session; end what has expired, and the oldest of an account that has very many."""
    await db.write_all(
        [
            ("DELETE FROM login_session WHERE expires_at <= :at", {"at": at}),
            (
                """
                DELETE FROM login_session WHERE token_hash IN (
                  SELECT token_hash FROM login_session WHERE account_id = :account_id
                  ORDER BY expires_at DESC LIMIT 1000 OFFSET :keep)
                """,
                {"account_id": account_id, "keep": SESSIONS_MAX - 1},
            ),
            (
                """
                INSERT INTO login_session (token_hash, account_id, created_at, expires_at, user_agent)
                VALUES (:token_hash, :account_id, :at, :expires_at, :user_agent)
                """,
                {
                    "token_hash": token_hash,
                    "account_id": account_id,
                    "at": at,
                    "expires_at": at + LIFETIME,
                    "user_agent": user_agent[:USER_AGENT_CHARACTERS_MAX],
                },
            ),
        ]
    )


async def find(db: Database, token_hash: bytes, *, at: int) -> tuple[Account, LoginSession] | None:
    """Whose session this is, if it is in force."""
    columns = ", ".join(f"account.{column}" for column in accounts.COLUMNS.split(", "))
    rows = await db.read(
        f"""
        SELECT {columns}, token_hash, login_session.created_at, expires_at, user_agent
        FROM login_session JOIN account ON account.id = account_id
        WHERE token_hash = :token_hash AND expires_at > :at
        """,
        {"token_hash": token_hash, "at": at},
    )
    if not rows:
        return None
    return accounts.from_row(rows[0][:5]), LoginSession(*rows[0][5:])


async def renew(db: Database, session: LoginSession, *, at: int) -> bool:
    """Let the session last from now on, if it was not renewed within the hour; whether it was."""
    if at - session.used_at < RENEWAL_INTERVAL:
        return False
    await db.write(
        "UPDATE login_session SET expires_at = :expires_at WHERE token_hash = :token_hash",
        {"expires_at": at + LIFETIME, "token_hash": session.token_hash},
    )
    return True


async def list_of(db: Database, account_id: int, *, at: int) -> list[LoginSession]:
    """The sessions of an account that are in force, last used first."""
    rows = await db.read(
        """
        SELECT token_hash, created_at, expires_at, user_agent FROM login_session
        WHERE account_id = :account_id AND expires_at > :at
        ORDER BY expires_at DESC, created_at DESC
        """,
        {"account_id": account_id, "at": at},
    )
    return [LoginSession(*row) for row in rows]


async def last_used(db: Database) -> dict[int, int]:
    """When each account with a session was last here: time by account id, right to the hour."""
    rows = await db.read("SELECT account_id, MAX(expires_at) FROM login_session GROUP BY account_id")
    return {account_id: expires_at - LIFETIME for account_id, expires_at in rows}


async def end(db: Database, account_id: int, token_hash: bytes) -> None:
    """End one session of an account."""
    await db.write(
        "DELETE FROM login_session WHERE account_id = :account_id AND token_hash = :token_hash",
        {"account_id": account_id, "token_hash": token_hash},
    )


async def end_all(db: Database, account_id: int, *, keep: bytes | None = None) -> None:
    """End every session of an account, but for the one with the token hash `keep`."""
    await db.write(
        "DELETE FROM login_session WHERE account_id = :account_id AND token_hash <> :keep",
        {"account_id": account_id, "keep": keep or b""},
    )
