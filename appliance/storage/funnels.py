"""Saved funnels: rows of steps that a project looks at again and again."""

from typing import Any, Final, Literal, get_args

import msgspec

from appliance.errors import Invalid
from appliance.storage import audit, named
from appliance.storage.interface import Database, Row

FUNNELS_MAX: Final = 100  # of a project
STEPS_MIN: Final = 2
STEPS_MAX: Final = 8
NAME_MAX: Final = 100
TEXT_MAX: Final = 1_000

StepKind = Literal["page", "event"]
Within = Literal["visit", "1h", "1d", "7d", "30d"]

_COLUMNS: Final = "id, project_id, name, steps, within, strict"


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pageview of a path, in which `*` is anything but a slash and `**` anything, or an event of a name.

    With `where`, a dimension, it must have that `value`; both are '' without.
    """

    on: StepKind
    step: str
    where: str = ""
    value: str = ""


class Funnel(msgspec.Struct, frozen=True):
    """Steps in order, to be gone through in one visit or in a length of time; `strict`: with nothing in between.

    `name` is unique in its project.
    """

    id: int
    project_id: int
    name: str
    steps: tuple[Step, ...]
    within: Within = "visit"
    strict: bool = False


async def create(
    db: Database,
    project_id: int,
    name: str,
    steps: tuple[Step, ...],
    *,
    within: str = "visit",
    strict: bool = False,
    actor: str,
    at: int,
) -> Funnel:
    """Keep a funnel. One that is there already, the same in all, is given back.

    Whether a condition can be asked is for the caller to check: dimensions are not known here.

    Raises Invalid with the field: `name`, `steps`, `within`.
    """
    funnel = _checked(Funnel(0, project_id, name.strip(), steps, within, strict))  # type: ignore[arg-type]
    known = await of_project(db, project_id)
    for other in known:
        if msgspec.structs.replace(other, id=0) == funnel:
            return other
    if len(known) >= FUNNELS_MAX:
        raise Invalid(f"A project has at most {FUNNELS_MAX} saved funnels: delete one first.", code="too_many")
    values: dict[str, Any] = {
        "project_id": project_id,
        "name": funnel.name,
        "steps": msgspec.json.encode(funnel.steps).decode(),
        "within": funnel.within,
        "strict": int(funnel.strict),
        "created_at": at,
    }
    if any(other.name == funnel.name for other in known):
        raise named.taken("funnel", funnel.name)
    detail = f"{len(funnel.steps)} steps"
    return _funnel(
        await named.insert(db, "funnel", _COLUMNS, values, name=funnel.name, detail=detail, actor=actor, at=at)
    )


async def of_project(db: Database, project_id: int) -> list[Funnel]:
    """A project's saved funnels by the bytes of their names."""
    rows = await db.read(f"SELECT {_COLUMNS} FROM funnel WHERE project_id = :id", {"id": project_id})
    return sorted(map(_funnel, rows), key=lambda funnel: funnel.name.encode())


async def delete(db: Database, project_id: int, funnel_id: int, *, actor: str, at: int) -> Funnel:
    """Forget a saved funnel. Raises NotFound where the project has no such funnel."""
    funnel = _funnel(await named.delete(db, "funnel", _COLUMNS, project_id, funnel_id))
    await audit.record(db, at, actor, "funnel.delete", funnel.name)
    return funnel


def _funnel(row: Row) -> Funnel:
    id_, project_id, name, steps, within, strict = row
    return Funnel(id_, project_id, name, msgspec.json.decode(steps, type=tuple[Step, ...]), within, bool(strict))


def _checked(funnel: Funnel) -> Funnel:
    """The funnel as it is stored."""
    if not 1 <= len(funnel.name) <= NAME_MAX:
        raise Invalid(f"Give it a name of at most {NAME_MAX} characters.", code="required", field="name")
    if not STEPS_MIN <= len(funnel.steps) <= STEPS_MAX:
        raise Invalid(f"A funnel has {STEPS_MIN} to {STEPS_MAX} steps.", code="out_of_range", field="steps")
    for number, step in enumerate(funnel.steps, 1):
        if step.on not in get_args(StepKind):
            raise Invalid(f"Step {number} is neither a page nor an event.", code="unknown", field="steps")
        if not step.step or bool(step.where) != bool(step.value):
            missing = "a path or a name" if not step.step else "both parts of its condition"
            raise Invalid(f"Step {number} needs {missing}.", code="required", field="steps")
        if max(len(step.step), len(step.value)) > TEXT_MAX:
            raise Invalid(f"Step {number}: use at most {TEXT_MAX} characters.", code="too_long", field="steps")
    if funnel.within not in get_args(Within):
        raise Invalid(f"It is within one of {', '.join(get_args(Within))}.", code="unknown", field="within")
    return funnel
