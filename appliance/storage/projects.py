"""Projects: made, changed, found, deleted. A domain belongs to one project only.

Deleting marks a project in `meta` and hides it at once, keys and domains with it; its events are removed
later by a job, because that takes longer than a request may.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec

from appliance.clock import DAY
from appliance.errors import Invalid, NotFound
from appliance.model import Key, Project, ProjectSettings
from appliance.storage import audit, keys, project_fields
from appliance.storage.catalogue_version import BUMP, Statement
from appliance.storage.interface import Database, Row

DELETED_KEPT = 7 * DAY  # for so long a deleted project can be brought back
OWNED_MAX = 100  # projects of one member, deleted ones included as long as they are kept
DELETED_MARK = "deleted_project/"  # followed by the id: name of a row of `meta`, whose value is the time

COLUMNS = "id, public_id, name, domains, timezone, currency, settings, created_at, updated_at, raw_purged_before"
LIVE = f"NOT EXISTS (SELECT 1 FROM meta WHERE meta.name = '{DELETED_MARK}' || CAST(project.id AS TEXT))"
_OWNED = "SELECT COUNT(*) FROM membership WHERE account_id = :owner_id AND role = 'owner'"
_MAKE_OWNER = """
    INSERT INTO membership (account_id, project_id, role)
    SELECT account.id, project.id, 'owner' FROM account, project
    WHERE account.id = :owner_id AND project.public_id = :public_id
    """


class NewProject(NamedTuple):
    """A project just made. `private_key` is the token, which is never seen again; None where none was asked
    for."""

    project: Project
    public_key: Key
    private_key: str | None


def from_row(row: Row) -> Project:
    """A record from a row of COLUMNS."""
    id_, public_id, name, domains, timezone, currency, settings, created_at, updated_at, raw_purged_before = row
    return Project(
        id=id_,
        public_id=public_id,
        name=name,
        domains=tuple(msgspec.json.decode(domains, type=list[str])),
        timezone=timezone,
        currency=currency,
        settings=msgspec.json.decode(settings, type=ProjectSettings),
        created_at=created_at,
        updated_at=updated_at,
        raw_purged_before=raw_purged_before,
    )


async def list_all(db: Database) -> list[Project]:
    """Every project, by name."""
    rows = await db.read(f"SELECT {COLUMNS} FROM project WHERE {LIVE} ORDER BY lower(name), id")
    return [from_row(row) for row in rows]


async def by_id(db: Database, project_id: int) -> Project | None:
    """The project with this internal id."""
    return await _one(db, "id = :value", project_id)


async def by_public_id(db: Database, public_id: str) -> Project | None:
    """The project with this UUID."""
    return await _one(db, "public_id = :value", public_id)


async def by_domain(db: Database, domain: str) -> Project | None:
    """The project that has this domain, in the form that `project_fields.domain` gives."""
    return await _one(db, "replace(domains, :value, '') <> domains", _quoted(domain))


async def create(
    db: Database,
    *,
    name: str,
    domains: Iterable[str] = (),
    timezone: str = "UTC",
    currency: str = "EUR",
    settings: ProjectSettings | None = None,
    private_key: bool = False,
    owner_id: int | None = None,
    actor: str,
    at: int,
) -> NewProject:
    """Make a project with a public key and, if asked, a private one with all scopes. `owner_id` is the account that
    gets a membership as its owner. Raises Invalid with the field, or with `too_many` where that one has OWNED_MAX."""
    fields = _fields(name, domains, timezone, currency, settings or ProjectSettings())
    public_id = str(uuid4())
    conflict, taken = _owned_elsewhere(fields["domains"], project_id=0)
    insert: Statement = (
        f"""
        INSERT INTO project (public_id, name, domains, timezone, currency, settings, created_at, updated_at)
        SELECT :public_id, :name, :domains, :timezone, :currency, :settings, :at, :at
        WHERE NOT EXISTS ({conflict}) AND ({_OWNED}) < :owned_max
        RETURNING {COLUMNS}
        """,
        {**_stored(fields), **taken, "public_id": public_id, "at": at, "owner_id": owner_id, "owned_max": OWNED_MAX},
    )
    _, public = keys.insertion(public_id, "public", keys.DEFAULT_NAME, ("send",), at)
    statements = [BUMP, insert, public]
    token = None
    if private_key:
        token, private = keys.insertion(public_id, "private", keys.DEFAULT_NAME, keys.SCOPES, at)
        statements.append(private)
    if owner_id is not None:
        statements.append((_MAKE_OWNER, {"owner_id": owner_id, "public_id": public_id}))
    statements.append(_note_if_made(at, actor, "project.create", fields["name"], public_id))
    written = await db.write_all(statements)
    if not written[1]:
        if owner_id is not None and (await db.read(_OWNED, {"owner_id": owner_id}))[0][0] >= OWNED_MAX:
            why = f"An account owns at most {OWNED_MAX} sites, those deleted in the last week included."
            raise Invalid(why, code="too_many")
        raise await _taken(db, fields["domains"], project_id=0)
    return NewProject(from_row(written[1][0]), keys.from_row(written[2][0]), token)


async def update(
    db: Database,
    project: Project,
    *,
    name: str | None = None,
    domains: Iterable[str] | None = None,
    timezone: str | None = None,
    currency: str | None = None,
    settings: ProjectSettings | None = None,
    actor: str,
    at: int,
) -> Project:
    """Change what is given; without a difference nothing is written. Raises Invalid with the field, NotFound."""
    fields = _fields(
        project.name if name is None else name,
        project.domains if domains is None else domains,
        project.timezone if timezone is None else timezone,
        project.currency if currency is None else currency,
        project.settings if settings is None else settings,
    )
    changed = [field for field, value in fields.items() if value != getattr(project, field)]
    if not changed:
        return project
    conflict, taken = _owned_elsewhere(fields["domains"], project_id=project.id)
    change: Statement = (
        f"""
        UPDATE project SET name = :name, domains = :domains, timezone = :timezone, currency = :currency,
          settings = :settings, updated_at = :at
        WHERE id = :id AND {LIVE} AND NOT EXISTS ({conflict})
        RETURNING {COLUMNS}
        """,
        {**_stored(fields), **taken, "id": project.id, "at": at},
    )
    detail = "; ".join(f"{field}: {_said(getattr(project, field))} → {_said(fields[field])}" for field in changed)
    note = _note_if_made(at, actor, "project.update", fields["name"], project.public_id, detail=detail)
    written = await db.write_all([BUMP, change, note])
    if not written[1]:
        if await by_id(db, project.id) is None:
            raise NotFound("There is no such project.")
        raise await _taken(db, fields["domains"], project.id)
    return from_row(written[1][0])


async def delete(db: Database, project: Project, *, actor: str, at: int) -> None:
    """Mark a project as deleted and hide it. Deleting it again changes nothing."""
    values = {"name": f"{DELETED_MARK}{project.id}", "value": str(at)}
    mark: Statement = (
        "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING RETURNING name",
        values,
    )
    note = audit.entry_if(
        "EXISTS (SELECT 1 FROM meta WHERE name = :name AND value = :value)",
        audit.entry(at, actor, "project.delete", project.name, project.public_id),
        values,
    )
    await db.write_all([BUMP, mark, note])


async def deleted(db: Database, public_id: str) -> Project | None:
    """The project with this UUID that is deleted and can be brought back."""
    rows = await db.read(
        f"SELECT {COLUMNS} FROM project WHERE public_id = :public_id AND NOT {LIVE}", {"public_id": public_id}
    )
    return from_row(rows[0]) if rows else None


async def restore(db: Database, public_id: str, *, actor: str, at: int) -> Project:
    """Take a deletion back while its events are still there. Raises NotFound, Invalid where a domain is taken
    now."""
    project = await deleted(db, public_id)
    if project is None:
        raise NotFound("There is no deleted project of this id.")
    conflict, taken = _owned_elsewhere(project.domains, project.id)
    # A project whose removal has begun meanwhile has another public id.
    there = "EXISTS (SELECT 1 FROM project WHERE id = :id AND public_id = :public_id)"
    unmark: Statement = (
        f"DELETE FROM meta WHERE name = :name AND {there} AND NOT EXISTS ({conflict}) RETURNING name",
        {**taken, "name": f"{DELETED_MARK}{project.id}", "id": project.id, "public_id": public_id},
    )
    note: Statement = (
        f"""
        INSERT INTO audit (at, actor, action, subject, detail)
        SELECT :at, :actor, 'project.restore', name, public_id FROM project WHERE id = :id AND {LIVE}
        """,
        {"at": at, "actor": actor, "id": project.id},
    )
    written = await db.write_all([BUMP, unmark, note])
    if not written[1]:
        if not await db.read("SELECT 1 FROM project WHERE public_id = :public_id", {"public_id": public_id}):
            raise NotFound("There is no deleted project of this id.")
        raise await _taken(db, project.domains, project.id)
    return project


async def _one(db: Database, condition: str, value: Any) -> Project | None:
    rows = await db.read(f"SELECT {COLUMNS} FROM project WHERE {condition} AND {LIVE}", {"value": value})
    return from_row(rows[0]) if rows else None


def _fields(
    name: str, domains: Iterable[str], timezone: str, currency: str, settings: ProjectSettings
) -> dict[str, Any]:
    hosts = project_fields.domains(domains)
    return {
        "name": project_fields.name(name or (hosts[0] if hosts else "")),
        "domains": hosts,
        "timezone": project_fields.timezone(timezone),
        "currency": project_fields.currency(currency),
        "settings": project_fields.settings(settings),
    }


def _stored(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        **fields,
        "domains": msgspec.json.encode(fields["domains"]).decode(),
        "settings": msgspec.json.encode(fields["settings"]).decode(),
    }


def _quoted(domain: str) -> str:
    """A domain as it stands in the JSON list. Host names need no escaping there, so `replace` finds whole
    ones."""
    return f'"{domain}"'


def _owned_elsewhere(domains: Sequence[str], project_id: int) -> tuple[str, dict[str, Any]]:
    """A query, and its parameters, for a live project other than this one that has any of the domains."""
    matches = [f"replace(other.domains, :domain{n}, '') <> other.domains" for n in range(len(domains))]
    live = LIVE.replace("project.id", "other.id")
    query = f"""
        SELECT 1 FROM project AS other
        WHERE other.id <> :project_id AND {live} AND ({" OR ".join(matches) or "1 = 0"})
        """
    return query, {
        "project_id": project_id,
        **{f"domain{n}": _quoted(domain) for n, domain in enumerate(domains)},
    }


def _note_if_made(
    at: int, actor: str, action: str, name: str, public_id: str, *, detail: str | None = None
) -> Statement:
    """An audit row, written only if the statement before it did what it should at this very time."""
    return audit.entry_if(
        "EXISTS (SELECT 1 FROM project WHERE public_id = :public_id AND updated_at = :at)",
        audit.entry(at, actor, action, name, public_id if detail is None else detail),
        {"public_id": public_id},
    )


async def _taken(db: Database, domains: Sequence[str], project_id: int) -> Invalid:
    for domain in domains:
        other = await by_domain(db, domain)
        if other is not None and other.id != project_id:
            return Invalid(f"{domain} belongs to another site already.", code="taken", field="domains")
    return Invalid("One of the domains belongs to another site already.", code="taken", field="domains")


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if isinstance(value, ProjectSettings):
        return msgspec.json.encode(value).decode()
    return str(value)
