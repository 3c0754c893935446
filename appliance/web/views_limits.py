"""What the pages of a site's limits, sampling and sources need, as plain values. See `views_admin.py`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from appliance.web.views import Shell
from appliance.web.views_admin import Nav
from appliance.web.views_forms import Form

STRATEGIES: Final = ("none", "random", "visitor", "window")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsView:
    """`admin/limits.html`. Fields: rate_limit, quota_events_month; either may be empty.

    `used` is what was accepted in the month that has `month`; `share` of the quota, in per cent, None without one."""

    shell: Shell
    nav: Nav
    form: Form
    rate_limit_default: int  # requests in ten seconds; 0: any number
    used: int
    month: datetime
    quota: int = 0
    share: int | None = None
    level: Literal["ok", "warn", "error"] = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFields:
    """A rule as it stands in the form."""

    pattern: str = ""
    strategy: str = "random"
    percent: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingView:
    """`admin/sampling.html`. Fields: strategy, percent, period; of each rule pattern, rule_strategy, rule_percent."""

    shell: Shell
    nav: Nav
    form: Form
    rules: tuple[RuleFields, ...]
    offered: tuple[str, ...] = ()  # names of events
    strategies: tuple[str, ...] = STRATEGIES


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """`events` are those of the last 30 days, None where they could not be counted. `strategy` is '' for a source that
    is sampled as its site is."""

    name: str
    description: str
    href: str
    seen_at: datetime
    events: int | None = None
    off: bool = False
    strategy: str = ""
    percent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesView:
    """`admin/sources.html`."""

    shell: Shell
    nav: Nav
    rows: tuple[SourceRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """`admin/source.html`. Fields: description, the switch take, strategy ('project' for none of its own), percent,
    period."""

    shell: Shell
    nav: Nav
    name: str
    created_at: datetime
    form: Form
    back_href: str
    strategies: tuple[str, ...] = ("project", *STRATEGIES)
