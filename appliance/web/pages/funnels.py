"""Funnels: the steps come from the form, and so from the address (web/funnel_steps.py)."""

from collections.abc import Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.clock import MICROSECONDS
from appliance.errors import Invalid
from appliance.queries import funnels
from appliance.queries.funnels import Passage
from appliance.queries.tabular import Cell
from appliance.storage import funnels as saved
from appliance.storage.funnels import STEPS_MAX, STEPS_MIN
from appliance.web import cards, dashboard_state, funnel_steps, labels, report_page, urls
from appliance.web.access import SiteAccess
from appliance.web.attended import reports_of
from appliance.web.downloads import table_of
from appliance.web.forms import get, page
from appliance.web.funnel_steps import WINDOWS, Definition
from appliance.web.parts import parts_of
from appliance.web.report_page import ReportState
from appliance.web.views_forms import Form
from appliance.web.views_reports import FunnelStep, FunnelView, SavedFunnel, StepFields


def routes() -> list[Route]:
    path = urls.SITES + "/{site}/funnels"
    return [get(path, show), get(path + ".csv", download)]


class Answer(NamedTuple):
    """The report, as it was asked for; `passage` is None without two steps."""

    access: SiteAccess
    state: ReportState
    definition: Definition
    passage: Passage | None

    @property
    def sampled(self) -> bool:
        """Whether it rests on sampled data."""
        return self.passage is not None and self.passage.sampled


async def show(request: Request) -> Response:
    return await answered(request)


async def answered(request: Request, save: Form | None = None, status: int = 200) -> Response:
    """The page; `save` is the form that saves, where it was sent and something is wrong with it."""
    found = await answer(request)
    access, state, definition, passage = found
    try:
        pages = await report_page.values_of(request, state, "event:page")
        names = await report_page.values_of(request, state, "event:name")
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    known = await saved.of_project(parts_of(request).db, access.project.id)
    may_save = access.viewer.may("admin", access.project.id)
    own = next((each for each in known if definition.is_saved_as(each)), None)
    if may_save and own is None and passage is not None:
        save = save or Form(action=posted_to(state, urls.funnel_save(state.project)))
    frame = await report_page.frame(
        request, access, state, *funnel_steps.PARAMETERS, csv=passage is not None, sampled=found.sampled
    )
    view = FunnelView(
        shell=frame.shell,
        frame=frame,
        fields=_with_room(definition.steps),
        dimensions=cards.ONE_VALUED,
        within=definition.within,
        withins=tuple(WINDOWS),
        strict=definition.strict,
        steps=_steps(definition.steps, passage) if passage is not None else (),
        rate=passage.conversion if passage is not None else None,
        offered=tuple(dict.fromkeys((*pages, *names))),
        saved=tuple(_saved(state, each, active=each is own) for each in known),
        save=save,
        delete_action=posted_to(state, urls.funnel_delete(state.project, own.id)) if may_save and own else None,
    )
    return await page(request, "reports/funnels.html", view, status)


async def download(request: Request) -> Response:
    """The steps as a file: rates in per cent, the median time from the step before in seconds."""
    found = await answer(request)
    _, state, definition, passage = found
    columns = ("visitors", "rate", "rate_from_before", "dropped", "median_seconds")
    rows: list[Sequence[Cell]] = [("number", "on", "step", "where", "value", *columns)]
    steps = _steps(definition.steps, passage) if passage is not None else ()
    for number, (kept, step) in enumerate(zip(definition.kept_steps, steps, strict=False), 1):
        figures = (step.visitors, step.rate, step.from_before, step.dropped, step.median_seconds)
        rows.append((number, kept.on, kept.step, kept.where or None, kept.value or None, *figures))
    return table_of(rows, state, "funnel", sampled=found.sampled)


async def answer(request: Request) -> Answer:
    """Raises as `report_page.asked` does."""
    access, state = await report_page.asked(request, "funnels")
    definition = funnel_steps.read(request.query_params)
    funnel = definition.funnel()
    state = state.with_pairs(definition.parameters)
    try:
        passage = await funnels.ask(reports_of(request), state.scope, funnel) if funnel is not None else None
    except Invalid as error:
        raise dashboard_state.bad(error) from None
    return Answer(access, state, definition, passage)


def posted_to(state: ReportState, path: str) -> str:
    """A path that is told the funnel of a state, to come back to it."""
    return state.href(path, *state.more)


def _saved(state: ReportState, funnel: saved.Funnel, *, active: bool) -> SavedFunnel:
    href = state.with_pairs(funnel_steps.of_saved(funnel).parameters).href()
    return SavedFunnel(name=funnel.name, href=href, active=active)


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
