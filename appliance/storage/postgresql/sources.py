"""What the tables of a plan's statements are in PostgreSQL: rows of one project, of a stretch of time, as subqueries.

A custom property is a column of codes in a plan. Here its values are extracted from the JSON of the events that are
asked about, and numbered for the one plan: `property_<digest>` is the number of the value that an event has.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from appliance.storage.dimensions import NONE, is_property
from appliance.storage.evaluation import BEGINNING, END, Step
from appliance.storage.row_columns import SPAN

_MARK: Final = re.compile(r"\{(\w+)\}")
_NO_VALUES: Final = f"""('null', '""', '"{NONE}"')"""
_NAMES: Final = (
    """(SELECT '[' || string_agg(CAST(to_json(n.key) AS TEXT), ',' ORDER BY n.key COLLATE "C") || ']'"""
    " FROM json_each(CAST(x.properties AS JSON)) n"
    f" WHERE n.key <> '' AND CAST(n.value AS TEXT) NOT IN {_NO_VALUES})"
)


class Property(NamedTuple):
    """A custom property in one plan: its column, the value as SQL over an event x, and which value has which number."""

    column: str
    value: str
    texts: Sequence[str]


def value_of(name: str, bind: str) -> str:
    """The value of a property of an event x, NULL where there is none; its name is bound as `bind`."""
    if not name:
        return _NAMES
    return f"nullif(nullif(CAST(x.properties AS JSON) ->> CAST(%({bind})s AS TEXT), ''), '{NONE}')"


def bounds(step: Step) -> dict[str, int]:
    """Between which times events lie, and visits are placed, of those that a step looks at: what touches its range is
    not longer than SPAN."""
    low = step.start if step.start == BEGINNING else step.start - SPAN
    high = step.end if step.end >= END - SPAN else step.end + SPAN
    return {"low_time": low, "high_time": high}


def select_values(prop: str) -> str:
    """The values of a property that there are in the stretch of time."""
    return f"SELECT DISTINCT {prop} FROM event x WHERE {_WHERE.format(time='time')} AND x.properties IS NOT NULL"


def written(text: str, properties: Mapping[str, Property]) -> str:
    """A statement with its tables in place; `properties` by column."""
    return _MARK.sub(lambda mark: _source(mark[1], properties), text)


def bound(properties: Mapping[str, Property]) -> dict[str, Any]:
    """The values that `written` needs bound for properties."""
    return {f"{prop.column}_texts": list(prop.texts) for prop in properties.values()}


_WHERE: Final = "x.project_id = %(project)s AND x.{time} >= %(low_time)s AND x.{time} < %(high_time)s"


def _source(name: str, properties: Mapping[str, Property]) -> str:
    if name == "visit":
        return f"(SELECT x.* FROM visit x WHERE {_WHERE.format(time='placed')})"
    if name == "event":
        columns = "".join(f", coalesce({prop.column}.code, 0) AS {prop.column}" for prop in properties.values())
        joins = "".join(
            f" LEFT JOIN {_numbered(prop)} ON {prop.column}.text = {prop.value}" for prop in properties.values()
        )
        return f"(SELECT x.*{columns} FROM event x{joins} WHERE {_WHERE.format(time='time')})"
    of = name.removeprefix("dictionary_")
    if is_property(of):
        return f"(SELECT {of}.code, {of}.text FROM {_numbered(properties[of])})"
    return f"(SELECT x.code, x.text FROM dictionary x WHERE x.project_id = %(project)s AND x.dimension = {int(of):d})"


def _numbered(prop: Property) -> str:
    texts = f"CAST(%({prop.column}_texts)s AS TEXT[])"
    rows = f"unnest({texts}) WITH ORDINALITY u (text, code)"
    return f"(SELECT CAST(u.code AS INTEGER) AS code, u.text FROM {rows}) {prop.column}"
