"""A funnel's definition: as an address says it, as it is kept, and as it is asked.

on=, step=       of each step in order: `page` with a path (`*` stands for anything but a slash, `**` for anything), or
                 `event` with a name; steps without text are left out
where=, value=   of each step: a dimension and the value that it has, or nothing
within=          visit, or how long the whole may take: 1h, 1d, 7d, 30d
strict=1         nothing else lies between two steps
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from starlette.datastructures import QueryParams

from appliance.clock import DAY, HOUR
from appliance.errors import Invalid
from appliance.queries.filters import AllOf, Filter, Leaf, checked
from appliance.queries.funnels import Funnel
from appliance.storage import funnels as saved
from appliance.storage.funnels import STEPS_MAX, STEPS_MIN, Step
from appliance.web import cards, report_page
from appliance.web.report_page import ON, TEXT_LENGTH_MAX, bad, page_or_event
from appliance.web.views_reports import StepFields

WINDOWS: Final = {"visit": None, "1h": HOUR, "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
_FIELDS: Final = ("on", "step", "where", "value")
PARAMETERS: Final = (*_FIELDS, "within", "strict")


class Definition(NamedTuple):
    """The steps that have a text, how long they may take, and whether nothing lies in between."""

    steps: tuple[StepFields, ...]
    within: str
    strict: bool

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """What `read` makes it of."""
        pairs = [(name, getattr(each, name)) for each in self.steps for name in _FIELDS]
        pairs += [("within", self.within)] if self.within != "visit" else []
        return [*pairs, *([("strict", "1")] if self.strict else [])]

    @property
    def kept_steps(self) -> tuple[Step, ...]:
        """The steps as they are saved; half a condition is none."""
        return tuple(
            Step(each.on, each.step, each.where, each.value)  # type: ignore[arg-type]  # checked by `read`
            if each.where and each.value
            else Step(each.on, each.step)  # type: ignore[arg-type]
            for each in self.steps
        )

    def is_saved_as(self, funnel: saved.Funnel) -> bool:
        return (self.kept_steps, self.within, self.strict) == (funnel.steps, funnel.within, funnel.strict)

    def funnel(self) -> Funnel | None:
        """What is asked; None of less than two steps. Raises Invalid with status 400, naming the parameter."""
        steps = tuple(filter_of(each) for each in self.steps)
        return Funnel(steps, WINDOWS[self.within], self.strict) if len(steps) >= STEPS_MIN else None


def of_saved(funnel: saved.Funnel) -> Definition:
    return Definition(fields_of(funnel.steps), funnel.within, funnel.strict)


def fields_of(steps: Iterable[Step]) -> tuple[StepFields, ...]:
    """Saved steps as the form has them."""
    return tuple(StepFields(on=each.on, step=each.step, where=each.where, value=each.value) for each in steps)


def read(query: QueryParams) -> Definition:
    """The definition in an address. Raises Invalid with status 400, naming the parameter."""
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
        if max(len(each.step), len(each.value)) > TEXT_LENGTH_MAX:
            raise bad("step", f"at most {TEXT_LENGTH_MAX} characters are expected")
    return Definition(steps, report_page.one_of(query, "within", tuple(WINDOWS)), query.get("strict") == "1")


def filter_of(fields: StepFields) -> Filter:
    """What an event passes to be at the step. Raises Invalid with status 400."""
    parts = [page_or_event(fields.on, fields.step)]
    if fields.where and fields.where not in cards.ONE_VALUED:
        raise bad("where", f"{fields.where!r} is not a dimension to filter by")
    if fields.where and fields.value:
        try:
            parts.append(checked(Leaf("is", fields.where, (fields.value,))))
        except Invalid as error:
            raise bad("value", str(error)) from None
    return AllOf(tuple(parts))
