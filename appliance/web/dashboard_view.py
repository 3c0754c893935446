"""The dashboard's views from its state and from what was counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Final, Literal

import msgspec

from appliance.queries import breakdown, conversions, intervals, overview, timeseries
from appliance.queries.localtime import local_day, to_aware
from appliance.queries.metrics import Money, Value
from appliance.queries.period import Dates, Named, Period
from appliance.queries.properties import is_property
from appliance.queries.results import Table
from appliance.web import cards, labels, urls
from appliance.web.cards import Card
from appliance.web.controls import chips, compare_menu, interval_choices, period_menu
from appliance.web.dashboard_state import State
from appliance.web.navigation import report_nav
from appliance.web.views import Area, Bucket, Chart, DashboardView, Install, Kpi, Panel, Row, Shell, Tab

TICKING_DAYS_MAX: Final = 31  # figures of longer periods hardly move, and are asked for again all day


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted for a dashboard: figures, points of its metric, tables of the cards (none: main card alone).

    `sampled`: figures are estimates, or at least what is said. `imported`: what became of those of another product.
    """

    figures: tuple[overview.Figure, ...]
    points: tuple[timeseries.Point, ...]
    tables: tuple[Table | None, ...] = ()  # None: it needs what is not kept any more
    visitors: int | Fraction = 0  # before rounding
    properties: tuple[str, ...] = ()  # known in the scope, where a card lists them
    sampled: bool = False
    imported: Literal["included", "left_out"] | None = None


def dashboard_view(
    shell: Shell,
    state: State,
    counted: Counted | None,
    *,
    install: Install | None = None,
    failed: bool = False,
    failure: str = "",
) -> DashboardView:
    """The page. Without `counted` it is a skeleton: for a site without data (`install`), or after a failure."""
    project, there = state.project, state.range
    figures = counted.figures if counted is not None else _no_figures()
    points = counted.points if counted is not None else _no_points(state)
    empty = counted is not None and not any(figure.value for figure in figures[:3])
    last_days = state.with_period(Named("30d"))
    return DashboardView(
        shell=shell,
        href=state.href(),
        chips=chips(state),
        filter_href=state.filter_href(),
        clear_href=state.with_parts(()).href(),
        period=period_menu(state),
        compare=compare_menu(state),
        kpis=tuple(_kpi(state, figure, counted is not None and counted.sampled) for figure in figures),
        chart=_chart(state, points),
        panels=_panels(state, counted, failed, urls.goals(project) if shell.settings_href is not None else None),
        install=install,
        empty=empty,
        failed=failed,
        failure=failure,
        last_days_href=last_days.href() if state.view.period != Named("30d") else None,
        main_href=state.href(urls.main_card(project)),
        ticking=counted is not None and there.is_running and there.days <= TICKING_DAYS_MAX,
        csv_href=state.href(urls.series_csv(project)) if counted is not None else None,
        reports=report_nav(state, "overview") if install is None else (),
        imported=counted.imported if counted is not None else None,
    )


def panel_view(
    state: State,
    card: Card,
    table: Table | None,
    visitors: int | Fraction,
    failed: bool = False,
    goals_href: str | None = None,
    *,
    properties: Sequence[str] = (),
    purged: bool = False,
) -> Panel:
    """A card; without a table it has no rows, or says that it could not be loaded, or that its rows are `purged`.

    `goals_href` leads whoever may make goals to where they do. `properties` are those that it can list.
    """
    chosen = cards.chosen(state.tab(card), properties)
    dimension = cards.dimension_of(chosen)
    condition: Literal["ready", "error"] = "error" if failed else "ready"
    if table is not None and chosen == cards.GOALS:
        table = _goals(state, table, visitors)
    lines = breakdown.lines(table, visitors) if table is not None else ()
    is_map, active = chosen == cards.MAP, cards.tab_of(card, chosen)
    return Panel(
        key=card.key,
        tabs=tuple(_tab(state, card, tab[0], active=tab == active) for tab in card.tabs) if len(card.tabs) > 1 else (),
        variants=_variants(state, card, chosen, properties),
        fragment_href=state.href(urls.panel(state.project, card.key)),
        body="map" if is_map else "rows",
        columns=table.metrics if table is not None else ("visitors",),
        rows=() if is_map else _rows(state, dimension, lines),
        areas=_areas(state, lines) if is_map else (),
        details_href=state.href(urls.details(state.project, dimension)) if dimension != cards.PROPERTIES else None,
        wide=card.wide,
        state=condition,
        empty="purged" if purged else _empty(chosen),
        sampled=table is not None and table.sampled,
        imported=table is not None and table.imported,
        empty_href=goals_href if chosen == cards.GOALS and not state.goals and not purged else None,
    )


# ---------------------------------------------------------------------- figures and chart


def _kpi(state: State, figure: overview.Figure, sampled: bool) -> Kpi:
    chosen = replace(state, metric=figure.metric)
    return Kpi(
        metric=figure.metric,
        value=figure.value,
        previous=figure.previous if _compares_whole(state) else None,
        approximate=sampled,
        selected=figure.metric == state.metric,
        href=chosen.href(),
        fragment_href=chosen.href(urls.main_card(state.project)),
    )


def _compares_whole(state: State) -> bool:
    """Whether the site was there for all of what is compared with; a part of it would make any figure a rise."""
    before = state.compared
    return (
        before is not None
        and state.first_event is not None
        and before.first_day >= local_day(state.first_event, before.zone)
    )


def _chart(state: State, points: Sequence[timeseries.Point]) -> Chart:
    buckets = tuple(_bucket(state, point) for point in points)
    return Chart(
        metric=state.metric,
        interval=state.interval,
        intervals=interval_choices(state),
        buckets=buckets,
        compared=any(bucket.previous is not None for bucket in buckets),
        zone=state.project.timezone,
    )


def _height(value: Value) -> int | float | None:
    return value.minor if isinstance(value, Money) else value


def _bucket(state: State, point: timeseries.Point) -> Bucket:
    before = point.previous_bucket
    return Bucket(
        start=_start(state, point.bucket),
        value=_height(point.value) if _collected(state, point.bucket) else None,
        previous=_height(point.previous) if before is not None and _collected(state, before) else None,
        previous_start=_start(state, before) if before is not None else None,
        incomplete=point.bucket.state in ("partial", "running"),
        href=_zoom(state, point.bucket),
    )


def _start(state: State, bucket: intervals.Bucket) -> datetime:
    """When a step begins on the site's clock. An hour that the period cuts off is still that hour."""
    start = to_aware(bucket.start, state.range.zone)
    return start.replace(minute=0, second=0, microsecond=0) if state.interval == "hour" else start


def _collected(state: State, bucket: intervals.Bucket) -> bool:
    """Whether there was anything to count then: before the first event nothing is missing, nothing is zero."""
    return state.first_event is not None and bucket.end > state.first_event


def _zoom(state: State, bucket: intervals.Bucket) -> str | None:
    """The page for a day, week or month alone, where that is less than what it shows now."""
    if state.interval not in ("day", "week", "month") or bucket.state == "future":
        return None
    zone = state.range.zone
    first, last = local_day(bucket.start, zone), local_day(bucket.end - 1, zone)
    period: Period = Named("day", first) if first == last else Dates(first, last)
    if first == last == state.today:
        period = Named("day")
    return state.with_period(period).href() if len(state.intervals) > 1 or first != last else None


def _no_figures() -> tuple[overview.Figure, ...]:
    return tuple(overview.Figure(name, None) for name in overview.METRICS)


def _no_points(state: State) -> tuple[timeseries.Point, ...]:
    return tuple(timeseries.Point(bucket, None) for bucket in intervals.buckets(state.range, state.interval))


# ---------------------------------------------------------------------- cards


def _panels(state: State, counted: Counted | None, failed: bool, goals_href: str | None) -> tuple[Panel, ...]:
    tables = counted.tables if counted is not None else ()
    if counted is not None and not tables:
        return ()
    visitors = counted.visitors if counted is not None else 0
    known = counted.properties if counted is not None else ()
    return tuple(
        panel_view(
            state, card, table, visitors, failed, goals_href, properties=known, purged=bool(tables) and table is None
        )
        for card, table in zip(state.cards_shown, tables or [None] * len(state.cards_shown), strict=True)
    )


def _goals(state: State, table: Table, visitors: int | Fraction) -> Table:
    """The goals of a card, also those that nobody reached; their revenue where there is any."""
    rows = conversions.complete(table, state.scope.goals, anybody=bool(visitors))[: breakdown.PANEL_ROWS]
    if conversions.pays(table):
        return msgspec.structs.replace(table, rows=rows)
    rows = tuple(msgspec.structs.replace(row, values=row.values[:-1]) for row in rows)
    return msgspec.structs.replace(table, rows=rows, metrics=table.metrics[:-1])


def _tab(state: State, card: Card, key: str, *, active: bool) -> Tab:
    other = state.with_tab(card, key)
    return Tab(
        key=key,
        href=other.href(),
        fragment_href=other.href(urls.panel(state.project, card.key)),
        active=active,
    )


def _variants(state: State, card: Card, chosen: str, properties: Sequence[str]) -> tuple[Tab, ...]:
    tab: Sequence[str] = cards.tab_of(card, chosen)
    if cards.PROPERTIES in tab:
        keys = dict.fromkeys([*properties, *([chosen] if chosen != cards.PROPERTIES else [])])
    else:
        keys = dict.fromkeys(cards.variants(tuple(tab), chosen, state.view.filter))
    return tuple(_tab(state, card, key, active=key == chosen) for key in keys)


def _rows(state: State, dimension: str, lines: Sequence[breakdown.Line]) -> tuple[Row, ...]:
    if dimension == cards.EVENTS:
        lines = [line for line in lines if line.label != cards.PAGEVIEW][: breakdown.PANEL_ROWS]
        most = max((line.share for line in lines), default=0.0) or 1.0
        return tuple(row(state, dimension, line.label, line.values, line.share / most) for line in lines)
    if dimension == cards.PROPERTIES:
        return ()
    if dimension == cards.GOALS or is_property(dimension):  # their percentage is a column of its own
        return tuple(row(state, dimension, line.label, line.values, line.share) for line in lines)
    found = (row(state, dimension, line.label, line.values, line.share, line.percent) for line in lines)
    whose = cards.whole_of(dimension, state.view.filter)
    return tuple(replace(line, label=f"{whose} {line.label}") if whose else line for line in found)


def row(
    state: State,
    dimension: str,
    value: str,
    values: Sequence[Value],
    share: float = 0.0,
    percent: float | None = None,
) -> Row:
    """A line of a card or of a table of details."""
    return Row(
        label=labels.label(dimension, value),
        values=tuple(values),
        share=share,
        percent=percent,
        href=state.with_value(dimension, value).href(),
        external_href=labels.external(dimension, value, state.project),
        icon=labels.icon(dimension, value),
    )


def _areas(state: State, lines: Sequence[breakdown.Line]) -> tuple[Area, ...]:
    return tuple(
        Area(
            code=line.label,
            label=labels.label("visit:country", line.label),
            value=line.values[0],
            percent=line.percent,
            href=state.with_value("visit:country", line.label).href(),
        )
        for line in lines
        if isinstance(line.values[0], int)
    )


def _empty(chosen: str) -> str:
    """What a card without rows says."""
    if chosen.startswith("visit:utm_"):
        return "campaigns"
    return _EMPTY.get(chosen, "rows")


_EMPTY: Final[Mapping[str, str]] = {
    "visit:source": "sources",
    cards.MAP: "locations",
    "visit:country": "locations",
    "visit:region": "places",
    "visit:city": "places",
    cards.EVENTS: "events",
    cards.GOALS: "goals",
    cards.PROPERTIES: "properties",
}
