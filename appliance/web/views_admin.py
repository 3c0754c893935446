"""What the pages of set-up, settings and administration need: forms, tables and figures. See `views.py`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from appliance.web.formats import Number
from appliance.web.views import Choice, Hidden, Icon, Install, Pager, Shell
from appliance.web.views_forms import Form
from appliance.web.views_requests import AddressNote, RequestRow

Options = tuple[tuple[str, str], ...]  # pairs of value and label


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """A destructive action: posted to `action` once `phrase` (the domain, the e-mail) was typed as `confirm`."""

    action: str
    phrase: str
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nav:
    """The side of settings and administration: groups of pages, each named under `nav.` in the catalogue."""

    heading: str  # the site's name, or a catalogue text for the appliance
    groups: tuple[tuple[Choice, ...], ...]


# --- before anybody is signed in --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginView:
    """`login.html`. Fields: email, password; with `second_factor` a code."""

    shell: Shell
    form: Form
    second_factor: bool = False
    next: str = ""
    oidc_href: str | None = None
    oidc_name: str = ""
    register_href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterView:
    """`register.html`. Fields: name, email, password."""

    shell: Shell
    form: Form
    login_href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupView:
    """`setup/page.html`. Fields: account: token, name, email, password; site: domain, timezone, currency."""

    shell: Shell
    step: Literal["account", "site", "install"]
    form: Form | None = None  # of the first two steps
    token_needed: bool = False
    timezones: Options = ()
    currencies: Options = ()
    install: Install | None = None
    address: AddressNote | None = None  # that visitors' addresses seem to be hidden


# --- a project's settings ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRow:
    name: str
    domains: tuple[str, ...]
    href: str
    settings_href: str
    events: int | None = None  # last 30 days
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectsView:
    """`admin/projects.html`."""

    shell: Shell
    nav: Nav
    rows: tuple[ProjectRow, ...]
    create_href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectView:
    """`admin/project.html`, for a new project and a known one.

    Fields: name, domains, timezone, currency; of a known one also origins, visit_timeout_minutes,
    privacy_signal (ignore, rotate, drop), and the switches hash_routing, trust_stated_address."""

    shell: Shell
    nav: Nav | None = None
    form: Form
    new: bool = False
    timezones: Options = ()
    currencies: Options = ()
    install: Install | None = None
    delete: Confirm | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    name: str
    kind: Literal["public", "private"]
    shown: str  # the whole public key, or the prefix of a private one
    scopes: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    expires_at: datetime | None = None  # of one that was replaced
    expired: bool = False
    revoke_action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysView:
    """`admin/keys.html`. Fields: name, kind (public, private), scopes; of `replace`: key, grace."""

    shell: Shell
    nav: Nav
    rows: tuple[KeyRow, ...]
    form: Form
    replace: Form
    replaceable: Options = ()
    graces: Options = ()
    scopes: tuple[str, ...] = ("send", "read", "manage")
    created: str | None = None  # the key just made: shown this once
    created_kind: Literal["public", "private"] = "private"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalRow:
    """A goal; what it does not ask for is ''. href is the dashboard of those who reached it."""

    name: str
    kind: Literal["event", "page"]
    pattern: str
    property: str = ""
    value: str = ""
    currency: str = ""
    href: str
    delete_action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalsView:
    """`admin/goals.html`. Fields: kind (event, page), pattern, name, property, value, currency."""

    shell: Shell
    nav: Nav
    rows: tuple[GoalRow, ...]
    form: Form
    currencies: Options = ()
    offered: tuple[str, ...] = ()  # names of events and paths of pages


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """A saved segment. `filters` says in words what it stands for, or why it cannot be asked any more."""

    id: int
    name: str
    filters: str
    broken: bool = False
    href: str  # the dashboard under it
    rename: Form
    delete_action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentsView:
    """`admin/segments.html`."""

    shell: Shell
    nav: Nav
    rows: tuple[SegmentRow, ...]
    dashboard_href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportView:
    """`admin/export.html`. A GET form: dataset, format, from, to; it answers with the file."""

    shell: Shell
    nav: Nav
    form: Form
    datasets: tuple[str, ...] = ("events", "visits", "users", "report")
    file_formats: tuple[str, ...] = ("csv", "ndjson", "parquet")
    hidden: Hidden = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """dropped: reasons with how often, the most frequent first. faults: lines with why they were refused. percent: how
    much of the file is read, None once it ended. days: of the events, first and last. stalled: nobody has worked on it
    for a while. stop_action, forget_action: where that is possible."""

    name: str
    file_format: str
    state: Literal["waiting", "running", "done", "stopped", "failed"]
    at: datetime
    stored: int
    duplicates: int = 0
    refused: int = 0
    dropped: tuple[tuple[str, int], ...] = ()
    faults: tuple[tuple[int, str], ...] = ()
    percent: int | None = None
    days: tuple[str, str] | None = None
    error: str = ""
    stalled: bool = False
    stop_action: str | None = None
    forget_action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportsView:
    """`admin/imports.html`: files to import, and what became of those before. `refresh_href`: where the list is asked
    for again while something goes on; the form sends a file, its format and the source of its events."""

    shell: Shell
    nav: Nav
    rows: tuple[ImportRow, ...]
    form: Form
    file_formats: tuple[tuple[str, str], ...]
    refresh_href: str | None = None


# --- the appliance ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    name: str
    email: str
    role: str
    created_at: datetime
    seen_at: datetime | None = None
    second_factor: bool = False
    you: bool = False
    role_action: str | None = None  # POST role
    remove_action: str | None = None
    sites: int | None = None  # that they are confined to, None where they see all
    access_href: str | None = None  # where that is changed


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRow:
    """A site that somebody was given."""

    site: str  # public id
    label: str
    href: str
    role: str
    may_change: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessView:
    """`admin/access.html`. Fields: site, role."""

    shell: Shell
    nav: Nav
    back_href: str
    name: str
    email: str
    role: str
    rows: tuple[AccessRow, ...] = ()
    form: Form
    sites: tuple[tuple[str, str], ...] = ()  # to be given: public id, label
    roles: tuple[str, ...] = ("owner", "admin", "viewer")
    take_action: str
    all_action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersView:
    """`admin/users.html`. Fields: name, email, password, role."""

    shell: Shell
    nav: Nav
    rows: tuple[UserRow, ...]
    form: Form
    roles: tuple[str, ...] = ("owner", "admin", "viewer", "member")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    agent: str  # "Firefox on Linux"
    icon: Icon | None = None
    seen_at: datetime
    current: bool = False
    end_action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """`admin/account.html`. Fields: current_password, password."""

    shell: Shell
    nav: Nav | None = None
    form: Form
    sessions: tuple[SessionRow, ...] = ()
    sign_out_everywhere_action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A figure of system health. key names it; kind says how it is written; `limit` gives it a meter."""

    key: str
    value: Number | None
    kind: Literal["count", "rate", "bytes", "seconds", "text"] = "count"
    limit: Number | None = None
    level: Literal["ok", "warn", "error"] = "ok"
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """`admin/health.html`; its figures alone `admin/_health.html`."""

    shell: Shell
    nav: Nav
    ready: bool
    faults: tuple[str, ...] = ()  # sentences; what is not ready
    gauges: tuple[Gauge, ...]
    throughput: tuple[int, ...]  # events stored in each of the last 60 minutes, oldest first
    dropped: tuple[tuple[str, int], ...]  # reason, count since start
    facts: tuple[tuple[str, str], ...]  # catalogue key under `health.fact.`, text
    unnamed: tuple[RequestRow, ...] | None = None  # the newest requests that name no site; None: not for this account
    unnamed_href: str = ""
    refresh_href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterRow:
    """`name` is '' where the record cannot be read; `waiting`: it is about to be stored again."""

    id: int
    at: datetime
    site: str
    name: str
    page: str
    error: str
    waiting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettersView:
    """`admin/dead_letters.html`. The forms post `letter`, an id or '' for all, to one of the actions."""

    shell: Shell
    nav: Nav
    rows: tuple[DeadLetterRow, ...]
    retry_action: str
    delete_action: str
    older_href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    at: datetime
    who: str
    action: str  # a sentence
    subject: str = ""
    network: str = ""  # at most /24 or /48


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """`admin/audit.html`."""

    shell: Shell
    nav: Nav
    rows: tuple[AuditRow, ...]
    pager: Pager | None = None
