"""What a copy is made from and into; each engine has one of both.

Management tables are taken whole. Visits go with their events in slices: the visits of a project that start on one UTC
day. A slice is the same whether its rows are hot or sealed, and no visit is in two.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from appliance.clock import DAY
from appliance.storage.row_columns import EVENT, VISIT

T = TypeVar("T")
Row = tuple[Any, ...]

START: Final = VISIT.index("start")
TIME: Final = EVENT.index("time")
EVENT_ID: Final = EVENT.index("event_id")

BATCH_ROWS: Final = 10_000  # that are in memory at a time, but for the rows of a chunk
BATCH_BLOBS: Final = 200  # of rows that hold a whole packed column


def batch_rows(table: str) -> int:
    """How many rows of a management table are in memory at a time."""
    return BATCH_BLOBS if table == "rollup_column" else BATCH_ROWS


class Slice(NamedTuple):
    """The visits of a project that start on a UTC day (since 1970), with their events."""

    project_id: int
    day: int

    @property
    def start(self) -> int:
        return self.day * DAY

    @property
    def end(self) -> int:
        return self.start + DAY


class Piece(NamedTuple):
    """Some visits, as rows of VISIT, and some events, of whichever visits, as rows of EVENT and OF_VISIT with their ids
    packed (storage/row_columns.py, storage/event_ids.py)."""

    visits: Sequence[Row]
    events: Sequence[Row]


class Totals(NamedTuple):
    """What plain counting says of a project; revenue is summed over currencies, as a check and no more."""

    visits: int
    visitors: int
    events: int
    engaged_ms: int
    revenue: int


NOTHING: Final = Totals(0, 0, 0, 0, 0)


class Source(Protocol):
    """A database as it was at one moment, whatever is written to it meanwhile."""

    identity: str
    """Which database it is, without passwords."""
    tables: Sequence[str]
    """Management tables that go to a target which has them too; those that others refer to come first."""

    def events(self) -> int:
        """How many there are."""
        ...

    def slices(self) -> list[Slice]:
        """All that may have visits, in order."""
        ...

    def rows_of(self, slice_: Slice) -> Iterator[Piece]:
        """All of a slice, in whatever order."""
        ...

    def table(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[Row]]:
        """The rows of a management table, with these columns of it."""
        ...

    def newest(self) -> Mapping[str, int]:
        """By table the largest id that was ever given, as far as that is known."""
        ...

    def totals(self) -> Mapping[int, Totals]:
        """By project."""
        ...

    def count(self, table: str) -> int:
        """How many rows of a management table are carried."""
        ...

    def close(self) -> None: ...


class Target(Protocol):
    """A database that is to become the same. What changes it is called inside `transact`."""

    identity: str
    tables: Sequence[str]

    def unfinished(self) -> str | None:
        """Of what an unfinished copy is here; None: there is none."""
        ...

    def is_empty(self) -> bool: ...

    def transact(self, work: Callable[[], T]) -> T:
        """Run work as one transaction."""
        ...

    def begin(self, identity: str) -> None:
        """Mark the database as an unfinished copy."""
        ...

    def done(self) -> dict[Slice, str]:
        """Slices that are here, with what was noted of them."""
        ...

    def note(self, slice_: Slice, digest: str) -> None: ...

    def drop(self, slices: Sequence[Slice]) -> None:
        """Remove slices with their notes."""
        ...

    def add_visits(self, rows: Sequence[Row]) -> None: ...

    def add_events(self, rows: Sequence[Row]) -> None: ...

    def columns(self, table: str) -> Sequence[str]:
        """Those of a management table that have to come from the source."""
        ...

    def clear(self, table: str) -> None:
        """Remove the rows of a management table that are carried."""
        ...

    def add(self, table: str, rows: Sequence[Row]) -> None:
        """Insert rows of `columns`."""
        ...

    def wipe(self) -> None:
        """Remove visits and events, and the notes of slices."""
        ...

    def totals(self) -> Mapping[int, Totals]: ...

    def count(self, table: str) -> int: ...

    def finish(self, newest: Mapping[str, int]) -> None:
        """See to it that ids go on above these, note what who writes visits notes, and take away mark and notes."""
        ...

    def close(self) -> None: ...
