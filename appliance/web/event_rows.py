"""The event log as its pages show it: the lines, and the addresses of its pages."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from appliance.ingest.geo import country_name
from appliance.model import Project
from appliance.queries.event_log import Cursor, Entry, Sent
from appliance.queries.metrics import Money
from appliance.storage.dimensions import DIRECT
from appliance.web import formats, urls
from appliance.web.dashboard_state import State
from appliance.web.report_page import bad
from appliance.web.shell import moment
from appliance.web.views_reports import LogRow, VisitHead


def read_cursor(query: Mapping[str, str], name: str = "before") -> Cursor | None:
    """`<time>.<id>`: the event that a page of the log comes after. Raises Invalid with status 400."""
    text = query.get(name)
    if not text:
        return None
    time, dot, id_ = text.partition(".")
    try:
        if not dot or not text.isascii() or max(len(time), len(id_)) > 18:
            raise ValueError
        return Cursor(int(time), int(id_))
    except ValueError:
        raise bad(name, "an event is named by time.id") from None


def written(cursor: Cursor) -> str:
    """What `read_cursor` reads."""
    return f"{cursor.time}.{cursor.id}"


def rows(state: State, entries: Sequence[Entry], sent: Mapping[int, Sent]) -> tuple[LogRow, ...]:
    """The lines of a page. An event that is not in `sent` leads to a page of its own for it."""
    before: list[int | None] = [None, *(entry.visit_id for entry in entries)]
    return tuple(
        _row(state, entry, sent.get(entry.id), new_visit=entry.visit_id != last)
        for entry, last in zip(entries, before, strict=False)
    )


def user_href(state: State, user: str) -> str:
    """The page of a user, with the dashboard's period and filters."""
    return state.href(urls.user(state.project), ("user", user))


def shown(value: Any) -> str:
    """A value of a property or trait as text: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _row(state: State, entry: Entry, sent: Sent | None, *, new_visit: bool) -> LogRow:
    project: Project = state.project
    return LogRow(
        at=moment(entry.time, project.timezone),
        is_pageview=entry.is_pageview,
        label=entry.path or "/" if entry.is_pageview else entry.name,
        path="" if entry.is_pageview else entry.path,
        user=entry.user,
        user_href=user_href(state, entry.user) if entry.user else None,
        visit=VisitHead(
            source=entry.source or DIRECT,
            country=entry.country,
            country_name=country_name(entry.country) if entry.country else "",
            browser=entry.browser,
            os=entry.os,
            device=entry.device,
        ),
        new_visit=new_visit,
        sent_href=state.href(urls.event(project), ("at", written(entry.cursor))) if sent is None else None,
        facts=tuple((key, value) for key, value in _facts(entry, sent) if value),
        properties=tuple((name, shown(value)) for name, value in sent.properties.items()) if sent is not None else (),
    )


def _facts(entry: Entry, sent: Sent | None) -> list[tuple[str, str]]:
    facts = [
        ("name", entry.name),
        ("title", entry.title),
        ("hostname", entry.hostname),
        ("path", entry.path),
        ("user", entry.user),
    ]
    if sent is not None:
        revenue = Money(sent.revenue, sent.currency) if sent.revenue is not None else None
        facts += [
            ("sender", sent.source),
            ("revenue", formats.money(revenue) if revenue is not None else ""),
            ("scroll_depth", formats.percent(sent.scroll_depth) if sent.scroll_depth else ""),
            ("engaged", formats.duration(sent.engaged_ms / 1000) if sent.engaged_ms else ""),
        ]
    return facts
