"""What somebody may see, set in a test."""

from collections.abc import Mapping

from appliance.model import Account, SiteRole
from appliance.storage.catalogue_version import BUMP, Statement
from appliance.storage.interface import Database


async def set_memberships(database: Database, account: Account, roles: Mapping[int, SiteRole]) -> None:
    """Roles by project id, also of a project that waits to be removed, and no others."""
    statements: list[Statement] = [BUMP, ("DELETE FROM membership WHERE account_id = :id", {"id": account.id})]
    insert = "INSERT INTO membership (account_id, project_id, role) VALUES (:id, :project, :role)"
    for project_id, role in roles.items():
        statements.append((insert, {"id": account.id, "project": project_id, "role": role}))
    await database.write_all(statements)
