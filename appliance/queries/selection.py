"""The matching events that reports about people follow through time: retention, funnels, journeys, users, the log.

Unlike the relations of figures (relations.py) they keep an event's time and id, which put a visitor's events in order.
"""

from collections.abc import Mapping, Sequence

from appliance.queries.conditions import condition
from appliance.queries.filters import Filter
from appliance.queries.relations import Relations
from appliance.storage.evaluation import Cell


def whole(cell: Cell) -> int:
    """A cell that is a whole number."""
    assert isinstance(cell, int)
    return cell


def percent(part: int, of: int) -> float | None:
    """A share in per cent, rounded half up to one decimal; None of nothing."""
    return (2_000 * part + of) // (2 * of) / 10 if of else None


def holds(tree: Filter, relations: Relations) -> str:
    """A filter as a condition over an event e and, where it says so, its visit v."""
    return condition(tree, relations.bindings, relations.names, relations.scope.range)


def events(
    relations: Relations, columns: Mapping[str, str], *, where: Sequence[str] = (), from_start: bool = True
) -> str:
    """SELECT these columns (name: expression over e and v) of the events in range that pass the scope's filter.

    `where` are further conditions. `from_start` False takes also what was before the range.
    """
    bind, scope = relations.bindings, relations.scope
    time = bind.event("time")
    conditions = [f"{time} < {bind.number(scope.range.end)}", f"({holds(scope.filter, relations)})", *where]
    if from_start:
        conditions.append(f"{time} >= {bind.number(scope.range.start)}")
    selected = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    condition_text = " AND ".join(conditions)
    source = f"{relations.dialect.table('event')} e"
    if 'v."' in selected + condition_text:  # values are bound, so nothing else can look like a column of the visit
        source += f" JOIN {relations.dialect.table('visit')} v ON {bind.visit('id')} = {bind.event('visit_id')}"
    return f"SELECT {selected} FROM {source} WHERE {condition_text}"
