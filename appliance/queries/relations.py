"""The relations that stand between the stored rows and a report. Together they are SEMANTICS.md "Results".

    hit    matching events in range: visit_id, visitor, events (1), pageviews (0 or 1), dimensions, buckets,
           and the columns of events that a measure adds up
    seen   the same where no filter looks at events, but a visit that lies in one bucket and in the range is one row:
           its own counters say it, and only visits across an edge are counted by their events
    reached   `hit` with the goal that the event reaches; once for each of them
    base   `hit` without what the filter says of goals
    kept   matching visits that start in range: visit_id, bounce, duration, pageviews, dimensions, bucket of the start

Events, pageviews and visitors are counted over `hit` or `seen`, figures of visits over `kept`. Weighted, `hit` has also
the sampling rates of the event (`rate`) and of its visit (`visit_rate`), and `kept` that of the visit (`rate`).
"""

from collections.abc import Sequence

from msgspec.structs import replace

from appliance.queries.bindings import Bindings
from appliance.queries.conditions import PAGEVIEW_KIND, Conditions, Names, bucket_of, code_of, condition, needs_visit
from appliance.queries.dialects import Dialect
from appliance.queries.dimensions import Dimension, GoalDimension, Grouping, TimeDimension
from appliance.queries.goals import as_filter
from appliance.queries.intervals import Bucket, buckets, default_interval
from appliance.queries.question import Scope


class Relations:
    """The relations of one scope."""

    def __init__(
        self,
        scope: Scope,
        dialect: Dialect,
        names: Names,
        bindings: Bindings,
        *,
        beside_rollups: bool = False,
        weighted: bool = False,
    ) -> None:
        """`beside_rollups`: over the visits alone that rollups do not speak of. `weighted`: with sampling rates."""
        self.scope = scope
        self.beside_rollups = beside_rollups
        self.weighted = weighted
        self.dialect = dialect
        self.names = names
        self.bindings = bindings
        self.conditions = Conditions.of(scope.filter)
        self.of_hit: set[str] = set()  # further columns of events that are asked for
        self._buckets: dict[str, tuple[Bucket, ...]] = {}

    def key(self, item: Grouping) -> str:
        """The name of a grouping's column."""
        if isinstance(item, TimeDimension):
            return f"bucket_{item.interval or default_interval(self.scope.range)}"
        return "goal" if isinstance(item, GoalDimension) else item.key

    def buckets(self, item: TimeDimension) -> tuple[Bucket, ...]:
        interval = item.interval or default_interval(self.scope.range)
        if interval not in self._buckets:
            self._buckets[interval] = buckets(self.scope.range, interval)
        return self._buckets[interval]

    def select(self, used: dict[str, list[Grouping]]) -> list[tuple[str, str]]:
        """The SELECTs of the relations that are used: by name, in the order in which they build on each other.

        `used` says what each is grouped by.
        """
        if "kept" in used and self.conditions.event:
            used = {"hit": [], **used}
        makers = {
            "hit": self._hit,
            "reached": self._reached,
            "base": self._base,
            "seen": self._seen,
            "kept": self._kept,
        }
        return [(name, make(used[name])) for name, make in makers.items() if name in used]

    def _table(self, name: str) -> str:
        return self.dialect.table(f"rest_{name}" if self.beside_rollups else name)

    def _low(self) -> str:
        """From when on rows count."""
        if self.beside_rollups:
            return self.dialect.parameter("rest_from")
        return self.bindings.number(self.scope.range.start)

    def _in_range(self, time: str) -> str:
        return f"{time} >= {self._low()} AND {time} < {self.bindings.number(self.scope.range.end)}"

    def _conditions(self, *, of_events: bool) -> list[str]:
        trees = [*self.conditions.visit, *(self.conditions.event if of_events else ())]
        bind, there = self.bindings, self.scope.range
        return [f"({condition(tree, bind, self.names, there, of_event=of_events)})" for tree in trees]

    def _columns(self, groupings: Sequence[Grouping], time: str, *, of_event: bool = False) -> list[str]:
        columns = []
        for item in groupings:
            if isinstance(item, TimeDimension):
                value = bucket_of(time, self.buckets(item), self.bindings, self.dialect)
                columns.append(f"{value} AS {self.key(item)}")
            elif isinstance(item, Dimension):  # goals are a column of `reached` alone
                columns.append(f"{code_of(item, self.bindings, of_event=of_event)} AS {self.key(item)}")
        return columns

    def _events_with_visits(self) -> str:
        visits = f"JOIN {self._table('visit')} v ON {self.bindings.visit('id')} = {self.bindings.event('visit_id')}"
        return f"FROM {self._table('event')} e {visits}"

    def _event_columns(self, groupings: Sequence[Grouping], *, with_visits: bool = False) -> list[str]:
        bind = self.bindings
        visitor = bind.visit("visitor") if with_visits else bind.visit_of_event("visitor")
        is_pageview = f"CASE WHEN {bind.event('kind')} = {PAGEVIEW_KIND} THEN 1 ELSE 0 END"
        columns = [f"{visitor} AS visitor", "1 AS events", f"{is_pageview} AS pageviews"]
        return columns + self._columns(groupings, bind.event("time"), of_event=not with_visits)

    def _hit(self, groupings: Sequence[Grouping], goal: int | None = None) -> str:
        """Matching events; with a goal, by its place in the scope, those that reach it."""
        bind = self.bindings
        columns = [f"{bind.event('visit_id')} AS visit_id", *self._event_columns(groupings)]
        columns += [f"{bind.event(name)} AS {name}" for name in sorted(self.of_hit)]
        if self.weighted:
            columns += [f"{bind.event('rate')} AS rate", f"{bind.visit('rate')} AS visit_rate"]
        conditions = [self._in_range(bind.event("time")), *self._conditions(of_events=True)]
        if goal is not None:
            columns.append(f"CAST({bind.number(goal)} AS INTEGER) AS goal")
            conditions.append(f"({condition(as_filter(self.scope.goals[goal]), bind, self.names)})")
        source = f"FROM {self._table('event')} e"
        if self._needs_visit(groupings):
            source = self._events_with_visits()
        return f"SELECT {', '.join(columns)} {source} WHERE {' AND '.join(conditions)}"

    def _reached(self, groupings: Sequence[Grouping]) -> str:
        if not self.scope.goals:
            return f"SELECT n.*, 0 AS goal FROM ({self._hit(groupings)}) n WHERE 1 = 0"
        return " UNION ALL ".join(self._hit(groupings, place) for place in range(len(self.scope.goals)))

    def _base(self, groupings: Sequence[Grouping]) -> str:
        whole = replace(self.scope, filter=self.scope.filter if self.scope.base is None else self.scope.base)
        relations = Relations(whole, self.dialect, self.names, self.bindings, weighted=self.weighted)
        return relations._hit(groupings)

    def _needs_visit(self, groupings: Sequence[Grouping]) -> bool:
        used = [item.column for item in groupings if isinstance(item, Dimension) and item.scope == "visit"]
        trees = (*self.conditions.visit, *self.conditions.event)
        return (
            self.weighted
            or any(column not in self.dialect.carried for column in ("visitor", *used))
            or any(needs_visit(tree, self.dialect) for tree in trees)
        )

    def _seen(self, groupings: Sequence[Grouping]) -> str:
        bind, there = self.bindings, self.scope.range
        start, end = bind.visit("start"), bind.visit("end")
        low, high = self._low(), bind.number(there.end)
        across = [f"{start} < {low}", f"{end} >= {high}"]
        for item in groupings:
            if isinstance(item, TimeDimension) and len(self.buckets(item)) > 1:
                first, last = (bucket_of(time, self.buckets(item), bind, self.dialect) for time in (start, end))
                across.append(f"{first} <> {last}")
        filters = "".join(f" AND {text}" for text in self._conditions(of_events=False))
        whole = [f"{bind.visit(name)} AS {name}" for name in ("visitor", "events", "pageviews")]
        return (
            f"SELECT {', '.join(whole + self._columns(groupings, start))} FROM {self._table('visit')} v"
            f" WHERE NOT ({' OR '.join(across)}){filters}"
            f" UNION ALL SELECT {', '.join(self._event_columns(groupings, with_visits=True))}"
            f" {self._events_with_visits()}"
            f" WHERE {self._in_range(bind.event('time'))} AND {start} < {high} AND {end} >= {low}"
            f" AND ({' OR '.join(across)}){filters}"
        )

    def _kept(self, groupings: Sequence[Grouping]) -> str:
        bind = self.bindings
        start, pageviews = bind.visit("start"), bind.visit("pageviews")
        bounce = f"CASE WHEN {pageviews} = 1 AND {bind.visit('interactive')} = 0 THEN 1 ELSE 0 END"
        columns = [
            f"{bind.visit('id')} AS visit_id",
            f"{bounce} AS bounce",
            f"{bind.visit('end')} - {start} AS duration",
            f"{pageviews} AS pageviews",
            *self._columns(groupings, start),
            *([f"{bind.visit('rate')} AS rate"] if self.weighted else []),
        ]
        conditions = [self._in_range(start), *self._conditions(of_events=False)]
        if self.conditions.event:
            conditions.append(f"{bind.visit('id')} IN (SELECT h.visit_id FROM hit h)")
        return f"SELECT {', '.join(columns)} FROM {self._table('visit')} v WHERE {' AND '.join(conditions)}"
