"""Asks the engine: reports in, tables out. The one door from pages and APIs to the figures."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from appliance.errors import RawPurged
from appliance.model import Project
from appliance.queries import sampling
from appliance.queries.bindings import Bindings
from appliance.queries.conditions import Names
from appliance.queries.dialects import DIALECTS
from appliance.queries.filters import EVERYTHING, Filter
from appliance.queries.imported import ImportedFigures
from appliance.queries.period import Named, Period, resolve
from appliance.queries.plan import rolled, rollup_of
from appliance.queries.question import Report, Scope, check
from appliance.queries.relations import Relations
from appliance.queries.results import Table
from appliance.queries.steps import compile_step
from appliance.queries.tables import tables
from appliance.storage.evaluation import BEGINNING, END, NotRolledUp, Plan, QueryEngine, Rolled, Rows, SampledData, Step
from appliance.storage.goals import Goal


class Statements(NamedTuple):
    """SQL over a scope: relations (name, SELECT) that build on each other, and what is asked of them.

    `all_time`: they look also at visits that do not touch the scope's range, as far as those are kept. `by_visit`: as
    of a step (evaluation.py).
    """

    selects: tuple[str, ...]
    relations: tuple[tuple[str, str], ...] = ()
    all_time: bool = False
    by_visit: int = 0


class Found(NamedTuple):
    """The rows of each SELECT of a report that follows people. They are what is stored; `sampled`: a part of what was
    asked about is not, because it was sampled out."""

    rows: list[Rows]
    sampled: bool = False


class _Part(NamedTuple):
    """Reports over one scope that are answered together, with rollups or without."""

    scope: Scope
    reports: Sequence[Report]
    rolled: Rolled | None


class Reports:
    """Answers questions about projects with a query engine.

    Its methods raise QueryTimeout, StorageUnavailable, ChunkDamaged, and Invalid for what cannot be asked.
    """

    def __init__(self, engine: QueryEngine, names: Names = Names(), imported: ImportedFigures | None = None) -> None:
        """With `imported`, figures of other products are added where they can be."""
        self._engine = engine
        self._imported = imported
        self._dialect = DIALECTS[engine.dialect]
        self._rolled_dialect = DIALECTS[engine.rolled_dialect]
        self._names = names

    def over(self, wrap: Callable[[QueryEngine], QueryEngine]) -> "Reports":
        """The same, with its questions asked through what `wrap` makes of the engine."""
        return Reports(wrap(self._engine), self._names, self._imported)

    def with_imported(self, imported: ImportedFigures) -> "Reports":
        """The same, with these figures added."""
        return Reports(self._engine, self._names, imported)

    @property
    def names(self) -> Names:
        """What codes are called in answers."""
        return self._names

    async def scope(
        self, project: Project, period: Period, now: int, tree: Filter = EVERYTHING, goals: Sequence[Goal] = ()
    ) -> Scope:
        """A project's data in a period, at `now` (UTC microseconds). The filter may name the project's `goals`."""
        first = None
        if isinstance(period, Named) and period.name == "all":
            first = await self.first_event(project)
        there = resolve(period, project.timezone, now, first)
        return Scope.of(project.id, there, tree, goals)

    async def first_event(self, project: Project) -> int | None:
        """Time of a project's first event, or of the first day with imported figures, in UTC microseconds; None when it
        has none."""
        times = [await self._engine.first_event(project.id)]
        if self._imported is not None:
            times.append(await self._imported.first(project))
        return min((time for time in times if time is not None), default=None)

    async def ask(self, asked: Sequence[tuple[Scope, Sequence[Report]]]) -> list[list[Table]]:
        """The tables of all reports over each scope, from one snapshot. The scopes are of one project."""
        if self._imported is not None:
            return await self._imported.ask(asked, self._count)
        return await self._count(asked)

    async def _count(self, asked: Sequence[tuple[Scope, Sequence[Report]]]) -> list[list[Table]]:
        weighted, without = False, frozenset[tuple[int, int]]()
        while True:
            # Neither is remembered: it is refused before anything is counted, and may be another way next time.
            try:
                return await self._ask(asked, weighted=weighted, without=without)
            except SampledData:
                weighted = True
            except NotRolledUp as refused:
                without |= refused.spans

    async def _ask(
        self,
        asked: Sequence[tuple[Scope, Sequence[Report]]],
        *,
        weighted: bool,
        without: Collection[tuple[int, int]],
    ) -> list[list[Table]]:
        """`without`: ranges that rollups do not answer."""
        parts = []
        for scope, reports in asked:
            is_rolled = not weighted and (scope.range.start, scope.range.end) not in without
            parts += _parted(scope, reports, by_rollups=is_rolled)
        if not parts:
            return [[] for _ in asked]
        answers = await self._engine.ask(self._plan(parts, weighted=weighted))
        found: dict[tuple[Scope, Report], Table] = {}
        for part, answer in zip(parts, answers, strict=True):
            made = tables(part.scope, part.reports, answer, weighted=weighted)
            found |= {(part.scope, report): table for report, table in zip(part.reports, made, strict=True)}
        return [[found[scope, report] for report in reports] for scope, reports in asked]

    def _plan(self, parts: Sequence["_Part"], *, weighted: bool) -> Plan:
        steps: list[Step] = []
        whole: list[Bindings] = []
        rest: list[Bindings] = []
        for part in parts:
            dialect = self._dialect if part.rolled is None else self._rolled_dialect
            bound = Bindings(dialect)
            step = compile_step(
                part.scope, part.reports, dialect, self._names, bound, rolled=part.rolled, weighted=weighted
            )
            steps.append(step)
            (whole if part.rolled is None else rest).append(bound)
        return Plan(
            parts[0].scope.project_id,
            _columns(whole, "event"),
            _columns(whole, "visit"),
            tuple(sorted(set().union(*(bound.dictionaries for bound in (*whole, *rest))), key=str)),
            tuple(steps),
            tuple(sorted(set().union(*(bound.properties for bound in (*whole, *rest))))),
            min(part.scope.range.start for part in parts),
            max(part.scope.range.end for part in parts),
            _columns(rest, "event"),
            _columns(rest, "visit"),
            weighted,
        )

    async def ask_kept(self, asked: Sequence[tuple[Scope, Sequence[Report]]]) -> list[list[Table | None]]:
        """The same, with None for each report that needs what is purged.

        From one snapshot where nothing is; else one after the other.
        """
        try:
            return [list(tables) for tables in await self.ask(asked)]
        except RawPurged:
            return [[await self._kept(scope, report) for report in reports] for scope, reports in asked]

    async def _kept(self, scope: Scope, report: Report) -> Table | None:
        try:
            return await self.answer(scope, report)
        except RawPurged:
            return None

    async def rows(self, scope: Scope, write: Callable[[Relations], Statements]) -> Found:
        """The rows of each SELECT that `write` composes over a scope, from one snapshot."""
        try:
            return Found((await self._engine.ask(self._plan_rows(scope, write, weighted=False)))[0])
        except SampledData:
            *rows, mark = (await self._engine.ask(self._plan_rows(scope, write, weighted=True)))[0]
            return Found(rows, sampling.mark(mark).sampled)

    def _plan_rows(self, scope: Scope, write: Callable[[Relations], Statements], *, weighted: bool) -> Plan:
        """What is written follows people and weighs nothing; a weighted plan also asks for the mark."""
        bound = Bindings(self._dialect)
        written = write(Relations(scope, self._dialect, self._names, bound))
        selects, by_visit = written.selects, 0 if bound.across_visits or weighted else written.by_visit
        if weighted:
            selects += (sampling.select_mark(bound, None if written.all_time else scope.range),)
        step = Step(
            selects,
            written.relations,
            bound.parameters(),
            bound.text_lists(),
            dict(bound.code_sets()),
            *((BEGINNING, END) if written.all_time else (scope.range.start, scope.range.end)),
            inline=len(written.selects) == 1,
            by_visit=by_visit,
            asked_from=scope.range.start,
        )
        event, visit = (tuple(sorted(bound.columns[table])) for table in ("event", "visit"))
        dictionaries = tuple(sorted(bound.dictionaries, key=str))
        properties = tuple(sorted(bound.properties))
        span = (step.start, step.end)
        return Plan(scope.project_id, event, visit, dictionaries, (step,), properties, *span, weighted=weighted)

    async def answer(self, scope: Scope, report: Report) -> Table:
        """The table of one report."""
        return (await self.ask([(scope, [report])]))[0][0]


def _parted(scope: Scope, reports: Sequence[Report], *, by_rollups: bool) -> list[_Part]:
    checked = [check(report) for report in reports]
    if not by_rollups:
        return [_Part(scope, checked, None)]
    answered = [report for report in checked if rollup_of(report, scope)]
    others = [report for report in checked if not rollup_of(report, scope)]
    return [_Part(scope, part, rolled(scope, part)) for part in (answered, others) if part]


def _columns(bindings: Sequence[Bindings], table: str) -> tuple[str, ...]:
    return tuple(sorted(set().union(*(bound.columns[table] for bound in bindings))))
