"""Memberships: what a viewer or member may do in which project. A viewer with any is confined to them, a member always;
for others they have no effect."""

from typing import Final, get_args

from appliance.errors import Invalid, NotFound
from appliance.model import Account, Project, SiteRole
from appliance.storage import audit
from appliance.storage.accounts import known_role
from appliance.storage.catalogue_version import BUMP, Statement
from appliance.storage.interface import Database

SITE_ROLES: tuple[SiteRole, ...] = get_args(SiteRole)
CONFINED: Final = ("viewer", "member")  # roles that memberships say more about

# When :project goes: a viewer without memberships sees all projects, and nobody may become one by that.
CONFINE: Final = """
    UPDATE account SET role = 'member' WHERE role = 'viewer'
    AND EXISTS (SELECT 1 FROM membership m WHERE m.account_id = account.id AND m.project_id = :project)
    AND NOT EXISTS (SELECT 1 FROM membership m WHERE m.account_id = account.id AND m.project_id <> :project)
    """
_IS_THERE: Final = "EXISTS (SELECT 1 FROM membership m WHERE m.account_id = :account AND m.project_id = :project)"


async def of_account(db: Database, account: Account) -> dict[int, SiteRole]:
    """Role by project id, as far as they have an effect."""
    if account.role not in CONFINED:
        return {}
    rows = await db.read("SELECT project_id, role FROM membership WHERE account_id = :id", {"id": account.id})
    return {row[0]: row[1] for row in rows}


async def counts(db: Database) -> dict[int, int]:
    """Number of memberships by account id, of those who have any."""
    rows = await db.read("SELECT account_id, COUNT(*) FROM membership GROUP BY account_id")
    return {row[0]: row[1] for row in rows}


async def give(db: Database, account: Account, project: Project, role: str, *, actor: str, at: int) -> None:
    """Let an account have this role in a project, whatever it had there before.

    Raises Invalid (field `role`), NotFound where the account or project has gone.
    """
    values = {"account": account.id, "project": project.id, "role": known_role(role, SITE_ROLES)}
    insert: Statement = (
        """
        INSERT INTO membership (account_id, project_id, role)
        SELECT a.id, p.id, :role FROM account a, project p WHERE a.id = :account AND p.id = :project
        ON CONFLICT (account_id, project_id) DO UPDATE SET role = excluded.role RETURNING role
        """,
        values,
    )
    note = audit.entry_if(
        _IS_THERE,
        audit.entry(at, actor, "access.give", account.email, f"{project.name}: {role}"),
        {"account": account.id, "project": project.id},
    )
    written = await db.write_all([BUMP, insert, note])
    if not written[1]:
        raise NotFound("There is no such account or site.")


async def take(db: Database, account: Account, project: Project, *, actor: str, at: int) -> bool:
    """End an account's membership. A viewer whose last one it was becomes a member, so as not to see all projects; True
    then. Raises Invalid (field `site`) where there is none."""
    values = {"account": account.id, "project": project.id}
    statements = [
        BUMP,
        # The note first: afterwards nothing tells that there was one.
        audit.entry_if(_IS_THERE, audit.entry(at, actor, "access.take", account.email, project.name), values),
        (f"{CONFINE} AND id = :account RETURNING id", values),
        ("DELETE FROM membership WHERE account_id = :account AND project_id = :project RETURNING role", values),
    ]
    _, _, confined, ended = await db.write_all(statements)
    if not ended:
        raise Invalid(f"{account.email} had no access to {project.name}.", code="no_access", field="site")
    return bool(confined)


async def let_see_all(db: Database, account: Account, *, actor: str, at: int) -> None:
    """End all memberships of a viewer, who sees all projects then."""
    ended = ("DELETE FROM membership WHERE account_id = :id", {"id": account.id})
    await db.write_all([BUMP, ended, audit.entry(at, actor, "access.all", account.email, "all sites")])


async def has_outside_lead(db: Database, project_id: int) -> bool:
    """Whether somebody administers this project who is no admin of the appliance, and so can have its private keys."""
    rows = await db.read(
        """
        SELECT 1 FROM membership JOIN account ON account.id = membership.account_id
        WHERE membership.project_id = :id AND membership.role <> 'viewer' AND account.role IN ('viewer', 'member')
        LIMIT 1
        """,
        {"id": project_id},
    )
    return bool(rows)
