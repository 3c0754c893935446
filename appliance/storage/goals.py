"""Goals: what counts as a conversion in a project."""

from typing import Final, Literal, get_args

import msgspec

from appliance.currencies import MINOR_DIGITS
from appliance.errors import Invalid
from appliance.storage import audit, named
from appliance.storage.interface import Database, Row

GOALS_MAX: Final = 200  # of a project
NAME_MAX: Final = 255
PATTERN_MAX: Final = 1_000
PROPERTY_MAX: Final = 300
VALUE_MAX: Final = 2_000

GoalKind = Literal["event", "page"]

_COLUMNS: Final = "id, project_id, name, kind, pattern, property, value, currency"


class Goal(msgspec.Struct, frozen=True):
    """A custom event by its name, or a pageview by its path, in which `*` is any part of one segment and `**` anything.

    With a `property` the event must have this `value` of it as well, with a `currency` it must carry revenue in it;
    all three are '' without. `name` is what results call it, unique in its project.
    """

    id: int
    project_id: int
    name: str
    kind: GoalKind
    pattern: str
    property: str = ""
    value: str = ""
    currency: str = ""


async def create(
    db: Database,
    project_id: int,
    kind: str,
    pattern: str,
    *,
    name: str = "",
    prop: str = "",
    value: str = "",
    currency: str = "",
    actor: str,
    at: int,
) -> Goal:
    """Make a goal; without a name it has its event's, or `Visit` and its path. One that is there already is given back.

    Raises Invalid with the field: `kind`, `pattern`, `name`, `property`, `value`, `currency`.
    """
    goal = _checked(Goal(0, project_id, name.strip(), kind, pattern, prop, value, currency))  # type: ignore[arg-type]
    known = await of_project(db, project_id)
    for other in known:
        if msgspec.structs.replace(other, id=0) == goal:
            return other
    if len(known) >= GOALS_MAX:
        raise Invalid(f"A project has at most {GOALS_MAX} goals: delete one first.", code="too_many")
    if any(other.name == goal.name for other in known):
        raise named.taken("goal", goal.name)
    values = msgspec.structs.asdict(goal) | {"created_at": at}
    del values["id"]  # which the database gives
    detail = f"{kind} {pattern}"
    return _goal(await named.insert(db, "goal", _COLUMNS, values, name=goal.name, detail=detail, actor=actor, at=at))


async def of_project(db: Database, project_id: int) -> list[Goal]:
    """A project's goals by the bytes of their names."""
    rows = await db.read(f"SELECT {_COLUMNS} FROM goal WHERE project_id = :id", {"id": project_id})
    return sorted(map(_goal, rows), key=lambda goal: goal.name.encode())


async def delete(db: Database, project_id: int, goal_id: int, *, actor: str, at: int) -> Goal:
    """Forget a goal; the events stay. Raises NotFound where the project has no such goal."""
    goal = _goal(await named.delete(db, "goal", _COLUMNS, project_id, goal_id))
    await audit.record(db, at, actor, "goal.delete", goal.name)
    return goal


def _goal(row: Row) -> Goal:
    return Goal(*row)


def _checked(goal: Goal) -> Goal:
    """The goal as it is stored."""
    if goal.kind not in get_args(GoalKind):
        raise Invalid("A goal is an event or a page.", code="unknown", field="kind")
    if not 1 <= len(goal.pattern) <= PATTERN_MAX or (goal.kind == "page" and not goal.pattern.startswith("/")):
        raise Invalid("Give the event's name, or a path that begins with /.", code="required", field="pattern")
    name = goal.name or (goal.pattern if goal.kind == "event" else f"Visit {goal.pattern}")
    for field, text, most in (
        ("name", name, NAME_MAX), ("property", goal.property, PROPERTY_MAX), ("value", goal.value, VALUE_MAX),
    ):  # fmt: skip
        if len(text) > most:
            raise Invalid(f"Use at most {most} characters.", code="too_long", field=field)
    if bool(goal.property) != bool(goal.value):
        missing = "value" if goal.property else "property"
        raise Invalid("A property and its value go together.", code="required", field=missing)
    if goal.currency and goal.currency not in MINOR_DIGITS:
        raise Invalid("Give a currency like EUR (ISO 4217).", code="unknown", field="currency")
    return msgspec.structs.replace(goal, name=name)
