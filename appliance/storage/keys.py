"""API keys: a public key's token is stored as it is, a private key's only as its SHA-256."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from appliance import credentials
from appliance.clock import HOUR, MICROSECONDS
from appliance.errors import Invalid, NotFound
from appliance.model import Key, Project
from appliance.storage import audit
from appliance.storage.catalogue_version import BUMP, Statement
from appliance.storage.interface import Database, Row

SCOPES = ("send", "read", "manage")
NAME_CHARACTERS_MAX = 100
DEFAULT_NAME = "default"  # of the keys that come with a project
KEYS_MAX = 100  # live ones of a project
TOUCH_INTERVAL = HOUR
GRACE_SECONDS_MAX = 30 * 86_400  # for which a key that was replaced still holds

COLUMNS = "id, project_id, kind, name, prefix, token, scopes, created_at, last_used_at, revoked_at, expires_at"


class NewKey(NamedTuple):
    """A key just minted. `token` is shown now; a private key's is never seen again."""

    key: Key
    token: str


def from_row(row: Row) -> Key:
    """A record from a row of COLUMNS."""
    values: list[Any] = list(row)
    values[6] = tuple(msgspec.json.decode(values[6], type=list[str]))
    return Key(*values)


# Whether project p may have another key. A form that is sent twice must not leave a second private key behind that
# nobody knows of.
_HAS_ROOM: Final = """
    (SELECT COUNT(*) FROM api_key k WHERE k.project_id = p.id AND k.revoked_at IS NULL AND k.expires_at IS NULL) < :most
    AND NOT EXISTS (
        SELECT 1 FROM api_key k WHERE k.project_id = p.id AND k.revoked_at IS NULL AND k.expires_at IS NULL
        AND k.kind = 'private' AND k.kind = :kind AND k.name = :key_name AND k.name <> '')
    """
_IS_CURRENT: Final = (
    "EXISTS (SELECT 1 FROM api_key k WHERE k.id = :old AND k.revoked_at IS NULL AND k.expires_at IS NULL)"
)


def insertion(
    project_public_id: str,
    kind: Literal["public", "private"],
    name: str,
    scopes: Iterable[str],
    at: int,
    condition: str = "TRUE",
    more: Mapping[str, object] = {},
) -> tuple[str, Statement]:
    """A fresh token and the statement that stores its key; it stores nothing where there is no such project p, or where
    the condition, of which `more` are the values, does not hold."""
    token = credentials.mint_private_key() if kind == "private" else credentials.mint_public_key()
    statement = f"""
        INSERT INTO api_key (project_id, kind, name, prefix, token, hash, scopes, created_at)
        SELECT p.id, :kind, :key_name, :prefix, :token, :hash, :scopes, :at
        FROM project p WHERE p.public_id = :public_id AND {condition}
        RETURNING {COLUMNS}
        """
    return token, (
        statement,
        {
            "public_id": project_public_id,
            "kind": kind,
            "key_name": name,
            "prefix": credentials.key_prefix(token),
            "token": token if kind == "public" else None,
            "hash": credentials.digest(token) if kind == "private" else None,
            "scopes": msgspec.json.encode(tuple(scopes)).decode(),
            "at": at,
            **more,
        },
    )


def _note_if_made(insert: Statement, at: int, actor: str, action: str, prefix: str, detail: str) -> Statement:
    made = "EXISTS (SELECT 1 FROM api_key k WHERE k.token = :token OR k.hash = :hash)"
    values = {name: insert[1][name] for name in ("token", "hash")}
    return audit.entry_if(made, audit.entry(at, actor, action, prefix, detail), values)


async def list_of(db: Database, project_id: int) -> list[Key]:
    """Every key of a project, live ones first, then newest first."""
    rows = await db.read(
        f"""
        SELECT {COLUMNS} FROM api_key WHERE project_id = :project_id
        ORDER BY CASE WHEN revoked_at IS NOT NULL THEN 2 WHEN expires_at IS NOT NULL THEN 1 ELSE 0 END,
          created_at DESC, id DESC
        """,
        {"project_id": project_id},
    )
    return [from_row(row) for row in rows]


async def current_public(db: Database, project_id: int) -> Key | None:
    """The newest live public key: the one that goes into the snippet."""
    rows = await db.read(
        f"""
        SELECT {COLUMNS} FROM api_key
        WHERE project_id = :project_id AND kind = 'public' AND revoked_at IS NULL AND expires_at IS NULL
        ORDER BY created_at DESC, id DESC LIMIT 1
        """,
        {"project_id": project_id},
    )
    return from_row(rows[0]) if rows else None


async def by_token(db: Database, token: str) -> Key | None:
    """The key with this token, revoked or not; private and public alike."""
    if credentials.key_kind(token) == "private":
        where, value = "hash = :value", credentials.digest(token)
    else:
        where, value = "token = :value", token  # type: ignore[assignment]
    rows = await db.read(f"SELECT {COLUMNS} FROM api_key WHERE {where}", {"value": value})
    return from_row(rows[0]) if rows else None


async def mint(
    db: Database,
    project_public_id: str,
    kind: Literal["public", "private"],
    *,
    name: str = "",
    scopes: Iterable[str] = ("read",),
    actor: str,
    at: int,
) -> NewKey:
    """Make a key. A public key may only send. A live private key's name is unique in its project.

    Raises Invalid (fields `name`, `scopes`), NotFound.
    """
    name, chosen = _name(name), _scopes(kind, scopes)
    token, insert = insertion(project_public_id, kind, name, chosen, at, _HAS_ROOM, {"most": KEYS_MAX})
    detail = f"{kind}, {' '.join(chosen)}" + (f", {name}" if name else "")
    note = _note_if_made(insert, at, actor, "key.create", credentials.key_prefix(token), detail)
    _, inserted, _ = await db.write_all([BUMP, insert, note])
    if not inserted:
        raise await _refusal(db, project_public_id, kind, name)
    return NewKey(from_row(inserted[0]), token)


async def revoke(db: Database, project_id: int, key_id: int, *, actor: str, at: int) -> Key:
    """End a key. Revoking a revoked one changes nothing. Raises NotFound where the project has no such key."""
    rows = await db.read(
        f"SELECT {COLUMNS} FROM api_key WHERE id = :id AND project_id = :project_id",
        {"id": key_id, "project_id": project_id},
    )
    if not rows:
        raise NotFound("There is no such key.")
    key = from_row(rows[0])
    if key.revoked_at is not None:
        return key
    update = (
        f"""
        UPDATE api_key SET revoked_at = :at WHERE id = :id AND revoked_at IS NULL
        RETURNING {COLUMNS}
        """,
        {"id": key_id, "at": at},
    )
    note = audit.entry_if(
        "EXISTS (SELECT 1 FROM api_key k WHERE k.id = :id AND k.revoked_at = :at)",
        audit.entry(at, actor, "key.revoke", key.prefix, key.name),
        {"id": key_id},
    )
    written = await db.write_all([BUMP, update, note])
    return from_row(written[1][0]) if written[1] else key


async def rotate_public(db: Database, project_public_id: str, *, grace_seconds: int = 0, actor: str, at: int) -> NewKey:
    """Replace all live public keys of a project by one new one, in one transaction; they still hold for
    `grace_seconds`. Raises Invalid (field `grace`), NotFound."""
    token, insert = insertion(project_public_id, "public", DEFAULT_NAME, ("send",), at)
    which = "kind = 'public' AND project_id IN (SELECT id FROM project WHERE public_id = :public_id)"
    end = _ending(which, {"public_id": project_public_id}, grace_seconds, at)
    note = audit.entry(at, actor, "key.rotate", credentials.key_prefix(token), _grace_words(grace_seconds))
    _, _, inserted, _ = await db.write_all([BUMP, end, insert, note])
    if not inserted:
        raise NotFound("There is no such project.")
    return NewKey(from_row(inserted[0]), token)


async def rotate(db: Database, project: Project, key_id: int, *, grace_seconds: int = 0, actor: str, at: int) -> NewKey:
    """Replace one key by a new one of the same kind, name and scopes; the old one still holds for `grace_seconds`.

    Raises Invalid (fields `key`, `grace`), NotFound where the project has no such key that holds.
    """
    select = f"SELECT {COLUMNS} FROM api_key WHERE id = :id AND project_id = :project_id"
    rows = await db.read(select, {"id": key_id, "project_id": project.id})
    old = from_row(rows[0]) if rows else None
    if old is None or not old.holds(at):
        raise NotFound("There is no such key.")
    token, insert = insertion(project.public_id, old.kind, old.name, old.scopes, at, _IS_CURRENT, {"old": key_id})
    end = _ending("id = :id AND expires_at IS NULL", {"id": key_id}, grace_seconds, at)
    note = _note_if_made(insert, at, actor, "key.replace", credentials.key_prefix(token), old.prefix)
    _, inserted, _, _ = await db.write_all([BUMP, insert, end, note])
    if not inserted:
        raise Invalid("This key was replaced already.", code="replaced", field="key")
    return NewKey(from_row(inserted[0]), token)


def _ending(which: str, values: dict[str, Any], grace_seconds: int, at: int) -> Statement:
    """The statement that ends keys, at once or later; none holds longer than it would have."""
    if not 0 <= grace_seconds <= GRACE_SECONDS_MAX:
        raise Invalid(f"Use at most {GRACE_SECONDS_MAX // 86_400} days.", code="out_of_range", field="grace")
    change = (
        "expires_at = CASE WHEN expires_at < :ends THEN expires_at ELSE :ends END" if grace_seconds
        else "revoked_at = :ends"
    )  # fmt: skip
    update = f"UPDATE api_key SET {change} WHERE revoked_at IS NULL AND {which}"
    return update, values | {"ends": at + grace_seconds * MICROSECONDS}


def _grace_words(seconds: int) -> str:
    return f"the old one holds {seconds // 3600} hours more" if seconds else ""


async def touch(db: Database, key: Key, *, at: int) -> None:
    """Note that a key was used, at most once an hour, so that reading does not become writing."""
    if key.last_used_at is None or at - key.last_used_at >= TOUCH_INTERVAL:
        await db.write("UPDATE api_key SET last_used_at = :at WHERE id = :id", {"at": at, "id": key.id})


def _name(text: str) -> str:
    cleaned = " ".join(text.split())
    if len(cleaned) > NAME_CHARACTERS_MAX:
        raise Invalid(f"Use at most {NAME_CHARACTERS_MAX} characters.", code="too_long", field="name")
    return cleaned


def _scopes(kind: str, scopes: Iterable[str]) -> tuple[str, ...]:
    if kind == "public":
        return ("send",)
    given = set(scopes)
    if unknown := given.difference(SCOPES):
        raise Invalid(f"There is no scope “{min(unknown)}”.", code="unknown", field="scopes")
    if not given:
        raise Invalid("Choose what the key may do.", code="required", field="scopes")
    return tuple(scope for scope in SCOPES if scope in given)


async def _refusal(db: Database, project_public_id: str, kind: str, name: str) -> Invalid | NotFound:
    """Why a key was not made."""
    rows = await db.read(
        """
        SELECT k.kind, k.name FROM project p LEFT JOIN api_key k
        ON k.project_id = p.id AND k.revoked_at IS NULL AND k.expires_at IS NULL WHERE p.public_id = :public_id
        """,
        {"public_id": project_public_id},
    )
    if not rows:
        return NotFound("There is no such project.")
    if kind == "private" and name and ("private", name) in rows:
        return Invalid(f"There is a key named “{name}” already.", code="taken", field="name")
    return Invalid("Revoke a key first: this project has the most it may have.", code="too_many")
