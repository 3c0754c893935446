"""What the live page and its stream show of stored and refused events."""

from collections.abc import Sequence

from appliance.ingest.geo import country_name
from appliance.ingest.presence import Now
from appliance.ingest.progress import FeedItem
from appliance.ingest.refusals import Refusal
from appliance.model import Kind, Project
from appliance.web import urls
from appliance.web.shell import moment
from appliance.web.strings import text
from appliance.web.views import FeedRow, Icon, Panel, Row

FEED_MAX = 50


def accepted_row(item: FeedItem, zone: str) -> FeedRow:
    """A stored event as a line of the log."""
    pageview = item.kind == Kind.PAGEVIEW
    return FeedRow(
        at=moment(item.time, zone),
        kind="pageview" if pageview else "custom",
        label=item.path or "/" if pageview else item.name,
        path=None if pageview else item.path or None,
        country=item.country or None,
        country_name=country_name(item.country) or None,
        source=item.source or None,
        browser=item.browser or None,
        os=item.os or None,
        device=item.device or None,
    )


def refused_row(refusal: Refusal, zone: str) -> FeedRow:
    """A filtered or refused event as a line of the log, with the reason."""
    pageview = refusal.name in ("", "pageview")
    return FeedRow(
        at=moment(refusal.at, zone),
        kind="pageview" if pageview else "custom",
        label=(refusal.page or refusal.message or refusal.dialect) if pageview else refusal.name,
        path=None if pageview else refusal.page or None,
        accepted=False,
        reason=refusal.reason,
    )


def rows(items: Sequence[FeedItem], refusals: Sequence[Refusal], zone: str) -> tuple[FeedRow, ...]:
    """Both kinds together, newest first."""
    every = [accepted_row(item, zone) for item in items] + [refused_row(refusal, zone) for refusal in refusals]
    return tuple(sorted(every, key=lambda row: row.at, reverse=True)[:FEED_MAX])


def now_panels(project: Project, now: Now) -> tuple[Panel, ...]:
    """Pages, sources and countries of the people who are there."""
    fragment = urls.live_now(project)

    def panel(key: str, found: Sequence[tuple[str, int]], line: "type[_Line]") -> Panel:
        most = max((number for _, number in found), default=1)
        lines = tuple(
            Row(label=line.label(value), values=(number,), share=number / most, icon=line.icon(value))
            for value, number in found
        )
        return Panel(key=key, tabs=(), fragment_href=fragment, rows=lines, empty="live")

    return (
        panel("pages", now.pages, _Line),
        panel("sources", now.sources, _SourceLine),
        panel("countries", now.countries, _CountryLine),
    )


class _Line:
    @staticmethod
    def label(value: str) -> str:
        return value

    @staticmethod
    def icon(value: str) -> Icon | None:
        return None


class _SourceLine(_Line):
    @staticmethod
    def label(value: str) -> str:
        return value or text("value.direct")

    @staticmethod
    def icon(value: str) -> Icon | None:
        return Icon(kind="brand", code=value) if value else Icon(kind="ui", code="arrow-right")


class _CountryLine(_Line):
    @staticmethod
    def label(value: str) -> str:
        return country_name(value) or value

    @staticmethod
    def icon(value: str) -> Icon | None:
        return Icon(kind="flag", code=value)
