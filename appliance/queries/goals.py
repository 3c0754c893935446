"""Goals as filters: what an event must be to reach one, and a filter that names goals without them."""

from collections.abc import Callable, Sequence
from typing import Final

from appliance.errors import Invalid
from appliance.queries.conditions import PAGEVIEW_NAME
from appliance.queries.dimensions import PROPERTY
from appliance.queries.filters import AllOf, AnyOf, Filter, HasDone, Leaf, Not, checked, conjuncts, looks_at
from appliance.spelling import spelled
from appliance.storage.goals import Goal
from appliance.storage.matching import matcher, path_pattern

GOAL: Final = "event:goal"


def as_filter(goal: Goal) -> Filter:
    """What an event must pass to reach the goal."""
    parts: list[Filter]
    if goal.kind == "event":
        parts = [Leaf("is", "event:name", (goal.pattern,))]
    else:
        if "*" in goal.pattern:
            page = Leaf("matches", "event:page", (path_pattern(goal.pattern),))
        else:
            page = Leaf("is", "event:page", (goal.pattern,))
        parts = [Leaf("is", "event:name", (PAGEVIEW_NAME,)), page]
    if goal.property:
        parts.append(Leaf("is", PROPERTY + goal.property, (goal.value,)))
    if goal.currency:
        parts.append(Leaf("is", "event:currency", (goal.currency,)))
    return AllOf(tuple(parts))


def checking(goals: Sequence[Goal]) -> Callable[[Leaf, str], Leaf]:
    """`filters.checked` for a project with these goals: comparisons may be with goals, and name those that it has."""
    names = {goal.name for goal in goals}

    def check(leaf: Leaf, pointer: str) -> Leaf:
        if leaf.dimension != GOAL:
            return checked(leaf, pointer)
        if leaf.operator not in ("is", "contains"):
            raise _invalid("goals are filtered by `is` and `contains` only", f"{pointer}/0")
        if not leaf.values:
            raise _invalid("at least one goal is expected", f"{pointer}/2")
        for index, name in enumerate(leaf.values):
            if leaf.operator == "is" and leaf.case_sensitive and name not in names:
                raise _invalid(f"there is no goal {spelled(name)}", f"{pointer}/2/{index}")
        return leaf

    return check


def expanded(tree: Filter, goals: Sequence[Goal]) -> Filter:
    """The tree with each comparison with goals put as what reaches them."""
    if isinstance(tree, Leaf):
        if tree.dimension != GOAL:
            return tree
        return AnyOf(tuple(as_filter(goal) for goal in chosen(tree, goals))) if chosen(tree, goals) else _NOTHING
    if isinstance(tree, Not):
        return Not(expanded(tree.part, goals))
    if isinstance(tree, HasDone):
        return HasDone(expanded(tree.part, goals), tree.done)
    parts = tuple(expanded(part, goals) for part in tree.parts)
    return AllOf(parts) if isinstance(tree, AllOf) else AnyOf(parts)


# An event always has a name.
_NOTHING: Final = AllOf((Leaf("is", "event:name", ("a",)), Not(Leaf("is", "event:name", ("a",)))))


def chosen(leaf: Leaf, goals: Sequence[Goal]) -> list[Goal]:
    """The goals that a comparison names."""
    matching = "is" if leaf.operator == "is" else "contains"
    test = matcher(matching, leaf.values, case_sensitive=leaf.case_sensitive)  # type: ignore[arg-type]
    return [goal for goal in goals if test(goal.name)]


def without(tree: Filter) -> Filter:
    """The tree without those parts of its AND that name goals anywhere: whom conversions are compared with."""
    return AllOf(tuple(part for part in conjuncts(tree) if not names_goals(part)))


def names_goals(tree: Filter) -> bool:
    """Whether an event is itself compared with goals."""
    return any(leaf.dimension == GOAL for leaf in looks_at(tree))


def grouped(tree: Filter, goals: Sequence[Goal]) -> tuple[Goal, ...]:
    """The goals that results are grouped by: those that the tree allows. What a `not` says of goals rules none out."""
    return tuple(goal for goal in goals if _allows(tree, goal))


def _allows(tree: Filter, goal: Goal) -> bool:
    parts = conjuncts(tree)
    if len(parts) != 1:
        return all(_allows(part, goal) for part in parts)
    (part,) = parts
    if isinstance(part, AnyOf):
        return any(_allows(either, goal) for either in part.parts)
    return not isinstance(part, Leaf) or part.dimension != GOAL or bool(chosen(part, [goal]))


def _invalid(message: str, pointer: str) -> Invalid:
    return Invalid(message, code="invalid_filter", field="filters", pointer=pointer, status=400)
