"""Saved segments: filters that a project applies again and again, under a name."""

from typing import Any, Final

import msgspec

from appliance.errors import Invalid, NotFound
from appliance.storage import audit, named
from appliance.storage.interface import Database, Row

SEGMENTS_MAX: Final = 100  # of a project
NAME_MAX: Final = 100
FILTERS_BYTES_MAX: Final = 32_000

_COLUMNS: Final = "id, project_id, name, filters"


class Segment(msgspec.Struct, frozen=True):
    """Filters in the Stats API's JSON, all of which hold. `name` is unique in its project."""

    id: int
    project_id: int
    name: str
    filters: tuple[Any, ...]


async def create(db: Database, project_id: int, name: str, filters: list[Any], *, actor: str, at: int) -> Segment:
    """Keep a segment. One that is there already, the same in all, is given back.

    Whether the filters can be asked is for the caller to check: dimensions are not known here.

    Raises Invalid with the field: `name`, `filters`.
    """
    name = _checked_name(name)
    text = msgspec.json.encode(filters).decode()
    if not filters or len(text.encode()) > FILTERS_BYTES_MAX:
        why = "There is nothing to save: filter first." if not filters else "These are too many filters to save."
        raise Invalid(why, code="out_of_range", field="filters")
    known = await of_project(db, project_id)
    for other in known:
        if other.name == name and msgspec.json.encode(other.filters).decode() == text:
            return other
    if len(known) >= SEGMENTS_MAX:
        raise Invalid(f"A project has at most {SEGMENTS_MAX} segments: delete one first.", code="too_many")
    if any(other.name == name for other in known):
        raise named.taken("segment", name)
    values = {"project_id": project_id, "name": name, "filters": text, "created_at": at}
    detail = "1 filter" if len(filters) == 1 else f"{len(filters)} filters"
    return _segment(await named.insert(db, "segment", _COLUMNS, values, name=name, detail=detail, actor=actor, at=at))


async def of_project(db: Database, project_id: int) -> list[Segment]:
    """A project's segments by the bytes of their names."""
    rows = await db.read(f"SELECT {_COLUMNS} FROM segment WHERE project_id = :id", {"id": project_id})
    return sorted(map(_segment, rows), key=lambda segment: segment.name.encode())


async def rename(db: Database, project_id: int, segment_id: int, name: str, *, actor: str, at: int) -> Segment:
    """Call a segment something else. Raises NotFound, Invalid with the field `name`."""
    name = _checked_name(name)
    before = next((each for each in await of_project(db, project_id) if each.id == segment_id), None)
    if before is None:
        raise NotFound("There is no such segment.")
    if before.name == name:
        return before
    renamed = await db.write(
        f"""
        UPDATE segment SET name = :name
        WHERE id = :id AND project_id = :project_id
          AND NOT EXISTS (SELECT 1 FROM segment other WHERE other.project_id = :project_id AND other.name = :name)
        RETURNING {_COLUMNS}
        """,
        {"id": segment_id, "project_id": project_id, "name": name},
    )
    if not renamed:
        raise named.taken("segment", name)
    await audit.record(db, at, actor, "segment.rename", name, before.name)
    return _segment(renamed[0])


async def delete(db: Database, project_id: int, segment_id: int, *, actor: str, at: int) -> Segment:
    """Forget a segment. Raises NotFound where the project has no such segment."""
    segment = _segment(await named.delete(db, "segment", _COLUMNS, project_id, segment_id))
    await audit.record(db, at, actor, "segment.delete", segment.name)
    return segment


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= NAME_MAX:
        raise Invalid(f"Give it a name of at most {NAME_MAX} characters.", code="required", field="name")
    return name


def _segment(row: Row) -> Segment:
    id_, project_id, name, filters = row
    return Segment(id_, project_id, name, tuple(msgspec.json.decode(filters)))
