"""What the pages of a dimension's values need, as plain values: details and the filter form. See `views.py`."""

from dataclasses import dataclass
from typing import Literal

from appliance.web.views import Chip, Choice, Hidden, Icon, Pager, PeriodMenu, Row, Shell, Tab


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the details table; `sort_href` orders by it, `sorted` says it is. metric: `value` is the first."""

    metric: str
    sort_href: str
    sorted: Literal["ascending", "descending"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailsView:
    """`details/page.html`; in the dialog `details/_dialog.html`, its table alone `details/_table.html`."""

    shell: Shell
    dimension: str
    period: PeriodMenu
    chips: tuple[Chip, ...] = ()
    variants: tuple[Tab, ...] = ()
    value_column: Column | None = None  # the head of the first column; None: the values are not ordered by
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    search: str = ""
    search_action: str
    hidden: Hidden = ()
    pager: Pager
    csv_href: str | None = None
    close_href: str  # the dashboard behind
    sampled: bool = False  # figures are estimates
    imported: bool = False  # figures of another product are in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    value: str
    label: str
    count: int | None = None  # None is not shown
    checked: bool = False
    icon: Icon | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterView:
    """`filter/page.html`, in the dialog `filter/_dialog.html`, suggestions alone `filter/_values.html`.

    The form sends `dimension`, `op`, each ticked `value`, and `text` to `apply_action` (GET), which redirects
    to the dashboard with the filter added in place of `replaces`, or asks for suggestions at `values_href`."""

    shell: Shell
    dimensions: tuple[Choice, ...]
    properties: tuple[Choice, ...] = ()  # custom ones, a group of their own
    dimension: str
    operators: tuple[str, ...]
    operator: str
    suggestions: tuple[Suggestion, ...]
    text: str = ""
    error: str = ""  # what is wrong with it
    free: bool = True  # a text that no value matches stands for itself
    apply_action: str
    values_href: str
    hidden: Hidden = ()
    close_href: str
    report: str = ""  # what it leads back to, under `report.` of the catalogue; empty: the dashboard
