"""Sources: where in a project events come from. The drain makes them on first sight; here they are listed, changed."""

from typing import Final

import msgspec

from appliance.errors import Invalid, NotFound
from appliance.model import Source, SourceSettings
from appliance.storage import audit, sampling_fields
from appliance.storage.catalogue_version import BUMP, Statement
from appliance.storage.interface import Database, Row

DESCRIPTION_CHARACTERS_MAX: Final = 200

_COLUMNS: Final = "id, project_id, name, description, settings, created_at, seen_at"


async def of_project(db: Database, project_id: int) -> list[Source]:
    """A project's sources by the bytes of their names."""
    rows = await db.read(f"SELECT {_COLUMNS} FROM source WHERE project_id = :id", {"id": project_id})
    return sorted(map(_source, rows), key=lambda source: source.name.encode())


async def find(db: Database, project_id: int, source_id: int) -> Source:
    """One of them. Raises NotFound where the project has no such source."""
    rows = await db.read(
        f"SELECT {_COLUMNS} FROM source WHERE id = :id AND project_id = :project_id",
        {"id": source_id, "project_id": project_id},
    )
    if not rows:
        raise NotFound("There is no such source.")
    return _source(rows[0])


async def configured(db: Database) -> dict[int, dict[str, SourceSettings]]:
    """By project, the settings of those sources that have any."""
    found: dict[int, dict[str, SourceSettings]] = {}
    for project_id, name, settings in await db.read(
        "SELECT project_id, name, settings FROM source WHERE settings <> '{}'"
    ):
        found.setdefault(project_id, {})[name] = msgspec.json.decode(settings, type=SourceSettings)
    return found


async def change(
    db: Database, source: Source, *, description: str, settings: SourceSettings, actor: str, at: int
) -> Source:
    """Describe a source and say what differs for it; without a difference nothing is written.

    Raises Invalid with the field, NotFound.
    """
    description = " ".join(description.split())
    if len(description) > DESCRIPTION_CHARACTERS_MAX:
        why = f"Use at most {DESCRIPTION_CHARACTERS_MAX} characters."
        raise Invalid(why, code="too_long", field="description")
    settings = sampling_fields.of_source(settings)
    if (description, settings) == (source.description, source.settings):
        return source
    update: Statement = (
        f"""
        UPDATE source SET description = :description, settings = :settings
        WHERE id = :id AND project_id = :project_id RETURNING {_COLUMNS}
        """,
        {
            "id": source.id,
            "project_id": source.project_id,
            "description": description,
            "settings": _stored(settings),
        },
    )
    before, after = _stored(source.settings), _stored(settings)
    note = audit.entry(at, actor, "source.update", source.name, "" if before == after else f"{before} → {after}")
    written = await db.write_all([BUMP, update, note])
    if not written[1]:
        raise NotFound("There is no such source.")
    return _source(written[1][0])


def _stored(settings: SourceSettings) -> str:
    return msgspec.json.encode(settings).decode()


def _source(row: Row) -> Source:
    id_, project_id, name, description, settings, created_at, seen_at = row
    decoded = msgspec.json.decode(settings, type=SourceSettings)
    return Source(id_, project_id, name, description, decoded, created_at, seen_at)
