"""The records that every layer shares. Times are UTC microseconds since 1970 unless a name says otherwise."""

from enum import IntEnum
from typing import Final, Literal

import msgspec

SiteRole = Literal["owner", "admin", "viewer"]  # what a membership gives in its project
Role = Literal["owner", "admin", "viewer", "member"]
PrivacySignal = Literal["ignore", "rotate", "drop"]
VisitRule = Literal["timeout", "window"]

Strategy = Literal["none", "random", "visitor", "window"]

UNSAMPLED: Final = 1_000_000  # a sampling rate, in parts per million: everything was kept


class Kind(IntEnum):
    """What an event is; only PAGEVIEW and CUSTOM count as events in any figure."""

    PAGEVIEW = 0
    CUSTOM = 1
    ENGAGEMENT = 2
    IDENTIFY = 3
    RESET = 4
    ALIAS = 5


class Flag(IntEnum):
    """Bits of `Event.flags`."""

    PASSIVE = 1  # not interactive: does not end a bounce
    SKEWED = 2  # the client's time was unusable; `time` is the receipt time
    MINTED = 4  # the event id was minted by the server, so it cannot be a duplicate
    BROWSER = 8  # sent by a browser: may re-key an open visit on identify
    IMPORTED = 16
    BY_VISITOR = 32  # sampled by visitor: all events of one who was kept were kept, at `Event.rate`


class Sampling(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many of some events are kept, and what decides which: chance, who the visitor is, or the time (one stretch of
    every period). `rate` is in parts per million; without a strategy all are kept."""

    strategy: Strategy = "none"
    rate: int = UNSAMPLED
    period_seconds: int = 600  # of a time window


class SamplingRule(msgspec.Struct, frozen=True):
    """Sampling of the events whose names match; `*` in the pattern stands for anything."""

    pattern: str
    sampling: Sampling


class ProjectSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an operator may change about a project.

    `visit_rule` window: a visitor's events in the same stretch of `visit_window_minutes`, counted from 1970, are a
    visit, whatever the pauses.
    """

    visit_timeout_seconds: int = 1800
    visit_rule: VisitRule = "timeout"
    visit_window_minutes: int = 60
    origins: tuple[str, ...] = ("*",)
    privacy_signal: PrivacySignal = "rotate"
    hash_routing: bool = False
    trust_stated_address: bool = True
    drop_bots: bool = True
    drop_data_centres: bool = True  # where the operator has given their addresses
    drop_referrer_spam: bool = True
    deduplication_days: int = 7
    rate_limit: int | None = None  # requests in 10 seconds, 0: any number; None: as the appliance's setting says
    quota_events_month: int = 0  # accepted events in a local calendar month; 0: any number
    sampling: Sampling = Sampling()
    sampling_rules: tuple[SamplingRule, ...] = ()  # over `sampling` and that of sources; the last match wins
    raw_retention_days: int = 0  # visits and events are kept for so many whole days; 0: for ever


class Project(msgspec.Struct, frozen=True):
    """A tracked site or app. `id` is internal and small; `public_id` (a UUID) is what the outside sees."""

    id: int
    public_id: str
    name: str
    domains: tuple[str, ...]
    timezone: str
    currency: str
    settings: ProjectSettings
    created_at: int
    updated_at: int
    raw_purged_before: int | None = None  # what ended before may be gone: as it was when the record was last changed


class SourceSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What differs for one source of a project."""

    off: bool = False  # its events are dropped
    sampling: Sampling | None = None  # None: as the project's


class Source(msgspec.Struct, frozen=True):
    """Where in a project events come from. `seen_at` is, to the day, when the last one was received."""

    id: int
    project_id: int
    name: str
    description: str
    settings: SourceSettings
    created_at: int
    seen_at: int


class Key(msgspec.Struct, frozen=True):
    """An API key. A public key's `token` is stored as it is; a private key only by its hash. One that was replaced
    holds until `expires_at`."""

    id: int
    project_id: int
    kind: Literal["public", "private"]
    name: str
    prefix: str
    token: str | None
    scopes: tuple[str, ...]
    created_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None
    expires_at: int | None = None

    def holds(self, at: int) -> bool:
        """Whether it may be used at that time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class Account(msgspec.Struct, frozen=True):
    """Somebody who can log in. `role` holds for the whole appliance; memberships narrow a viewer to projects, and are
    all that a member has."""

    id: int
    email: str
    name: str
    role: Role
    created_at: int


class Event(msgspec.Struct, array_like=True, gc=False):
    """One enriched event as the journal carries it: nothing about it is left to chance or to the clock.

    `visitor` is a signed 64-bit keyed hash. `visitor_yesterday` is the rotating id of the day before, present only
    within one visit timeout after local midnight. `anonymous` is the visitor that a client-held anonymous id gives,
    present when the event also has a user id. Of an alias they are the two whom the former id may stand for, a user
    and an anonymous client. `rate` is the sampling rate in parts per million.
    `pageview_id` of engagement is the id of its page view, or a name that its page view has in `pageview_id` too, where
    the client knows no ids (ingest/page_names.py). `pageview_id_yesterday` is what that name was the day before,
    present within one visit timeout after local midnight. `revenue` is in minor units of `currency`. `properties`,
    `traits` and `traits_once` are JSON text, '' when there are none.
    """

    project_id: int
    event_id: str
    kind: int
    name: str
    time: int
    received: int
    visitor: int
    salt_day: int | None  # days since 1970 in project time; None: persistent visitor
    visitor_yesterday: int | None = None
    anonymous: int | None = None
    user_id: str = ""
    session_id: str = ""
    source: str = ""
    hostname: str = ""
    path: str = ""
    title: str = ""
    referrer: str = ""
    referrer_source: str = ""
    channel: str = ""
    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_content: str = ""
    utm_term: str = ""
    click_id: str = ""
    country: str = ""
    region: str = ""
    city: str = ""
    browser: str = ""
    browser_version: str = ""
    os: str = ""
    os_version: str = ""
    device: str = ""
    language: str = ""
    screen: str = ""
    flags: int = 0
    rate: int = UNSAMPLED
    pageview_id: str = ""
    scroll_depth: int = 0
    engaged_ms: int = 0
    revenue: int | None = None
    currency: str = ""
    properties: str = ""
    traits: str = ""
    traits_once: str = ""  # what is not known of the user yet
    pageview_id_yesterday: str = ""


# The values that a visit takes from its first stored event and never changes (SEMANTICS, Visits).
ACQUISITION_FIELDS = (
    "referrer",
    "referrer_source",
    "channel",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "click_id",
    "country",
    "region",
    "city",
    "browser",
    "browser_version",
    "os",
    "os_version",
    "device",
    "language",
    "screen",
)


class Visit(msgspec.Struct, gc=False):
    """A visitor's run of events. Text values are dictionary codes (0 is the empty text).

    `entry_at` and `exit_at` are the times of the entry and exit pageview, None without a pageview.
    `interactive` counts interactive events that are not pageviews, so a bounce is `pageviews == 1 and not interactive`.
    `rate` is the rate at which the visitor was kept: that of the first stored event where it is BY_VISITOR.
    `first` holds the codes of ACQUISITION_FIELDS in that order.
    """

    id: int
    project_id: int
    visitor: int
    salt_day: int | None
    user: int
    session_id: str
    start: int
    end: int
    entry_at: int | None
    exit_at: int | None
    entry_path: int
    entry_hostname: int
    exit_path: int
    exit_hostname: int
    pageviews: int
    events: int
    interactive: int
    rate: int
    first: tuple[int, ...]
