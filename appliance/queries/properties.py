"""Which custom properties the events of a scope have.

Storage keeps no list of names: the engine groups events by the set of names that they have, of which there are few, as
each kind of event sends its own. Of more than LIMIT_MAX different sets the rarest are not looked at.
"""

from collections import Counter
from typing import Final

import msgspec

from appliance.queries.dimensions import PROPERTY, PROPERTY_NAME_MAX, PROPERTY_NAMES
from appliance.queries.question import LIMIT_MAX, Report
from appliance.queries.results import Table

REPORT: Final = Report(("events",), (PROPERTY_NAMES,), limit=LIMIT_MAX, only_set=True)
NAMES_MAX: Final = 100


def is_property(name: str) -> bool:
    """Whether a dimension is a custom property."""
    return name.startswith(PROPERTY) and 0 < len(name) - len(PROPERTY) <= PROPERTY_NAME_MAX


def dimensions(table: Table) -> tuple[str, ...]:
    """The properties of an answer to REPORT as dimensions, those that most events have first, at most NAMES_MAX."""
    events: Counter[str] = Counter()
    for row in table.rows:
        (count,) = row.values
        for name in msgspec.json.decode(row.labels[0], type=list[str]):
            events[name] += count if isinstance(count, int) else 0
    names = [name for name in events if len(name) <= PROPERTY_NAME_MAX]
    names.sort(key=lambda name: (-events[name], name.encode()))
    return tuple(PROPERTY + name for name in names[:NAMES_MAX])
