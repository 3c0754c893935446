"""Saved segments as filters: `["is", "segment", [id]]` stands for the filters that are saved under the id."""

from collections.abc import Sequence
from typing import Any

from appliance.errors import Invalid
from appliance.queries import filters
from appliance.queries.filters import SEGMENT, AllOf, AnyOf, Bounded, Check, Filter, HasDone, Leaf, Not, to_json, walk
from appliance.queries.goals import checking
from appliance.storage.goals import Goal
from appliance.storage.segments import Segment


def tree_of(segment: Segment, check: Check) -> Filter:
    """What a segment stands for; `check` is of its project's goals. Raises Invalid: one that it names may be gone."""
    try:
        tree = filters.parse(list(segment.filters), check=check)
        return tree.parts[0] if len(tree.parts) == 1 else tree
    except Invalid as error:
        raise _invalid(f"the segment {segment.name!r} cannot be asked any more: {error}", error.pointer) from None


def checked(written: Any, goals: Sequence[Goal]) -> list[Any]:
    """Filters in JSON as a segment keeps them. Raises Invalid with a pointer for what cannot be asked."""
    other = checking(goals)

    def check(leaf: Leaf, pointer: str) -> Leaf:
        if leaf.dimension == SEGMENT:
            raise _invalid("a segment cannot stand inside another one", f"{pointer}/1")
        return other(leaf, pointer)

    return [to_json(part) for part in filters.parse(written, check=check).parts]


def naming(segments: Sequence[Segment], goals: Sequence[Goal]) -> Check:
    """Checks comparisons in a project with these segments and goals, and leaves them as they are."""
    expand = expanding(segments, goals)

    def check(leaf: Leaf, pointer: str) -> Filter:
        found = expand(leaf, pointer)
        return leaf if leaf.dimension == SEGMENT else found

    return check


def expanding(segments: Sequence[Segment], goals: Sequence[Goal]) -> Check:
    """The same, with what a segment stands for in place of it."""
    known = {str(segment.id): segment for segment in segments}
    other = checking(goals)
    bounded = Bounded(other)  # all segments of a question together
    trees: dict[str, Filter] = {}

    def check(leaf: Leaf, pointer: str) -> Filter:
        if leaf.dimension != SEGMENT:
            return other(leaf, pointer)
        if leaf.operator != "is":
            raise _invalid("segments are filtered by `is` only", f"{pointer}/0")
        if not leaf.values:
            raise _invalid("at least one segment is expected", f"{pointer}/2")
        for index, name in enumerate(leaf.values):
            if name not in known:
                raise _invalid(f"there is no segment {name}", f"{pointer}/2/{index}")
            if name not in trees:
                trees[name] = tree_of(known[name], bounded)
        found = tuple(trees[name] for name in dict.fromkeys(leaf.values))
        return found[0] if len(found) == 1 else AnyOf(found)

    return check


def expanded(tree: Filter, segments: Sequence[Segment], goals: Sequence[Goal]) -> Filter:
    """A tree that `naming` has checked, with what its segments stand for."""
    if not names_segments(tree):
        return tree
    expand = expanding(segments, goals)

    def put(part: Filter) -> Filter:
        if isinstance(part, Leaf):
            return expand(part, "#/f") if part.dimension == SEGMENT else part
        if isinstance(part, Not):
            return Not(put(part.part))
        if isinstance(part, HasDone):
            return HasDone(put(part.part), part.done)
        parts = tuple(put(each) for each in part.parts)
        return AllOf(parts) if isinstance(part, AllOf) else AnyOf(parts)

    return put(tree)


def names_segments(tree: Filter) -> bool:
    return any(isinstance(part, Leaf) and part.dimension == SEGMENT for part in walk(tree))


def _invalid(message: str, pointer: str | None) -> Invalid:
    return Invalid(message, code="invalid_filter", field="filters", pointer=pointer, status=400)
