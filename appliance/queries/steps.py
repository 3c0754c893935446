"""Reports over one scope as one step of a plan: they share the relations that they are counted over."""

from collections.abc import Sequence

from appliance.queries import sampling
from appliance.queries.bindings import Bindings
from appliance.queries.conditions import Names
from appliance.queries.dialects import Dialect
from appliance.queries.dimensions import Grouping
from appliance.queries.question import Report, Scope
from appliance.queries.relations import Relations
from appliance.queries.sql import ReportSQL, counts_all
from appliance.queries.weighted import WeightedSQL
from appliance.storage.evaluation import Rolled, Step


def compile_step(
    scope: Scope,
    reports: Sequence[Report],
    dialect: Dialect,
    names: Names,
    bindings: Bindings,
    *,
    rolled: Rolled | None = None,
    weighted: bool = False,
) -> Step:
    """All reports over one scope: each statement, followed by the count of its rows where `counts_all` says so.

    `rolled`: all of them are answered with these rollups. `weighted`: with regard to sampling rates, and at the end
    comes the range's mark (sampling.py).
    """
    relations = Relations(scope, dialect, names, bindings, beside_rollups=rolled is not None, weighted=weighted)
    written = [(WeightedSQL if weighted else ReportSQL)(report, relations) for report in reports]
    used: dict[str, list[Grouping]] = {}
    for report in written:
        for name, groupings in report.uses().items():
            known = used.setdefault(name, [])
            known += [item for item in groupings if item not in known]
    selects = relations.select(used)
    statements = []
    for report in written:
        statements.append(report.statement())
        if counts_all(report.report):
            statements.append(report.total_statement())
    inline, by_visit = len(statements) == 1, 0 if bindings.across_visits or weighted else len(selects)
    if weighted:
        statements.append(sampling.select_mark(bindings, scope.range))
    return Step(
        tuple(statements),
        tuple(selects),
        bindings.parameters(),
        bindings.text_lists(),
        dict(bindings.code_sets()),
        scope.range.start,
        scope.range.end,
        rolled,
        inline,
        by_visit,
    )
