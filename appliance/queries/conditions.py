"""The filter tree as SQL conditions, and the bucket of a time as an SQL expression."""

from collections.abc import Mapping, Sequence

import msgspec

from appliance.errors import Invalid
from appliance.queries.bindings import Bindings
from appliance.queries.dialects import Dialect
from appliance.queries.dimensions import Dimension, dimension
from appliance.queries.filters import AllOf, Filter, HasDone, Leaf, Not, asks_for_visitors, conjuncts, looks_at
from appliance.queries.intervals import Bucket
from appliance.queries.period import Range
from appliance.storage.dimensions import dictionary_of, is_property
from appliance.storage.evaluation import CodeSet, Matching
from appliance.storage.rollup import PAGEVIEW_CODE

PAGEVIEW_KIND = 0
PAGEVIEW_NAME = "pageview"


class Names(msgspec.Struct, frozen=True):
    """What codes of countries (ISO 3166-1 alpha-2) are called; empty: the codes themselves are shown."""

    countries: Mapping[str, str] = {}


class Conditions(msgspec.Struct, frozen=True):
    """The parts of a filter's AND: those that a visit answers by itself, and those that need an event."""

    visit: tuple[Filter, ...]
    event: tuple[Filter, ...]

    @classmethod
    def of(cls, tree: Filter) -> "Conditions":
        parts = conjuncts(tree)
        event = tuple(part for part in parts if "event" in {dimension(leaf.dimension).scope for leaf in looks_at(part)})
        return cls(tuple(part for part in parts if part not in event), event)


def code_of(what: Dimension, bindings: Bindings, *, of_event: bool = False) -> str:
    """The code of a dimension of an event e or its visit v; `of_event`: v only where e does not carry it."""
    if what.scope == "visit":
        return bindings.visit_of_event(what.column) if of_event else bindings.visit(what.column)
    if is_property(what.column):
        bindings.properties.add(what.property_name)
    code = bindings.event(what.column)
    if what.shows != "event_name":
        return code
    return f"CASE WHEN {bindings.event('kind')} = {PAGEVIEW_KIND} THEN {PAGEVIEW_CODE} ELSE {code} END"


def condition(
    tree: Filter, bindings: Bindings, names: Names, there: Range | None = None, *, of_event: bool = False
) -> str:
    """The tree over an event e and its visit v; what a visitor has done is looked for in the range `there`.

    `of_event`: v is needed only for what e does not carry. Raises Invalid when somebody's doings are asked for without
    a range.
    """
    if isinstance(tree, Leaf):
        what = dimension(tree.dimension)
        matching, negative = _matching(tree)
        wanted = code_set(what, matching, tree.values, tree.case_sensitive, names)
        return bindings.among(code_of(what, bindings, of_event=of_event), wanted, negative=negative)
    if isinstance(tree, Not):
        return f"NOT ({condition(tree.part, bindings, names, there, of_event=of_event)})"
    if isinstance(tree, HasDone):
        visitor = (bindings.visit_of_event if of_event else bindings.visit)("visitor")
        return f"{visitor} {'IN' if tree.done else 'NOT IN'} {_doers(tree, bindings, names, there)}"
    joint = " AND " if isinstance(tree, AllOf) else " OR "
    parts = (condition(part, bindings, names, there, of_event=of_event) for part in tree.parts)
    return joint.join(f"({part})" for part in parts) or "1 = 1"


def needs_visit(tree: Filter, dialect: Dialect) -> bool:
    """Whether the tree over events says something that only their visits have."""
    columns = [dimension(leaf.dimension).column for leaf in looks_at(tree) if leaf.dimension.startswith("visit:")]
    return any(column not in dialect.carried for column in (*columns, *["visitor"] * asks_for_visitors(tree)))


def _doers(tree: HasDone, bindings: Bindings, names: Names, there: Range | None) -> str:
    """The visitors with an event in range that the part holds for. Its e and v hide those around it."""
    if there is None:
        raise Invalid("what a visitor has done cannot be asked here")
    bindings.across_visits = True
    time, dialect = bindings.event("time"), bindings.dialect
    source = f"{dialect.table('event')} e"
    if "visitor" not in dialect.carried or needs_visit(tree.part, dialect):
        source += f" JOIN {dialect.table('visit')} v ON {bindings.visit('id')} = {bindings.event('visit_id')}"
    return (
        f"(SELECT {bindings.visit_of_event('visitor')} FROM {source}"
        f" WHERE {time} >= {bindings.number(there.start)} AND {time} < {bindings.number(there.end)}"
        f" AND ({condition(tree.part, bindings, names, of_event=True)}))"
    )


def _matching(leaf: Leaf) -> tuple[Matching, bool]:
    positives: dict[str, Matching] = {"is": "is", "contains": "contains", "matches": "matches"}
    return positives[leaf.operator.removesuffix("_not")], leaf.operator.endswith("_not")


def code_set(
    what: Dimension, matching: Matching, values: tuple[str, ...], case_sensitive: bool, names: Names
) -> CodeSet:
    """The codes of a dimension whose label is, contains or matches a value.

    A missing value has no text to contain or match anything; it *is* its label.
    """
    number = dictionary_of(what.column)
    extra: tuple[tuple[int, str], ...] = ((0, what.missing),) if matching == "is" else ()
    if what.shows == "event_name":
        return CodeSet(number, matching, values, case_sensitive, (*extra, (PAGEVIEW_CODE, PAGEVIEW_NAME)))
    labels = tuple(names.countries.items()) if what.shows == "country_name" else ()
    return CodeSet(number, matching, values, case_sensitive, extra, labels)


def bucket_of(time: str, steps: Sequence[Bucket], bindings: Bindings, dialect: Dialect) -> str:
    """The index of the bucket that a time lies in, as a tree of comparisons over runs of equally long buckets.

    A year of days is five runs: its buckets are one long everywhere but at two changes of the clock.
    """
    runs: list[tuple[int, int, int]] = []  # index and start of the first bucket, length of each
    for index, bucket in enumerate(steps):
        length = bucket.end - bucket.start
        if not runs or runs[-1][2] != length:
            runs.append((index, bucket.start, length))

    def tree(low: int, high: int) -> str:
        if high - low > 1:
            middle = (low + high) // 2
            before, after = tree(low, middle), tree(middle, high)
            return f"CASE WHEN {time} < {bindings.number(runs[middle][1])} THEN {before} ELSE {after} END"
        index, start, length = runs[low]
        if (runs[high][0] if high < len(runs) else len(steps)) - index == 1:
            return bindings.number(index)
        steps_in = dialect.quotient(f"({time} - {bindings.number(start)})", bindings.number(length))
        return f"{bindings.number(index)} + {steps_in}"

    return tree(0, len(runs)) if runs else bindings.number(0)
