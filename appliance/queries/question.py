"""The query object: which part of a project's data, and what to say about it. Pages, JSON and CSV all ask with it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

import msgspec

from appliance.errors import Invalid
from appliance.queries import filters, segments
from appliance.queries.comparison import Comparison, is_comparable
from appliance.queries.dimensions import PROPERTY_NAMES, GoalDimension, Grouping, TimeDimension, group
from appliance.queries.filters import EVERYTHING, Filter, leaves, looks_at
from appliance.queries.goals import expanded, grouped, names_goals, without
from appliance.queries.intervals import Grain, default_interval
from appliance.queries.metrics import SUMS, metric
from appliance.queries.period import NAMES, Dates, Period, Range, between, named
from appliance.spelling import member, spelled
from appliance.storage.goals import Goal
from appliance.storage.segments import Segment

T = TypeVar("T")
U = TypeVar("U")

LIMIT_MAX: Final = 10_000
OFFSET_MAX: Final = 2**31 - 1
DIMENSIONS_MAX: Final = 8
COMPARISONS_MAX: Final = 1_000  # of a filter, when its goals are put as what reaches them


class Scope(msgspec.Struct, frozen=True):
    """A project's data in a range, under a filter.

    `goals` are what `event:goal` groups by, in the order of their names' bytes. `base` is the filter without what it
    says of goals, whom conversions are compared with; None: the filter says nothing of them.
    """

    project_id: int
    range: Range
    filter: Filter = EVERYTHING
    goals: tuple[Goal, ...] = ()
    base: Filter | None = None

    @classmethod
    def of(cls, project_id: int, there: Range, tree: Filter, goals: Sequence[Goal]) -> "Scope":
        """The scope of a filter that may name the project's `goals`. Raises Invalid where it names too many."""
        base = expanded(without(tree), goals) if names_goals(tree) else None
        whole = expanded(tree, goals)
        if sum(1 for _ in leaves(whole)) > COMPARISONS_MAX:
            raise _too_many_goals()
        return cls(project_id, there, whole, grouped(tree, goals), base)


class Order(msgspec.Struct, frozen=True):
    """By a metric or a dimension of the report."""

    key: str
    descending: bool = False


class Report(msgspec.Struct, frozen=True):
    """Metrics, grouped by dimensions.

    Rows are ordered by `order`, by default time ascending, then the first metric descending, and last always by the
    bytes of the dimensions. `only_set` leaves out groups without a value; `search` keeps the groups whose first value
    dimension contains that text, whatever the case; neither changes what `percentage` is a percentage of.
    """

    metrics: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int = LIMIT_MAX
    offset: int = 0
    total_rows: bool = False
    only_set: bool = False
    search: str = ""

    def grouped(self) -> list[Grouping]:
        """The dimensions themselves. Raises Invalid."""
        return [group(name) for name in self.dimensions]

    def ordering(self) -> tuple[Order, ...]:
        """The order asked for, or the default one."""
        if self.order:
            return self.order
        times = [Order(item.name) for item in self.grouped() if isinstance(item, TimeDimension)]
        return (*times, Order(self.metrics[0], descending=True))

    def interval(self, there: Range) -> Grain | None:
        """The length of its time buckets in a range, None when it is not grouped by time."""
        for item in self.grouped():
            if isinstance(item, TimeDimension):
                return item.interval or default_interval(there)
        return None


class Include(msgspec.Struct, frozen=True):
    """What else a Stats API answer shall hold."""

    imports: bool = False
    time_labels: bool = False
    total_rows: bool = False
    comparisons: Comparison | None = None


class Query(msgspec.Struct, frozen=True):
    """A request of the Stats API v2, read and checked."""

    site_id: str | None
    period: Period
    filter: Filter
    report: Report
    include: Include


def check(report: Report) -> Report:
    """The report itself. Raises Invalid, with a pointer into the Stats API's body, unless it can be answered."""
    for index, name in enumerate(report.metrics):
        if name in report.metrics[:index]:
            raise _fault(f"{spelled(name)} is there twice", f"#/metrics/{index}")
        _located(metric, name, f"#/metrics/{index}")
    if not report.metrics:
        raise _fault("at least one metric is expected", "#/metrics")
    if len(report.dimensions) > DIMENSIONS_MAX:
        raise _fault(f"at most {DIMENSIONS_MAX} dimensions can be asked for", "#/dimensions")
    times = 0
    for index, name in enumerate(report.dimensions):
        if name in report.dimensions[:index]:
            raise _fault(f"{spelled(name)} is there twice", f"#/dimensions/{index}")
        times += isinstance(_located(group, name, f"#/dimensions/{index}"), TimeDimension)
        if times > 1:
            raise _fault("only one dimension of time can be asked for", f"#/dimensions/{index}")
    if "percentage" in report.metrics and not report.dimensions:
        raise _fault("percentage needs a dimension", f"#/metrics/{report.metrics.index('percentage')}")
    for index, order in enumerate(report.order):
        if order.key not in (*report.metrics, *report.dimensions):
            raise _fault(
                f"{spelled(order.key)} is neither a metric nor a dimension of this query", f"#/order_by/{index}/0"
            )
    return report


def check_api_rules(report: Report, tree: Filter) -> None:
    """What the Stats API v2 refuses although it could be counted (PROTOCOLS.md, part 2, section 3). Raises Invalid."""
    if PROPERTY_NAMES in report.dimensions:
        raise _fault(f"{PROPERTY_NAMES} needs a name", f"#/dimensions/{report.dimensions.index(PROPERTY_NAMES)}")
    grouped = (item for item in report.grouped() if not isinstance(item, TimeDimension))
    events = {item.name for item in grouped if isinstance(item, GoalDimension) or item.scope == "event"}
    pages = not events or events in ({"event:page"}, {"event:page", "event:hostname"})
    of_goal = "event:goal" in events or names_goals(tree)
    of_page = "event:page" in events or any(leaf.dimension == "event:page" for leaf in looks_at(tree))
    for index, name in enumerate(report.metrics):
        at = f"#/metrics/{index}"
        if name in SUMS:
            raise _fault(f"{spelled(name)} is not a metric", at)
        if name in ("bounce_rate", "views_per_visit", "visit_duration") and not pages:
            raise _fault(f"{name} is a figure of visits and cannot be grouped by {', '.join(sorted(events))}", at)
        if name in ("conversion_rate", "group_conversion_rate") and not of_goal:
            raise _fault(f"{name} needs a filter or dimension event:goal", at)
        if name in ("time_on_page", "scroll_depth") and not of_page:
            raise _fault(f"{name} needs a filter or dimension event:page", at)
        if name == "views_per_visit":
            if report.dimensions:
                raise _fault("views_per_visit cannot be grouped by dimensions", at)
            if any(leaf.dimension == "event:page" for leaf in looks_at(tree)):
                raise _fault("views_per_visit cannot be filtered by event:page", at)


def parse(body: object, goals: Sequence[Goal] = (), known: Sequence[Segment] = ()) -> Query:
    """A Stats API v2 request from its decoded JSON, of a project with these goals and `known` segments, for which it
    has what they stand for.

    Raises Invalid with status 400 and a JSON pointer to the fault.
    """
    fields = _object(body, "#", _FIELDS)
    for name in ("metrics", "date_range"):
        if name not in fields:
            raise _fault(f"{name} is missing", f"#/{name}")
    site_id = fields.get("site_id")
    if not isinstance(site_id, str | None):
        raise _fault("a text is expected", "#/site_id")
    include = _include(fields.get("include", {}))
    limit, offset = _pagination(fields.get("pagination", {}))
    report = Report(
        metrics=_texts(fields["metrics"], "#/metrics"),
        dimensions=_texts(fields.get("dimensions", []), "#/dimensions"),
        order=tuple(_orders(fields.get("order_by", []))),
        limit=limit,
        offset=offset,
        total_rows=include.total_rows,
    )
    check(report)
    if "event:goal" in report.dimensions and not goals:
        raise _fault("this site has no goals", f"#/dimensions/{report.dimensions.index('event:goal')}")
    tree = filters.parse(fields.get("filters", []), check=segments.expanding(known, goals))
    check_api_rules(report, tree)
    if include.time_labels and not any(isinstance(item, TimeDimension) for item in report.grouped()):
        raise _fault("time_labels needs a dimension of time", "#/include/time_labels")
    period = _period(fields["date_range"], "#/date_range")
    if include.comparisons is not None and not is_comparable(period, include.comparisons):
        raise _fault("nothing was before all time: compare it with a range of your own", "#/include/comparisons/mode")
    return Query(site_id, period, tree, report, include)


_FIELDS: Final = (
    "site_id", "metrics", "date_range", "dimensions", "filters", "order_by", "include", "pagination",
)  # fmt: skip


_PERIODS: Final = tuple(name for name in NAMES if name != "30m")  # the live page's

_MODES: Final[tuple[Literal["previous_period", "year_over_year", "custom"], ...]] = (
    "previous_period", "year_over_year", "custom",
)  # fmt: skip


def _period(value: object, pointer: str) -> Period:
    if isinstance(value, str):
        if value not in _PERIODS:
            names = ", ".join(_PERIODS)
            raise _fault(f"{spelled(value)} is not a period; use one of {names}, two dates or two timestamps", pointer)
        return named(value)
    if isinstance(value, list) and len(value) == 2 and all(isinstance(edge, str) for edge in value):
        return _located(lambda pair: between(*pair), value, pointer)
    raise _fault("the name of a period, or a pair of dates or timestamps is expected", pointer)


def _texts(value: object, pointer: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _fault("a list is expected", pointer)
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise _fault("a text is expected", f"{pointer}/{index}")
    return tuple(value)


def _orders(value: object) -> list[Order]:
    if not isinstance(value, list):
        raise _fault("a list is expected", "#/order_by")
    orders: list[Order] = []
    for index, item in enumerate(value):
        if not isinstance(item, list) or len(item) != 2 or item[1] not in ("asc", "desc"):
            raise _fault('[metric or dimension, "asc" or "desc"] is expected', f"#/order_by/{index}")
        if not isinstance(item[0], str):
            raise _fault("a metric or dimension is expected", f"#/order_by/{index}/0")
        if item[0] in (order.key for order in orders):
            raise _fault(f"{spelled(item[0])} is there twice", f"#/order_by/{index}/0")
        orders.append(Order(item[0], item[1] == "desc"))
    return orders


def _include(value: object) -> Include:
    fields = dict(_object(value, "#/include", Include.__struct_fields__))
    comparisons = fields.pop("comparisons", None)
    for name, item in fields.items():
        _boolean(item, f"#/include/{name}")
    return Include(**fields, comparisons=_comparison(comparisons) if comparisons is not None else None)


def _comparison(value: object) -> Comparison:
    at = "#/include/comparisons"
    fields = _object(value, at, ("mode", "date_range", "match_day_of_week"))
    match_weekday = _boolean(fields.get("match_day_of_week", False), f"{at}/match_day_of_week")
    mode, dates = fields.get("mode"), fields.get("date_range")
    if mode not in _MODES:
        raise _fault(f"one of {', '.join(_MODES)} is expected", f"{at}/mode")
    if mode != "custom":
        if dates is not None:
            raise _fault("only a custom comparison has a date range", f"{at}/date_range")
        return Comparison(mode, match_weekday)
    period = _period(dates, f"{at}/date_range")
    if not isinstance(period, Dates):
        raise _fault("a pair of dates is expected", f"{at}/date_range")
    return Comparison("custom", match_weekday, period)


def _boolean(value: object, pointer: str) -> bool:
    if not isinstance(value, bool):
        raise _fault("true or false is expected", pointer)
    return value


def _pagination(value: object) -> tuple[int, int]:
    fields = _object(value, "#/pagination", ("limit", "offset"))
    limit, offset = fields.get("limit", LIMIT_MAX), fields.get("offset", 0)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= LIMIT_MAX:
        raise _fault(f"a whole number from 1 to {LIMIT_MAX} is expected", "#/pagination/limit")
    if not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset <= OFFSET_MAX:
        raise _fault(f"a whole number from 0 to {OFFSET_MAX} is expected", "#/pagination/offset")
    return limit, offset


def _object(value: object, pointer: str, names: tuple[str, ...]) -> Mapping[str, Any]:
    """An object's members; one that is null is absent."""
    if not isinstance(value, dict):
        raise _fault("an object is expected", pointer)
    for name in value:
        if name not in names:
            raise _fault(f"{spelled(name)} is not known here", member(pointer, name))
    return {name: item for name, item in value.items() if item is not None}


def _located(read: Callable[[T], U], value: T, pointer: str) -> U:
    try:
        return read(value)
    except Invalid as error:
        raise _fault(str(error), pointer) from None


def _too_many_goals() -> Invalid:
    message, where = "the filters name too many goals", "#/filters"
    return Invalid(message, code="invalid_filter", field="filters", pointer=where, status=400)


def _fault(message: str, pointer: str) -> Invalid:
    return Invalid(message, code="invalid_query", pointer=pointer, status=400)
