"""What the reports about people need, as plain values; the rules are those of `views.py`."""

from dataclasses import dataclass
from datetime import datetime

from appliance.web.formats import Interval
from appliance.web.views import Chip, Choice, Hidden, PeriodMenu, Shell
from appliance.web.views_forms import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFrame:
    """What every report has: the way to the others, period and filters, and where its own form goes."""

    shell: Shell
    key: str  # under `report.` of the catalogue
    reports: tuple[Choice, ...]
    period: PeriodMenu
    chips: tuple[Chip, ...] = ()
    filter_href: str
    clear_href: str
    csv_href: str | None = None  # the report as a file, once it shows anything
    sampled: str | None = None  # under `sampled.` of the catalogue, where the report rests on sampled data
    kept_from: datetime | None = None  # what came before is gone, and the report looks at all times
    action: str  # of the report's GET form, which sends `hidden` along
    hidden: Hidden = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Those who came first in one step of time, and how many of them came back in each later one.

    rates (per cent) and counts begin with the step itself; None: that step lies in the future."""

    start: datetime
    size: int
    rates: tuple[float | None, ...]
    counts: tuple[int | None, ...]
    incomplete: bool = False  # its newest rate is of a step still running, or cut off by the period


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionView:
    """`reports/retention.html`."""

    shell: Shell
    frame: ReportFrame
    interval: Interval
    intervals: tuple[Choice, ...]  # day, week, month: only those that fit the period
    cohorts: tuple[Cohort, ...]
    average: tuple[float | None, ...] = ()  # of all cohorts, weighted by size
    first: str = ""  # name of the event that begins, '' for any
    back: str = ""  # name of the event that counts as coming back
    names: tuple[str, ...] = ()  # of events in the period, to choose from


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFields:
    """One step of a funnel as its form has it."""

    on: str = "page"  # or `event`
    step: str = ""  # path or pattern of a page, name of an event
    where: str = ""  # a dimension, '' for no condition
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelStep:
    label: str
    on: str  # `page` or `event`
    condition: tuple[str, str] | None = None  # dimension, and its value's label
    visitors: int
    rate: float | None  # per cent of those who entered
    from_before: float | None = None  # per cent of those at the step before
    dropped: int = 0  # visitors lost since the step before
    median_seconds: float | None = None  # from the step before


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFunnel:
    name: str
    href: str
    active: bool = False  # it is the one that is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelView:
    """`reports/funnels.html`. steps are empty until the form names two. Posted: name to `save`, nothing to
    `delete_action`."""

    shell: Shell
    frame: ReportFrame
    fields: tuple[StepFields, ...]
    dimensions: tuple[str, ...]
    within: str
    withins: tuple[str, ...]  # `visit` and lengths of windows, under `funnels.within.` of the catalogue
    strict: bool = False
    steps: tuple[FunnelStep, ...] = ()
    rate: float | None = None  # conversion of the whole
    offered: tuple[str, ...] = ()  # pages and names of events in the period
    saved: tuple[SavedFunnel, ...] = ()
    save: Form | None = None  # of one that is not saved yet, for who may
    delete_action: str | None = None  # of the saved one that is shown, for who may


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitHead:
    """Over the events of one visit in a log."""

    source: str
    country: str = ""  # ISO 3166 alpha-2
    country_name: str = ""
    browser: str = ""
    os: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """An event of the log. facts: what opens below it; key under `log.fact.` of the catalogue, and value."""

    at: datetime
    is_pageview: bool
    label: str  # path of a page view, name of another event
    path: str = ""  # of another event
    user: str = ""
    user_href: str | None = None
    visit: VisitHead
    new_visit: bool = False  # the row before it is of another visit
    facts: tuple[tuple[str, str], ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    sent_href: str | None = None  # leads to what was sent, where it is not known here
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsView:
    """`reports/events.html`."""

    shell: Shell
    frame: ReportFrame
    rows: tuple[LogRow, ...]
    newest_href: str | None = None  # when this is not the first page
    older_href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """An identified user. Of the traits, name and value, only the first few."""

    user: str
    href: str
    first_seen: datetime
    last_seen: datetime
    events: int
    visits: int
    traits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersView:
    """`reports/users.html`."""

    shell: Shell
    frame: ReportFrame
    rows: tuple[UserRow, ...]
    search: str = ""
    newest_href: str | None = None
    older_href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserView:
    """`reports/user.html`: one user with all traits, and the log of their visits."""

    shell: Shell
    frame: ReportFrame
    name: str
    user: UserRow | None  # None: nothing in the period that passes the filters
    rows: tuple[LogRow, ...]
    users_href: str
    newest_href: str | None = None
    older_href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyPlace:
    """A page or event near the chosen one. href looks at the journeys around it."""

    label: str
    is_event: bool
    visits: int
    rate: float | None  # per cent of the visits that were at the chosen one
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyColumn:
    """What visits did so many places before (below 0) or after the chosen one."""

    distance: int
    places: tuple[JourneyPlace, ...]
    others: int  # visits at less visited places
    others_rate: float | None
    missing: int  # visits that had begun later, or were over
    missing_rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneysView:
    """`reports/journeys.html`. columns are empty until something is chosen that visits did."""

    shell: Shell
    frame: ReportFrame
    on: str = "page"  # or `event`
    step: str = ""  # the chosen path or pattern, or name
    with_events: bool = False
    visits: int = 0
    columns: tuple[JourneyColumn, ...] = ()
    offered: tuple[str, ...] = ()
