"""Plausible's archive: a CSV file for each of its tables, with what each day added up to (PROTOCOLS, part 3)."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from appliance.ingest.imports.archive import MEMBER_MARK
from appliance.ingest.imports.format import Context, Format, Head, Reader
from appliance.ingest.pipeline import Dropped, Rejected
from appliance.storage.imported_figures import Figure

_MEMBER: Final = re.compile(r"imported_(\w+?)_\d{8}_\d{8}\.csv")
_EPOCH: Final = date(1970, 1, 1).toordinal()
_VALUE_CHARACTERS_MAX: Final = 500
_NUMBERS: Final = {
    "visitors": "visitors", "visits": "visits", "pageviews": "pageviews", "events": "events", "bounces": "bounces",
    "visit_duration": "seconds", "entrances": "visits", "exits": "visits",
}  # fmt: skip
_NOTHING: Final = frozenset(("(not set)", "(none)", "Direct / None"))
_SYSTEMS: Final = {"Mac": "macOS", "GNU/Linux": "Linux", "Chrome OS": "ChromeOS"}
_DEVICES: Final = {"Laptop": "Desktop", "Ultra-wide": "Desktop"}

Cells = Mapping[str, str]


class _Table(NamedTuple):
    """`columns` by dimension; `more` gives figures beside those of the columns."""

    columns: Mapping[str, str]
    more: Callable[[Figure, Cells], list[Figure]] = lambda figure, cells: []


def _everybody(figure: Figure, cells: Cells) -> list[Figure]:
    """The day's sums; each of its page views is an event."""
    views = figure.pageviews
    totals = Figure(figure.day, "", "", figure.visitors, figure.visits, views, views, figure.bounces, figure.seconds)
    return [totals, Figure(figure.day, "event:name", "pageview", figure.visitors, pageviews=views, events=views)]


def _events(figure: Figure, cells: Cells) -> list[Figure]:
    return [Figure(figure.day, "", "", events=figure.events)]


def _property(figure: Figure, cells: Cells) -> list[Figure]:
    name = _plain(cells.get("property", ""))
    if not name:
        return []
    value = cells.get("value", "")
    return [Figure(figure.day, f"event:props:{name}", _plain(value), figure.visitors, events=figure.events)]


_TABLES: Final = {
    "visitors": _Table({}, _everybody),
    "sources": _Table(
        {
            "visit:source": "source", "visit:referrer": "referrer", "visit:channel": "channel",
            "visit:utm_source": "utm_source", "visit:utm_medium": "utm_medium", "visit:utm_campaign": "utm_campaign",
            "visit:utm_content": "utm_content", "visit:utm_term": "utm_term",
        }
    ),
    "pages": _Table({"event:page": "page"}),
    "entry_pages": _Table({"visit:entry_page": "entry_page"}),
    "exit_pages": _Table({"visit:exit_page": "exit_page"}),
    "custom_events": _Table({"event:name": "name"}, _events),
    "custom_props": _Table({}, _property),
    "locations": _Table({"visit:country": "country", "visit:region": "region"}),
    "devices": _Table({"visit:device": "device"}),
    "browsers": _Table({"visit:browser": "browser"}),
    "operating_systems": _Table({"visit:os": "operating_system"}),
}  # fmt: skip
_WORDS: Final = {"visit:os": _SYSTEMS, "visit:device": _DEVICES}


def _recognises(head: Head) -> bool:
    return bool(head.lines) and head.lines[0].startswith(f"{MEMBER_MARK}imported_")


def _reader(head: Head, context: Context) -> Reader:
    table: _Table | None = None
    columns: list[str] | None = None

    def read(row: list[str]) -> list[Figure] | None:
        nonlocal table, columns
        if row[0].startswith(MEMBER_MARK):
            member = _MEMBER.fullmatch(row[0].removeprefix(MEMBER_MARK))
            table, columns = _TABLES.get(member[1]) if member is not None else None, None
            return None
        if columns is None:
            columns = row
            return None
        if table is None:
            raise Dropped("unknown_table")
        cells = dict(zip(columns, row, strict=False))
        day = _day(cells.get("date", ""))
        if context.first_day is not None and day >= context.first_day:
            raise Dropped("overlap")
        counted = Figure(day, "", "")
        for column, name in _NUMBERS.items():
            if column in cells:
                setattr(counted, name, _number(cells[column], column))
        found = table.more(counted, cells)
        for dimension, column in table.columns.items():
            if column in cells:
                value = _plain(cells[column])
                found.append(_of(counted, dimension, _WORDS.get(dimension, {}).get(value, value)))
        return found

    return read


def _of(counted: Figure, dimension: str, value: str) -> Figure:
    """The row's figures for one of its values. Where events are not told, there are as many as page views at least."""
    events = counted.events or counted.pageviews
    return Figure(
        counted.day, dimension, value, counted.visitors, counted.visits, counted.pageviews, events, counted.bounces,
        counted.seconds,
    )  # fmt: skip


def _plain(text: str) -> str:
    text = text.replace("\0", "")[:_VALUE_CHARACTERS_MAX]
    return "" if text in _NOTHING else text


@lru_cache(4096)
def _day(text: str) -> int:
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH
    except ValueError:
        raise Rejected("not_a_date", "date", "date: a date is needed") from None


def _number(text: str, column: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Rejected("wrong_type", column, f"{column}: a whole number is needed")
    return int(text)


FORMAT: Final = Format("plausible", "Plausible's archive of CSV files", "csv", _recognises, _reader, from_start=True)
