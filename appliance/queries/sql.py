"""Questions as SQL, once for all engines. Each text comes from the whitelists of dimensions and metrics.

A page asks several reports over one scope; then the relations (relations.py) are temporary tables, made once.
"""

from collections.abc import Sequence
from typing import Final

from appliance.queries.bindings import Bindings
from appliance.queries.conditions import PAGEVIEW_CODE, PAGEVIEW_NAME, Names, code_set
from appliance.queries.dialects import Dialect
from appliance.queries.dimensions import Dimension, TimeDimension
from appliance.queries.metrics import EVENT_MEASURES, VISIT_MEASURES, Measure, metric
from appliance.queries.question import Order, Report, Scope
from appliance.queries.relations import Grouping, Relations
from appliance.storage.dimensions import dictionary_of
from appliance.storage.evaluation import Step

_AGGREGATES: Final[dict[Measure, str]] = {
    "visitors": "count(DISTINCT r.visitor)",
    "events": "sum(r.events)",
    "pageviews": "sum(r.pageviews)",
    "visits": "count(*)",
    "bounces": "sum(r.bounce)",
    "duration": "sum(r.duration)",
    "visit_pageviews": "sum(r.pageviews)",
}


def measures_of(report: Report) -> tuple[Measure, ...]:
    """The columns of a report's rows after its dimensions."""
    asked = {measure for name in report.metrics for measure in metric(name).measures}
    known: tuple[Measure, ...] = (*EVENT_MEASURES, *VISIT_MEASURES, "total_visitors")
    return tuple(measure for measure in known if measure in asked)


class ReportSQL:
    """One report over a scope: which relations it reads, and its statement over them."""

    def __init__(self, report: Report, relations: Relations) -> None:
        self.report = report
        self._relations = relations
        self._bind = relations.bindings
        self.groupings: list[Grouping] = report.grouped()
        self._measures = measures_of(report)
        self.event_measures = [measure for measure in EVENT_MEASURES if measure in self._measures]
        self.visit_measures = [measure for measure in VISIT_MEASURES if measure in self._measures]
        self.by_event = any(isinstance(item, Dimension) and item.scope == "event" for item in self.groupings)
        # The relation that its figures of events are counted over.
        self.counted = "hit" if self.by_event or relations.conditions.event else "seen"

    def uses(self) -> dict[str, list[Grouping]]:
        """Relations it reads, with what it groups them by."""
        used: dict[str, list[Grouping]] = {}
        if self.event_measures:
            used[self.counted] = self.groupings
        if self.visit_measures:
            used["kept"] = [item for item in self.groupings if not _is_of_event(item)]
            if self.by_event:
                used.setdefault("hit", [item for item in self.groupings if _is_of_event(item)])
        return used

    def statement(self) -> str:
        """SELECT the dimensions (labels; indices of buckets), then the measures."""
        bind = self._bind
        labels, joins = [], []
        for index, item in enumerate(self.groupings):
            label, join = self._label(item, index)
            labels.append(label)
            joins += join
        measures = [f"CAST(coalesce(g.{name}, 0) AS BIGINT)" for name in self._measures if name != "total_visitors"]
        if "total_visitors" in self._measures:
            measures.append(f"(SELECT count(DISTINCT t.visitor) FROM {self.counted} t)")
        order = self._order(labels)
        return (
            f"SELECT {', '.join([*labels, *measures])} FROM ({self._counts()}) g {' '.join(joins)}"
            f"{f' ORDER BY {order}' if order else ''}"
            f" LIMIT {bind.number(self.report.limit)} OFFSET {bind.number(self.report.offset)}"
        )

    def total_statement(self) -> str:
        """SELECT how many rows there are without the limit."""
        return f"SELECT count(*) FROM ({self._counts()}) g"

    def _counts(self) -> str:
        keys = [self._relations.key(item) for item in self.groupings]
        parts = []
        if self.event_measures:
            parts.append(self._part(keys, self.event_measures, f"{self.counted} r"))
        if self.visit_measures:
            parts.append(self._part(keys, self.visit_measures, self._visits(keys)))
        if len(parts) == 1:
            return parts[0]
        columns = [f"u.{key} AS {key}" for key in keys]
        columns += [f"sum(u.{name}) AS {name}" for name in (*self.event_measures, *self.visit_measures)]
        return f"SELECT {', '.join(columns)} FROM ({' UNION ALL '.join(parts)}) u{_group_by('u', keys)}"

    def _visits(self, keys: list[str]) -> str:
        """The visits to count per group: by a dimension of events, those with a matching event in the group."""
        if not self.by_event:
            return "kept r"
        of_event = [key for key, item in zip(keys, self.groupings, strict=True) if _is_of_event(item)]
        of_visit = [key for key in keys if key not in of_event]
        distinct = ", ".join(f"h.{key} AS {key}" for key in of_event)
        columns = [*(f"d.{key} AS {key}" for key in of_event), *(f"k.{key} AS {key}" for key in of_visit)]
        columns += [f"k.{name} AS {name}" for name in ("bounce", "duration", "pageviews")]
        return (
            f"(SELECT {', '.join(columns)} FROM (SELECT DISTINCT {distinct}, h.visit_id AS visit_id FROM hit h) d"
            " JOIN kept k ON k.visit_id = d.visit_id) r"
        )

    def _part(self, keys: list[str], measures: Sequence[Measure], source: str) -> str:
        columns = [f"r.{key} AS {key}" for key in keys]
        columns += [
            f"{_AGGREGATES[name] if name in measures else '0'} AS {name}"
            for name in (*self.event_measures, *self.visit_measures)
        ]
        where = self._group_conditions(keys)
        return f"SELECT {', '.join(columns)} FROM {source}{where}{_group_by('r', keys)}"

    def _group_conditions(self, keys: list[str]) -> str:
        conditions = []
        values = [(key, item) for key, item in zip(keys, self.groupings, strict=True) if isinstance(item, Dimension)]
        if self.report.only_set:
            conditions += [f"r.{key} <> 0" for key, _ in values]
        if self.report.search and values:
            key, item = values[0]
            wanted = code_set(item, "contains", (self.report.search,), False, self._relations.names)
            conditions.append(f"r.{key} IN {self._bind.codes(wanted)}")
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    def _label(self, item: Grouping, index: int) -> tuple[str, list[str]]:
        key = f"g.{self._relations.key(item)}"
        if isinstance(item, TimeDimension):
            return key, []
        bind, dictionary = self._bind, f"d{index}"
        join = [f"LEFT JOIN {bind.dictionary(dictionary_of(item.column))} {dictionary} ON {dictionary}.code = {key}"]
        label = f"coalesce({dictionary}.text, '{item.missing}')"
        if item.shows == "event_name":
            label = f"CASE WHEN {key} = {PAGEVIEW_CODE} THEN '{PAGEVIEW_NAME}' ELSE {label} END"
        countries = self._relations.names.countries
        if item.shows == "country_name" and countries:
            codes, names = bind.texts(tuple(countries)), bind.texts(tuple(countries.values()))
            table = f"(SELECT {codes} AS code, {names} AS name)"
            join.append(f"LEFT JOIN {table} n{index} ON n{index}.code = {dictionary}.text")
            label = f"coalesce(n{index}.name, {dictionary}.text, '{item.missing}')"
        return label, join

    def _order(self, labels: list[str]) -> str:
        if not self.groupings:
            return ""
        places = {item.name: index for index, item in enumerate(self.groupings)}
        orders = list(self.report.ordering())
        orders += [Order(name) for name in self.report.dimensions if name not in {order.key for order in orders}]
        terms = []
        for order in orders:
            expression = self._figure(order.key) if order.key not in places else labels[places[order.key]]
            if isinstance(self.groupings[places[order.key]] if order.key in places else None, Dimension):
                expression = self._relations.dialect.by_bytes(expression)
            terms.append(f"{expression} {'DESC' if order.descending else 'ASC'} NULLS LAST")
        # Two codes may have one label, when somebody sent it as text.
        terms += [f"g.{self._relations.key(item)}" for item in self.groupings]
        return ", ".join(terms)

    def _figure(self, name: str) -> str:
        """A metric to order by: the exact ratio, not the rounded one."""
        what = metric(name)
        if what.denominator is None or what.denominator == "total_visitors":
            return f"g.{what.numerator}"
        below = f"g.{what.denominator}"
        return f"CASE WHEN {below} = 0 THEN NULL ELSE CAST(g.{what.numerator} AS DOUBLE PRECISION) / {below} END"


def _is_of_event(item: Grouping) -> bool:
    return isinstance(item, Dimension) and item.scope == "event"


def _group_by(alias: str, keys: Sequence[str]) -> str:
    return f" GROUP BY {', '.join(f'{alias}.{key}' for key in keys)}" if keys else ""


def compile_step(scope: Scope, reports: Sequence[Report], dialect: Dialect, names: Names, bindings: Bindings) -> Step:
    """All reports over one scope: each statement, followed by its count of rows where that is asked for.

    One report carries its relations along; several share them as temporary tables.
    """
    relations = Relations(scope, dialect, names, bindings)
    written = [ReportSQL(report, relations) for report in reports]
    used: dict[str, list[Grouping]] = {}
    for report in written:
        for name, groupings in report.uses().items():
            known = used.setdefault(name, [])
            known += [item for item in groupings if item not in known]
    selects = relations.select(used)
    statements = []
    for report in written:
        statements.append(report.statement())
        if report.report.total_rows:
            statements.append(report.total_statement())
    if len(statements) == 1:
        inline = ", ".join(f"{name} AS ({select})" for name, select in selects)
        statements, selects = [f"WITH {inline} {statements[0]}"], []
    return Step(
        tuple(statements),
        tuple(selects),
        bindings.parameters(),
        bindings.text_lists(),
        dict(bindings.code_sets()),
    )
