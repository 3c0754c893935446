"""The row over the dashboard: filter chips, period, comparison, and the chart's intervals."""

from typing import Final, Literal

import msgspec

from appliance.queries.comparison import Comparison, has_weekdays
from appliance.queries.filters import SEGMENT, Filter, HasDone, Leaf, Not
from appliance.queries.period import Named, neighbour
from appliance.web import cards, labels, urls
from appliance.web.dashboard_state import RELATIVE, State, is_all
from appliance.web.filter_words import sentence
from appliance.web.views import Chip, Choice, CompareMenu, PeriodMenu

PERIODS: Final = (
    "day", "yesterday", "24h", "live", "7d", "28d", "30d", "91d", "month", "last_month", "year", "12mo", "all",
)  # fmt: skip
_COMPARISONS: Final[tuple[Literal["previous_period", "year_over_year"], ...]] = ("previous_period", "year_over_year")


def period_menu(state: State) -> PeriodMenu:
    """The period in force, and the way to others."""
    there, active = state.range, period_key(state)

    return PeriodMenu(
        key=active,
        start=there.first_day,
        end=there.last_day,
        choices=tuple(Choice(key=key, href=_period_href(state, key), active=key == active) for key in PERIODS),
        previous_href=_step(state, -1) if there.start > (state.first_event or 0) else None,
        next_href=_step(state, 1) if active == "custom" or active in RELATIVE else None,
        action=urls.dashboard(state.project),
        hidden=tuple(state.parameters("period", "date", "from", "to", "interval")),
    )


def period_key(state: State) -> str:
    """The name of the period, `custom` for all without one."""
    period = state.view.period
    if not isinstance(period, Named):
        return "custom"
    if period.anchor is None:
        return period.name
    named = (key for key in RELATIVE if state.named_period(key) == period)
    return next(named, "custom")


def _step(state: State, by: int) -> str | None:
    period = neighbour(state.view.period, state.project.timezone, state.now, by)
    return state.with_period(period).href() if period is not None else None


def compare_menu(state: State) -> CompareMenu:
    """The comparison in force, and the way to others."""
    comparison, before = state.view.comparison, state.compared
    key = "off" if comparison is None or before is None else comparison.mode
    weekdays = comparison is not None and before is not None and key != "custom" and has_weekdays(state.range)
    kept = comparison or Comparison()
    return CompareMenu(
        key=key,
        choices=(
            Choice(key="off", href=state.with_view(comparison=None).href(), active=key == "off"),
            *(
                Choice(
                    key=mode,
                    href=state.with_view(comparison=Comparison(mode, kept.match_weekday)).href(),
                    active=key == mode,
                )
                for mode in _COMPARISONS
                if not is_all(state.view.period)
            ),
        ),
        match_weekday=kept.match_weekday,
        match_weekday_href=(
            state.with_view(comparison=msgspec.structs.replace(kept, match_weekday=not kept.match_weekday)).href()
            if weekdays
            else None
        ),
        start=before.first_day if before is not None else None,
        end=before.last_day if before is not None else None,
        action=urls.dashboard(state.project),
        hidden=(*state.parameters("compare", "compare_from", "compare_to", "weekday"), ("compare", "custom")),
    )


def interval_choices(state: State) -> tuple[Choice, ...]:
    """The intervals that the period's chart can have."""
    choices = []
    for interval in state.intervals:
        other = state.with_view(interval=interval)
        choices.append(
            Choice(
                key=interval,
                href=other.href(),
                fragment_href=other.href(urls.main_card(state.project)),
                active=interval == state.interval,
            )
        )
    return tuple(choices)


def chips(state: State) -> tuple[Chip, ...]:
    """The filters in force."""
    return tuple(_chip(state, index, part) for index, part in enumerate(state.parts))


def _chip(state: State, index: int, part: Filter) -> Chip:
    inner, turned = (part.part, True) if isinstance(part, Not) else (part, False)
    remove = state.without_filter(index).href()
    if not isinstance(inner, Leaf) or (turned and inner.operator.endswith("_not")):
        # But for what somebody has done only an address that somebody wrote has such a filter: no form shows it.
        operator, words, edit = "all", sentence(part), None
        if isinstance(part, HasDone):
            operator, words = "has_done" if part.done else "has_not_done", sentence(part.part)
            edit = state.filter_href(("edit", str(index))) if can_be_done(part, state) is not None else None
        return Chip(dimension="several", operator=operator, values=(words,), edit_href=edit, remove_href=remove)
    if inner.dimension == SEGMENT:
        return Chip(
            dimension=SEGMENT,
            operator="segment_not" if turned else "segment",
            values=tuple(each.name for value in inner.values for each in state.segments if str(each.id) == value),
            edit_href=None if turned else state.filter_href(("edit", str(index))),
            remove_href=remove,
        )
    offered = state.is_filtered_by(inner.dimension) and not (turned and inner.dimension == cards.GOALS)
    return Chip(
        dimension=inner.dimension,
        operator=f"{inner.operator}_not" if turned else inner.operator,
        values=tuple(labels.label(inner.dimension, value) for value in inner.values),
        edit_href=state.filter_href(("edit", str(index))) if offered else None,
        remove_href=remove,
    )


def can_be_done(part: HasDone, state: State) -> Leaf | None:
    """The comparison with events or goals that the form shows of what a visitor has done."""
    inner = part.part
    if not isinstance(inner, Leaf) or inner.operator != "is" or not inner.case_sensitive:
        return None
    return inner if inner.dimension in (cards.EVENTS, cards.GOALS) and state.is_filtered_by(inner.dimension) else None


def _period_href(state: State, key: str) -> str:
    return urls.live(state.project) if key == "live" else state.with_period(state.named_period(key)).href()
