"""What the pages need that say what is taken and what is not: filters, refused events, addresses. See `views.py`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from appliance.web.views import Hidden, Icon, Pager, Shell
from appliance.web.views_admin import Nav, Options
from appliance.web.views_forms import Form
from appliance.web.views_requests import AddressNote


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredReason:
    """Why events were filtered or refused, how many in the last 48 hours, and the list of these alone."""

    reason: str
    count: int
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """A project's own rule. kind: a key under `rule.kind.`; `filtered` in the last 48 hours, of which `kept` can be let
    in; of one that was taken back, `removed_at`."""

    kind: str
    value: str
    label: str = ""  # of a country
    icon: Icon | None = None
    note: str
    author: str
    created_at: datetime
    removed_at: datetime | None = None
    filtered: int
    kept: int
    href: str
    take_back_action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCentreList:
    """What is known of the operator's list of data centres; error: why the file as it is now is not used."""

    networks: int
    read_at: datetime
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FiltersView:
    """`admin/filters.html`. Fields of `form`: kind, value, note; of `switches`: drop_bots, drop_data_centres,
    drop_referrer_spam."""

    shell: Shell
    nav: Nav
    reasons: tuple[FilteredReason, ...]
    refused_href: str
    switches: Form
    data_centres: DataCentreList | None  # None: none is set up
    rules: tuple[RuleRow, ...]
    taken_back: tuple[RuleRow, ...]
    form: Form
    kinds: tuple[str, ...]
    countries: Options = ()
    own_address: str  # as it would be left out: an address, or the network of an IPv6 one
    own_action: str | None  # None: it is left out already, or everybody seems to have it
    own_is_out: bool = False
    address_note: AddressNote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """An event that was filtered (dropped) or refused. state: `kept` can be let in, `gone` no more, `let_in` was."""

    at: datetime
    verdict: Literal["dropped", "rejected"]
    reason: str
    rule: str = ""  # the value of the project's own rule that filtered it
    message: str = ""
    name: str = ""
    page: str = ""
    dialect: str = ""
    times: int = 1  # how many it stands for
    state: Literal["", "kept", "gone", "let_in"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetInForm:
    """Lets in what the list shows, all pages of it: `kept` events; `gone` are not there any more."""

    action: str
    kept: int
    gone: int
    hidden: Hidden


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedView:
    """`admin/refused.html`: what was filtered or refused in the last 48 hours, without addresses."""

    shell: Shell
    nav: Nav
    rows: tuple[RefusedRow, ...]
    reasons: tuple[FilteredReason, ...]
    reason: str = ""  # the chosen one; empty: all
    all_href: str
    rule: str = ""  # the value of the chosen rule
    search: str = ""
    search_action: str
    hidden: Hidden = ()
    let_in: LetInForm | None = None
    filters_href: str | None = None
    pager: Pager | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressView:
    """`admin/address.html`: how this very request came, and what that says. headers: of proxies, that came with it."""

    shell: Shell
    nav: Nav
    address: str
    country: str
    country_name: str
    peer: str
    headers: tuple[tuple[str, str], ...]
    believed: bool
    advice: str
    hides: bool
    setting: str  # to copy; empty where there is nothing to set
    trusted: tuple[str, ...]  # as it is set
    requests: int  # of browsers, looked at
    addresses: int  # they came from
