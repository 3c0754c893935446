"""What a format is: how its files begin, and what a record says."""

import csv
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from appliance.ingest.imports.package import OfVisit
from appliance.ingest.sent import Sent
from appliance.model import Event, Project
from appliance.storage.exclusions import Rule
from appliance.storage.imported_figures import Figure

_BOM = "\ufeff"


class Exact(NamedTuple):
    """An event that was stored before and is to be stored as it was."""

    event: Event
    visit: OfVisit


class Context(NamedTuple):
    """What the meaning of records rests on. `honours`: visits and visitors are taken as the file says; `now` is the
    time (UTC microseconds) that what is kept is counted back from; `first_day` is the project's first day with visits
    of its own (days since 1970), if there is one; `rules` say what the project filters."""

    project: Project
    honours: bool
    now: int
    first_day: int | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def host(self) -> str:
        """Where pages are that say no host."""
        return self.project.domains[0] if self.project.domains else ""


class Head(NamedTuple):
    """The beginning of a file: lines that are whole, and the first as the cells of a CSV record."""

    lines: list[str]
    columns: list[str]

    @classmethod
    def of(cls, data: bytes) -> "Head":
        """From the first bytes; a line that they do not have the end of counts only when it is the first."""
        text = data.decode("utf-8", "replace").removeprefix(_BOM)
        lines = text.split("\n")
        whole = [line.rstrip("\r") for line in (lines[:-1] or lines) if line.strip()]
        try:
            columns = next(csv.reader(whole[:1]), [])
        except csv.Error:
            columns = []
        return cls(whole, [column.strip() for column in columns])

    def first_object(self) -> dict[str, Any] | None:
        """The JSON object that the first line is, None for what is none."""
        if not self.lines or not self.lines[0].startswith("{"):
            return None
        try:
            return msgspec.json.decode(self.lines[0], type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None


# What a record says: something as if it had been sent, something exact, figures of a day, or nothing (a comment, a
# header). Raises Rejected, Dropped.
Reader = Callable[[Any], Sent | Exact | list[Figure] | None]


class Format(NamedTuple):
    """`records` is 'line' (each is a text) or 'csv' (each is a list of texts, the first of a file its header);
    `reader` is asked once a file, with its beginning. `native`: what anybody may send who may send events.
    `from_start`: what a record means rests on those before it."""

    name: str
    title: str
    records: Literal["line", "csv"]
    recognises: Callable[[Head], bool]
    reader: Callable[[Head, Context], Reader]
    native: bool = False
    from_start: bool = False


def cells(head: Head) -> Callable[[list[str]], dict[str, str]]:
    """A function that gives a CSV record's cells by the names of their columns, without empty ones."""
    columns = head.columns

    def by_name(row: list[str]) -> dict[str, str]:
        return {name: cell for name, cell in zip(columns, row, strict=False) if cell}

    return by_name
