"""An event as a client sent it, before anything was checked. Dialects translate their wire format into this.

It is the native wire format as well (PROTOCOLS, Native), so the commonest requests need no translation: `event_name`,
`name`, `event_source`, `distinct_id` and `page_url` are its aliases, which `pipeline` reads when the first name is
absent. Types are as wide as real clients need; what a value means is decided in the pipeline.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

Text = str | None
Scalar = str | int | float | None


class SentRevenue(msgspec.Struct, gc=False):
    """Money in units of the currency: 12.5 or "12.50"."""

    amount: Scalar = None
    currency: Text = None


class SentCampaign(msgspec.Struct, gc=False):
    """Campaign tags that do not stand in the URL; those of the URL go before."""

    source: Text = None
    medium: Text = None
    name: Text = None
    term: Text = None
    content: Text = None


class Sent(msgspec.Struct, gc=False):
    """One event. `timestamp` is ISO 8601 or an epoch; `sample` is a rate above 0 up to 1 for the server to apply;
    `hostname` counts where there is no URL; `pageview_id`, `scroll_depth` (percent) and `engaged_ms` belong to events
    named engagement.

    `kind` is pageview, custom, engagement, identify, reset or alias; without it the name says which, except alias.
    `traits_once` are those that nothing is known of yet. `browser` to `city` are what an app or a server says of the
    visitor where no agent or address does.
    """

    event: Text = None
    event_name: Text = None
    name: Text = None
    kind: Scalar = None
    event_id: Scalar = None
    source: Text = None
    event_source: Text = None
    user_id: Scalar = None
    distinct_id: Scalar = None
    anonymous_id: Scalar = None
    previous_id: Scalar = None
    session_id: Scalar = None
    timestamp: Scalar = None
    url: Text = None
    page_url: Text = None
    hostname: Text = None
    title: Text = None
    referrer: Text = None
    properties: msgspec.Raw = msgspec.Raw()  # a dict from a dialect that had to look into them
    traits: msgspec.Raw = msgspec.Raw()
    traits_once: msgspec.Raw = msgspec.Raw()
    screen: Text = None
    language: Text = None
    timezone: Text = None
    campaign: SentCampaign | None = None
    browser: Text = None
    browser_version: Text = None
    os: Text = None
    os_version: Text = None
    device: Text = None
    country: Text = None
    region: Text = None
    city: Text = None
    revenue: SentRevenue | None = None
    sample: float | None = None
    interactive: bool | None = None
    hash: bool | None = None
    automation: bool | None = None
    ip: Text = None
    user_agent: Text = None
    pageview_id: Scalar = None
    scroll_depth: float | None = None
    engaged_ms: float | None = None


class Rejection(msgspec.Struct, gc=False, omit_defaults=True):
    """Why one event of a request was not taken: it is wrong, and the client can mend it."""

    index: int
    code: str
    message: str
    field: str | None = None


class Drop(msgspec.Struct, gc=False):
    """Why one event of a request was not kept although nothing is wrong with it: filtered or sampled out."""

    index: int
    reason: str


class Decoded(msgspec.Struct, gc=False):
    """What a dialect found in a request. `events` keeps the places of events that could not even be decoded.

    `key` and `domain` are what the dialect's body or query says of the project; headers are read by admission.
    `sent_at` is the client's clock when it sent the request, for the correction of its skew. In the outcome events are
    numbered through: these first, then those of `others`.
    """

    events: list[Sent | Rejection]
    single: bool
    key: str = ""
    project: str = ""
    domain: str = ""
    sent_at: Scalar = None
    browser: bool = False  # the dialect is only ever spoken by browsers
    takes_default: bool = False  # without a key its events are the default project's (APPLIANCE_DEFAULT_PROJECT)
    all_or_nothing: bool = False  # where one event is rejected, none is taken
    engagement_by_page: bool = False  # its engagement belongs to the visitor's newest page view of the same page
    others: "Sequence[Decoded]" = ()  # events of the same request for other projects
    same_events: bool = False  # those of `others` are these
    context: Any = None  # what the dialect's answer needs
