"""Reports as SQL, once for all engines. Each text comes from the whitelists of dimensions and metrics.

What is asked together over one scope shares its relations (relations.py): steps.py. Where data are sampled, sums are
weighted: weighted.py.
"""

from collections.abc import Sequence
from typing import Final

from appliance.queries.conditions import PAGEVIEW_NAME, bucket_of, code_set
from appliance.queries.dimensions import Dimension, GoalDimension, Grouping, TimeDimension
from appliance.queries.metrics import EVENT_MEASURES, PAGE_MEASURES, VISIT_MEASURES, WHOLE_MEASURES, Measure, metric
from appliance.queries.plan import first_code, rollup_of
from appliance.queries.question import Order, Report
from appliance.queries.relations import Relations
from appliance.storage.dimensions import dictionary_of
from appliance.storage.rollup import EVENT_COUNTS, PAGEVIEW_CODE

AGGREGATES: Final[dict[Measure, str]] = {
    "visitors": "count(DISTINCT r.visitor)",
    "active_visits": "count(DISTINCT r.visit_id)",
    "events": "sum(r.events)",
    "pageviews": "sum(r.pageviews)",
    "visits": "count(*)",
    "bounces": "sum(r.bounce)",
    "duration": "sum(r.duration)",
    "visit_pageviews": "sum(r.pageviews)",
    "revenue": "sum(r.revenue)",
    "paying": "sum(CASE WHEN r.currency <> 0 THEN 1 ELSE 0 END)",
    "currency_low": "min(CASE WHEN r.currency <> 0 THEN r.currency END)",
    "currency_high": "max(r.currency)",
    "page_visits": "count(*)",
    "engaged": "sum(r.engaged)",
    "scrolled": "sum(r.scrolled)",
}
# The columns of events that a measure is made of.
_OF_PAGES: Final[dict[Measure, str]] = {"engaged": "sum(h.engaged_ms)", "scrolled": "max(h.scroll_depth)"}
_COLUMNS: Final[dict[Measure, tuple[str, ...]]] = {
    "revenue": ("revenue", "currency"),
    "page_visits": ("path",),
    "engaged": ("path", "engaged_ms"),
    "scrolled": ("path", "scroll_depth"),
}


def shows_money(report: Report) -> bool:
    """Whether a row ends with the currency of its revenue, None where that is not one."""
    return any(metric(name).is_money for name in report.metrics)


def counts_all(report: Report) -> bool:
    """Whether all of its rows are counted beside those that it gives: for their number, or to tell of money."""
    return report.total_rows or (shows_money(report) and bool(report.dimensions))


def measures_of(report: Report) -> tuple[Measure, ...]:
    """The columns of a report's rows after its dimensions."""
    asked = {measure for name in report.metrics for measure in metric(name).measures}
    known: tuple[Measure, ...] = (*EVENT_MEASURES, *VISIT_MEASURES, *PAGE_MEASURES, *WHOLE_MEASURES)
    return tuple(measure for measure in known if measure in asked)


class ReportSQL:
    """One report over a scope: which relations it reads, and its statement over them."""

    def __init__(self, report: Report, relations: Relations) -> None:
        self.report = report
        self._relations = relations
        self._rollup = rollup_of(report, relations.scope) if relations.beside_rollups else None
        self._bind = relations.bindings
        self.groupings: list[Grouping] = report.grouped()
        self._measures = measures_of(report)
        self._wholes: dict[Measure, str] = {}  # expressions
        self._of_visits = ["bounce", "duration", "pageviews"]  # columns of `kept` that are added up
        self.event_measures = [measure for measure in EVENT_MEASURES if measure in self._measures]
        self.visit_measures = [measure for measure in VISIT_MEASURES if measure in self._measures]
        self.page_measures = [measure for measure in PAGE_MEASURES if measure in self._measures]
        self._summed = (*self.event_measures, *self.visit_measures, *self.page_measures)
        self.by_event = any(_is_of_event(item) for item in self.groupings)
        by_goal = any(isinstance(item, GoalDimension) for item in self.groupings)
        self._hit = "reached" if by_goal else "hit"
        # The relation that its figures of events are counted over.
        of_events = self.by_event or relations.conditions.event or {"revenue", "active_visits"} & set(self._measures)
        self._whole = "hit" if of_events else "seen"
        self.counted = self._hit if of_events else "seen"
        for measure in self._measures:
            relations.of_hit.update(_COLUMNS.get(measure, ()))

    def uses(self) -> dict[str, list[Grouping]]:
        """Relations it reads, with what it groups them by."""
        used: dict[str, list[Grouping]] = {}
        if self.event_measures:
            used[self.counted] = self.groupings
        if self.page_measures:
            used[self._hit] = self.groupings
        if "total_visitors" in self._measures:
            used.setdefault(self._whole, [])
        if {"base_visitors", "group_visitors"}.intersection(self._measures):
            used["base"] = [item for item in self.groupings if not isinstance(item, GoalDimension)]
        if self.visit_measures:
            used["kept"] = [item for item in self.groupings if not _is_of_event(item)]
            if self.by_event:
                used.setdefault(self._hit, [item for item in self.groupings if _is_of_event(item)])
        return used

    def statement(self) -> str:
        """SELECT the dimensions (labels; indices of buckets), then the measures."""
        bind = self._bind
        labels, joins = [], []
        for index, item in enumerate(self.groupings):
            label, join = self._label(item, index)
            labels.append(label)
            joins += join
        measures = []
        for name in self._measures:
            if name in WHOLE_MEASURES:
                joins += self._join_whole(name)
            measures.append(self._cell(name))
        if shows_money(self.report):
            dictionary = bind.dictionary(dictionary_of("currency"))
            joins.append(f"LEFT JOIN {dictionary} m ON m.code = g.currency_low AND m.code = g.currency_high")
            measures.append("m.text")
        order = self._order(labels)
        return (
            f"SELECT {', '.join([*labels, *measures])} FROM ({self._counts()}) g {' '.join(joins)}"
            f"{f' ORDER BY {order}' if order else ''}"
            f" LIMIT {bind.number(self.report.limit)} OFFSET {bind.number(self.report.offset)}"
        )

    def _cell(self, name: Measure) -> str:
        """A measure as a column of the answer. Sums of money go as text: no number of theirs is wide enough for all."""
        return self._wholes.get(name) or f"CAST(coalesce(g.{name}, 0) AS {'TEXT' if name == 'revenue' else 'BIGINT'})"

    def _join_whole(self, name: Measure) -> list[str]:
        """Note how many visitors a row's are a part of (`_wholes`); gives what to join for it."""
        keys = self._whole_keys(name)
        if name == "total_visitors":
            self._wholes[name] = self._total_visitors()
            return []
        if not keys:
            self._wholes[name] = "(SELECT count(DISTINCT t.visitor) FROM base t)"
            return []
        self._wholes[name] = f"coalesce({name}.visitors, 0)"
        columns = ", ".join(f"t.{key} AS {key}" for key in keys)
        same = " AND ".join(f"{name}.{key} = g.{key}" for key in keys)
        counts = f"SELECT {columns}, count(DISTINCT t.visitor) AS visitors FROM base t{group_by('t', keys)}"
        return [f"LEFT JOIN ({counts}) {name} ON {same}"]

    def _whole_keys(self, name: Measure) -> list[str]:
        """By which keys of the report a row's visitors are a part of others."""
        if name == "total_visitors":
            return []
        items = [item for item in self.groupings if not isinstance(item, GoalDimension)]
        if name == "base_visitors":
            items = [item for item in items if isinstance(item, TimeDimension)]
        return [self._relations.key(item) for item in items]

    def _total_visitors(self) -> str:
        if self._rollup is None:
            return f"(SELECT count(DISTINCT t.visitor) FROM {self._whole} t)"
        table = self._relations.dialect.table
        again = table("again_total")
        everybody = f"SELECT s.visitor AS visitor FROM {self._whole} s UNION ALL SELECT a.visitor FROM {again} a"
        return (
            f"((SELECT count(DISTINCT t.visitor) FROM ({everybody}) t) - (SELECT count(*) FROM {again} a)"
            f" + (SELECT CAST(coalesce(sum(r.visitors), 0) AS BIGINT) FROM {table('rolled_total')} r))"
        )

    def total_statement(self) -> str:
        """SELECT how many rows there are without the limit; of money also how many have any, how many in several."""
        columns = ["count(*)"]
        if shows_money(self.report):
            several = "g.paying > 0 AND g.currency_low <> g.currency_high"
            columns += [f"count(CASE WHEN {condition} THEN 1 END)" for condition in ("g.paying > 0", several)]
        return f"SELECT {', '.join(columns)} FROM ({self._counts()}) g"

    def _counts(self) -> str:
        keys = [self._relations.key(item) for item in self.groupings]
        parts = []
        if self.event_measures:
            parts.append(self._part(keys, self.event_measures, self._events(keys)))
        if self._rollup is not None:
            parts += self._rolled(self._rollup, keys)
        if self.visit_measures:
            parts.append(self._part(keys, self.visit_measures, self._visits(keys)))
        if self.page_measures:
            parts.append(self._part(keys, self.page_measures, self._pages(keys)))
        if len(parts) == 1:
            return parts[0]
        columns = [f"u.{key} AS {key}" for key in keys]
        columns += [f"sum(u.{name}) AS {name}" for name in self._summed]
        return f"SELECT {', '.join(columns)} FROM ({' UNION ALL '.join(parts)}) u{group_by('u', keys)}"

    def _events(self, keys: list[str]) -> str:
        """What is counted of events per group; beside rollups, also everybody who is among those counted there."""
        if self._rollup is None or "visitors" not in self.event_measures:
            return f"{self.counted} r"
        columns = ("visitor", "events", "pageviews", *keys)
        counted = f"SELECT {', '.join(f's.{name}' for name in columns)} FROM {self.counted} s"
        again = ["a.visitor", "0", "0", *(self._rolled_key("a") for _ in keys)]
        source = f"{self._relations.dialect.table(f'again_{self._rollup}')} a"
        return f"({counted} UNION ALL SELECT {', '.join(again)} FROM {source}) r"

    def _rolled(self, rollup: str, keys: list[str]) -> list[str]:
        """What rollups say per group, without the visitors that are counted beside them as well."""
        table = self._relations.dialect.table
        if rollup == EVENT_COUNTS:
            return [f"SELECT * FROM ({self._event_counts(keys)}) r{self._group_conditions(keys)}"]
        group = [f"{self._rolled_key('r')} AS {key}" for key in keys]
        columns = group + [f"r.{name} AS {name}" for name in self._summed]
        rolled = f"SELECT {', '.join(columns)} FROM {table(f'rolled_{rollup}')} r"
        if not self.event_measures:
            rolled += " WHERE r.visits > 0"  # a visit may have events in a bucket in which it does not start
        columns = group + [f"{'-1' if name == 'visitors' else '0'} AS {name}" for name in self._summed]
        again = f"SELECT {', '.join(columns)} FROM {table(f'again_{rollup}')} r"
        conditions = self._group_conditions(keys)
        parts = [f"SELECT * FROM ({rolled}) r{conditions}"]
        if "visitors" in self.event_measures:
            parts.append(f"SELECT * FROM ({again}) r{conditions}")
        return parts

    def _event_counts(self, keys: list[str]) -> str:
        relations = self._relations
        columns = [f"r.{key} AS {key}" for key in keys]
        for place, item in enumerate(self.groupings):
            if isinstance(item, TimeDimension):
                bucket = bucket_of("r.time", relations.buckets(item), self._bind, relations.dialect)
                columns[place] = f"{bucket} AS {keys[place]}"
        columns += [f"r.{name} AS {name}" for name in self._summed]
        return f"SELECT {', '.join(columns)} FROM {relations.dialect.table(f'rolled_{EVENT_COUNTS}')} r"

    def _rolled_key(self, alias: str) -> str:
        """The group's column from the code of a rollup: of time, the place of the bucket in the range."""
        (item,) = self.groupings
        if not isinstance(item, TimeDimension):
            return f"{alias}.code"
        return f"{alias}.code - {self._bind.number(first_code(self._relations.scope, self._rollup or ''))}"

    def _visits(self, keys: list[str]) -> str:
        """The visits to count per group: by a dimension of events, those with a matching event in the group."""
        if not self.by_event:
            return "kept r"
        of_event = [key for key, item in zip(keys, self.groupings, strict=True) if _is_of_event(item)]
        of_visit = [key for key in keys if key not in of_event]
        distinct = ", ".join(f"h.{key} AS {key}" for key in of_event)
        columns = [*(f"d.{key} AS {key}" for key in of_event), *(f"k.{key} AS {key}" for key in of_visit)]
        columns += [f"k.{name} AS {name}" for name in self._of_visits]
        return (
            f"(SELECT {', '.join(columns)} FROM"
            f" (SELECT DISTINCT {distinct}, h.visit_id AS visit_id FROM {self._hit} h) d"
            " JOIN kept k ON k.visit_id = d.visit_id) r"
        )

    def _pages(self, keys: list[str]) -> str:
        """What each visit saw of each page per group."""
        per = [*(f"h.{key}" for key in keys), "h.visit_id", "h.path"]
        columns = [f"h.{key} AS {key}" for key in keys]
        columns += [f"{text} AS {name}" for name, text in _OF_PAGES.items() if name in self.page_measures]
        select = f"SELECT {', '.join(columns or ['1 AS one'])}"
        return f"({select} FROM {self._hit} h WHERE h.pageviews = 1 GROUP BY {', '.join(per)}) r"

    def _part(self, keys: list[str], measures: Sequence[Measure], source: str) -> str:
        columns = [f"r.{key} AS {key}" for key in keys]
        columns += [f"{AGGREGATES[name] if name in measures else '0'} AS {name}" for name in self._summed]
        where = self._group_conditions(keys)
        return f"SELECT {', '.join(columns)} FROM {source}{where}{group_by('r', keys)}"

    def _group_conditions(self, keys: list[str]) -> str:
        conditions = []
        values = [(key, item) for key, item in zip(keys, self.groupings, strict=True) if isinstance(item, Dimension)]
        if self.report.only_set:
            conditions += [f"r.{key} <> 0" for key, _ in values]
        if self.report.search and values:
            key, item = values[0]
            wanted = code_set(item, "contains", (self.report.search,), False, self._relations.names)
            conditions.append(self._bind.among(f"r.{key}", wanted))
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    def _label(self, item: Grouping, index: int) -> tuple[str, list[str]]:
        key = f"g.{self._relations.key(item)}"
        if isinstance(item, TimeDimension | GoalDimension):
            return key, []  # in the order of what they stand for
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
        # Should two codes have one label, as rows of before decision 0014 may: their order is still the same each time.
        terms += [f"g.{self._relations.key(item)}" for item in self.groupings]
        return ", ".join(terms)

    def _figure(self, name: str) -> str:
        """A metric to order by: the exact ratio, not the rounded one."""
        what = metric(name)
        if what.denominator is None:
            figure = f"g.{what.numerator}"
        else:
            below = self._wholes.get(what.denominator, f"g.{what.denominator}")
            figure = f"CASE WHEN {below} = 0 THEN NULL ELSE CAST(g.{what.numerator} AS DOUBLE PRECISION) / {below} END"
        return of_one_currency(figure) if what.is_money else figure


def of_one_currency(figure: str) -> str:
    """A figure of money of a group, NULL where the group has none or several currencies."""
    return f"CASE WHEN g.paying > 0 AND g.currency_low = g.currency_high THEN {figure} END"


def _is_of_event(item: Grouping) -> bool:
    return isinstance(item, GoalDimension) or (isinstance(item, Dimension) and item.scope == "event")


def group_by(alias: str, keys: Sequence[str]) -> str:
    return f" GROUP BY {', '.join(f'{alias}.{key}' for key in keys)}" if keys else ""
