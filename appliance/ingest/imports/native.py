"""Native events in files, and our own exports of them, which are the same with more that is known.

An export says of each event its visit and visitor, the rate at which it was kept and its flags. An owner's import takes
them as they are, so that every answer afterwards is what it was. Anybody else's takes the event as if it were sent.
"""

from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec

from appliance.ingest.imports.format import Context, Exact
from appliance.ingest.imports.package import OfVisit
from appliance.ingest.money import minor_units
from appliance.ingest.pipeline import KINDS, Dropped, Rejected, json_object
from appliance.ingest.sent import Sent, SentCampaign, SentRevenue
from appliance.ingest.times import is_kept, read_time
from appliance.model import ACQUISITION_FIELDS, UNSAMPLED, Event, Flag, Kind
from appliance.storage.event_ids import mint

_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62))]
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_FLAGS: Final = {flag.name.lower(): int(flag) for flag in Flag}
_STORED_KINDS: Final = {kind.name.lower(): int(kind) for kind in (Kind.PAGEVIEW, Kind.CUSTOM)}
_TRUE: Final = frozenset(("1", "true", "yes"))


class Line(Sent, gc=False):
    """One event of a file: the native fields, and the columns of an export (docs/api.md, Export)."""

    revenue: SentRevenue | int | float | str | None = None  # type: ignore[assignment]
    interactive: bool | int | str | None = None  # type: ignore[assignment]
    received_at: str | None = None
    visit_id: _Count | None = None
    visit_end: str | None = None
    visit_user_id: str | None = None
    visitor: str | None = None
    salt_day: str | None = None
    hostname: str | None = None
    path: str | None = None
    referrer_source: str | None = None
    channel: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_content: str | None = None
    utm_term: str | None = None
    click_id: str | None = None
    currency: str | None = None
    rate: Annotated[int, msgspec.Meta(ge=1, le=UNSAMPLED)] | None = None
    flags: str | None = None


def meaning(line: Line, context: Context) -> Sent | Exact:
    """What a line says. Raises Rejected, Dropped."""
    if context.honours and line.visit_id is not None and line.visitor:
        return _exact(line, line.visit_id, context)
    revenue, interactive = line.revenue, line.interactive
    if revenue is not None and not isinstance(revenue, SentRevenue):
        line.revenue = SentRevenue(revenue, line.currency)
    if interactive is not None and not isinstance(interactive, bool):
        line.interactive = str(interactive).lower() in _TRUE
    if not line.url and not line.page_url and (line.hostname or line.path):
        line.url = f"//{line.hostname or context.host}{quote(line.path or '/')}"
    if line.campaign is None and (line.utm_source or line.utm_medium or line.utm_campaign):
        line.campaign = SentCampaign(
            line.utm_source, line.utm_medium, line.utm_campaign, line.utm_term, line.utm_content
        )
    return line


def _exact(line: Line, visit: int, context: Context) -> Exact:
    name = line.event or line.event_name or line.name
    if not name:
        raise Rejected("missing", "event", "event: an event needs a name")
    kind = _STORED_KINDS.get(str(line.kind)) if line.kind is not None else KINDS.get(name, int(Kind.CUSTOM))
    if kind is None or kind > Kind.CUSTOM:
        raise Rejected("unknown", "kind", "kind: an export has pageview and custom events")
    time = _time(line.timestamp, "timestamp")
    received = _time(line.received_at, "received_at") if line.received_at else time
    if not is_kept(context.project, time, context.now):
        raise Dropped("not_kept")
    flags = _flags(line.flags or "")
    event_id = "" if line.event_id is None else str(line.event_id)
    if not event_id:
        event_id = mint(time // 1000)
        flags |= Flag.MINTED
    currency = line.currency or ""
    event = Event(
        context.project.id,
        event_id,
        kind,
        name,
        time,
        received,
        _visitor(line.visitor or ""),
        _salt_day(line.salt_day) if line.salt_day else None,
        user_id="" if line.user_id is None else str(line.user_id),
        session_id="" if line.session_id is None else str(line.session_id),
        source=line.source or "",
        hostname=line.hostname or "",
        path=line.path or "",
        title=line.title or "",
        flags=flags,
        rate=line.rate or UNSAMPLED,
        scroll_depth=_number(line.scroll_depth, "scroll_depth", 100),
        engaged_ms=_number(line.engaged_ms, "engaged_ms", 1 << 53),
        revenue=None if line.revenue is None else _money(line.revenue, currency),
        currency=currency,
        properties=json_object(line.properties, "properties"),
    )
    for field in ACQUISITION_FIELDS:
        if text := getattr(line, field):
            setattr(event, field, text)
    for field in _TEXTS:
        if "\0" in (text := getattr(event, field)):
            setattr(event, field, text.replace("\0", ""))
    end = _time(line.visit_end, "visit_end") if line.visit_end else time
    return Exact(event, OfVisit(visit, end, line.visit_user_id or ""))


_TEXTS: Final = ("event_id", "name", "user_id", "session_id", "source", "hostname", "path", "title", "currency",
                 *ACQUISITION_FIELDS)  # fmt: skip


def _time(value: Any, field: str) -> int:
    if value is None:
        raise Rejected("missing", field, f"{field}: it is missing")
    try:
        return read_time(value)
    except ValueError as error:
        raise Rejected("not_a_time", field, f"{field}: {error}") from None


def _visitor(text: str) -> int:
    try:
        if len(text) == 16:
            return int.from_bytes(bytes.fromhex(text), "big", signed=True)
    except ValueError:
        pass
    raise Rejected("malformed", "visitor", "visitor: 16 hexadecimal digits are needed")


@lru_cache(1024)
def _salt_day(text: str) -> int:
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH_DAY
    except ValueError:
        raise Rejected("not_a_date", "salt_day", "salt_day: a date is needed") from None


@lru_cache(256)
def _flags(names: str) -> int:
    found = 0
    for name in names.split():
        if name not in _FLAGS:
            raise Rejected("unknown", "flags", f"flags: there is no flag {name[:40]!r}")
        found |= _FLAGS[name]
    return found


def _number(value: float | None, field: str, most: int) -> int:
    if value is None:
        return 0
    if not 0 <= value <= most:
        raise Rejected("out_of_range", field, f"{field}: it lies between 0 and {most}")
    return round(value)


def _money(amount: Any, currency: str) -> int:
    if isinstance(amount, SentRevenue):
        amount, currency = amount.amount, amount.currency or currency
    try:
        return minor_units(amount, currency or "XXX")  # ISO 4217: no currency
    except ValueError as error:
        raise Rejected("not_money", "revenue", f"revenue: {error}") from None
