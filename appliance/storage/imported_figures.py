"""Figures of whole days that came from another product: what it had counted, and nothing that one could count again.

Each speaks of one dimension alone, so nothing is known of two at once.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from appliance.storage.imports import portions
from appliance.storage.interface import Database, DrainTransaction

MEASURES = ("visitors", "visits", "pageviews", "events", "bounces", "seconds")


class Figure(msgspec.Struct, array_like=True, gc=False):
    """What a day (since 1970, of the project's calendar) added up to for one value of a dimension, as questions name
    it; '' and '': for everybody. `seconds` are those of all visits together."""

    day: int
    dimension: str
    value: str
    visitors: int = 0
    visits: int = 0
    pageviews: int = 0
    events: int = 0
    bounces: int = 0
    seconds: int = 0


class Days(msgspec.Struct, frozen=True):
    """The first and last day of which a project has such figures."""

    first: int
    last: int


def add(tx: DrainTransaction, project_id: int, import_id: str, figures: Iterable[Figure]) -> None:
    """Add figures to those of the same day and value that the import has brought before."""
    together: dict[tuple[int, str, str], list[int]] = {}
    for figure in figures:
        sums = together.setdefault((figure.day, figure.dimension, figure.value), [0] * len(MEASURES))
        for place, name in enumerate(MEASURES):
            sums[place] += getattr(figure, name)
    columns = ("day", "dimension", "value", *MEASURES)
    updates = ", ".join(f"{name} = imported_figure.{name} + excluded.{name}" for name in MEASURES)
    for some in portions(list(together.items())):
        values: dict[str, Any] = {"project_id": project_id, "import_id": import_id}
        rows = []
        for place, (key, sums) in enumerate(some):
            values |= {f"{name}{place}": value for name, value in zip(columns, (*key, *sums), strict=True)}
            rows.append(f"(:project_id, :import_id, {', '.join(f':{name}{place}' for name in columns)})")
        tx.execute(
            f"INSERT INTO imported_figure (project_id, import_id, {', '.join(columns)}) VALUES {', '.join(rows)}"
            f" ON CONFLICT (project_id, dimension, day, value, import_id) DO UPDATE SET {updates}",
            values,
        )


async def days(db: Database, project_id: int) -> Days | None:
    """Of which days a project has figures, None where it has none."""
    select = "SELECT min(day), max(day) FROM imported_figure WHERE project_id = :id AND dimension = ''"
    ((first, last),) = await db.read(select, {"id": project_id})
    return None if first is None else Days(first, last)


async def sums(
    db: Database, project_id: int, dimension: str, first_day: int, last_day: int, *, by_day: bool = False
) -> dict[tuple[int, str], tuple[int, ...]]:
    """MEASURES of the days from first to last, summed by value (and 0), or by day and value."""
    day = "day" if by_day else "0"
    # As BIGINT: elsewhere a sum of those is of a wider type.
    columns = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in MEASURES)
    rows = await db.read(
        f"SELECT {day}, value, {columns} FROM imported_figure WHERE project_id = :id AND dimension = :dimension"
        " AND day >= :first AND day <= :last GROUP BY 1, 2",
        {"id": project_id, "dimension": dimension, "first": first_day, "last": last_day},
    )
    return {(row[0], row[1]): tuple(row[2:]) for row in rows}
