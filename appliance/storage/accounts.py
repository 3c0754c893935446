"""Accounts: who may log in, and as what. E-mail addresses are kept in lower case."""

import re
from typing import get_args

from appliance import credentials
from appliance.errors import Forbidden, Invalid, NotFound
from appliance.model import Account, Role
from appliance.storage import audit
from appliance.storage.catalogue_version import BUMP, Statement
from appliance.storage.interface import Database, Row

EMAIL_CHARACTERS_MAX = 254  # RFC 5321, 4.5.3.1.3
NAME_CHARACTERS_MAX = 100
ROLES: tuple[Role, ...] = get_args(Role)

COLUMNS = "id, email, name, role, created_at"

_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")
_OTHER_OWNER = "EXISTS (SELECT 1 FROM account AS other WHERE other.role = 'owner' AND other.id <> :id)"


def from_row(row: Row) -> Account:
    """A record from a row of COLUMNS."""
    return Account(*row)


def email(text: str) -> str:
    """An address in the form it is stored and looked up in. Raises Invalid (field `email`).

    Only mail itself can tell whether an address is right, so this asks for no more than something@somewhere.
    """
    cleaned = text.strip().lower()
    if not _EMAIL.fullmatch(cleaned) or len(cleaned) > EMAIL_CHARACTERS_MAX:
        raise Invalid("Give an e-mail address, like ada@example.com.", code="malformed", field="email")
    return cleaned


async def any_exist(db: Database) -> bool:
    """Whether there is an account at all; without one the appliance is in its first run."""
    return bool(await db.read("SELECT 1 FROM account LIMIT 1"))


async def list_all(db: Database) -> list[Account]:
    """Every account, oldest first."""
    rows = await db.read(f"SELECT {COLUMNS} FROM account ORDER BY created_at, id")
    return [from_row(row) for row in rows]


async def by_id(db: Database, account_id: int) -> Account | None:
    """The account with this id."""
    rows = await db.read(f"SELECT {COLUMNS} FROM account WHERE id = :id", {"id": account_id})
    return from_row(rows[0]) if rows else None


async def by_email(db: Database, address: str) -> Account | None:
    """The account with this address, however it is written."""
    rows = await db.read(f"SELECT {COLUMNS} FROM account WHERE email = :email", {"email": address.strip().lower()})
    return from_row(rows[0]) if rows else None


async def create(
    db: Database,
    *,
    email: str,
    password: str,
    name: str = "",
    role: Role = "owner",
    only_first: bool = False,
    actor: str,
    at: int,
) -> Account:
    """Make an account. With `only_first` it is made only while there is none, even if two ask at once.

    Raises Invalid (fields `email`, `password`, `name`, `role`), Forbidden where another account came first.
    """
    address = _email(email)
    credentials.check_password(password)
    values = {
        "email": address,
        "name": _name(name),
        "password_hash": await credentials.hash_password(password),
        "role": known_role(role),
        "at": at,
    }
    insert: Statement = (
        f"""
        INSERT INTO account (email, name, password_hash, role, created_at)
        SELECT :email, :name, :password_hash, :role, :at
        WHERE NOT EXISTS (SELECT 1 FROM account {"" if only_first else "WHERE email = :email"})
        RETURNING {COLUMNS}
        """,
        values,
    )
    note = audit.entry_if(
        "EXISTS (SELECT 1 FROM account WHERE email = :subject AND password_hash = :password_hash)",
        audit.entry(at, actor, "account.create", address, role),
        {"password_hash": values["password_hash"]},
    )
    written = await db.write_all([BUMP, insert, note])
    if not written[1]:
        if only_first:
            raise Forbidden("The first account exists already.", code="set_up_already")
        raise Invalid(f"There is an account for {address} already.", code="taken", field="email")
    return from_row(written[1][0])


async def authenticate(db: Database, address: str, password: str) -> Account | None:
    """The account with this address and password. An unknown address costs the same work as a wrong password."""
    rows = await db.read(
        f"SELECT {COLUMNS}, password_hash FROM account WHERE email = :email",
        {"email": address.strip().lower()},
    )
    stored: str | None = rows[0][-1] if rows else None
    if not await credentials.verify_password(password, stored) or stored is None:
        return None
    account = from_row(rows[0][:-1])
    if credentials.needs_rehash(stored):
        renewed = await credentials.hash_password(password)
        await db.write(
            "UPDATE account SET password_hash = :new WHERE id = :id AND password_hash = :old",
            {"new": renewed, "id": account.id, "old": stored},
        )
    return account


async def set_password(
    db: Database, account: Account, password: str, *, keep: bytes | None = None, actor: str, at: int
) -> None:
    """Set a password and end the account's login sessions, but for the one with the token hash `keep`.

    Raises Invalid (field `password`).
    """
    credentials.check_password(password)
    hashed = await credentials.hash_password(password)
    await db.write_all(
        [
            ("UPDATE account SET password_hash = :hash WHERE id = :id", {"hash": hashed, "id": account.id}),
            (
                "DELETE FROM login_session WHERE account_id = :id AND token_hash <> :keep",
                {"id": account.id, "keep": keep or b""},
            ),
            audit.entry(at, actor, "account.password", account.email),
        ]
    )


async def set_role(db: Database, account: Account, role: Role, *, actor: str, at: int) -> None:
    """Change what an account may do. Raises Forbidden where no owner would be left, NotFound, Invalid
    (`role`)."""
    if known_role(role) == account.role:
        return
    change: Statement = (
        f"""
        UPDATE account SET role = :role
        WHERE id = :id AND (role <> 'owner' OR {_OTHER_OWNER}) RETURNING id
        """,
        {"role": role, "id": account.id},
    )
    note = audit.entry_if(
        "EXISTS (SELECT 1 FROM account WHERE id = :id AND role = :role)",
        audit.entry(at, actor, "account.role", account.email, f"{account.role} → {role}"),
        {"id": account.id, "role": role},
    )
    written = await db.write_all([BUMP, change, note])
    if not written[1]:
        await _refuse_last_owner(db, account)


async def remove(db: Database, account: Account, *, actor: str, at: int) -> None:
    """Delete an account, its memberships and login sessions. Raises Forbidden for the last owner, NotFound."""
    deletion: Statement = (
        f"DELETE FROM account WHERE id = :id AND (role <> 'owner' OR {_OTHER_OWNER}) RETURNING id",
        {"id": account.id},
    )
    note = audit.entry_if(
        "NOT EXISTS (SELECT 1 FROM account WHERE id = :id)",
        audit.entry(at, actor, "account.remove", account.email, account.role),
        {"id": account.id},
    )
    written = await db.write_all([BUMP, deletion, note])
    if not written[1]:
        await _refuse_last_owner(db, account)


_email = email  # `create` has a parameter of that name


def _name(text: str) -> str:
    cleaned = " ".join(text.replace("\0", " ").split())
    if len(cleaned) > NAME_CHARACTERS_MAX:
        raise Invalid(f"Use at most {NAME_CHARACTERS_MAX} characters.", code="too_long", field="name")
    return cleaned


def known_role(role: str, known: tuple[str, ...] = ROLES) -> str:
    """A role that there is. Raises Invalid (field `role`)."""
    if role not in known:
        raise Invalid(f"Choose {', '.join(known[:-1])} or {known[-1]}.", code="unknown", field="role")
    return role


async def _refuse_last_owner(db: Database, account: Account) -> None:
    if await by_id(db, account.id) is None:
        raise NotFound("There is no such account.")
    raise Forbidden("Somebody has to stay owner; make another account owner first.", code="last_owner")
