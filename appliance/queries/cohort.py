"""One cohort: the visitors of the first week of a range, and how many of them are there in each week after it.

Other than in retention.py nobody has to be new, and weeks begin on the weekday on which the range does.
"""

from collections.abc import Sequence

import msgspec

from appliance.queries.conditions import bucket_of
from appliance.queries.intervals import Bucket, weeks_from
from appliance.queries.question import Scope
from appliance.queries.relations import Relations
from appliance.queries.reports import Reports, Statements
from appliance.queries.selection import events, whole


class Week(msgspec.Struct, frozen=True):
    """Seven local days, and the visitors of the cohort with a matching event in them; of the first week it is all."""

    bucket: Bucket
    visitors: int


class Cohort(msgspec.Struct, frozen=True):
    """The weeks of a range in order. `sampled`: some of its events were not kept, and visitors are those that were."""

    weeks: tuple[Week, ...]
    sampled: bool = False


async def ask(reports: Reports, scope: Scope) -> Cohort:
    """Raises as `Reports` does."""
    weeks = weeks_from(scope.range)
    (rows,), sampled = await reports.rows(scope, lambda relations: _statements(relations, weeks))
    counted = {whole(week): whole(visitors) for week, visitors in rows}
    return Cohort(tuple(Week(bucket, counted.get(place, 0)) for place, bucket in enumerate(weeks)), sampled)


def _statements(relations: Relations, weeks: Sequence[Bucket]) -> Statements:
    bind, dialect = relations.bindings, relations.dialect
    columns = {"visitor": bind.event("visitor"), "week": bucket_of(bind.event("time"), weeks, bind, dialect)}
    select = (
        "SELECT m.week, count(DISTINCT m.visitor) FROM matching m"
        " WHERE m.visitor IN (SELECT f.visitor FROM matching f WHERE f.week = 0) GROUP BY m.week"
    )
    return Statements((select,), (("matching", events(relations, columns)),), by_visit=1)
