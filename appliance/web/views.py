"""What the reading pages need, as plain values: the seam between handlers and templates.

Handlers fill these with raw figures (counts as int, rates in per cent, durations in seconds, revenue as
`Money`, times as aware datetimes in the project's zone) and with finished URLs; templates write them down.
Finite things are named by key (metric `visitors`, dimension `visit:source`, period `30d`) and get their words
from `strings.py`; what users named (domains, pages, goals) comes as text. Every `href` keeps the page's whole
state, so that each link can be copied. Details and the filter form are in `views_lists.py`, reports about people in
`views_reports.py`, pages of settings and administration in `views_admin.py`.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from appliance.queries.metrics import Value
from appliance.web.formats import DateStyle, Interval, Number
from appliance.web.views_forms import Form

Theme = Literal["system", "light", "dark"]
Hidden = tuple[tuple[str, str], ...]  # fields a GET form carries along, so that submitting it keeps the state


# --- every page -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLink:
    """An entry of the site switcher."""

    name: str  # the domain, or the project's name where it has none
    href: str
    active: bool = False
    visitors: int | None = None  # last 24 hours; None is not shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    email: str
    name: str
    role: str  # owner, admin, viewer, member
    profile_href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Toast:
    """A message of the last action, shown once after its redirect. `undo_action` is posted to, if given."""

    text: str
    level: Literal["ok", "error"] = "ok"
    undo_action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """A slim bar over the page. key: `delayed` (seconds), `sampled` (percent), `read_only`, `disk_low` (free),
    `imported`; `value` is the figure that its sentence names, raw."""

    key: str
    level: Literal["info", "warn", "error"]
    value: Number | None = None
    href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """The frame around every page: top bar, theme, account, messages."""

    title: str  # of the document, without the product's name
    now: datetime  # aware; "12 s ago" counts from it
    dates: DateStyle = field(default_factory=DateStyle)
    theme: Theme = "system"  # the cookie `theme`
    account: Account | None = None  # None: nobody is signed in, the bar shows a sign-in link or nothing
    sites: tuple[SiteLink, ...] = ()
    site: SiteLink | None = None  # the page's own site
    sites_href: str | None = None
    settings_href: str | None = None  # of the page's site, if the account may
    admin_href: str | None = None  # of the appliance, if the account may
    live: int | None = None  # people on the site now
    live_href: str | None = None
    stream_href: str | None = None  # the page's one SSE stream; None opens none
    read_only: bool = False  # shared link or public dashboard
    banners: tuple[Banner, ...] = ()
    toast: Toast | None = None


# --- parts of the dashboard -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One filter in force: dimension, operator (`is`, `is_not`, `contains`, ...), the values' labels.

    Of a filter that is more than one comparison the value is a sentence; the operator is then `has_done`,
    `has_not_done` or `all`, and the dimension `several`."""

    dimension: str
    operator: str
    values: tuple[str, ...]
    edit_href: str | None  # None: the form cannot show it
    remove_href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One entry of a menu of links: period, comparison, interval. key names it in the catalogue."""

    key: str
    href: str
    active: bool = False
    fragment_href: str | None = None  # answers with the part that changes; None: the page's own fragment


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodMenu:
    """The period in force (`key`, e.g. `30d`, `custom`), its first and last local day, and the way to others."""

    key: str
    start: date
    end: date
    choices: tuple[Choice, ...]
    previous_href: str | None = None  # the steppers; None where there is nothing to step to
    next_href: str | None = None
    action: str  # of the GET form for two dates `from`, `to`
    hidden: Hidden = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareMenu:
    """choices: `off`, `previous_period`, `year_over_year`; `key` may also be `custom` (then start, end)."""

    key: str
    choices: tuple[Choice, ...]
    match_weekday: bool = True
    match_weekday_href: str | None = None  # flips it; None where it has no meaning
    start: date | None = None  # what is compared with, when something is
    end: date | None = None
    action: str
    hidden: Hidden = ()  # the form sends `compare_from`, `compare_to`


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpi:
    metric: str
    value: Value
    previous: Value = None  # None: nothing to compare with
    selected: bool = False
    href: str  # the page with this metric on the chart
    fragment_href: str  # the same for the main card alone
    approximate: bool = False  # estimated from a sample: written with ≈


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One step of a time series. value None: nothing was collected then (a gap, not zero)."""

    start: datetime
    value: Number | None
    previous: Number | None = None
    previous_start: datetime | None = None
    incomplete: bool = False
    href: str | None = None  # zooms to the bucket
    note: str | None = None  # an annotation: a deploy, a remark


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    metric: str
    interval: Interval
    intervals: tuple[Choice, ...]  # only those valid for the period
    buckets: tuple[Bucket, ...]
    compared: bool = False
    zone: str | None = None  # the project's time zone, for the tooltip
    currency: str | None = None  # of a revenue series, whose bucket values then are in minor units


@dataclass(frozen=True, slots=True, kw_only=True)
class Icon:
    """`flag` (ISO 3166 alpha-2), `brand` (a product's plain name, e.g. `Chrome`), `ui` (name in icons.svg)."""

    kind: Literal["flag", "brand", "ui"]
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of a panel or table. `values` go with the columns of what holds the row."""

    label: str
    values: tuple[Value, ...]
    share: float = 0.0  # 0..1 of the largest row: the bar
    percent: float | None = None  # of all, shown on hover
    href: str | None = None  # adds the filter
    external_href: str | None = None  # opens the page or source itself
    icon: Icon | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A tab. key: a dimension, or `map`, `goals`, `funnels`; `label` where users named it.
    `href` is the page's URL with the tab chosen, `fragment_href` answers with the panel alone."""

    key: str
    href: str
    fragment_href: str
    active: bool = False
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A country on the map."""

    code: str  # ISO 3166 alpha-2
    label: str
    value: int
    percent: float | None = None
    href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelStep:
    label: str
    visitors: int
    rate: float | None  # per cent of those who entered
    dropped: int = 0  # visitors lost since the step before


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    name: str
    steps: tuple[FunnelStep, ...]
    rate: float | None  # conversion of the whole, per cent


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A card below the chart. Exactly one of rows, areas, funnels is shown, chosen by `body`.

    state `lazy` asks for `fragment_href` when it comes into view; `error` offers it as Retry."""

    key: str  # sources, pages, locations, devices, goals; its element is `panel-<key>`
    tabs: tuple[Tab, ...]
    fragment_href: str
    variants: tuple[Tab, ...] = ()  # a second choice inside a tab: the five campaign tags
    body: Literal["rows", "map", "funnels"] = "rows"
    columns: tuple[str, ...] = ("visitors",)
    rows: tuple[Row, ...] = ()
    areas: tuple[Area, ...] = ()
    funnels: tuple[Funnel, ...] = ()
    details_href: str | None = None
    wide: bool = False
    state: Literal["ready", "lazy", "error"] = "ready"
    empty: str = "rows"  # catalogue key under `empty.` for a panel without rows
    sampled: bool = False  # figures are estimates: the head of their columns has ≈
    imported: bool = False  # figures of another product are in it: the head of their columns has †
    empty_href: str | None = None  # what helps: documentation, creating the first goal


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """How to connect a site, and whether its first event has come."""

    domain: str
    origin: str  # the public URL of the appliance, no slash at its end
    script_src: str
    public_key: str
    received_at: datetime | None = None  # of the first event
    dashboard_href: str
    test_action: str | None = None  # POST: sends a test event


# --- pages ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardView:
    """`dashboard/page.html`; the fragment `#dash` is `dashboard/_dash.html`."""

    shell: Shell
    href: str
    chips: tuple[Chip, ...] = ()
    filter_href: str
    clear_href: str
    save: Form | None = None  # keeps the filters as a segment: `name`
    period: PeriodMenu
    compare: CompareMenu
    kpis: tuple[Kpi, ...]
    chart: Chart
    panels: tuple[Panel, ...]
    install: Install | None = None  # given until the first event ever
    empty: bool = False  # no visits in the period
    failed: bool = False  # the figures could not be had: the card says so, with `href` as Retry
    failure: str = ""  # why not, where that is known
    last_days_href: str | None = None  # "Last 30 days" of the empty state
    main_href: str  # answers with `dashboard/_main.html`, the card of figures and chart
    ticking: bool = False  # the period includes now: a `tick` refetches the main card
    csv_href: str | None = None
    reports: tuple[Choice, ...] = ()  # the way to the reports about people
    imported: Literal["included", "left_out"] | None = None  # what became of figures of another product in the period


@dataclass(frozen=True, slots=True, kw_only=True)
class Pager:
    """Keyset paging. `first` and `last` count rows from 1, `total` where it is known."""

    first: int
    last: int
    total: int | None = None
    previous_href: str | None = None
    next_href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRow:
    """An event of the live log. reason is why it was refused or filtered (a catalogue key under `reason.`)."""

    at: datetime
    kind: Literal["pageview", "custom"]
    label: str  # path of a page view, name of another event
    path: str | None = None  # of another event
    accepted: bool = True
    reason: str | None = None
    country: str | None = None  # ISO 3166 alpha-2
    country_name: str | None = None
    source: str | None = None
    browser: str | None = None
    os: str | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """`live/page.html`; the figures alone `live/_now.html`; one line of the log `live/_feed_row.html`."""

    shell: Shell
    now: int
    minutes: tuple[int, ...]  # visitors in each of the last 30 minutes, oldest first
    panels: tuple[Panel, ...]  # pages, sources, countries: rows without tabs, `empty="live"`
    feed: tuple[FeedRow, ...]
    last_visit_at: datetime | None = None
    refresh_href: str
    refused_href: str | None = None
    only: Literal["all", "accepted", "refused"] = "all"
    only_choices: tuple[Choice, ...] = ()
    sides: tuple[Choice, ...] = ()  # visitors, requests; for who may see both


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCard:
    name: str
    href: str
    visitors: int | None  # None: could not be counted
    previous: int | None
    hours: tuple[int | None, ...]  # visitors in each of the last 24 hours, oldest first
    live: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SitesView:
    """`sites.html`."""

    shell: Shell
    cards: tuple[SiteCard, ...]
    create_href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorView:
    """`error.html` for 403, 404, 500 and the like."""

    shell: Shell
    status: int
    parameter: str | None = None  # of the address or form, that is at fault; `detail` says why
    damaged: bool = False  # stored data cannot be read: `detail` says which
    detail: str | None = None
    request_id: str | None = None
    home_href: str = "/"
