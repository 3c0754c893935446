"""Funnels: the steps come from the form, and so from the address.

on=, step=       of each step in order: `page` with a path (`*` stands for anything but a slash, `**` for anything), or
                 `event` with a name; steps without text are left out
where=, value=   of each step: a dimension and the value that it has, or nothing
within=          visit, or how long the whole may take: 1h, 1d, 7d, 30d
strict=1         nothing else lies between two steps
"""

from typing import Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.clock import DAY, HOUR, MICROSECONDS
from appliance.errors import Invalid
from appliance.queries import funnels
from appliance.queries.filters import AllOf, Filter, Leaf, checked
from appliance.queries.funnels import STEPS_MAX, STEPS_MIN, Funnel, Passage
from appliance.web import cards, dashboard_state, labels, report_page, urls
from appliance.web.forms import get, page
from appliance.web.parts import parts_of
from appliance.web.report_page import ON, TEXT_LENGTH_MAX, bad, page_or_event
from appliance.web.views_reports import FunnelStep, FunnelView, StepFields

WINDOWS: Final = {"visit": None, "1h": HOUR, "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
_FIELDS: Final = ("on", "step", "where", "value")
_OWN: Final = (*_FIELDS, "within", "strict")


def routes() -> list[Route]:
    return [get(urls.SITES + "/{site}/funnels", show)]


async def show(request: Request) -> Response:
    access, state = await report_page.asked(request, "funnels")
    query = request.query_params
    fields = _fields(query)
    within = report_page.one_of(query, "within", tuple(WINDOWS))
    strict = query.get("strict") == "1"
    steps = tuple(_filter(each) for each in fields)
    more = [(name, getattr(each, name)) for each in fields for name in _FIELDS]
    more += [("within", within)] if within != "visit" else []
    more += [("strict", "1")] if strict else []
    state = state.with_pairs(more)
    reports, passage = parts_of(request).reports, None
    try:
        if len(steps) >= STEPS_MIN:
            passage = await funnels.ask(reports, state.scope, Funnel(steps, WINDOWS[within], strict))
        pages = await report_page.values_of(request, state, "event:page")
        names = await report_page.values_of(request, state, "event:name")
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    frame = await report_page.frame(request, access, state, *_OWN)
    view = FunnelView(
        shell=frame.shell,
        frame=frame,
        fields=_with_room(fields),
        dimensions=cards.OFFERED,
        within=within,
        withins=tuple(WINDOWS),
        strict=strict,
        steps=_steps(fields, passage) if passage is not None else (),
        rate=passage.conversion if passage is not None else None,
        offered=tuple(dict.fromkeys((*pages, *names))),
    )
    return await page(request, "reports/funnels.html", view)


def _fields(query: QueryParams) -> tuple[StepFields, ...]:
    """The steps that have a text. Raises Invalid with status 400, naming the parameter."""
    texts = [text.replace("\0", "").strip() for text in query.getlist("step")]
    columns = {"step": texts}
    for name, usual in (("on", "page"), ("where", ""), ("value", "")):
        columns[name] = [text.replace("\0", "").strip() for text in query.getlist(name)] or [usual] * len(texts)
        if len(columns[name]) != len(texts):
            raise bad(name, "every step has one")
    found = [StepFields(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    steps = tuple(each for each in found if each.step)
    if len(steps) > STEPS_MAX:
        raise bad("step", f"a funnel has at most {STEPS_MAX} steps")
    for each in steps:
        if each.on not in ON:
            raise bad("on", "a step is a page or an event")
        if each.where and each.where not in cards.OFFERED:
            raise bad("where", f"{each.where!r} is not a dimension to filter by")
        if max(len(each.step), len(each.value)) > TEXT_LENGTH_MAX:
            raise bad("step", f"at most {TEXT_LENGTH_MAX} characters are expected")
    return steps


def _filter(fields: StepFields) -> Filter:
    """What an event passes to be at the step. Raises Invalid with status 400."""
    parts = [page_or_event(fields.on, fields.step)]
    if fields.where and fields.value:
        try:
            parts.append(checked(Leaf("is", fields.where, (fields.value,))))
        except Invalid as error:
            raise bad("value", str(error)) from None
    return AllOf(tuple(parts))


def _with_room(fields: tuple[StepFields, ...]) -> tuple[StepFields, ...]:
    """The steps, and one more to fill in."""
    empty = max(STEPS_MIN - len(fields), 1 if len(fields) < STEPS_MAX else 0)
    return (*fields, *(StepFields() for _ in range(empty)))


def _steps(fields: tuple[StepFields, ...], passage: Passage) -> tuple[FunnelStep, ...]:
    return tuple(
        FunnelStep(
            label=each.step,
            on=each.on,
            condition=(each.where, labels.label(each.where, each.value)) if each.where and each.value else None,
            visitors=step.visitors,
            rate=passage.rate(index),
            from_before=passage.rate_from_before(index) if index else None,
            dropped=passage.dropped(index),
            median_seconds=step.median / MICROSECONDS if step.median is not None else None,
        )
        for index, (each, step) in enumerate(zip(fields, passage.steps, strict=True))
    )
