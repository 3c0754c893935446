"""Retention: of the visitors who came first in one step of time, how many came back in each later one.

A visitor's first event is the first one ever that matches, however long ago, so nobody is new twice; the visitor
belongs to the cohort of the step in which it lies. They came back `n` steps later when a returning event of theirs,
not before the first, lies in that step. Step 0 is everybody, unless coming back means a named event.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from appliance.queries.conditions import bucket_of
from appliance.queries.filters import Filter, Leaf
from appliance.queries.intervals import Bucket, Interval, buckets
from appliance.queries.period import Range
from appliance.queries.question import Scope
from appliance.queries.relations import Relations
from appliance.queries.reports import Reports, Statements
from appliance.queries.selection import events, holds, percent, whole
from appliance.storage.evaluation import Rows

INTERVALS: Final[tuple[Interval, ...]] = ("day", "week", "month")
STEPS_MAX: Final = 62


class Retention(msgspec.Struct, frozen=True):
    """What to ask. `first` and `back` are names of events as `event:name` has them; None: any event."""

    interval: Interval
    first: str | None = None
    back: str | None = None


class Cohort(msgspec.Struct, frozen=True):
    """The visitors who came first in a step: how many, and how many came back 0, 1, 2, ... steps later.

    `returned` goes up to the last step that has begun.
    """

    bucket: Bucket
    size: int
    returned: tuple[int, ...]

    @property
    def rates(self) -> tuple[float | None, ...]:
        """`returned` in per cent of the size, one decimal."""
        return tuple(percent(count, self.size) for count in self.returned)

    def is_whole(self, steps: Sequence[Bucket], after: int) -> bool:
        """Whether the step that many later is over and inside the range as a whole."""
        place = steps.index(self.bucket) + after
        return steps[place].state == "complete"


class Cohorts(msgspec.Struct, frozen=True):
    """The cohorts that somebody belongs to, in order. `sampled`: some events, of whatever time, were not kept, and
    visitors are those that were."""

    cohorts: tuple[Cohort, ...]
    sampled: bool = False


def intervals_of(there: Range) -> list[Interval]:
    """Intervals that make two to STEPS_MAX steps of a range; where none does, the one that comes nearest."""
    lengths: dict[Interval, int] = {"day": there.days, "week": -(-there.days // 7), "month": -(-there.days // 31)}
    return [name for name in INTERVALS if 2 <= lengths[name] <= STEPS_MAX] or (["day"] if there.days < 2 else ["month"])


def default_interval(there: Range) -> Interval:
    """The interval that makes a readable table of a range."""
    usual: Interval = "day" if there.days <= 14 else "week" if there.days <= 100 else "month"
    valid = intervals_of(there)
    return usual if usual in valid else valid[-1]


async def ask(reports: Reports, scope: Scope, asked: Retention) -> Cohorts:
    """Raises as `Reports` does, and Invalid for too many steps."""
    steps = buckets(scope.range, asked.interval)
    (rows,), sampled = await reports.rows(scope, lambda relations: _statements(relations, asked, steps))
    return Cohorts(_cohorts(rows, steps), sampled)


def average(cohorts: Sequence[Cohort], steps: Sequence[Bucket]) -> tuple[float | None, ...]:
    """Per cent of all visitors that came back 0, 1, 2, ... steps later: of the cohorts for which that step is over."""
    rates = []
    for after in range(max((len(cohort.returned) for cohort in cohorts), default=0)):
        old = [each for each in cohorts if after < len(each.returned) and each.is_whole(steps, after)]
        rates.append(percent(sum(each.returned[after] for each in old), sum(each.size for each in old)))
    return tuple(rates)


def _statements(relations: Relations, asked: Retention, steps: Sequence[Bucket]) -> Statements:
    """SELECT step of the cohort, steps after it, visitors; -1 steps after it: the cohort's size."""
    bind, dialect = relations.bindings, relations.dialect
    start = bind.number(relations.scope.range.start)
    columns = {"visitor": bind.event("visitor"), "time": bind.event("time")}
    columns["begins"], columns["returns"] = (_mark(name, relations) for name in (asked.first, asked.back))
    step, later = (bucket_of(time, steps, bind, dialect) for time in ("f.time", "m.time"))
    began = "SELECT m.visitor AS visitor, min(m.time) AS time FROM matching m WHERE m.begins = 1 GROUP BY m.visitor"
    made = {
        "matching": events(relations, columns, from_start=False),
        "newcomer": (
            f"SELECT f.visitor AS visitor, f.time AS time, {step} AS step FROM ({began}) f WHERE f.time >= {start}"
        ),
        "came": (
            f"SELECT DISTINCT n.visitor AS visitor, n.step AS step, {later} - n.step AS later"
            " FROM newcomer n JOIN matching m ON m.visitor = n.visitor WHERE m.returns = 1 AND m.time >= n.time"
        ),
    }
    select = (
        "SELECT c.step, c.later, count(*) FROM came c GROUP BY c.step, c.later"
        " UNION ALL SELECT n.step, -1, count(*) FROM newcomer n GROUP BY n.step"
    )
    return Statements((select,), tuple(made.items()), all_time=True, by_visit=1)


def _mark(name: str | None, relations: Relations) -> str:
    """1 for an event of this name, 0 for another."""
    if name is None:
        return "1"
    named: Filter = Leaf("is", "event:name", (name,))
    return f"CASE WHEN {holds(named, relations)} THEN 1 ELSE 0 END"


def _cohorts(rows: Rows, steps: Sequence[Bucket]) -> tuple[Cohort, ...]:
    counted = {(whole(step), whole(later)): whole(count) for step, later, count in rows}
    begun = sum(bucket.state != "future" for bucket in steps)
    cohorts = []
    for index, bucket in enumerate(steps):
        size = counted.get((index, -1), 0)
        if size:
            # Events may lie a few minutes ahead: their step counts as begun.
            last = max([begun, *(index + later + 1 for step, later in counted if step == index)])
            returned = tuple(counted.get((index, later), 0) for later in range(last - index))
            cohorts.append(Cohort(bucket, size, returned))
    return tuple(cohorts)
