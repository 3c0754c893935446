"""The catalogue: every project, live key and exclusion in one snapshot in memory, for paths that must not ask the
database."""

from collections.abc import Mapping

import msgspec

from appliance import credentials
from appliance.model import Key, Project, SourceSettings
from appliance.storage import exclusions, keys, projects, sources
from appliance.storage.catalogue_version import catalogue_version
from appliance.storage.exclusions import Rule
from appliance.storage.interface import Database

__all__ = ["Catalogue", "catalogue_version", "load_catalogue"]


class Catalogue(msgspec.Struct, frozen=True):
    """What was true at `version` or a little later; load it again when `catalogue_version` gives another
    number.

    `domains` has host names as `project_fields.domain` gives them; `sources`, by project, the settings of those sources
    that have any; `private_keys` has SHA-256 digests.
    """

    version: int
    projects: Mapping[int, Project]
    public_ids: Mapping[str, Project]
    domains: Mapping[str, Project]
    sources: Mapping[int, Mapping[str, SourceSettings]]
    public_keys: Mapping[str, tuple[Project, Key]]
    private_keys: Mapping[bytes, tuple[Project, Key, frozenset[str]]]
    exclusions: Mapping[int, tuple[Rule, ...]] = {}  # by project's id; those in force

    def by_hostname(self, hostname: str) -> Project | None:
        """The project of an event's host name: lower case, without port, with or without `www.`."""
        return self.domains.get(hostname.removeprefix("www."))

    def by_private_key(self, token: str) -> tuple[Project, Key, frozenset[str]] | None:
        """Project, key and scopes of a private key's token."""
        return self.private_keys.get(credentials.digest(token))


async def load_catalogue(db: Database) -> Catalogue:
    """A snapshot. The version is read first: what changes meanwhile is seen again with the next number."""
    version = await catalogue_version(db)
    by_id = {project.id: project for project in await projects.list_all(db)}
    public: dict[str, tuple[Project, Key]] = {}
    private: dict[bytes, tuple[Project, Key, frozenset[str]]] = {}
    for *columns, key_hash in await db.read(f"SELECT {keys.COLUMNS}, hash FROM api_key WHERE revoked_at IS NULL"):
        key = keys.from_row(tuple(columns))
        project = by_id.get(key.project_id)
        if project is None:
            continue
        if key.token is not None:
            public[key.token] = (project, key)
        else:
            private[bytes(key_hash)] = (project, key, frozenset(key.scopes))
    return Catalogue(
        version=version,
        projects=by_id,
        public_ids={project.public_id: project for project in by_id.values()},
        domains={domain: project for project in by_id.values() for domain in project.domains},
        sources=await sources.configured(db),
        public_keys=public,
        private_keys=private,
        exclusions=await exclusions.in_force(db),
    )
