"""What a dashboard's URL says: `queries.view`, and what only the page has.

metric=visits                   the figure that the chart draws; without one the visitors
sources=visit:channel           the tab of a card, by the card's key (cards.py); without one its first
period=yesterday, last_month    the day or month before the running one
(no period)                     `default_period`
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import msgspec

from appliance.errors import Invalid
from appliance.model import Project
from appliance.queries import properties, segments
from appliance.queries import view as view_parameters
from appliance.queries.comparison import compared, compared_so_far, is_comparable
from appliance.queries.filters import OPERATORS, SEGMENT, AllOf, Filter, Leaf, written_parts
from appliance.queries.goals import checking
from appliance.queries.intervals import BUCKETS_MAX, Interval, default_interval, fits, valid_intervals
from appliance.queries.localtime import add_months, local_day
from appliance.queries.overview import METRICS
from appliance.queries.period import Named, Period, Range, resolve
from appliance.queries.question import Scope
from appliance.queries.view import Parameters, View
from appliance.storage.goals import Goal
from appliance.storage.segments import Segment
from appliance.web import cards, urls

_OF_PERIOD: Final = frozenset({"period", "date", "from", "to"})
RELATIVE: Final = ("yesterday", "last_month")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class State:
    """A dashboard's state for one project at one moment. `first_event` is the time of the project's first event.

    `tabs` holds the chosen key of each card whose first tab is not the chosen one. `goals` and `segments` are the
    project's, by name.
    """

    project: Project
    now: int
    first_event: int | None
    view: View
    metric: str = METRICS[0]
    tabs: Mapping[str, str] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    segments: tuple[Segment, ...] = ()

    @property
    def today(self) -> date:
        return local_day(self.now, ZoneInfo(self.project.timezone))

    @cached_property
    def range(self) -> Range:
        return resolve(self.view.period, self.project.timezone, self.now, self.first_event)

    @cached_property
    def scope(self) -> Scope:
        """What is asked. Raises Invalid where its filters name too many goals."""
        tree = segments.expanded(self.view.filter, self.segments, self.goals)
        return Scope.of(self.project.id, self.range, tree, self.goals)

    @cached_property
    def compared(self) -> Range | None:
        """The range to compare with; all time is compared with nothing but dates that somebody chose."""
        comparison = self.view.comparison
        if comparison is None or not is_comparable(self.view.period, comparison):
            return None
        return compared(self.range, comparison)

    @cached_property
    def compared_so_far(self) -> Range | None:
        """Of the range to compare with, as much as has passed of this one: 9 o'clock is not measured by a whole day."""
        comparison = self.view.comparison
        if comparison is None or self.compared is None:
            return None
        return compared_so_far(self.range, comparison)

    @property
    def intervals(self) -> list[Interval]:
        """Intervals that the chart can have, the shortest first."""
        return valid_intervals(self.range)

    @property
    def interval(self) -> Interval:
        """The interval of the chart: as asked, or where that does not fit the period, the one that does."""
        valid, usual = self.intervals, default_interval(self.range)
        return next((name for name in (self.view.interval, usual) if name in valid), valid[-1])

    def named_period(self, name: str) -> Named:
        """The period of a name in the menu."""
        return _relative(name, self.today) if name in RELATIVE else Named(name)

    @property
    def cards_shown(self) -> tuple[cards.Card, ...]:
        return cards.arranged(with_goals=bool(self.goals))

    @property
    def filtered_by(self) -> tuple[str, ...]:
        """The dimensions that filters offer."""
        dimensions = cards.filters(with_goals=bool(self.goals))
        return (*dimensions, SEGMENT) if self.segments else dimensions

    def is_filtered_by(self, dimension: str) -> bool:
        """Whether filters offer a dimension; which properties there are is the engine's to say."""
        return dimension in self.filtered_by or properties.is_property(dimension)

    def card(self, key: str) -> cards.Card | None:
        """The card of a key."""
        return next((card for card in self.cards_shown if card.key == key), None)

    def tab(self, card: cards.Card) -> str:
        """The chosen key of a card."""
        return self.tabs.get(card.key, card.tabs[0][0])

    # ------------------------------------------------------------------ other states

    def with_view(self, **changes: Any) -> "State":
        return replace(self, view=msgspec.structs.replace(self.view, **changes))

    def with_period(self, period: Period) -> "State":
        """Another period, whose chart has the interval that suits it."""
        return self.with_view(period=period, interval=None)

    def with_tab(self, card: cards.Card, key: str) -> "State":
        others = {name: chosen for name, chosen in self.tabs.items() if name != card.key}
        return replace(self, tabs=others if key == card.tabs[0][0] else {**others, card.key: key})

    def with_parts(self, parts: Iterable[Filter]) -> "State":
        """Other filters."""
        return self.with_view(filter=AllOf(tuple(parts)))

    def without_filter(self, index: int) -> "State":
        return self.with_parts(part for place, part in enumerate(self.parts) if place != index)

    def with_value(self, dimension: str, value: str) -> "State":
        """Only this value of a dimension; an earlier choice of other values gives way."""
        kept = [
            part
            for part in self.parts
            if not (isinstance(part, Leaf) and part.dimension == dimension and part.operator == "is")
        ]
        return self.with_parts([*kept, Leaf("is", dimension, (value,))])

    @property
    def parts(self) -> list[Filter]:
        """The filters, all of which hold."""
        return written_parts(self.view.filter)

    # ------------------------------------------------------------------ URLs

    def parameters(self, *without: str) -> Parameters:
        """The query that `read` makes this state of; `without` leaves parameters out, for forms that send them."""
        rest = [pair for pair in view_parameters.write(self.view) if pair[0] not in _OF_PERIOD]
        pairs = [*self._written_period(), *rest]
        if self.metric != METRICS[0]:
            pairs.append(("metric", self.metric))
        pairs += sorted(self.tabs.items())
        return [pair for pair in pairs if pair[0] not in without]

    def href(self, path: str | None = None, *more: tuple[str, str]) -> str:
        """A URL with this state: of the dashboard, or of another path of the site."""
        pairs = [*self.parameters(), *more]
        target = urls.dashboard(self.project) if path is None else path
        return f"{target}?{urlencode(pairs, quote_via=quote, safe=':/,~')}" if pairs else target

    def filter_href(self, *more: tuple[str, str]) -> str:
        """The filter form, which leads back to this state with another filter."""
        return self.href(urls.filter_form(self.project), *more)

    def _written_period(self) -> Parameters:
        period = self.view.period
        if period == default_period(self.project.timezone, self.now, self.first_event):
            return []
        for name in RELATIVE:
            if period == _relative(name, self.today):
                return [("period", name)]
        if isinstance(period, Named) and period.anchor is None:
            return [("period", period.name)]
        return [pair for pair in view_parameters.write(View(period)) if pair[0] in _OF_PERIOD]


def default_period(timezone: str, now: int, first_event: int | None) -> Period:
    """The period of a URL that names none: 28 days, which are whole weeks, so that no weekday counts more often.

    They end yesterday, so a young site opens on what it has: on the day of its first event and the day after today,
    in its first week the last 7 days.
    """
    if first_event is None:
        return Named("day")
    zone = ZoneInfo(timezone)
    age_days = (local_day(now, zone) - local_day(first_event, zone)).days
    if age_days < 2:
        return Named("day")
    return Named("7d" if age_days < 8 else "28d")


def is_all(period: Period) -> bool:
    return isinstance(period, Named) and period.name == "all"


def read(
    parameters: Iterable[tuple[str, str]],
    project: Project,
    now: int,
    first_event: int | None,
    goals: Sequence[Goal] = (),
    saved: Sequence[Segment] = (),
) -> State:
    """The state that the decoded parameters of a URL name; `goals` and `saved` segments are those of the project.

    Raises Invalid with status 400 and the parameter's name.
    """
    pairs = [(name, value.replace("\0", "")) for name, value in parameters]
    first = {name: value for name, value in reversed(pairs) if value}
    try:
        view = view_parameters.read(_usual(pairs, first, project, now), segments.naming(saved, goals))
        if not {"period", "from", "to"} & first.keys():
            view = msgspec.structs.replace(view, period=default_period(project.timezone, now, first_event))
        tabs = _tabs(first, cards.arranged(with_goals=bool(goals)))
        state = State(project, now, first_event, view, _metric(first), tabs, tuple(goals), tuple(saved))
        state.scope  # noqa: B018 - what cannot be asked is said before anything is
        for name, there in (("period", state.range), ("compare", state.compared), ("compare", state.compared_so_far)):
            if there is not None and not fits(there, state.interval):
                raise Invalid(f"at most {BUCKETS_MAX:,} steps of one {state.interval} can be shown", field=name)
    except Invalid as error:
        raise bad(error) from None
    except (OverflowError, ValueError):
        raise bad(Invalid("that period lies outside the calendar", field="period")) from None
    return state


def bad(error: Invalid) -> Invalid:
    """The same fault as an answer to a URL: 400, naming the parameter."""
    name = {"filters": "f", None: "f" if error.code == "invalid_pattern" else "interval"}.get(error.field, error.field)
    return Invalid(str(error), code="invalid_parameter", field=name, status=400)


def leaf(operator: str, dimension: str, values: Iterable[str], goals: Sequence[Goal] = ()) -> Leaf:
    """A filter from a form; `goals` are those that it may name. Raises Invalid with status 400."""
    known = next((name for name in OPERATORS if name == operator), None)
    if known is None:
        raise bad(Invalid(f"{operator!r} is not an operator of filters", field="op"))
    try:
        return checking(goals)(Leaf(known, dimension, tuple(values)), "#/f")
    except Invalid as error:
        raise bad(error) from None


def _usual(pairs: Parameters, first: Mapping[str, str], project: Project, now: int) -> Iterable[tuple[str, str]]:
    """The parameters as `queries.view` takes them: dates in order, relative names resolved."""
    start, end = first.get("from"), first.get("to")
    if (start is None) is not (end is None):
        raise Invalid("a period needs both dates", field="from" if start is None else "to")
    for name in ("compare_from", "compare_to"):
        if first.get("compare") == "custom" and name not in first:
            raise Invalid("a comparison of your own needs two dates", field=name)
    period = first.get("period")
    if period in RELATIVE:
        named = _relative(period, local_day(now, ZoneInfo(project.timezone)))
        pairs = [pair for pair in pairs if pair[0] not in _OF_PERIOD]
        pairs = [("period", named.name), ("date", f"{named.anchor}"), *pairs]
    return _in_order(_in_order(pairs, first, "from", "to"), first, "compare_from", "compare_to")


def _in_order(pairs: Parameters, first: Mapping[str, str], one: str, other: str) -> Parameters:
    """Two dates the other way round are meant the right way round."""
    start, end = first.get(one, ""), first.get(other, "")
    if not (_DATE.fullmatch(start) and _DATE.fullmatch(end) and start > end):
        return pairs
    return [*(pair for pair in pairs if pair[0] not in (one, other)), (one, end), (other, start)]


def _relative(name: str, today: date) -> Named:
    if name == "yesterday":
        return Named("day", today - timedelta(1))
    return Named("month", add_months(today.replace(day=1), -1))


def _metric(first: Mapping[str, str]) -> str:
    name = first.get("metric", METRICS[0])
    if name not in METRICS:
        raise Invalid(f"{name!r} is not drawn; use one of {', '.join(METRICS)}", field="metric")
    return name


def _tabs(first: Mapping[str, str], arranged: Iterable[cards.Card]) -> dict[str, str]:
    chosen = {}
    for card in arranged:
        key = first.get(card.key, card.tabs[0][0])
        if not cards.offers(card, key):
            known = ", ".join(cards.keys(card))
            raise Invalid(f"{key!r} is not a list of {card.key}; use one of {known}", field=card.key)
        if key != card.tabs[0][0]:
            chosen[card.key] = key
    return chosen
