"""A filter in words, for those that are more than one comparison."""

from collections.abc import Sequence
from typing import Final

from appliance.queries.dimensions import PROPERTY
from appliance.queries.filters import AllOf, Filter, HasDone, Leaf, Not
from appliance.web import labels
from appliance.web.strings import TEXTS, text

# Dimensions of the API that pages know under another name.
_SHOWN_AS: Final = {
    "visit:country_name": "visit:country",
    "visit:region_name": "visit:region",
    "visit:city_name": "visit:city",
}


def dimension_name(dimension: str) -> str:
    """The name of a dimension in the singular; a property's is its own."""
    if dimension.startswith(PROPERTY):
        return dimension.removeprefix(PROPERTY)
    return TEXTS[f"dimension.{_SHOWN_AS.get(dimension, dimension)}"]


def sentence(tree: Filter) -> str:
    """`Has done: Event is Signup`; parts inside parts stand in brackets."""
    if isinstance(tree, Leaf):
        return _comparison(tree)
    if isinstance(tree, HasDone):
        return text("filter.chip.has_done" if tree.done else "filter.chip.has_not_done", value=sentence(tree.part))
    if isinstance(tree, Not):
        return text("filter.not", part=sentence(tree.part))
    parts = [
        sentence(part) if isinstance(part, Leaf) else text("filter.part", part=sentence(part)) for part in tree.parts
    ]
    return _joined(parts, "filter.and" if isinstance(tree, AllOf) else "filter.or")


def values(labels_of: Sequence[str]) -> str:
    """The first of some values, and how many more there are."""
    if len(labels_of) > 2:
        return text("filter.values", first=labels_of[0], n=len(labels_of) - 1)
    return _joined(labels_of, "filter.or")


def _part(tree: Filter) -> str:
    return sentence(tree) if isinstance(tree, Leaf) else text("filter.part", part=sentence(tree))


def _comparison(leaf: Leaf) -> str:
    name = dimension_name(leaf.dimension)
    shown = [labels.label(leaf.dimension, value) for value in leaf.values]
    return text(f"filter.chip.{leaf.operator}", dimension=name, value=values(shown))


def _joined(parts: Sequence[str], key: str) -> str:
    """All parts by a sentence of two places."""
    whole = parts[0] if parts else text("filter.anything")
    for part in parts[1:]:
        whole = text(key, first=whole, second=part)
    return whole
