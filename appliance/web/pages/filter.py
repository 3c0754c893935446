"""The filter form: a dialog over the dashboard or a report, or a page of its own; it works as a plain GET form.

dimension=, op=   what is compared, and how
text=             looks for values, and stands for itself where none fits
value=            a ticked value, any number of times
edit=, replaces=  the place of the filter that is changed; without it one is added
back=             the report that it leads back to, with the report's own parameters; without it the dashboard
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from appliance.errors import Invalid
from appliance.queries import breakdown, conversions, properties
from appliance.queries.filters import OPERATORS, SEGMENT, Filter, HasDone, Leaf, Not
from appliance.queries.question import LIMIT_MAX, Report
from appliance.queries.reports import Reports
from appliance.web import cards, dashboard_state, labels, report_page, shell, urls
from appliance.web.access import SiteAccess
from appliance.web.asking import Asked, asked
from appliance.web.attended import counted_of
from appliance.web.controls import can_be_done
from appliance.web.dashboard_state import State
from appliance.web.forms import get, page, rendered, see
from appliance.web.pages.dashboard import PAGE_HEADERS
from appliance.web.rendering import FRAGMENT_HEADERS, wants_fragment
from appliance.web.report_page import ReportState
from appliance.web.strings import text as words
from appliance.web.views import Choice, Shell
from appliance.web.views_lists import FilterView, Suggestion

SUGGESTIONS_MAX: Final = 20
_EXACT: Final = ("is", "is_not")
_DONE: Final = ("has_done", "has_not_done")
_MATCHING: Final = ("matches", "matches_not")
_OPERATORS: Final = ("is", "contains", "matches", "is_not", "contains_not", "matches_not")
_OF_GOALS: Final = ("is", "contains", *_DONE)  # docs/metrics.md
_IN_DIALOG: Final = {
    "HX-Retarget": "#dialog", "HX-Reswap": "innerHTML", "HX-Reselect": ".in-dialog", "HX-Replace-Url": "false",
}  # fmt: skip


class Draft(NamedTuple):
    """A filter as the form has it. `replaces` is the place of the filter that it changes."""

    dimension: str
    operator: str
    values: tuple[str, ...]
    text: str
    replaces: int | None


def routes() -> list[Route]:
    path = urls.SITES + "/{site}/filter"
    return [get(path, show), get(path + "/values", show_values), get(path + "/apply", apply)]


async def show(request: Request) -> Response:
    access, state = await _asked(request)
    return await _form(request, access, state, _draft(request.query_params, state))


async def _form(request: Request, access: SiteAccess, state: State, draft: Draft, error: str = "") -> Response:
    """The form as it is filled in, with what is wrong with that."""
    found, wrong = await _listed(counted_of(request), state, draft)
    error = error or wrong
    error = error[:1].upper() + error[1:]
    named = await _properties(counted_of(request), state, draft)
    title = f"{words('filter.add')} · {shell.label(access.project)}"
    if wants_fragment(request.headers):
        view = _view(shell.bare(request, title), state, draft, found, named, error)
        # Where the answer was to be a dashboard or report, it is the dialog again; browsers swap no answer of an error.
        headers = FRAGMENT_HEADERS | (_IN_DIALOG if error else {})
        return HTMLResponse(await rendered(request, "filter/_dialog.html", view), headers=headers)
    view = _view(await shell.shell(request, title, access.project), state, draft, found, named, error)
    return await page(request, "filter/page.html", view, 400 if error else 200, PAGE_HEADERS)


async def show_values(request: Request) -> Response:
    """The values alone, as the form is filled in; without a script the whole form again."""
    if not wants_fragment(request.headers):
        return await show(request)
    _, state = await _asked(request)
    draft = _draft(request.query_params, state)
    found, error = await _listed(counted_of(request), state, draft)
    view = _view(shell.bare(request, ""), state, draft, found, error=error)
    return HTMLResponse(await rendered(request, "filter/_values_swap.html", view), headers=FRAGMENT_HEADERS)


async def apply(request: Request) -> Response:
    """Back to the dashboard or report, with the filter; or to the form, with what is wrong."""
    access, state = await _asked(request)
    draft = _draft(request.query_params, state)
    parts = list(state.parts)
    try:
        made = await _filter(counted_of(request), state, draft)
    except Invalid as error:
        return await _form(request, access, state, draft, str(error))
    if draft.replaces is not None:
        parts[draft.replaces : draft.replaces + 1] = [made] if made is not None else []
    elif made is not None:
        parts.append(made)
    return see(state.with_parts(dict.fromkeys(parts)).href())


async def _asked(request: Request) -> Asked:
    """The state of what the form is over. Raises as `asking.asked` does."""
    access, state = await asked(request)
    back = request.query_params.get("back")
    return Asked(access, state if not back else report_page.returned(state, back))


# ---------------------------------------------------------------------- the draft


def _draft(query: QueryParams, state: State) -> Draft:
    """Raises Invalid with status 400, naming the parameter."""
    replaces = _place(query, state)
    edited = _leaf(state, replaces) if "dimension" not in query else None
    if edited is not None:
        operator, leaf = edited
        exact = operator in (*_EXACT, *_DONE) or len(leaf.values) > 1
        values, text = (leaf.values, "") if exact else ((), leaf.values[0])
        return Draft(leaf.dimension, operator, values, text, replaces)
    dimension = query.get("dimension") or state.filtered_by[0]
    if not state.is_filtered_by(dimension):
        raise _bad(f"{dimension!r} is not a dimension to filter by", "dimension")
    operator = query.get("op") or "is"
    if operator not in (*OPERATORS, *_DONE):
        raise _bad(f"{operator!r} is not an operator of filters", "op")
    left = operator not in _OF_GOALS if dimension == cards.GOALS else operator in _DONE and dimension != cards.EVENTS
    if left or dimension == SEGMENT:  # at what another dimension had
        operator = "is"
    values = tuple(dict.fromkeys(value.replace("\0", "") for value in query.getlist("value") if value))
    return Draft(dimension, operator, values, query.get("text", "").replace("\0", "").strip(), replaces)


def _place(query: QueryParams, state: State) -> int | None:
    name = "edit" if "edit" in query else "replaces"
    place = query.get(name)
    if not place:
        return None
    if place.isascii() and place.isdigit() and int(place[:9]) < len(state.parts):
        return int(place[:9])
    raise _bad("there is no filter at that place", name)


def _leaf(state: State, place: int | None) -> tuple[str, Leaf] | None:
    """The operator and the comparison of the filter that is changed, if the form can show it."""
    part = state.parts[place] if place is not None else None
    if isinstance(part, HasDone):
        inner = can_be_done(part, state)
        return None if inner is None else ("has_done" if part.done else "has_not_done", inner)
    if isinstance(part, Not) and isinstance(part.part, Leaf) and not part.part.operator.endswith("_not"):
        inner = part.part
        if inner.dimension == cards.GOALS:
            return None
        part = dashboard_state.leaf(f"{inner.operator}_not", inner.dimension, inner.values)
    return (part.operator, part) if isinstance(part, Leaf) and state.is_filtered_by(part.dimension) else None


async def _filter(reports: Reports, state: State, draft: Draft) -> Filter | None:
    """The filter that the form means, None without a value. Raises Invalid."""
    if draft.operator not in _DONE:
        return await _comparison(reports, state, draft)
    made = await _comparison(reports, state, draft._replace(operator="is"))
    return HasDone(made, draft.operator == "has_done") if made is not None else None


async def _comparison(reports: Reports, state: State, draft: Draft) -> Leaf | None:
    """What is ticked, else what the text finds, else the text; of a part, the text.

    A text that finds several values means all of them: those with names are listed, others are said to contain it.
    """
    operator = draft.operator
    if draft.dimension == SEGMENT:
        return _segment(state, draft)
    if operator in _MATCHING and draft.values and not draft.text:
        raise _bad(words("filter.pattern"), "text")
    if labels.is_named(draft.dimension):  # a part of a name is no part of its code
        operator = {"contains": "is", "contains_not": "is_not"}.get(operator, operator)
    if operator not in _EXACT:
        return _leaf_of(state, draft, operator, [draft.text] if draft.text else draft.values)
    if draft.values or not draft.text:
        return _leaf_of(state, draft, operator, draft.values)
    found = [value for value, _ in await _found(reports, state, draft)]
    text = draft.text.casefold()
    found = [value for value in found if labels.label(draft.dimension, value).casefold() == text][:1] or found
    if labels.is_named(draft.dimension) or draft.dimension == cards.GOALS:
        if not found:
            raise _bad(f"nothing in this period is called {draft.text!r}", "text")
        return _leaf_of(state, draft, operator, found)
    if len(found) > 1:
        return _leaf_of(state, draft, "contains" if operator == "is" else "contains_not", [draft.text])
    return _leaf_of(state, draft, operator, found or [draft.text])


def _segment(state: State, draft: Draft) -> Leaf | None:
    """The ticked segments, else those that the text finds by their names."""
    found = draft.values or [each.value for each in _segments(state, draft) if draft.text]
    if draft.text and not found:
        raise _bad(f"no segment is called {draft.text!r}", "text")
    known = {str(each.id) for each in state.segments}
    if unknown := [value for value in found if value not in known]:
        raise _bad(f"there is no segment {unknown[0]}", "value")
    return Leaf("is", SEGMENT, tuple(found)) if found else None


def _leaf_of(state: State, draft: Draft, operator: str, values: Sequence[str]) -> Leaf | None:
    """None without values. What contains a text does so whatever the case, as the list of values shows."""
    if not values:
        return None
    made = dashboard_state.leaf(operator, draft.dimension, dict.fromkeys(values), state.goals)
    folded = operator.startswith("contains")
    return msgspec.structs.replace(made, case_sensitive=False) if folded else made


# ---------------------------------------------------------------------- its values


async def _listed(reports: Reports, state: State, draft: Draft) -> tuple[tuple[Suggestion, ...], str]:
    """The values to choose from, and what is wrong with the text that looks for them."""
    try:
        return await _suggestions(reports, state, draft), ""
    except Invalid as error:
        return (), str(error)


async def _suggestions(reports: Reports, state: State, draft: Draft) -> tuple[Suggestion, ...]:
    """Ticked values first, then those that the text finds, the most visited first."""
    if draft.dimension == SEGMENT:
        return _segments(state, draft)
    found = dict(await _found(reports, state, draft))
    if unknown := [value for value in draft.values if value not in found]:
        found |= await _counts(reports, state, draft, unknown)
    shown = [*draft.values, *(value for value in found if value not in draft.values)]
    return tuple(
        Suggestion(
            value=value,
            label=labels.label(draft.dimension, value),
            count=found.get(value, 0),
            checked=value in draft.values,
            icon=labels.icon(draft.dimension, value),
        )
        for value in shown
    )


def _segments(state: State, draft: Draft) -> tuple[Suggestion, ...]:
    """The segments that are ticked or that the text finds."""
    found = [
        Suggestion(value=str(each.id), label=each.name, checked=str(each.id) in draft.values)
        for each in state.segments
        if str(each.id) in draft.values or draft.text.casefold() in each.name.casefold()
    ]
    return tuple(sorted(found, key=lambda each: not each.checked))


async def _found(reports: Reports, state: State, draft: Draft) -> list[tuple[str, int]]:
    """Values that the text finds, under all other filters, with their visitors."""
    others = state if draft.replaces is None else state.without_filter(draft.replaces)
    if draft.dimension == cards.GOALS:
        wanted = draft.text.casefold()
        return [each for each in await _goals(reports, others) if wanted in each[0].casefold()][:SUGGESTIONS_MAX]
    named = labels.is_named(draft.dimension)
    report = breakdown.suggestions(
        draft.dimension, "" if named else draft.text, LIMIT_MAX if named else SUGGESTIONS_MAX
    )
    if draft.operator in _MATCHING and draft.text:
        pattern = dashboard_state.leaf("matches", draft.dimension, [draft.text])
        return await _rows(
            reports, others.with_parts([*others.parts, pattern]), msgspec.structs.replace(report, search="")
        )
    rows = await _rows(reports, others, report)
    wanted = draft.text.casefold()
    return [
        (value, count)
        for value, count in rows
        if not named or wanted in labels.label(draft.dimension, value).casefold() or wanted == value.casefold()
    ][:SUGGESTIONS_MAX]


async def _counts(reports: Reports, state: State, draft: Draft, values: list[str]) -> dict[str, int]:
    """Visitors of these values, under all other filters."""
    others = state if draft.replaces is None else state.without_filter(draft.replaces)
    if draft.dimension == cards.GOALS:
        return {name: count for name, count in await _goals(reports, others) if name in values}
    only = dashboard_state.leaf("is", draft.dimension, values)
    report = Report(("visitors",), (draft.dimension,))
    return dict(await _rows(reports, others.with_parts([*others.parts, only]), report))


async def _goals(reports: Reports, state: State) -> list[tuple[str, int]]:
    """Every goal of the project with its visitors, the most visited first."""
    found = dict(await _rows(reports, state, conversions.report()))
    unreached = {goal.name: 0 for goal in state.goals if goal.name not in found}
    return [*found.items(), *unreached.items()]


async def _rows(reports: Reports, state: State, report: Report) -> list[tuple[str, int]]:
    try:
        table = await reports.answer(state.scope, report)
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    return [(row.labels[0], row.values[0]) for row in table.rows if isinstance(row.values[0], int)]


async def _properties(reports: Reports, state: State, draft: Draft) -> tuple[str, ...]:
    """The properties that can be chosen: those of the period under all other filters, and the chosen one."""
    others = state if draft.replaces is None else state.without_filter(draft.replaces)
    chosen = [draft.dimension] if properties.is_property(draft.dimension) else []
    try:
        ((table,),) = await reports.ask_kept([(others.scope, [properties.REPORT])])
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    return tuple(dict.fromkeys([*(properties.dimensions(table) if table is not None else ()), *chosen]))


# ---------------------------------------------------------------------- the view


def _view(
    frame: Shell,
    state: State,
    draft: Draft,
    found: tuple[Suggestion, ...],
    named: tuple[str, ...] = (),
    error: str = "",
) -> FilterView:
    operators: tuple[str, ...] = _EXACT if labels.is_named(draft.dimension) else _OPERATORS
    if draft.dimension == cards.EVENTS:
        operators = (*_OPERATORS, *_DONE)
    if draft.dimension == cards.GOALS:
        operators = _OF_GOALS
    if draft.dimension == SEGMENT:
        operators = ("is",)
    edited = [("replaces", str(draft.replaces))] if draft.replaces is not None else []
    return FilterView(
        shell=frame,
        dimensions=tuple(_choice(state, key, draft) for key in state.filtered_by),
        properties=tuple(_choice(state, key, draft) for key in named),
        dimension=draft.dimension,
        operators=operators if draft.operator in operators else (*operators, draft.operator),
        operator=draft.operator,
        suggestions=found,
        text=draft.text,
        error=error,
        free=not labels.is_named(draft.dimension) and draft.dimension not in (cards.GOALS, SEGMENT),
        apply_action=urls.filter_apply(state.project),
        values_href=urls.filter_values(state.project),
        hidden=(*state.parameters(), *edited, *_back(state)),
        close_href=state.href(),
        report=state.key if isinstance(state, ReportState) else "",
    )


def _choice(state: State, key: str, draft: Draft) -> Choice:
    return Choice(key=key, href=state.filter_href(("dimension", key)), active=key == draft.dimension)


def _back(state: State) -> list[tuple[str, str]]:
    """The form's parameter `back`."""
    return [("back", state.back)] if isinstance(state, ReportState) else []


def _bad(message: str, parameter: str) -> Invalid:
    return Invalid(message, code="invalid_parameter", field=parameter, status=400)
