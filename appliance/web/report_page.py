"""What the pages of reports about people share: a dashboard's state at a path of their own, and their frame.

Period and filters are the dashboard's own parameters (dashboard_state.py); a report adds its own.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

from appliance.errors import Invalid
from appliance.queries import breakdown
from appliance.queries.filters import AllOf, Filter, Leaf
from appliance.web import asking, cards, shell, urls
from appliance.web.access import SiteAccess
from appliance.web.attended import counted_of
from appliance.web.controls import chips, period_menu
from appliance.web.dashboard_state import State
from appliance.web.navigation import REPORTS, report_nav
from appliance.web.parts import parts_of
from appliance.web.strings import text
from appliance.web.views_reports import ReportFrame

ON: Final = ("page", "event")
# What else a report looks at than the period, as `sampled.` of the catalogue says it.
_SAMPLED: Final = {"events": "log", "retention": "ever", "user": "ever", "users": "ever"}
_LISTS: Final = {"user": "users", "event": "events"}  # the report that one of its things belongs to
TEXT_LENGTH_MAX: Final = 1_000
NAMES_OFFERED: Final = 50
PARAMETERS_MAX: Final = 100  # of a report


@dataclass(frozen=True)
class ReportState(State):
    """A dashboard's state whose own address is that of a report. `more` are the report's parameters."""

    key: str = ""
    more: tuple[tuple[str, str], ...] = ()

    def href(self, path: str | None = None, *more: tuple[str, str]) -> str:
        """A URL with this state: of the report, or without its parameters of another path of the site."""
        if path is not None:
            return super().href(path, *more)
        return super().href(urls.report(self.project, self.key), *self.more, *more)

    @property
    def back(self) -> str:
        """What `returned` makes the report of, as a parameter of another page."""
        return f"{self.key}?{urlencode(self.more)}"

    def filter_href(self, *more: tuple[str, str]) -> str:
        """The filter form, which leads back to the report."""
        return self.href(urls.filter_form(self.project), *more, ("back", self.back))

    def with_more(self, **changes: str) -> "ReportState":
        """Other parameters of the report; an empty one is left out."""
        kept = [pair for pair in self.more if pair[0] not in changes]
        return replace(self, more=(*kept, *((name, value) for name, value in changes.items() if value)))

    def at(self, key: str) -> "ReportState":
        """The same state at another report."""
        return replace(self, key=key, more=())

    def with_pairs(self, more: Iterable[tuple[str, str]]) -> "ReportState":
        """All parameters of the report anew; a name may stand several times."""
        return replace(self, more=tuple(more))


class Asked(NamedTuple):
    """A request for a report of a site that may be seen."""

    access: SiteAccess
    state: ReportState


async def asked(request: Request, key: str) -> Asked:
    """Raises LoginNeeded, NotFound; Invalid with status 400; Unavailable."""
    access, state = await asking.asked(request)
    return Asked(access, of_report(state, key))


def of_report(state: State, key: str, more: Iterable[tuple[str, str]] = ()) -> ReportState:
    """A dashboard's state at a report, with parameters of the report's own."""
    kept = {each.name: getattr(state, each.name) for each in fields(State)}
    return ReportState(**kept, key=key, more=tuple(more))


def returned(state: State, back: str) -> ReportState:
    """The report that `ReportState.back` wrote down, in a state. Raises Invalid with status 400."""
    key, _, query = back.partition("?")
    if key not in (*REPORTS, *_LISTS):
        raise bad("back", f"{key!r} is not a report")
    try:
        more = parse_qsl(query.replace("\0", ""), keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
    except ValueError:
        raise bad("back", f"at most {PARAMETERS_MAX} parameters are expected") from None
    return of_report(state, key, more)


async def frame(
    request: Request, access: SiteAccess, state: ReportState, *own: str, csv: bool = False, sampled: bool = False
) -> ReportFrame:
    """The frame of a report whose form sends the parameters `own` itself; `csv`: what it shows can be downloaded;
    `sampled`: it rests on sampled data."""
    path = urls.report(state.project, state.key)
    kept_from = None
    if _SAMPLED.get(state.key) == "ever":
        kept_from = await parts_of(request).db.raw_purged_before(access.project.id)
    menu = period_menu(state)
    title = text("report.heading", report=text(f"report.{state.key}"), site=shell.label(access.project))
    return ReportFrame(
        shell=await shell.shell(request, title, access.project),
        key=state.key,
        reports=report_nav(state, _LISTS.get(state.key, state.key)),
        period=replace(
            menu,
            choices=tuple(choice for choice in menu.choices if choice.key != "live"),
            action=path,
            hidden=(*menu.hidden, *state.more),
        ),
        chips=chips(state),
        filter_href=(state.at("events") if state.key == "event" else state).filter_href(),
        clear_href=state.with_parts(()).href(),
        csv_href=state.href(urls.report_csv(state.project, state.key), *state.more) if csv else None,
        sampled=_SAMPLED.get(state.key, "period") if sampled else None,
        kept_from=None if kept_from is None else shell.moment(kept_from, access.project.timezone),
        action=path,
        hidden=(*state.parameters(), *(pair for pair in state.more if pair[0] not in own)),
    )


def words(query: Mapping[str, str], name: str) -> str:
    """A text in the URL, without blanks around it. Raises Invalid with status 400."""
    value = query.get(name, "").replace("\0", "").strip()
    if len(value) > TEXT_LENGTH_MAX:
        raise bad(name, f"at most {TEXT_LENGTH_MAX} characters are expected")
    return value


def one_of(query: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    """A choice in the URL, the first of `known` without one. Raises Invalid with status 400."""
    value = query.get(name) or known[0]
    if value not in known:
        raise bad(name, f"{value!r} is none of {', '.join(known)}")
    return value


def bad(name: str, message: str) -> Invalid:
    """A fault in a parameter of the URL."""
    return Invalid(message, code="invalid_parameter", field=name, status=400)


def page_or_event(on: str, text: str) -> Filter:
    """The page views of a path, in which `*` stands for anything but a slash and `**` for anything; or the events of a
    name. `on` says which, one of ON."""
    if on == "event":
        return Leaf("is", cards.EVENTS, (text,))
    view = Leaf("is", cards.EVENTS, (cards.PAGEVIEW,))
    if "*" not in text:
        return AllOf((view, Leaf("is", "event:page", (text,))))
    parts = re.split(r"(\*+)", text)
    pattern = "".join({"*": "[^/]*"}.get(part, ".*") if "*" in part else re.escape(part) for part in parts)
    return AllOf((view, Leaf("matches", "event:page", (f"^{pattern}$",))))


async def values_of(request: Request, state: State, dimension: str) -> tuple[str, ...]:
    """The most visited values of a dimension in the period, for a field to offer. Raises as `Reports` does."""
    table = await counted_of(request).answer(state.scope, breakdown.suggestions(dimension, limit=NAMES_OFFERED))
    return tuple(row.labels[0] for row in table.rows)
