"""Funnels: how many visitors went through a row of steps in order, and how long they took.

A step is a filter that an event passes. A visitor reached step `n` when one of their matching events passes it and
comes after one with which they were at step `n - 1`, all within one visit, or within a window from the first step on.
A strict funnel takes only the very next matching event: nothing lies in between. Events at the same time come in the
order in which they were stored.

The time to a step runs from the last moment at which the visitor was at the step before, to when they reached it first.
"""

import msgspec

from appliance.errors import Invalid
from appliance.queries.filters import Filter
from appliance.queries.question import Scope
from appliance.queries.relations import Relations
from appliance.queries.reports import Reports, Statements
from appliance.queries.selection import events, holds, percent, whole
from appliance.storage.funnels import STEPS_MAX, STEPS_MIN


class Funnel(msgspec.Struct, frozen=True):
    """What to ask. `window`: microseconds from the first step to the last, None: within one visit."""

    steps: tuple[Filter, ...]
    window: int | None = None
    strict: bool = False


class Step(msgspec.Struct, frozen=True):
    """`visitors` who reached the step. `median` is the lower median of their microseconds from the step before; None
    for the first step, and where nobody came."""

    visitors: int
    median: int | None = None


class Passage(msgspec.Struct, frozen=True):
    """The answer: a step for each that was asked for. `sampled`: some events of the range were not kept, and visitors
    are those that were."""

    steps: tuple[Step, ...]
    sampled: bool = False

    @property
    def conversion(self) -> float | None:
        """Per cent of those who entered that reached the last step."""
        return self.rate(len(self.steps) - 1)

    def rate(self, index: int) -> float | None:
        """Per cent of those who entered that reached a step."""
        return percent(self.steps[index].visitors, self.steps[0].visitors)

    def rate_from_before(self, index: int) -> float | None:
        """Per cent of those at the step before that reached a step."""
        return percent(self.steps[index].visitors, self.steps[max(index - 1, 0)].visitors)

    def dropped(self, index: int) -> int:
        """Visitors at the step before who did not reach a step."""
        return self.steps[max(index - 1, 0)].visitors - self.steps[index].visitors


async def ask(reports: Reports, scope: Scope, funnel: Funnel) -> Passage:
    """Raises as `Reports` does, and Invalid for too few or too many steps."""
    if not STEPS_MIN <= len(funnel.steps) <= STEPS_MAX:
        raise Invalid(f"a funnel has {STEPS_MIN} to {STEPS_MAX} steps", field="step")
    (rows,), sampled = await reports.rows(scope, lambda relations: _statements(relations, funnel))
    found = {whole(index): Step(whole(count), median) for index, count, median in rows if not isinstance(median, str)}
    return Passage(tuple(found[index] for index in range(len(funnel.steps))), sampled)


def _statements(relations: Relations, funnel: Funnel) -> Statements:
    """SELECT index of the step, visitors, median time from the step before.

    `since_<k>` of an event is the time of the first step of the passage with which the visitor is at step k by this
    event: of several the latest, which is the one that a window closes last on. `took_<k>` is the time from step k - 1.
    """
    bind = relations.bindings
    run = "visit_id" if funnel.window is None else "visitor"  # what one passage stays within
    columns = {name: bind.event(name) for name in ("visitor", "visit_id", "time", "id")}
    marks = [f"CASE WHEN {holds(step, relations)} THEN 1 ELSE 0 END" for step in funnel.steps]
    columns |= {f"at_{index}": mark for index, mark in enumerate(marks)}
    made = [("marked", events(relations, columns))]
    # Between the steps of a strict funnel any event matters, else only those that are steps.
    used = "" if funnel.strict else f" WHERE {' OR '.join(f'm.at_{index} = 1' for index in range(len(marks)))}"
    made.append(("level_0", f"SELECT m.*, CASE WHEN m.at_0 = 1 THEN m.time END AS since_0 FROM marked m{used}"))
    for index in range(1, len(marks)):
        made += _level(index, run, funnel, relations)
    last = f"level_{len(marks) - 1}"
    selects = [f"SELECT 0, count(DISTINCT w.visitor), CAST(NULL AS BIGINT) FROM {last} w WHERE w.since_0 IS NOT NULL"]
    for index in range(1, len(marks)):
        first = (
            f"SELECT w.took_{index} AS took, row_number() OVER (PARTITION BY w.visitor ORDER BY w.time, w.id) AS place"
            f" FROM {last} w WHERE w.since_{index} IS NOT NULL"
        )
        median = "CAST(percentile_disc(0.5) WITHIN GROUP (ORDER BY f.took) AS BIGINT)"
        selects.append(f"SELECT {index}, count(*), {median} FROM ({first}) f WHERE f.place = 1")
    return Statements((" UNION ALL ".join(selects),), tuple(made), by_visit=1)


def _level(index: int, run: str, funnel: Funnel, relations: Relations) -> list[tuple[str, str]]:
    """The events with what they are for step `index`, from what they are for the one before."""
    before = f"since_{index - 1}"
    partition = f"PARTITION BY w.{run} ORDER BY w.time, w.id"
    reached = f"CASE WHEN w.{before} IS NOT NULL THEN w.time END"
    if funnel.strict:
        since, left = f"lag(w.{before}) OVER ({partition})", f"lag({reached}) OVER ({partition})"
    else:
        frame = f"({partition} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        since, left = f"max(w.{before}) OVER {frame}", f"max({reached}) OVER {frame}"
    holds_here = f"p.at_{index} = 1"
    if funnel.window is not None:
        holds_here += f" AND p.time - p.begun_{index} <= {relations.bindings.number(funnel.window)}"
    since_here = f"CASE WHEN {holds_here} THEN p.begun_{index} END AS since_{index}"
    took_here = f"CASE WHEN {holds_here} THEN p.time - p.left_{index} END AS took_{index}"
    return [
        (f"path_{index}", f"SELECT w.*, {since} AS begun_{index}, {left} AS left_{index} FROM level_{index - 1} w"),
        (f"level_{index}", f"SELECT p.*, {since_here}, {took_here} FROM path_{index} p"),
    ]
